"""The twin against the reference step, bit for bit."""

import _thread
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pendula.contract import PHYSICS, ArraySpec, InitialState, OffsetGraph
from pendula.contract.numbers import Interval, signed_format
from pendula.contract.step import ALL_STEPS, forces, pixel, run_sample
from pendula.device import open_device
from pendula.errors import ProgramError
from pendula.program import Program, random_program
from pendula.twin.band import BAND_ROWS
from pendula.twin.engine import exact_float
from pendula.twin.twin_device import TwinDevice
from strategies import programs, specs

seeds = st.integers(0, 2**64 - 1)
firsts = st.integers(0, 2**32 - 8)
every_physics = pytest.mark.parametrize("physics", list(PHYSICS))
every_start = pytest.mark.parametrize("initial", list(InitialState))


def draw_within(rng: np.random.Generator, within: Interval, shape: Sequence[int]) -> Any:
    return rng.integers(within.lo, within.hi + 1, shape)


@st.composite
def harsh_programs(draw: st.DrawFn, physics: str, initial: InitialState) -> Program:
    """Draw programs with tables, gains, masks and segments of all kinds, extremes included."""
    base = draw(programs(physics, nodes_hi=24, initial=initial))
    spec = base.spec
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    gain = Interval.symmetric(max(1, spec.gain.hi >> draw(st.integers(0, 12))))
    mask = rng.random((spec.nodes, len(spec.offsets))) < draw(st.sampled_from([0.5, 1.0]))
    graph = OffsetGraph(spec.nodes, spec.offsets, tuple(map(tuple, mask.tolist())))
    visible = rng.random(spec.nodes) < 0.5
    visible[draw(st.integers(0, spec.nodes - 1))] = True
    return replace(
        base, graph=graph, codes=base.codes * np.array(graph.mask), visible=visible,
        steps=rng.integers(1, 4, base.segments),
        coupling_gain=draw_within(rng, gain, base.coupling_gain.shape),
        local_gains=draw_within(rng, gain, base.local_gains.shape),
        noise_gain=abs(draw_within(rng, gain, base.noise_gain.shape)),
        initial_gain=int(rng.integers(0, gain.hi + 1)),
        tables={name: draw_within(rng, Interval.symmetric(signed_format(width).hi),
                                  (spec.table_rows,))
                for name, (_, width) in spec.columns.items()})


@dataclass
class Case:
    """One request, and what the reference step says about it."""

    program: Program
    seed: int
    first: int
    count: int
    stop_step: int
    uploaded: list[int]
    clamped: list[bool]

    @classmethod
    def draw(cls, data: st.DataObject, program: Program) -> "Case":
        spec = program.spec
        rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
        held = data.draw(st.sampled_from([0.0, 0.3, 1.0]))
        return cls(program, data.draw(seeds), data.draw(firsts), data.draw(st.integers(1, 5)),
                   data.draw(st.sampled_from([ALL_STEPS, *range(program.total_steps + 2)])),
                   draw_within(rng, spec.state.interval, (spec.nodes,)).tolist(),
                   (rng.random(spec.nodes) < held).tolist())

    def reference(self, kept: list[int]) -> tuple[list[list[int]], int]:
        """Return the final states, and the number of saturations."""
        states, saturations = [], 0
        for index in range(self.first, self.first + self.count):
            run = run_sample(self.program, self.seed, index, stop_step=self.stop_step, kept=kept,
                             uploaded=self.uploaded, clamped=self.clamped)
            kept = run.x
            states.append(run.x)
            saturations += run.saturations
        return states, saturations

    def prepare(self, device: TwinDevice) -> TwinDevice:
        device.load(self.program)
        device.set_nodes(self.uploaded, self.clamped)
        return device

    def arguments(self) -> dict[str, Any]:
        return {"seed": self.seed, "first": self.first, "stop_step": self.stop_step}


@every_physics
@every_start
@settings(max_examples=25)
@given(data=st.data())
def test_samples_equal_the_reference(physics: str, initial: InitialState,
                                     data: st.DataObject) -> None:
    case = Case.draw(data, data.draw(harsh_programs(physics, initial)))
    device = case.prepare(TwinDevice("twin://"))
    kept, total = [0] * case.program.spec.nodes, 0
    for _ in range(2):                       # the second batch starts where the first one ended
        states, saturations = case.reference(kept)
        batch = device.sample(case.count, hidden=True, **case.arguments())
        assert batch.values.dtype == np.int32
        assert batch.values.tolist() == states
        assert batch.saturations == saturations
        kept, total = states[-1], total + saturations
        assert device.health.saturations == total


