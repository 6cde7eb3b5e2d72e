# amaranth: UnusedElaboratable=no
"""The array in Amaranth's simulator equals the contract's step, bit for bit."""

from dataclasses import replace
from random import Random

import numpy as np
import pytest
from amaranth.hdl import ResetInserter, Signal

from gateware.array.array_driver import decode, load, set_run
from pendula.contract import PHYSICS, ArraySpec, InitialState
from pendula.contract.protocol import force_bytes, state_bytes
from pendula.contract.registers import Readout
from pendula.contract.step import forces, pixel, run_sample
from pendula.program import Program, random_program
from pendula_gateware.array.array import OscillatorArray
from pendula_gateware.fabric import ECP5, GENERIC, ICE40, Fabric
from streams import get_packet, put, simulate

OFFSETS = {"both": (-5, -1, 1, 2, 5), "ahead": (1, 3), "behind": (-3, -1), "one": (1,)}


def build(physics: str, nodes: int, offsets: tuple[int, ...], *, seed: int = 1,
          initial: InitialState = InitialState.GAUSSIAN, **widths: int) -> Program:
    widths = {"table_bits": 6} | widths         # short tables load fast
    spec = ArraySpec(physics=PHYSICS[physics], nodes=nodes, offsets=offsets, segments=4, **widths)
    return random_program(spec, np.random.default_rng(seed), segments=3, steps=2, initial=initial)


def draw(program: Program, jobs: list[dict[str, int]], *, seed: int = 7, stall: float = 0.3,
         uploaded=None, clamped=None, lanes: int = 1, fabric: Fabric = GENERIC,
         **run) -> tuple[list[bytes], int]:
    """Run jobs on a fresh array with stalls on both sides; return its packets and saturations."""
    array = OscillatorArray(spec=program.spec, lanes=lanes, fabric=fabric)
    packets: list[bytes] = []
    counters = []
    loaded = []

    async def feed(ctx):
        await load(ctx, array, program, uploaded, clamped)
        set_run(ctx, array, seed, **run)
        loaded.append(True)
        await put(ctx, array.job, jobs, Random(1), stall)

    async def receive(ctx):
        for _ in range(sum(job.get("more", 0) + 1 for job in jobs)):
            packets.append(await get_packet(ctx, array.o, Random(2), stall))
        while ctx.get(array.busy):
            await ctx.tick()
        counters.append(ctx.get(array.saturations))

    simulate(array, feed, receive, timeout_cycles=20_000)
    return packets, counters[0]


def samples(*indices: int) -> list[dict[str, int]]:
    return [{"force": 0, "index": index} for index in indices]


@pytest.mark.parametrize("offsets", OFFSETS.values(), ids=OFFSETS)
@pytest.mark.parametrize(("physics", "nodes"),
                         [("quartic", 6), *((physics, 41) for physics in PHYSICS)])
def test_samples(physics, nodes, offsets):
    program = build(physics, nodes, offsets)
    packets, saturations = draw(program, samples(0, 1, 0xFFFFFFFF), readout=Readout.ALL)
    runs = [run_sample(program, 7, index) for index in (0, 1, 0xFFFFFFFF)]
    assert [decode(p, state_bytes(program.spec)) for p in packets] == [run.x for run in runs]
    assert saturations == sum(run.saturations for run in runs)


@pytest.mark.parametrize("bank_depth", [4, 16, 2048])
def test_samples_on_a_fabric_with_banks(bank_depth):
    program = build("kuramoto", 21, OFFSETS["both"])
    fabric = replace(ECP5, bank_depth=bank_depth)
    packets, _ = draw(program, samples(0, 1), readout=Readout.ALL, fabric=fabric)
    runs = [run_sample(program, 7, index) for index in (0, 1)]
    assert [decode(p, state_bytes(program.spec)) for p in packets] == [run.x for run in runs]


