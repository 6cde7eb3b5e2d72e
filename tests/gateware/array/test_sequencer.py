# amaranth: UnusedElaboratable=no
"""The sequencer's tokens follow the program's segments and steps, without a gap inside a job."""

from random import Random

import pytest

from pendula.contract import PHYSICS, ArraySpec
from pendula.contract.memory import Memory, memory_layouts
from pendula.contract.step import ALL_STEPS, InitialState
from pendula_gateware.array.sequencer import Sequencer
from streams import put, simulate

STEPS = (3, 1, 2)
SPEC = ArraySpec(physics=PHYSICS["ising"], nodes=7, offsets=(1,), segments=4)


def run_jobs(jobs, *, stop_step=ALL_STEPS, hold=0.0, period=8, fold=1, phases=None):
    """Return (valid, initial, force, final, segment, node, row) of every cycle."""
    component = Sequencer(spec=SPEC, period=period, drain=9, fold=fold)
    rng = Random(4)
    seen = []
    done = []

    async def feed(ctx):
        layout = memory_layouts(SPEC)[Memory.SEGMENT]
        ctx.set(component.bus.memory, Memory.SEGMENT)
        ctx.set(component.bus.write, 1)
        for row, steps in enumerate(STEPS):
            content = layout.pack({"steps": [steps], "coupling_gain": [-1],
                                   "local_gains": [-1, -1, -1], "noise_gain": [-1]})
            ctx.set(component.bus.row, row)
            ctx.set(component.bus.write_data, int.from_bytes(content, "little"))
            await ctx.tick()
        ctx.set(component.bus.write, 0)
        ctx.set(component.registers.segments, len(STEPS))
        ctx.set(component.registers.stop_step, stop_step)
        ctx.set(component.seeded, 1)
        await put(ctx, component.job, jobs)
        while not ctx.get(component.job.ready):
            await ctx.tick()
        done.append(True)

    async def watch(ctx):
        while not done:
            ctx.set(component.hold, rng.random() < hold)
            token = ctx.get(component.token)
            seen.append(tuple(token[name] for name in (
                "valid", "initial", "force", "final", "segment", "node", "row")))
            if phases is not None:
                phases.append(ctx.get(component.phase))
            await ctx.tick()

    simulate(component, feed, watch)
    return seen


def lanes_of(jobs, *, lanes=4):
    """Return (first, last, lanes loaded) of jobs, each with its initial state."""
    component = Sequencer(spec=SPEC, period=7, drain=3, lanes=lanes)
    seen = []

    async def run(ctx):
        ctx.set(component.registers.segments, 1)
        ctx.set(component.registers.stop_step, 0)
        ctx.set(component.seeded, 1)
        for job, initial in jobs:
            ctx.set(component.registers.initial, initial)
            assert ctx.get(component.rest)
            await put(ctx, component.job, [job])
            loaded = []
            while not ctx.get(component.rest):
                if ctx.get(component.load):
                    loaded.append(ctx.get(component.lane))
                await ctx.tick()
            seen.append((ctx.get(component.first), ctx.get(component.last), loaded))

    simulate(component, run)
    return seen


def job(more, force=0):
    return {"force": force, "index": 0, "more": more}


def test_lanes_of_a_job_are_loaded_one_by_one():
    assert lanes_of([(job(more), InitialState.ZERO) for more in (3, 0, 2)]) == [
        (0, 3, [0, 1, 2, 3]), (0, 0, [0]), (0, 2, [0, 1, 2])]


def test_the_lane_with_the_latest_sample_goes_on_from_it():
    batch, chain = (job(2), InitialState.ZERO), (job(0), InitialState.KEEP)
    force = (job(0, force=1), InitialState.KEEP)
    assert lanes_of([batch, chain, chain, force, chain]) == [
        (0, 2, [0, 1, 2]), (2, 2, [2]), (2, 2, [2]), (0, 0, [0]), (0, 0, [0])]