@every_physics
@settings(max_examples=25)
@given(data=st.data())
def test_readout_equals_the_reference(physics: str, data: st.DataObject) -> None:
    program = replace(data.draw(harsh_programs(physics, InitialState.UNIFORM)),
                      pixel_gain=data.draw(st.integers(-(2**15), 2**15 - 1)),
                      pixel_offset=data.draw(st.integers(-(2**15), 2**15 - 1)))
    case = Case.draw(data, program)
    device = case.prepare(TwinDevice("twin://"))
    states = np.array(case.reference([0] * program.spec.nodes)[0])
    shown = states[:, program.visible].tolist()
    assert device.sample(case.count, **case.arguments()).values.tolist() == shown
    batch = device.sample(case.count, pixels=True, **case.arguments())
    assert batch.values.dtype == np.uint8
    assert batch.values.tolist() == [
        [pixel(program.spec, program.pixel_gain, program.pixel_offset, x) for x in row]
        for row in shown]


@every_physics
@settings(max_examples=25)
@given(data=st.data())
def test_forces_equal_the_reference(physics: str, data: st.DataObject) -> None:
    program = data.draw(harsh_programs(physics, InitialState.KEEP))
    case = Case.draw(data, program)
    device = case.prepare(TwinDevice("twin://"))
    rng = np.random.default_rng(case.count)
    states = draw_within(rng, program.spec.state.interval, (case.count, program.spec.nodes))
    segment = data.draw(st.integers(0, program.segments - 1))
    drifts = device.forces(states, segment=segment)
    assert drifts.dtype == np.int64
    assert drifts.tolist() == [forces(program, segment, x) for x in states.tolist()]
    # The device is left in the last state, which only KEEP can see.
    samples = device.sample(case.count, hidden=True, **case.arguments())
    assert samples.values.tolist() == case.reference(states[-1].tolist())[0]


def array(physics: str, *, nodes: int = 2 * BAND_ROWS + 3, **formats: int) -> ArraySpec:
    offsets = (-BAND_ROWS - 1, -9, -1, 1, 2, 70)
    return ArraySpec(physics=PHYSICS[physics], nodes=nodes, offsets=offsets, **formats)


@every_physics
def test_arrays_of_several_bands_equal_the_reference(physics: str) -> None:
    program = random_program(array(physics), np.random.default_rng(4), segments=2, steps=4)
    with open_device("twin://") as device:
        device.load(program)
        batch = device.sample(3, seed=11, first=6)
    assert batch.values.tolist() == [run_sample(program, 11, index).x for index in (6, 7, 8)]


@every_physics
def test_largest_sums_equal_the_reference(physics: str) -> None:
    """Every code, edge and gain at its largest: sums that need more than 24 bits."""
    offsets = tuple(offset for offset in range(-60, 61) if offset)
    spec = ArraySpec(physics=PHYSICS[physics], nodes=130, offsets=offsets, edge_bits=12,
                     code_bits=8)
    assert exact_float(spec) is np.float64
    base = random_program(spec, np.random.default_rng(5), segments=1, steps=1)
    program = replace(
        base, codes=np.where(base.codes != 0, spec.code.hi, 0),
        coupling_gain=[spec.gain.hi],
        tables={name: np.where(np.arange(spec.table_rows) % 5 > 0,
                               signed_format(width).hi, signed_format(width).hi - 1)
                for name, (_, width) in spec.columns.items()})
    device = TwinDevice("twin://")
    device.load(program)
    states = draw_within(np.random.default_rng(6), spec.state.interval, (2, spec.nodes))
    assert device.forces(states).tolist() == [forces(program, 0, x) for x in states.tolist()]


@given(specs(nodes_hi=24))
def test_exact_float_represents_every_partial_sum(spec: ArraySpec) -> None:
    dtype = exact_float(spec)
    largest = spec.accumulators["partial"].hi
    assert int(dtype(largest)) == largest
    assert int(dtype(largest - 1)) == largest - 1


def test_exact_float_changes_at_24_bits() -> None:
    def spec(nodes: int) -> ArraySpec:
        return ArraySpec(physics=PHYSICS["ising"], nodes=nodes, offsets=tuple(range(1, nodes)),
                         edge_bits=12, code_bits=8)
    assert exact_float(spec(65)) is np.float32         # 64 * 2047 * 127 < 2**24 < 65 * 2047 * 127
    assert exact_float(spec(66)) is np.float64