@pytest.mark.parametrize("offsets", OFFSETS.values(), ids=OFFSETS)
@pytest.mark.parametrize("fabric", [GENERIC, ECP5, ICE40], ids=lambda fabric: fabric.name)
def test_folded_samples(fabric, offsets):
    """Any fold up to K, on any fabric, in any lanes, for any physics."""
    rng = Random(f"{fabric.name} {offsets}")
    degree, nodes = len(offsets), rng.choice((6, 41))
    fabric = replace(fabric, fold=rng.randint(min(2, degree), degree))
    program = build(rng.choice([*PHYSICS]), nodes, offsets,
                    initial=rng.choice((InitialState.GAUSSIAN, InitialState.UNIFORM)))
    lanes, uploaded = rng.randint(1, 3), np.arange(nodes) * 1000 - 4000
    clamped = np.array([rng.random() < 0.2 for _ in range(nodes)])
    jobs = [{"force": 0, "index": 8, "more": lanes - 1}, {"force": 1, "index": 1, "more": 0},
            {"force": 0, "index": 0, "more": 0}]
    packets, saturations = draw(program, jobs, readout=Readout.ALL, fabric=fabric, lanes=lanes,
                                uploaded=uploaded, clamped=clamped, stall=rng.choice((0, 0.5)))
    runs = [run_sample(program, 7, index, uploaded=uploaded.tolist(), clamped=clamped.tolist())
            for index in [*range(8, 8 + lanes), 0]]
    force = packets.pop(lanes)
    assert [decode(p, state_bytes(program.spec)) for p in packets] == [run.x for run in runs]
    assert decode(force, force_bytes(program.spec)) == forces(program, 1, uploaded.tolist())
    assert saturations == sum(run.saturations for run in runs)


@pytest.mark.parametrize("fabric", [GENERIC, replace(ECP5, fold=2), ICE40], ids=lambda f: f.name)
def test_a_reset_leaves_no_tokens_in_the_memories(fabric):
    """Rings keep what was under way when the reset came; none of it may come out as a result."""
    program = build("kuramoto", 41, OFFSETS["both"])
    array, rst, packets = OscillatorArray(spec=program.spec, fabric=fabric), Signal(), []
    within_the_last_pass = round(6.6 * array.period)

    async def bench(ctx):
        await load(ctx, array, program)
        set_run(ctx, array, 7, readout=Readout.ALL)
        await put(ctx, array.job, samples(0), Random(1), 0)
        await ctx.tick().repeat(within_the_last_pass)
        ctx.set(rst, 1)
        await ctx.tick().repeat(20)
        ctx.set(rst, 0)
        for _ in range(300):
            await ctx.tick()
            assert not ctx.get(array.o.valid)
        assert not ctx.get(array.busy)
        await load(ctx, array, program)
        await put(ctx, array.job, samples(3), Random(1), 0)
        packets.append(await get_packet(ctx, array.o, Random(2), 0))

    simulate(ResetInserter(rst)(array), bench, timeout_cycles=20_000)
    assert decode(packets[0], state_bytes(program.spec)) == run_sample(program, 7, 3).x


@pytest.mark.parametrize("fold", [0, 5])
def test_folds_are_bounded(fold):
    spec = build("quartic", 9, (-2, -1, 1, 2)).spec
    with pytest.raises(ValueError, match=f"fold must be within 1..4, as .*, not {fold}"):
        OscillatorArray(spec=spec, fabric=replace(GENERIC, fold=fold))


@pytest.mark.parametrize("lanes", [2, 5])
@pytest.mark.parametrize("physics", PHYSICS)
def test_samples_in_lanes(physics, lanes):
    """Full and partial jobs, forces between them; only the lanes of a job count saturations."""
    program = build(physics, 9, (-2, 1))
    uploaded = np.arange(9) * 1000 - 4000
    jobs = [{"force": 0, "index": 10, "more": lanes - 1}, {"force": 0, "index": 30, "more": 0},
            {"force": 1, "index": 2, "more": 0}, {"force": 0, "index": 50, "more": lanes - 2}]
    indices = [*range(10, 10 + lanes), 30, *range(50, 49 + lanes)]
    packets, saturations = draw(program, jobs, lanes=lanes, readout=Readout.ALL, uploaded=uploaded)
    runs = [run_sample(program, 7, index) for index in indices]
    force = packets.pop(lanes + 1)
    assert [decode(p, state_bytes(program.spec)) for p in packets] == [run.x for run in runs]
    assert decode(force, force_bytes(program.spec)) == forces(program, 2, uploaded.tolist())
    assert saturations == sum(run.saturations for run in runs)


