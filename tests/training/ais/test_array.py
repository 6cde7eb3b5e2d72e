"""The differentiable array: the same function as the float model, and the gradient of autodiff."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pendula.contract import PHYSICS, ArraySpec, InitialState, cells
from pendula.device import open_device
from pendula.program import Program, random_program
from pendula.training.ais.array import (
    Parameters,
    Shape,
    end_states,
    fold,
    measured_end,
    states_after,
)
from pendula.training.ais.functions import Response, sin_cos

GRAPH = cells(3, 5, 2, [(0, 0, 1), (0, 1, 0), (1, 0, 1)])
STEPS = (3, 1, 4)


def program(physics: str) -> Program:
    spec = ArraySpec(physics=PHYSICS[physics], nodes=GRAPH.nodes, offsets=GRAPH.offsets)
    drawn = random_program(spec, np.random.default_rng(0), segments=3, noisy=False,
                           initial=InitialState.UPLOADED)
    return replace(drawn, graph=GRAPH, codes=drawn.codes * np.array(GRAPH.mask),
                   coupling_gain=drawn.coupling_gain // 8, steps=np.array(STEPS))


def shape(physics: str, **fields: object) -> Shape:
    return Shape(program(physics).spec, STEPS)._replace(**fields)


def parameters(physics: str) -> Parameters:
    drawn = program(physics)
    return Parameters(*(jnp.asarray(part.transpose(0, 2, 1), jnp.float32)
                        for part in (drawn.coupling_val, drawn.local_val)))


def run(static: Shape, given: Parameters, first: jax.Array) -> np.ndarray:
    return np.asarray(end_states(static, given, first), np.float64)


def turned(x: np.ndarray) -> np.ndarray:
    """Return the shortest way from 0 to phases, in half turns."""
    return x - 2 * np.round(x / 2)


def test_sine_and_cosine_at_phases_of_any_size() -> None:
    x = np.linspace(-9, 9, 40_001).astype(np.float32)
    s, c = sin_cos(jnp.asarray(x))
    np.testing.assert_allclose(s, np.sin(np.pi * x.astype(np.float64)), atol=3e-7)
    np.testing.assert_allclose(c, np.cos(np.pi * x.astype(np.float64)), atol=3e-7)


@pytest.mark.parametrize("physics", PHYSICS)
def test_it_is_the_float_model(physics: str) -> None:
    drawn = program(physics)
    states = np.random.default_rng(1).integers(
        drawn.spec.state.lo, drawn.spec.state.hi, drawn.spec.nodes)
    with open_device("float://?functions=exact") as device:
        device.load(drawn)
        device.set_nodes(uploaded=states)
        expected = device.sample(1, seed=0).values[0]
    first = jnp.asarray(drawn.states_val(states)[:, None], jnp.float32)
    found = run(shape(physics), parameters(physics), first)[:, 0]
    difference = found - expected
    if physics == "kuramoto":
        difference = turned(difference)
        np.testing.assert_allclose(fold(jnp.asarray(found)), abs(expected), atol=5e-6)
    assert abs(expected - first[:, 0]).max() > 0.5
    np.testing.assert_allclose(difference, 0, atol=5e-6)


def test_the_twin_follows_within_rounding_and_tables() -> None:
    """One step moves a phase by what u, v and h are off: half a row and half a code at most."""
    drawn = replace(program("kuramoto"), steps=np.ones(3, int))
    spec = drawn.spec
    states = np.random.default_rng(2).integers(spec.state.lo, spec.state.hi, spec.nodes)
    with open_device("twin://") as device:
        device.load(drawn)
        device.set_nodes(uploaded=states)
        found = drawn.states_val(device.sample(1, seed=0, stop_step=1).values[0])
    first = jnp.asarray(drawn.states_val(states)[:, None], jnp.float32)
    ideal = run(Shape(spec, (1, 0, 0)), parameters("kuramoto"), first)[:, 0]
    row, code, basis = np.pi * 2.0**-spec.table_bits, 0.5 / spec.edge.hi, 0.5 / spec.basis_value.hi
    each = 2 * (2 * (row + code) + (row + code)**2)       # two products u v, both factors off
    bound = (abs(drawn.coupling_val[0]).sum(axis=1) * each
             + abs(drawn.local_val[0]) @ (np.array([row, 2 * row, 0]) + basis)
             + 2.0**-spec.state.f_bits)
    difference = abs(turned(found - ideal))
    assert (difference <= bound).all()
    assert difference.max() > 0.01 * bound.max()


def ideal_response(physics: str) -> tuple[np.ndarray, np.ndarray]:
    described = PHYSICS[physics]
    rows = len(described.u) + 1 if described.u else 1
    matrix = np.eye(rows, described.rank + 1)
    matrix[described.rank:] = 0
    local = np.tile([1.0, 0.0], (len(described.basis), 1))
    return np.stack([matrix] * 3), np.stack([local] * 3)


def frozen(coupling: np.ndarray, local: np.ndarray) -> Response:
    return Response(tuple(tuple(map(tuple, part)) for part in coupling.tolist()),
                    tuple(tuple(map(tuple, part)) for part in local.tolist()))


@pytest.mark.parametrize("physics", PHYSICS)
def test_an_ideal_response_changes_nothing(physics: str) -> None:
    first = jnp.asarray(np.random.default_rng(3).uniform(-1, 1, (GRAPH.nodes, 4)), jnp.float32)
    plain = run(shape(physics), parameters(physics), first)
    with_response = shape(physics, response=frozen(*ideal_response(physics)))
    found = run(with_response, parameters(physics), first)
    np.testing.assert_allclose(turned(plain - found), 0, atol=5e-6)


def test_samples_run_as_if_alone() -> None:
    """More than a tile, and a tile that is not full."""
    static, given = shape("kuramoto"), parameters("kuramoto")
    first = jnp.asarray(np.random.default_rng(7).uniform(-1, 1, (GRAPH.nodes, 83)), jnp.float32)
    end, states = states_after(static, given, first)
    alone = [states_after(static, given, first[:, b:b + 1]) for b in (0, 31, 32, 82)]
    picked = np.array([0, 31, 32, 82])
    np.testing.assert_array_equal(states[0], first)
    np.testing.assert_allclose(end[:, picked], np.hstack([one for one, _ in alone]), atol=5e-6)
    np.testing.assert_allclose(states[..., picked], np.concatenate([way for _, way in alone], 2),
                               atol=5e-6)


@pytest.mark.parametrize(("physics", "off"), [
    ("kuramoto", False), ("kuramoto", True), ("quartic", True), ("ising", True)])
def test_the_adjoint_is_what_autodiff_finds(physics: str, off: bool) -> None:
    rng = np.random.default_rng(4)
    static = shape(physics)
    if off:
        coupling, local = ideal_response(physics)
        static = shape(physics, response=frozen(
            coupling + 0.05 * rng.standard_normal(coupling.shape),
            local + 0.05 * rng.standard_normal(local.shape)))
    first = jnp.asarray(rng.uniform(-1, 1, (GRAPH.nodes, 83)), jnp.float32)   # tiles and a part
    weights = jnp.asarray(rng.standard_normal(first.shape), jnp.float32)

    def value(states, *arguments) -> jax.Array:
        return (weights * states(static, *arguments)).sum()

    given = (parameters(physics), first)
    found = jax.grad(lambda *a: value(end_states, *a), (0, 1))(*given)
    expected = jax.grad(lambda *a: value(lambda *b: states_after(*b)[0], *a), (0, 1))(*given)
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        largest = float(abs(other).max())
        assert largest > 0
        np.testing.assert_allclose(one, other, atol=3e-6 * largest)


def test_slopes_can_be_taken_at_measured_states() -> None:
    """At the states of the array itself they are the array's own, whatever the ends are."""
    rng = np.random.default_rng(6)
    static, given = shape("quartic"), parameters("quartic")
    first = jnp.asarray(rng.uniform(-1, 1, (GRAPH.nodes, 5)), jnp.float32)
    weights = jnp.asarray(rng.standard_normal(first.shape), jnp.float32)
    states = states_after(static, given, first)[1]

    def value(parameters: Parameters) -> jax.Array:
        return jnp.sum(weights * jnp.asarray(measured_end(static, parameters, states, 7 * first)))

    expected = jax.grad(lambda p: jnp.sum(weights * states_after(static, p, first)[0]))(given)
    np.testing.assert_array_equal(measured_end(static, given, states, 7 * first), 7 * first)
    for one, other in zip(jax.grad(value)(given), expected, strict=True):
        np.testing.assert_allclose(one, other, atol=3e-6 * float(abs(other).max()))


def test_no_sample_outgrows_the_others() -> None:
    first = jnp.asarray(np.random.default_rng(5).uniform(-1, 1, (GRAPH.nodes, 8)), jnp.float32)
    given = parameters("kuramoto")

    def lengths(growth: float) -> np.ndarray:
        static = shape("kuramoto", growth=growth)
        slope = jax.grad(lambda x: jnp.sum(jnp.asarray(end_states(static, given, x))))(first)
        return np.linalg.norm(slope, axis=0) / np.sqrt(GRAPH.nodes)

    free, held = lengths(np.inf), lengths(1.2)
    assert free.max() > 1.4
    assert 1.1 < held.max() <= 1.2001
    np.testing.assert_allclose(lengths(1e6), free, rtol=1e-4)
