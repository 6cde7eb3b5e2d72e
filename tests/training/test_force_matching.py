"""Force matching: the target, the features and the closed form, each against another way."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from pendula.contract import PHYSICS, ArraySpec, OffsetGraph, grid
from pendula.device import open_device
from pendula.program import random_program
from pendula.training.force_matching import (
    NormalEquations,
    Stretch,
    feature_columns,
    features,
    fit_stretch,
    schedule,
)
from pendula.training.presets import get_preset


def array(rows: int, columns: int) -> tuple[ArraySpec, OffsetGraph]:
    graph = grid(rows, columns, 1)
    return ArraySpec(physics=PHYSICS["quartic"], nodes=graph.nodes, offsets=graph.offsets), graph


# The target

def test_the_target_is_the_mean_move_of_the_bridge() -> None:
    stretch = Stretch(np.array([0.5, 0.6]), variance=0.8)
    rng, count = np.random.default_rng(0), 400_000
    x0 = rng.standard_normal(count)
    after = 0.6 * x0 + np.sqrt(stretch.noise_variance[1]) * rng.standard_normal(count)
    before = 0.5 / 0.6 * after + np.sqrt(0.8 * (1 - (0.5 / 0.6)**2)) * rng.standard_normal(count)
    regressors = np.stack([before, x0], axis=1)
    found, residual = np.linalg.lstsq(regressors, after - before)[:2]
    inverse = np.linalg.inv(regressors.T @ regressors)
    error = np.sqrt(np.diag(inverse) * residual / count)
    weights = np.concatenate(stretch.target_weights())
    assert (np.abs(found - weights) < 5 * error).all()
    assert (error < 3e-3).all()


def test_short_steps_give_the_reverse_drift() -> None:
    a, variance, dt = 0.7, 0.5, 1e-6       # k = 1, D = variance
    of_state, of_data = Stretch(np.array([a, a * np.exp(dt)]), variance).target_weights()
    pull = 2 * variance / (variance * (1 - a**2))
    np.testing.assert_allclose(of_state[0] / dt, 1 - pull, rtol=1e-4)
    np.testing.assert_allclose(of_data[0] / dt, a * pull, rtol=1e-4)


def test_the_last_step_shows_the_data() -> None:
    last = schedule(get_preset("digits"))[-1]
    of_state, of_data = last.target_weights()
    assert last.steps == 1
    assert last.sigma_val == 0
    np.testing.assert_allclose([of_state[0], of_data[0]], [-1, 1])


def test_the_schedule_covers_the_protocol_without_a_gap() -> None:
    preset = replace(get_preset("digits"), segments=5, steps=7)
    stretches = schedule(preset)
    assert [stretch.steps for stretch in stretches] == [7] * 5 + [1]
    for one, next_one in pairwise(stretches):
        np.testing.assert_allclose(one.signal[-1], next_one.signal[0])
    np.testing.assert_allclose(stretches[0].signal[0], preset.signal_lo)
    final = stretches[-1]
    np.testing.assert_allclose(np.sqrt(final.noise_variance[0]) / final.signal[0],
                               preset.noise_lo_val)
    assert final.signal[-1] == 1


# The features

@pytest.mark.parametrize("physics", ["quartic", "ising"])
def test_features_and_coefficients_make_the_arrays_force(physics: str) -> None:
    spec = ArraySpec(physics=PHYSICS[physics], nodes=9, offsets=(-4, -1, 1, 3))
    rng = np.random.default_rng(0)
    program = random_program(spec, rng)
    states = rng.integers(spec.state.lo, spec.state.hi + 1, (50, spec.nodes))
    with open_device("float://?functions=exact") as device:
        device.load(program)
        forces = device.forces(states, segment=1)
    columns = feature_columns(spec, program.graph)
    values = features(spec, program.states_val(states))
    values = np.concatenate([values, np.zeros((50, 1))], axis=1)[:, columns]
    coefficients = np.concatenate([program.coupling_val[1], program.local_val[1]], axis=1)
    np.testing.assert_allclose(np.einsum("nif,if->ni", values, coefficients), forces, atol=1e-12)


# The closed form

@pytest.mark.parametrize("ridge", [0.0, 0.1])
def test_normal_equations_equal_brute_force_least_squares(ridge: float) -> None:
    spec, graph = array(3, 3)
    rng = np.random.default_rng(1)
    states, targets = rng.standard_normal((300, 9)), rng.standard_normal((300, 9))
    columns, values = feature_columns(spec, graph), features(spec, states)
    equations = NormalEquations(columns)
    for part in (slice(0, 100), slice(100, 300)):
        equations.add(values[part], targets[part])
    fit = equations.solve(ridge)
    assert fit.coefficients.shape == (9, 8 + 3)
    for node in range(9):
        used = columns[node] >= 0
        A = values[:, columns[node, used]]
        penalty = np.diag(np.sqrt(ridge * (A**2).sum(axis=0)))
        best = np.linalg.lstsq(np.vstack([A, penalty]),
                               np.concatenate([targets[:, node], np.zeros(len(penalty))]))[0]
        np.testing.assert_allclose(fit.coefficients[node, used], best, rtol=1e-8, atol=1e-10)
        assert (fit.coefficients[node, ~used] == 0).all()
        np.testing.assert_allclose(fit.loss[node], ((targets[:, node] - A @ best)**2).mean())
        np.testing.assert_allclose(fit.power[node], (targets[:, node]**2).mean())


def test_excess_is_the_growth_of_the_loss() -> None:
    spec, graph = array(2, 2)
    rng = np.random.default_rng(2)
    states, targets = rng.standard_normal((200, 4)), rng.standard_normal((200, 4))
    columns, values = feature_columns(spec, graph), features(spec, states)
    equations = NormalEquations(columns)
    equations.add(values, targets)
    fit = equations.solve(0.0)
    other = fit.coefficients + 0.1 * rng.standard_normal(fit.coefficients.shape) * (columns >= 0)
    force = np.einsum("nif,if->ni", values[:, np.maximum(columns, 0)], other)
    loss = ((targets - force)**2).mean(axis=0)
    np.testing.assert_allclose(fit.excess(other), loss - fit.loss)


def test_gaussian_data_give_their_exact_linear_force() -> None:
    spec, graph = array(1, 2)
    rng = np.random.default_rng(3)
    covariance = np.array([[0.20, 0.12], [0.12, 0.20]])
    data = rng.multivariate_normal([0, 0], covariance, 50_000)
    data = (data - data.mean(axis=0)) @ np.linalg.inv(np.linalg.cholesky(np.cov(data.T)).T)
    data = (data @ np.linalg.cholesky(covariance).T).astype(np.float32)
    stretch = Stretch(np.array([0.6, 0.62]), variance=0.25)
    fit = fit_stretch(spec, feature_columns(spec, graph), data, stretch, draws=8, ridge=0.0,
                      rng=rng)
    of_state, of_data = (weight[0] for weight in stretch.target_weights())
    marginal = 0.6**2 * covariance + stretch.noise_variance[0] * np.eye(2)
    ideal = of_state * np.eye(2) + of_data * 0.6 * covariance @ np.linalg.inv(marginal)
    x, _x3, constant = fit.coefficients[:, 2:].T
    np.testing.assert_allclose(x, np.diag(ideal), atol=2e-3)
    np.testing.assert_allclose(fit.coefficients[[0, 1], [1, 0]], [ideal[0, 1], ideal[1, 0]],
                               atol=2e-3)
    np.testing.assert_allclose(constant, 0, atol=1e-3)
