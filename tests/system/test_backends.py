"""One suite over all backends: every exact one equals the contract's step, bit for bit."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

import pendula
from arrays import ARRAYS
from boards import opened
from pendula.contract import ArraySpec, InitialState
from pendula.contract.statistics import measure
from pendula.contract.step import ALL_STEPS, forces, pixel, run_sample
from pendula.device import AbstractDevice, Batch
from pendula.link import link_device
from pendula.link.link_device import LinkDevice
from pendula.moments import plan_measurements
from pendula.program import Program, random_program

EXACT = {"twin://": tuple(ARRAYS), "verilator://": tuple(ARRAYS),
         "verilator://?lanes=3": ("quartic", "ising"),
         "verilator://?fabric=ecp5": ("kuramoto", "narrow", "wide"),
         "verilator://?fold=2": ("ising", "wide"),
         "verilator://?lanes=3&fold=3&buffers=2": ("quartic",),
         "verilator://?fabric=ecp5&fold=4": ("wide",), "verilator://?fabric=gowin": ("quartic",),
         "pysim://": ("kuramoto",), "pysim://?lanes=2": ("quartic",),
         "netlist://ecp5?lanes=2&fold=2&buffers=2": ("ising",),
         "netlist://ice40": ("narrow",)}
"""Devices, and the arrays that they run."""

SERVED = [("tcp+verilator://", "quartic"), ("tcp+verilator://?lanes=3", "ising"),
          ("tcp+verilator://", "wide"), ("serial+verilator://", "kuramoto"),
          ("serial+pysim://", "narrow")]
"""Simulators that are served meanwhile."""


@dataclass
class Case:
    """A device, and programs for its array."""

    device: AbstractDevice
    spec: ArraySpec
    loaded: str = ""

    def load(self, initial: InitialState = InitialState.UNIFORM, **changes: Any) -> Program:
        """Load a random program, some nodes of which are hidden."""
        program = random_program(self.spec, np.random.default_rng(1), steps=2, initial=initial,
                                 segments=min(2, self.spec.segments))
        program = replace(program, visible=np.arange(self.spec.nodes) % 3 != 1, **changes)
        if program.digest != self.loaded:
            self.device.load(program)
            self.loaded = program.digest
        return program


def marks(url: str) -> list[pytest.MarkDecorator]:
    """Return the marks of a test that opens `url`."""
    return ([pytest.mark.verilator] * ("verilator" in url or "netlist" in url)
            + [pytest.mark.slow] * ("netlist" in url))


def cases() -> list[Any]:
    local = [(url, name) for name in ARRAYS for url, names in EXACT.items() if name in names]
    return [pytest.param((url, name), id=f"{url}-{name}", marks=marks(url))
            for url, name in [*local, *SERVED]]


@pytest.fixture(scope="module", params=cases())
def case(request: pytest.FixtureRequest) -> Iterator[Case]:
    url, name = request.param
    with opened(url, ARRAYS[name]) as device:
        yield Case(device, ARRAYS[name])


def check(program: Program, batch: Batch, *, kept: list[int] | None = None,
          uploaded: list[int] | None = None, clamped: list[bool] | None = None) -> list[int]:
    """Compare a batch with the contract's step, and return the last state."""
    request = batch.request
    shown = program.visible | request.hidden
    saturations = 0
    assert batch.values.shape == (request.count, shown.sum())
    assert batch.values.dtype == (np.uint8 if request.pixels else np.int32)
    for values, index in zip(batch.values.tolist(),
                             range(request.first, request.first + request.count), strict=True):
        run = run_sample(program, request.seed, index, stop_step=request.stop_step, kept=kept,
                         uploaded=uploaded, clamped=clamped)
        kept = run.x
        saturations += run.saturations
        visible = [x for x, flag in zip(run.x, shown, strict=True) if flag]
        if request.pixels:
            visible = [pixel(program.spec, program.pixel_gain, program.pixel_offset, x)
                       for x in visible]
        assert values == visible, f"sample {index}"
    assert batch.saturations == saturations
    return kept or []


def random_states(spec: ArraySpec, count: int) -> np.ndarray:
    rng = np.random.default_rng(2)
    return rng.integers(spec.state.lo, spec.state.hi + 1, (count, spec.nodes))