@every_physics
@every_start
def test_threads_blocks_and_splits_do_not_matter(physics: str, initial: InitialState) -> None:
    program = random_program(array(physics, nodes=75), np.random.default_rng(1), initial=initial)

    def draw(splits: Sequence[int], **options: int) -> tuple[list[Any], int]:
        device = TwinDevice("twin://", **options)
        device.load(program)
        device.set_nodes(np.arange(75))
        batches = [device.sample(stop - start, seed=5, first=start)
                   for start, stop in zip((0, *splits), (*splits, 150), strict=True)]
        return np.concatenate([batch.values for batch in batches]).tolist(), \
            device.health.saturations

    whole = draw((), threads=1, block=150)
    assert draw((), threads=2, block=150) == whole
    assert draw((), threads=3, block=7) == whole
    assert draw((1, 77), threads=2, block=33) == whole


def test_blocks_of_forces_do_not_matter() -> None:
    program = random_program(array("kuramoto"), np.random.default_rng(1))
    states = draw_within(np.random.default_rng(2), program.spec.state.interval, (150, 131))
    answers = []
    for options in ({"threads": 1, "block": 150}, {"threads": 2, "block": 11}):
        device = TwinDevice("twin://", **options)
        device.load(program)
        answers.append(device.forces(states, segment=1).tolist())
    assert answers[0] == answers[1]


def test_forces_of_no_states() -> None:
    device = TwinDevice("twin://")
    device.load(random_program(array("ising"), np.random.default_rng(1)))
    assert device.forces(np.empty((0, 131), np.int64)).shape == (0, 131)


def keeping(nodes: int = 75, seed: int = 0) -> Program:
    return random_program(array("quartic", nodes=nodes), np.random.default_rng(seed),
                          initial=InitialState.KEEP)


def test_kept_state_outlives_a_load_of_the_same_array() -> None:
    device = TwinDevice("twin://")
    device.load(keeping())
    last = device.sample(2, seed=1).values[-1].tolist()
    other = replace(keeping(seed=1), spec=array("quartic", nodes=75, segments=7))
    device.load(other)                       # the capacity in segments is no part of the digest
    expected = run_sample(other, 2, 9, kept=last).x
    assert device.sample(1, seed=2, first=9).values[0].tolist() == expected
    assert expected != run_sample(other, 2, 9).x


def test_kept_state_is_zero_on_another_array() -> None:
    device = TwinDevice("twin://")
    device.load(keeping())
    device.sample(2, seed=1)
    device.load(keeping(nodes=80))
    device.load(keeping())
    assert device.sample(1, seed=2).values[0].tolist() == run_sample(keeping(), 2, 0).x


def test_progress_counts_every_sample() -> None:
    device = TwinDevice("twin://", threads=2, block=64)
    device.load(random_program(array("ising"), np.random.default_rng(1)))
    seen: list[int] = []
    device.sample(150, seed=1, progress=seen.append)
    assert seen == [64, 64, 22]


@pytest.mark.parametrize("initial", [InitialState.UNIFORM, InitialState.KEEP])
def test_interruption_stops_the_work_at_once(initial: InitialState) -> None:
    program = random_program(array("kuramoto"), np.random.default_rng(1), segments=1, steps=2,
                             initial=initial)
    device = TwinDevice("twin://", threads=2, block=64)
    device.load(program)
    device.sample(1, seed=1)
    last = device.sample(1, seed=3).values[0].tolist() if initial is InitialState.KEEP else []
    device.load(replace(program, steps=[65535]))

    def interrupt() -> None:
        while not any("PoolExecutor" in thread.name for thread in threading.enumerate()):
            time.sleep(0.01)
        time.sleep(0.2)
        _thread.interrupt_main()

    interrupter = threading.Thread(target=interrupt)
    interrupter.start()
    with pytest.raises(KeyboardInterrupt):
        device.sample(1000, seed=1)
    interrupter.join()
    assert threading.active_count() == 1
    device.load(program)
    batch = device.sample(1, seed=1)
    if initial is InitialState.KEEP:
        assert batch.values[0].tolist() == run_sample(program, 1, 0, kept=last).x


def test_errors_of_the_progress_callback_are_passed_on() -> None:
    device = TwinDevice("twin://", threads=2, block=64)
    device.load(random_program(array("ising"), np.random.default_rng(1)))

    def fail(_: int) -> None:
        raise ProgramError("enough")

    with pytest.raises(ProgramError, match="enough"):
        device.sample(500, seed=1, progress=fail)
    assert threading.active_count() == 1
    assert device.health.saturations == 0


def test_open_device_finds_the_twin() -> None:
    with open_device("twin://") as device:
        assert isinstance(device, TwinDevice)
        assert device.exact