def test_only_the_lanes_of_a_job_count_saturations():
    """Every update of every lane is clipped, idle ones too: they see the same uploaded states."""
    program = build("quartic", 9, (-2, 1), initial=InitialState.UPLOADED)
    outward = np.zeros_like(program.local_codes)
    outward[:, :, 0] = program.spec.local_code.hi
    gains = np.full_like(program.local_gains, program.spec.gain.hi)
    program = replace(program, codes=np.zeros_like(program.codes), local_codes=outward,
                      local_gains=gains, noise_gain=np.zeros_like(program.noise_gain))
    top = np.full(9, program.spec.state.hi)
    jobs = [{"force": 0, "index": 0, "more": more} for more in (1, 2, 0)]
    _, saturations = draw(program, jobs, lanes=3, uploaded=top)
    assert saturations == 6 * 9 * program.total_steps


def test_pixels_in_lanes():
    program = build("quartic", 12, (-2, 1))
    object.__setattr__(program, "visible", np.arange(12) % 3 != 0)
    packets, _ = draw(program, [{"force": 0, "index": 4, "more": 2}] * 2, lanes=3,
                      readout=Readout.PIXEL)
    expected = [bytes(pixel(program.spec, program.pixel_gain, program.pixel_offset, x)
                      for x in np.array(run_sample(program, 7, index).x)[program.visible].tolist())
                for index in (4, 5, 6)]
    assert packets == expected * 2


def test_lanes_are_bounded():
    spec = build("quartic", 9, (-2, 1)).spec
    for lanes in (0, 65):
        with pytest.raises(ValueError, match=f"lanes must be within 1..64, not {lanes}"):
            OscillatorArray(spec=spec, lanes=lanes)


@pytest.mark.parametrize("initial", InitialState)
@pytest.mark.parametrize("stop_step", [0, 1, 5])
def test_initial_states(initial, stop_step):
    program = build("quartic", 9, (-1, 1), initial=initial)
    uploaded = np.arange(9) * 1000 - 4000
    packets, _ = draw(program, samples(3, 4), stop_step=stop_step, readout=Readout.ALL,
                      uploaded=uploaded)
    kept = None
    for index, packet in zip((3, 4), packets, strict=True):
        kept = run_sample(program, 7, index, stop_step=stop_step, kept=kept,
                          uploaded=uploaded.tolist()).x
        assert decode(packet, state_bytes(program.spec)) == kept


@pytest.mark.parametrize("physics", PHYSICS)
def test_clamped_nodes(physics):
    program = build(physics, 12, (-2, 1))
    rng = np.random.default_rng(3)
    uploaded, clamped = rng.integers(-9000, 9000, 12), rng.random(12) < 0.5
    [packet], saturations = draw(program, samples(5), readout=Readout.ALL, uploaded=uploaded,
                                 clamped=clamped)
    run = run_sample(program, 7, 5, uploaded=uploaded.tolist(), clamped=clamped.tolist())
    assert decode(packet, state_bytes(program.spec)) == run.x
    assert saturations == run.saturations


def test_held_nodes_never_saturate():
    program = build("quartic", 12, (-2, 1))
    top = np.full(12, program.spec.state.hi)
    packets, saturations = draw(program, samples(*range(4)), readout=Readout.ALL, uploaded=top,
                                clamped=np.ones(12, bool))
    assert [decode(p, state_bytes(program.spec)) for p in packets] == [top.tolist()] * 4
    assert saturations == 0