@pytest.mark.parametrize("hidden", [False, True])
@pytest.mark.parametrize("pixels", [False, True])
def test_readout(case, pixels, hidden):
    program = case.load()
    check(program, case.device.sample(2, seed=5, pixels=pixels, hidden=hidden))


@pytest.mark.parametrize("initial", [InitialState.ZERO, InitialState.GAUSSIAN,
                                     InitialState.UPLOADED])
def test_initial_states_and_clamped_nodes(case, initial):
    program = case.load(initial)
    uploaded = random_states(case.spec, 1)[0]
    clamped = np.arange(case.spec.nodes) % 3 == 0
    case.device.set_nodes(uploaded, clamped)
    check(program, case.device.sample(2, seed=3, hidden=True), uploaded=uploaded.tolist(),
          clamped=clamped.tolist())
    case.device.set_nodes(clamped=np.zeros(case.spec.nodes, bool))
    check(program, case.device.sample(1, seed=3, hidden=True), uploaded=uploaded.tolist())


def test_stopping_early(case):
    program = case.load()
    for stop_step in (0, 1, program.total_steps - 1, program.total_steps, ALL_STEPS - 1):
        check(program, case.device.sample(1, seed=6, hidden=True, stop_step=stop_step))


def test_splits_seeds_and_indices_do_not_matter(case):
    program = case.load()
    whole = case.device.sample(5, seed=2**64 - 1, hidden=True)
    parts = [case.device.sample(count, seed=2**64 - 1, first=first, hidden=True)
             for first, count in ((3, 2), (0, 1), (1, 2))]
    check(program, whole)
    for part in parts:
        check(program, part)
        rows = slice(part.request.first, part.request.first + part.request.count)
        assert np.array_equal(part.values, whole.values[rows])
    check(program, case.device.sample(2, seed=1 << 63, first=2**32 - 2, hidden=True))