def test_no_job_is_taken_before_its_streams_are_ready():
    component = Sequencer(spec=SPEC, period=7, drain=3)

    async def run(ctx):
        ctx.set(component.job.valid, 1)
        await ctx.tick().repeat(5)
        assert not ctx.get(component.job.ready)
        ctx.set(component.seeded, 1)
        assert ctx.get(component.job.ready)

    simulate(component, run)


def expected(passes):
    """Return the valid tokens of passes (initial, force, final, segment, rows used)."""
    return [(1, initial, force, final, segment, node, base + node)
            for initial, force, final, segment, base in passes for node in range(SPEC.nodes)]


def passes_of_sample(stop_step=ALL_STEPS):
    segments = [s for s, steps in enumerate(STEPS) for _ in range(steps)][:stop_step]
    passes = [(1, 0, 0, 0, 0)] + [(0, 0, 0, s, s * SPEC.nodes) for s in segments]
    initial, force, _, segment, base = passes[-1]
    return [*passes[:-1], (initial, force, 1, segment, base)]


@pytest.mark.parametrize("stop_step", [0, 1, 3, 4, 5, 6, 7, ALL_STEPS])
@pytest.mark.parametrize("hold", [0.0, 0.7])
def test_sample(stop_step, hold):
    seen = run_jobs([{"force": 0, "index": 1}] * 2, stop_step=stop_step, hold=hold)
    assert [token for token in seen if token[0]] == expected(passes_of_sample(stop_step) * 2)


@pytest.mark.parametrize("segment", range(len(STEPS)))
def test_force(segment):
    seen = run_jobs([{"force": 1, "index": segment}])
    tokens = [token for token in seen if token[0]]
    assert [t[1:5] for t in tokens[:SPEC.nodes]] == [(1, 1, 0, segment)] * SPEC.nodes
    assert tokens[SPEC.nodes:] == expected([(0, 1, 1, segment, segment * SPEC.nodes)])


def test_passes_follow_each_other_without_a_bubble():
    seen = run_jobs([{"force": 0, "index": 1}], period=7)
    valid = [token[0] for token in seen]
    first = valid.index(1)
    count = (sum(STEPS) + 1) * SPEC.nodes
    assert all(valid[first:first + count])
    assert not any(valid[first + count:])


@pytest.mark.parametrize("hold", [0.0, 0.7])
@pytest.mark.parametrize(("fold", "period"), [(2, 14), (3, 24), (5, 40)])
def test_a_folded_token_stays(fold, period, hold):
    """For `fold` cycles in a row; the phase counts them, between passes too."""
    phases = []
    seen = run_jobs([{"force": 0, "index": 1}, {"force": 1, "index": 2}], period=period, fold=fold,
                    hold=hold, phases=phases)
    forces = [(1, 1, 0, 2, 0), (0, 1, 1, 2, 2 * SPEC.nodes)]
    tokens = [(token, phase) for token, phase in zip(seen, phases, strict=True) if token[0]]
    once = expected(passes_of_sample())
    found = [token for token, phase in tokens if phase == 0]
    assert found[:len(once)] == once
    assert [token[1:6] for token in found[len(once):]] == [
        (initial, force, final, segment, node) for initial, force, final, segment, _ in forces
        for node in range(SPEC.nodes)]
    assert tokens == [(token, phase) for token in found for phase in range(fold)]
    begin = seen.index(once[0])
    job = phases[begin:begin + (sum(STEPS) + 1) * period]
    assert job == [cycle % fold for cycle in range(len(job))]


@pytest.mark.parametrize(("period", "fold", "least"), [(6, 1, 7), (14, 3, 21), (22, 3, 21)])
def test_period_is_checked(period, fold, least):
    with pytest.raises(ValueError, match=f"period must be a multiple of {fold}, at least {least}, "
                                         f"not {period}"):
        Sequencer(spec=SPEC, period=period, drain=9, fold=fold)