@pytest.mark.parametrize("physics", PHYSICS)
def test_visible_pixels(physics):
    program = build(physics, 12, (-2, 1))
    visible = np.arange(12) % 3 != 0
    object.__setattr__(program, "visible", visible)
    [packet], _ = draw(program, samples(5), readout=Readout.PIXEL)
    x = np.array(run_sample(program, 7, 5).x)[visible]
    assert list(packet) == [pixel(program.spec, program.pixel_gain, program.pixel_offset, int(v))
                            for v in x]


@pytest.mark.parametrize("readout", [0, Readout.PIXEL])
def test_where_nothing_is_visible_a_zero_stands_for_it(readout):
    program = build("quartic", 6, (-2, 1))
    object.__setattr__(program, "visible", np.zeros(6, bool))
    packets, _ = draw(program, [{"force": 0, "index": 4, "more": 1}] * 2, lanes=2, readout=readout)
    assert packets == [bytes(1)] * 4


def test_a_byte_is_sent_every_cycle():
    """Within a lane and from lane to lane, whatever is read out."""
    program = build("quartic", 12, (-2, 1))
    array = OscillatorArray(spec=program.spec, lanes=3)
    found = []

    async def run(ctx):
        await load(ctx, array, program)
        ctx.set(array.o.ready, 1)
        for readout, width in ((Readout.PIXEL, 1), (0, state_bytes(program.spec))):
            set_run(ctx, array, 7, readout=readout)
            await put(ctx, array.job, [{"force": 0, "index": 0, "more": 2}])
            while not ctx.get(array.o.valid):
                await ctx.tick()
            cycles = 0
            while ctx.get(array.o.valid):
                cycles += 1
                await ctx.tick()
            found.append(cycles == 3 * 12 * width)
            while ctx.get(array.busy):
                await ctx.tick()

    simulate(array, run, timeout_cycles=20_000)
    assert found == [True, True]


@pytest.mark.parametrize("physics", PHYSICS)
def test_forces(physics):
    program = build(physics, 12, (-2, 1))
    uploaded = np.random.default_rng(3).integers(-9000, 9000, 12)
    jobs = [{"force": 1, "index": segment} for segment in range(3)]
    packets, _ = draw(program, jobs, uploaded=uploaded)
    assert [decode(p, force_bytes(program.spec)) for p in packets] == [
        forces(program, segment, uploaded.tolist()) for segment in range(3)]


@pytest.mark.parametrize("widths", [
    {"state_bits": 12, "table_bits": 6, "edge_bits": 4, "code_bits": 3, "gain_bits": 8},
    {"state_bits": 24, "table_bits": 8, "edge_bits": 10, "basis_bits": 18, "gain_bits": 18},
])
@pytest.mark.parametrize("physics", PHYSICS)
def test_other_widths(physics, widths):
    program = build(physics, 8, (-3, 1, 2), initial=InitialState.UNIFORM, **widths)
    [packet], _ = draw(program, samples(9), readout=Readout.ALL)
    assert decode(packet, state_bytes(program.spec)) == run_sample(program, 7, 9).x


@pytest.mark.parametrize("fabric", [GENERIC, replace(GENERIC, fold=2), replace(ECP5, fold=3)],
                         ids=["generic", "folded-2", "ecp5-folded-3"])
def test_no_bubble_between_steps(fabric):
    """A node takes `fold` cycles, no more."""
    program = build("quartic", 256, (-34, -1, 1, 34))
    array = OscillatorArray(spec=program.spec, fabric=fabric)
    cycles = []

    async def run(ctx):
        await load(ctx, array, program)
        set_run(ctx, array, 7)
        await put(ctx, array.job, samples(0))
        while not ctx.get(array.o.valid):
            await ctx.tick()
        cycles.append(ctx.get(array.cycles))

    simulate(array, run, timeout_cycles=20_000)
    passes = program.total_steps + 1
    assert array.period == 256 * fabric.fold
    assert passes * array.period < cycles[0] < passes * array.period + 100 * fabric.fold