def test_chains_start_from_the_state_before(case):
    program = case.load(InitialState.KEEP)
    start = random_states(case.spec, 2)
    case.device.forces(start)                       # leaves the last of them on the device
    state = check(program, case.device.sample(2, seed=1, hidden=True), kept=start[-1].tolist())
    state = check(program, case.device.sample(1, seed=1, first=2, hidden=True), kept=state)
    program = case.load(InitialState.KEEP, noise_gain=program.noise_gain // 2)
    check(program, case.device.sample(1, seed=1, first=3, hidden=True), kept=state)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_chain_goes_on_from_a_batch(case, count):
    """From its last sample, in whatever lane that was drawn."""
    program = case.load()
    state = check(program, case.device.sample(count, seed=1, hidden=True))
    program = case.load(InitialState.KEEP)
    check(program, case.device.sample(2, seed=1, first=9, hidden=True), kept=state)


@pytest.mark.parametrize(("url", "name"), [
    pytest.param(url, names[0], marks=marks(url)) for url, names in EXACT.items()
    if "netlist" not in url])
def test_a_chain_starts_at_zero_after_opening(url, name):
    spec = ARRAYS[name]
    with pendula.open(url) as device:
        program = Case(device, spec).load(InitialState.KEEP)
        check(program, device.sample(2, seed=1, hidden=True), kept=[0] * spec.nodes)


def test_forces(case):
    program = case.load()
    extremes = [[case.spec.state.lo] * case.spec.nodes, [case.spec.state.hi] * case.spec.nodes]
    states = np.concatenate([extremes, random_states(case.spec, 2)])
    for segment in range(program.segments):
        got = case.device.forces(states, segment=segment)
        assert got.dtype == np.int64
        assert got.tolist() == [forces(program, segment, state) for state in states.tolist()]
    check(program, case.device.sample(1, seed=8, hidden=True))


def test_saturations_are_counted(case):
    program = case.load(InitialState.UNIFORM)
    before = case.device.health.saturations
    batch = case.device.sample(8, seed=9, hidden=True)
    check(program, batch)
    wraps = case.spec.physics.name == "kuramoto"
    assert (batch.saturations == 0) == wraps
    assert case.device.health.saturations == before + batch.saturations


def test_noiseless_programs_are_deterministic_flows(case):
    program = case.load(InitialState.ZERO, noise_gain=np.zeros(min(2, case.spec.segments), int))
    batch = case.device.sample(2, seed=10, hidden=True)
    check(program, batch)
    assert np.array_equal(batch.values[0], batch.values[1])


@pytest.mark.parametrize("initial", [InitialState.UNIFORM, InitialState.KEEP])
def test_moments(case, initial):
    """Sums on the chip are those of the contract; samples and chains go on afterwards."""
    program = case.load(initial)
    start = random_states(case.spec, 1)
    case.device.forces(start)                       # where a chain begins
    moments = case.device.moments(4, seed=11, first=5, thin=2, edges=[(0, 1)], histograms=[1],
                                  bins=2)
    states, saturations, kept = [], 0, start[0].tolist()
    for index in range(5, 13):
        run = run_sample(program, 11, index, kept=kept)
        kept, saturations = run.x, saturations + run.saturations
        states.append(kept)
    plan = plan_measurements(moments.request)
    sums = np.array(measure(case.spec, plan.measurements, 1, 2, states, plan.sums))
    for name, places in plan.places.items():
        assert getattr(moments, name).tolist() == sums[places].tolist(), name
    assert moments.saturations == saturations
    check(program, case.device.sample(1, seed=1, first=3, hidden=True), kept=kept)


def test_devices_have_sums_for_every_node(case):
    """Mean and variance of all nodes, and as many sums again."""
    program = case.load()
    nodes = np.arange(case.spec.nodes)
    edges = [(node, node - 1) for node in nodes[1:]]
    expected = [run_sample(program, 2, index).x for index in range(5)]
    moments = case.device.moments(5, seed=2, nodes=nodes[::-1], edges=edges)
    assert moments.totals[::-1].tolist() == np.sum(expected, axis=0).tolist()
    assert moments.products.tolist() == [
        sum(x[i] * x[j] for x in expected) for i, j in edges]


@pytest.mark.verilator
@pytest.mark.parametrize("name", EXACT["pysim://"])
def test_both_simulators_count_the_same_cycles(name):
    cycles = []
    for url in ("pysim://", "verilator://"):
        with pendula.open(url) as device:
            Case(device, ARRAYS[name]).load()
            cycles.append(device.sample(1, seed=1).cycles)
    assert cycles[0] == cycles[1] > 0


def test_requests_fill_the_lanes(monkeypatch):
    """A run that is cut into requests leaves no lane idle but in the last of them."""
    spec, asked = ARRAYS["quartic"], []
    with pendula.open("pysim://?lanes=2") as device:
        assert isinstance(device, LinkDevice)
        program = Case(device, spec).load()
        monkeypatch.setattr(link_device, "_RUN_BYTES", 3 * (3 * spec.nodes + 1))
        run = device.client.run
        monkeypatch.setattr(device.client, "run", lambda indices, *arguments, **options: (
            asked.append(len(indices)), run(indices, *arguments, **options))[1])
        check(program, device.sample(5, seed=1, hidden=True))
    assert asked == [2, 2, 1]


@pytest.mark.parametrize("physics", ["kuramoto", "quartic", "ising"])
def test_float_is_sane(physics):
    spec = ARRAYS[physics]
    with pendula.open("float://") as device:
        case = Case(device, spec)
        case.load(InitialState.UPLOADED)
        uploaded = random_states(spec, 1)[0]
        clamped = np.arange(spec.nodes) == 2
        device.set_nodes(uploaded, clamped)
        batch = device.sample(20, seed=1, hidden=True)
        half_range = -spec.state.lo * 2.0**-spec.state.f_bits
        assert np.all(abs(batch.values) <= half_range)
        assert np.all(batch.values[:, 2] == uploaded[2] * 2.0**-spec.state.f_bits)
        assert np.array_equal(batch.values, device.sample(20, seed=1, hidden=True).values)
        assert not np.array_equal(batch.values, device.sample(20, seed=2, hidden=True).values)
        assert device.sample(3, seed=1, pixels=True).values.dtype == np.uint8
        assert np.isfinite(device.forces(random_states(spec, 3))).all()
