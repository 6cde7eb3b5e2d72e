"""Reverse-trajectory likelihood: gradient, learning and heat."""

from dataclasses import replace

import numpy as np
import pytest

from pendula.errors import DataError
from pendula.training.reverse import (
    Couplings,
    Thermodynamics,
    generate,
    heat,
    learn,
    noised,
    potential,
    reverse_gradient,
)

COARSE = Thermodynamics(step_val=0.01, steps=250)


def random_couplings(seed: int, nodes: int) -> Couplings:
    rng = np.random.default_rng(seed)
    half = np.triu(rng.normal(size=(nodes, nodes)), 1)
    return Couplings(half + half.T, rng.normal(size=nodes))


def test_the_gradient_is_that_of_the_loss() -> None:
    couplings, constants = random_couplings(0, 5), replace(COARSE, steps=20)
    field = np.random.default_rng(1).normal(size=5).astype(np.float32)
    trajectory = noised(field, constants, np.random.default_rng(2)).astype(np.float64)
    slope, _ = reverse_gradient(trajectory, couplings, constants)

    def loss(bonds: np.ndarray, biases: np.ndarray) -> float:
        return reverse_gradient(trajectory, Couplings(bonds, biases), constants)[1]

    for i, j in ((0, 1), (2, 4), (3, 1)):
        step = np.zeros((5, 5))
        step[i, j] = step[j, i] = 1e-5
        ahead = [loss(couplings.bonds + sign * step, couplings.biases) for sign in (1, -1)]
        assert slope.bonds[i, j] == pytest.approx((ahead[0] - ahead[1]) / 2e-5, rel=1e-5)
    for i in range(5):
        step = 1e-5 * np.eye(5)[i]
        ahead = [loss(couplings.bonds, couplings.biases + sign * step) for sign in (1, -1)]
        assert slope.biases[i] == pytest.approx((ahead[0] - ahead[1]) / 2e-5, rel=1e-5)


def test_the_reverse_step_starts_at_the_new_state() -> None:
    """The loss is minus the log-density of the step back, but for a constant."""
    couplings, constants = random_couplings(9, 3), replace(COARSE, steps=1)
    before, after = np.random.default_rng(10).normal(size=(2, 3))
    dt, kT = constants.step_val, constants.temperature_val
    slope = np.array([2 * x + 4 * x**3 for x in after]) + couplings.biases + sum(
        couplings.bonds[:, j] * after[j] for j in range(3))
    back = before - (after - dt * slope)            # what the noise must add
    _, loss = reverse_gradient(np.stack([before, after]), couplings, constants)
    assert loss == pytest.approx((back**2).sum() / (4 * kT * dt), rel=1e-5)


def test_noising_starts_at_the_image_and_ends_uncoupled() -> None:
    field = np.repeat([2.0, -2.0], 500).astype(np.float32)
    trajectory = noised(field, Thermodynamics(), np.random.default_rng(3))
    assert trajectory.shape == (2501, 1000)
    grid = np.linspace(-3, 3, 2001)
    held, free = (np.exp(-(grid**2 + grid**4 - pull * grid) / 0.1) for pull in (2, 0))
    for states, density in ((trajectory[0] * np.sign(field), held), (trajectory[-1], free)):
        density /= density.sum()
        mean = (grid * density).sum()
        spread = np.sqrt((grid**2 * density).sum() - mean**2)
        assert abs(states.mean() - mean) < 4 * spread / np.sqrt(1000)
        assert states.std() == pytest.approx(spread, rel=4 / np.sqrt(2000))


def test_two_patterns_are_learnt_and_come_back() -> None:
    rng = np.random.default_rng(4)
    patterns = rng.choice([-1.0, 1.0], (2, 16))
    fields = (2 * patterns[:, np.arange(48) % 16]).astype(np.float32)
    visible = np.arange(48) < 16
    bonded = ~(visible[:, None] & visible) & ~np.eye(48, dtype=bool)
    losses: list[float] = []
    couplings = learn(fields, bonded, ~visible, 60, seed=5, constants=replace(COARSE, rate=2e-3),
                      progress=losses.append)
    assert np.mean(losses[-20:]) < np.mean(losses[:20])
    assert (couplings.bonds == couplings.bonds.T).all()
    assert not couplings.bonds[~bonded].any()
    assert not couplings.biases[:16].any()
    start, end = generate(couplings, 200, seed=6, constants=COARSE)
    before, alike = (x[:, :16] @ patterns.T / np.linalg.norm(x[:, :16], axis=1)[:, None] / 4
                     for x in (start, end))
    assert (before.max(axis=1) > 0.8).mean() < 0.05
    assert (alike.max(axis=1) > 0.8).mean() > 0.5
    shares = np.bincount(alike.argmax(axis=1), minlength=2) / 200
    assert shares.min() > 0.2                      # both come back
    given = heat(couplings, start, end, COARSE.temperature_val)
    assert given.mean() > 20


def test_heat_is_the_fall_of_the_potential() -> None:
    couplings, x = random_couplings(7, 4), np.random.default_rng(8).normal(size=(3, 4))
    for state, value in zip(x, potential(couplings, x)):
        expected = sum(s**2 + s**4 for s in state) + couplings.biases @ state + sum(
            couplings.bonds[i, j] * state[i] * state[j] for i in range(4) for j in range(i))
        assert value == pytest.approx(expected)
    assert heat(couplings, x, 0 * x, 0.1) == pytest.approx(potential(couplings, x) / 0.1)


def test_divergence_and_wrong_bonds_are_named() -> None:
    fields, pairs = np.ones((1, 3), np.float32), ~np.eye(3, dtype=bool)
    with pytest.raises(DataError, match=r"loss must be a number, not .* in cycle \d+, image 0"), \
            np.errstate(all="ignore"):
        learn(fields, pairs, np.ones(3, bool), 200, seed=0, constants=replace(COARSE, rate=1e6))
    with pytest.raises(DataError, match="bonded must be symmetric"):
        learn(fields, np.triu(pairs), np.ones(3, bool), 1, seed=0)
