"""The ideal model against its equations, closed forms and the twin."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from pendula.contract import PHYSICS, ArraySpec, InitialState, OffsetGraph
from pendula.contract.numbers import Overflow
from pendula.contract.physics import FUNCTIONS, ONE, STATE
from pendula.contract.step import PIXEL_HI, PIXEL_OFFSET_F_BITS, pixel_shift
from pendula.device import open_device
from pendula.errors import ProgramError, UrlError
from pendula.program import Program, random_program
from pendula.twin.float_device import FloatDevice, real_function
from pendula.twin.twin_device import TwinDevice
from rounding import unrounded
from strategies import programs

RealArray = npt.NDArray[np.float64]

every_physics = pytest.mark.parametrize("physics", list(PHYSICS))
every_start = pytest.mark.parametrize("initial", list(InitialState))

# Largest slope of every function over the states (x within +-4, phases within +-1 half turn)
SLOPES = {"sin": math.pi, "-cos": math.pi, "cos": math.pi, "sin2": 2 * math.pi, "tanh": 1.0,
          "clip": 1.0, "x3": 48.0, STATE: 1.0, ONE: 0.0}


def evaluate(name: str, x: float) -> float:
    """Return a function by its definition in the contract."""
    if name in (STATE, ONE):
        return x if name == STATE else 1.0
    reach = float(FUNCTIONS[name].reach)
    return max(-reach, min(reach, FUNCTIONS[name].evaluate(x)))


def force(program: Program, segment: int, node: int, x: Sequence[float], *,
          real: bool = False) -> float:
    """Return the drift of one node by the equation, one edge after the other."""
    spec, physics, held = program.spec, program.spec.physics, program.coefficients(real=real)
    total = 0.0
    for k, offset in enumerate(spec.offsets):
        if 0 <= node + offset < spec.nodes:
            edge = sum((evaluate(physics.u[r], x[node]) if physics.u else 1.0)
                       * evaluate(physics.v[r], x[node + offset]) for r in range(physics.rank))
            total += held.coupling_val[segment, node, k] * edge
    for m, name in enumerate(physics.basis):
        total += held.local_val[segment, node, m] * evaluate(name, x[node])
    return total


def loaded(program: Program, functions: str = "exact", **options: Any) -> FloatDevice:
    device = FloatDevice("float://", functions=functions, **options)
    device.load(program)
    return device


@pytest.mark.parametrize("name", [*FUNCTIONS, STATE, ONE])
def test_functions_are_the_contracts(name: str) -> None:
    x = np.linspace(-4, 4, 999)
    expected = [evaluate(name, value) for value in x]
    assert np.allclose(real_function(name)(x), expected, rtol=1e-12, atol=1e-12)


def test_clip_saturates_where_its_table_does() -> None:
    assert real_function("clip")(np.array([-3.0, 1.5, 2.5])).tolist() == [-2.0, 1.5, 2.0]


@every_physics
@settings(max_examples=20)
@given(data=st.data())
def test_forces_are_the_equation(physics: str, data: st.DataObject) -> None:
    program = data.draw(programs(physics, nodes_hi=24))
    spec = program.spec
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    states = rng.integers(spec.state.lo, spec.state.hi + 1, (3, spec.nodes))
    segment = data.draw(st.integers(0, program.segments - 1))
    forces = loaded(program).forces(states, segment=segment)
    assert forces.dtype == np.float64
    expected = [[force(program, segment, node, x) for node in range(spec.nodes)]
                for x in program.states_val(states)]
    assert np.allclose(forces, expected, rtol=1e-9, atol=1e-12)


@every_physics
@settings(max_examples=20)
@given(data=st.data())
def test_with_the_programs_tables_forces_are_the_twins(physics: str, data: st.DataObject) -> None:
    program = data.draw(programs(physics, nodes_hi=24))
    spec = program.spec
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    states = rng.integers(spec.state.lo, spec.state.hi + 1, (3, spec.nodes))
    twin = TwinDevice("twin://")
    twin.load(program)
    expected = twin.forces(states) * spec.force_unit_val
    found = loaded(program, "tables").forces(states)
    assert np.allclose(found, expected, rtol=1e-9, atol=1e-9)


@every_physics
def test_real_parameters_run_instead_of_codes(physics: str) -> None:
    program = unrounded(random_program(
        ArraySpec(physics=PHYSICS[physics], nodes=9, offsets=(-2, 1)), np.random.default_rng(1)),
        noise=1.5)
    states = np.random.default_rng(2).integers(-9999, 9999, (4, 9))
    rounded, real = (loaded(program, parameters=parameters).forces(states, segment=1)
                     for parameters in ("codes", "real"))
    expected = [[force(program, 1, node, x, real=True) for node in range(9)]
                for x in program.states_val(states)]
    np.testing.assert_allclose(real, expected, rtol=1e-9)
    assert np.abs(real - rounded).max() > 1e-5


def test_real_noise_gains_are_taken() -> None:
    program = unrounded(free_walk("quartic"), 0, noise=2.0)
    values = [loaded(program, parameters=parameters).sample(500, seed=1).values
              for parameters in ("codes", "real")]
    np.testing.assert_allclose(values[1], 2 * values[0])    # no term but the noise


def test_programs_of_codes_alone_do_not_run_with_real_parameters() -> None:
    with pytest.raises(ProgramError, match="must hold the real parameters"):
        loaded(free_walk("quartic"), parameters="real")
    with pytest.raises(UrlError, match="parameters must be codes or real, not 'true'"):
        open_device("float://?parameters=true")


def test_functions_are_checked() -> None:
    with pytest.raises(UrlError, match="functions must be tables or exact, not 'real'"):
        open_device("float://?functions=real")


# Against the twin: what quantisation may do, and no more

def table_errors(spec: ArraySpec) -> dict[str, float]:
    """Return the largest error of each tabled function: half a row of slope, half a raw unit."""
    row_val = 2.0 ** (spec.state_bits - spec.table_bits - spec.state.f_bits)
    return {name: SLOPES[name] * row_val / 2 + 0.5 / float(FUNCTIONS[name].scale(width))
            for name, width in spec.columns.values()}


def quantisation_bound(program: Program, segment: int) -> tuple[float, float]:
    """Return the largest error of a force, and how much it grows with an error of the states."""
    spec, physics = program.spec, program.spec.physics
    errors = table_errors(spec) | {STATE: 0.0, ONE: 0.0}
    largest = {name: float(FUNCTIONS[name].reach) for name in FUNCTIONS}
    edge_error = edge_slope = 0.0
    for r, v in enumerate(physics.v):
        u = physics.u[r] if physics.u else ONE
        u_largest = largest.get(u, 1.0)
        edge_error += u_largest * errors[v] + largest[v] * errors[u] + errors[u] * errors[v]
        edge_slope += u_largest * SLOPES[v] + largest[v] * SLOPES[u]
    couplings = np.abs(program.coupling_val[segment]).sum(axis=1)
    local = np.abs(program.local_val[segment])
    error = couplings * edge_error + local @ [errors[name] for name in physics.basis]
    slope = couplings * edge_slope + local @ [SLOPES[name] for name in physics.basis]
    return float(error.max()), float(slope.max())


def gentle_program(physics: str, **changes: Any) -> Program:
    """Return a program whose errors hardly grow: fine tables, and no x^3, which is steep."""
    spec = ArraySpec(physics=PHYSICS[physics], nodes=70, offsets=(-40, -1, 1, 2, 9),
                     edge_bits=12, table_bits=12)
    base = random_program(spec, np.random.default_rng(3), segments=3, steps=5, noisy=False)
    shallow = np.array([name != "x3" for name in spec.physics.basis])
    return replace(base, coupling_gain=base.coupling_gain // 4,
                   local_gains=base.local_gains // 16 * shallow, **changes)


@every_physics
@pytest.mark.parametrize("initial", [InitialState.ZERO, InitialState.UPLOADED, InitialState.KEEP])
def test_flow_without_noise_is_the_twins(physics: str, initial: InitialState) -> None:
    program = gentle_program(physics, initial=initial)
    spec = program.spec
    lsb_val = 2.0**-spec.state.f_bits
    bound = 0.0
    for segment, steps in enumerate(program.steps):
        error, slope = quantisation_bound(program, segment)
        for _ in range(steps):
            bound = bound * (1 + slope) + error + lsb_val / 2     # one rounding a step
    moved = []
    devices = FloatDevice("float://", functions="exact"), TwinDevice("twin://")
    rng = np.random.default_rng(8)
    uploaded = rng.integers(spec.state.lo // 4, spec.state.hi // 4, spec.nodes)
    for device in devices:
        device.load(program)
        device.set_nodes(uploaded, np.arange(spec.nodes) % 5 == 0)
        batch = device.sample(1, seed=0)
        assert batch.saturations == 0
        moved.append(batch.values if device is devices[0] else program.states_val(batch.values))
    start = program.states_val(uploaded if initial is InitialState.UPLOADED else 0 * uploaded)
    distance = np.abs(moved[0] - moved[1])
    if spec.physics.overflow is Overflow.WRAP:
        distance = np.minimum(distance, 2 - distance)
    assert distance.max() <= bound
    assert 4 * bound < np.abs(moved[0] - start).max()      # else the comparison says nothing
    assert np.array_equal(moved[0][0, ::5], program.states_val(uploaded[::5]))


@every_physics
def test_forces_are_the_twins_up_to_quantisation(physics: str) -> None:
    program = gentle_program(physics)
    spec = program.spec
    states = np.random.default_rng(1).integers(spec.state.lo, spec.state.hi + 1, (50, spec.nodes))
    twin = TwinDevice("twin://")
    twin.load(program)
    for segment in range(program.segments):
        ideal = loaded(program).forces(states, segment=segment)
        integer = twin.forces(states, segment=segment) * spec.force_unit_val
        error, _ = quantisation_bound(program, segment)
        assert np.abs(ideal - integer).max() <= error
        assert error < 0.1 * np.abs(ideal).max()


# Noise

def free_walk(physics: str, *, decay: int = 0, steps: int = 12, noise: int = 200) -> Program:
    """Return uncoupled nodes that decay linearly (not for phases) under noise."""
    spec = ArraySpec(physics=PHYSICS[physics], nodes=50, offsets=(1,))
    basis = spec.physics.basis
    return Program(
        spec=spec, graph=OffsetGraph.full(50, (1,)), codes=np.zeros((1, 50, 1), int),
        local_codes=np.array([[[decay * (name == STATE) for name in basis]] * 50]),
        steps=np.array([steps]), coupling_gain=np.array([0]),
        local_gains=np.array([[-4096 * (name == STATE) for name in basis]]),
        noise_gain=np.array([noise]), visible=np.ones(50, bool))


def assert_normal(values: RealArray, sigma_val: float, *, alpha: float = 1e-4) -> None:
    """Check mean and variance against a zero-mean normal law, each at level `alpha`."""
    n = values.size
    assert abs(values.mean()) < stats.norm.isf(alpha / 2) * sigma_val / math.sqrt(n)
    chi2 = (values**2).sum() / sigma_val**2
    assert stats.chi2.ppf(alpha / 2, n) < chi2 < stats.chi2.isf(alpha / 2, n)


def test_ornstein_uhlenbeck_variance() -> None:
    """x <- (1 - a) x + sigma xi has variance sigma^2 (1 - (1 - a)^2T) / (1 - (1 - a)^2)."""
    program = free_walk("quartic", decay=100)
    keep = 1 + program.local_val[0, 0, 0]
    assert 0.5 < keep < 0.95
    variance = program.noise_val[0]**2 * (1 - keep**24) / (1 - keep**2)
    values = loaded(program).sample(2000, seed=1).values
    assert_normal(values, math.sqrt(variance))
    assert abs(np.corrcoef(values.T) - np.eye(50)).max() < 6 / math.sqrt(2000)


def test_gaussian_start() -> None:
    program = replace(free_walk("quartic"), initial=InitialState.GAUSSIAN, initial_gain=900)
    assert_normal(loaded(program).sample(2000, seed=1, stop_step=0).values, program.initial_val)


@pytest.mark.parametrize("physics", ["kuramoto", "ising"])
def test_uniform_start(physics: str) -> None:
    program = replace(free_walk(physics), initial=InitialState.UNIFORM)
    values = loaded(program).sample(2000, seed=1, stop_step=0).values
    half = 2.0 ** (program.spec.physics.i_bits - 1)
    assert stats.kstest(values.ravel(), "uniform", (-half, 2 * half)).pvalue > 1e-4


def test_phases_wrap_and_others_saturate() -> None:
    phases = loaded(free_walk("kuramoto", noise=32000)).sample(200, seed=1)
    assert np.abs(phases.values).max() <= 1
    assert phases.saturations == 0
    assert stats.kstest(phases.values.ravel(), "uniform", (-1, 2)).pvalue > 1e-4
    device = loaded(free_walk("ising", noise=32000, steps=1))
    batch = device.sample(20_000, seed=1)
    assert batch.values.max() == device.program.states_val(device.program.spec.state.hi)
    assert batch.values.min() == -4
    outside = (batch.values == -4) | (batch.values == batch.values.max())
    assert batch.saturations == outside.sum() == device.health.saturations > 0


# One device interface

@every_physics
@every_start
def test_threads_blocks_and_splits_do_not_matter(physics: str, initial: InitialState) -> None:
    spec = ArraySpec(physics=PHYSICS[physics], nodes=70, offsets=(-65, -1, 1, 2))
    program = random_program(spec, np.random.default_rng(1), initial=initial, steps=9)

    def draw(splits: Sequence[int], **options: int) -> RealArray:
        device = loaded(program, "exact", **options)
        device.set_nodes(np.arange(70), np.arange(70) % 7 == 0)
        return np.concatenate([device.sample(stop - start, seed=5, first=start).values
                               for start, stop in zip((0, *splits), (*splits, 140), strict=True)])

    whole = draw((), threads=1, block=140)
    # The shape of a product of matrices may change its last bits.
    tolerance = {"rtol": 0, "atol": 1e-9}
    assert np.allclose(draw((), threads=2, block=70), whole, **tolerance)
    assert np.allclose(draw((1, 77), threads=3, block=33), whole, **tolerance)
    assert len(np.unique(whole[:, 1])) > 1 or initial is InitialState.ZERO


def test_seeds_and_indices_name_streams() -> None:
    device = loaded(free_walk("quartic"))
    values = device.sample(3, seed=7).values
    assert np.array_equal(device.sample(1, seed=7, first=2).values[0], values[2])
    others = [device.sample(1, seed=seed, first=first).values[0].tolist()
              for seed, first in ((7, 0), (7, 1), (8, 0), (2**64 - 1, 2**32 - 1))]
    assert len({tuple(other) for other in others}) == 4


def test_stopping_early_sees_the_same_path() -> None:
    program = free_walk("quartic", steps=40)
    shorter = replace(program, steps=np.array([33]))
    assert np.array_equal(loaded(program).sample(2, seed=1, stop_step=33).values,
                          loaded(shorter).sample(2, seed=1).values)


@every_physics
def test_pixels(physics: str) -> None:
    spec = ArraySpec(physics=PHYSICS[physics], nodes=20, offsets=(1,))
    program = replace(random_program(spec, np.random.default_rng(1)),
                      visible=np.arange(20) % 3 > 0)
    device = loaded(program)
    values = device.sample(30, seed=1).values
    assert values.shape == (30, 13)
    assert np.array_equal(device.sample(30, seed=1, hidden=True).values[:, program.visible], values)
    folded = np.abs(values) if physics == "kuramoto" else values
    gain_val = program.pixel_gain * 2.0 ** (spec.state.f_bits - pixel_shift(spec))
    ideal = gain_val * folded + program.pixel_offset * 2.0**-PIXEL_OFFSET_F_BITS
    pixels = device.sample(30, seed=1, pixels=True).values
    assert pixels.dtype == np.uint8
    assert np.abs(pixels - np.clip(ideal, 0, PIXEL_HI)).max() <= 0.5 + 1e-9
    assert len(np.unique(pixels)) > 50


def test_forces_leave_the_last_state() -> None:
    program = replace(free_walk("quartic"), initial=InitialState.KEEP)
    device = loaded(program)
    states = np.random.default_rng(1).integers(-999, 999, (3, 50))
    device.forces(states)
    assert np.array_equal(device.sample(1, seed=1, stop_step=0).values[0],
                          program.states_val(states[-1]))
    last = device.sample(4, seed=1).values[-1]
    assert np.array_equal(device.sample(1, seed=1, stop_step=0).values[0], last)


def test_open_device_finds_the_float_model() -> None:
    with open_device("float://") as device:
        assert isinstance(device, FloatDevice)
        assert not device.exact
