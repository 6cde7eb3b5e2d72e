"""Feedback: the ensemble runs as the array does, and its moments are led back to the data's."""

from dataclasses import replace

import numpy as np

from pendula.contract import PHYSICS, ArraySpec, InitialState, grid
from pendula.device import open_device
from pendula.program import random_program
from pendula.training.feedback import correct, moments, noisy_moments, run
from pendula.training.force_matching import (
    Stretch,
    add_noise,
    feature_columns,
    features,
    fit_stretch,
)
from pendula.training.presets import get_preset

GRAPH = grid(2, 3, 1)
SPEC = ArraySpec(physics=PHYSICS["quartic"], nodes=GRAPH.nodes, offsets=GRAPH.offsets)
COLUMNS = feature_columns(SPEC, GRAPH)
STRETCH = Stretch(np.exp(-np.linspace(0.7, 0.5, 9)), variance=0.36)


def correlated(rng: np.random.Generator, count: int) -> np.ndarray:
    common = rng.standard_normal((count, 1))
    return (0.3 + 0.4 * common + 0.2 * rng.standard_normal((count, 6))).astype(np.float32)


def test_the_ensemble_runs_as_the_float_model_does() -> None:
    rng = np.random.default_rng(0)
    program = random_program(SPEC, rng, segments=1, steps=7, noisy=False,
                             initial=InitialState.UPLOADED)
    program = replace(program, coupling_gain=program.coupling_gain // 8,
                      local_gains=program.local_gains // 8)
    start = rng.integers(-2 * 2**SPEC.state.f_bits, 2 * 2**SPEC.state.f_bits, SPEC.nodes)
    with open_device("float://?functions=exact") as device:
        device.load(program)
        device.set_nodes(uploaded=start)
        expected = device.sample(1, seed=0).values
    coefficients = np.concatenate([program.coupling_val[0], program.local_val[0]], axis=1)
    still = Stretch(np.full(8, 0.5), variance=0.36)      # no time passes, so no noise
    states = program.states_val(start)[None].astype(np.float32)
    columns = feature_columns(SPEC, program.graph)
    found = run(SPEC, columns, states, coefficients, still, rng)
    assert np.abs(expected - states).max() > 0.1
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_the_ensemble_saturates_and_is_noisy() -> None:
    rng = np.random.default_rng(1)
    nothing = np.zeros(COLUMNS.shape)
    one_step = Stretch(np.array([0.5, 0.6]), variance=0.36)
    moved = run(SPEC, COLUMNS, np.zeros((50_000, 6), np.float32), nothing, one_step, rng)
    np.testing.assert_allclose(moved.std(axis=0), one_step.sigma_val, rtol=0.02)
    nothing[:, -1] = 100
    pushed = run(SPEC, COLUMNS, np.zeros((1, 6), np.float32), nothing, one_step, rng)
    np.testing.assert_allclose(pushed, SPEC.state.hi * 2.0**-SPEC.state.f_bits)


def test_moments_are_mean_products_and_zero_without_an_edge() -> None:
    states = correlated(np.random.default_rng(2), 500)
    values = features(SPEC, states)
    found = moments(SPEC, COLUMNS, states)
    for node, columns in enumerate(COLUMNS):
        used = columns >= 0
        expected = (values[:, columns[used]] * states[:, [node]]).mean(axis=0)
        np.testing.assert_allclose(found[node, used], expected, rtol=1e-4, atol=1e-6)
        assert (found[node, ~used] == 0).all()


def test_noisy_moments_are_those_before_the_first_step() -> None:
    data, rng = correlated(np.random.default_rng(3), 30_000), np.random.default_rng(4)
    found = noisy_moments(SPEC, COLUMNS, data, STRETCH, 60_000, rng)
    square = found[:, COLUMNS.shape[1] - 3]                     # x times x
    ideal = STRETCH.signal[0]**2 * (data**2).mean(axis=0) + STRETCH.noise_variance[0]
    np.testing.assert_allclose(square, ideal, rtol=0.02)


def test_one_segment_takes_most_of_an_error_back() -> None:
    rng, preset = np.random.default_rng(5), get_preset("digits")
    data = correlated(rng, 40_000)
    fit = fit_stretch(SPEC, COLUMNS, data, STRETCH, draws=2, ridge=1e-4, rng=rng)
    first, last = (np.full((len(data), 1), step) for step in (0, STRETCH.steps))
    astray = 0.8 * add_noise(data, STRETCH, first, rng)         # too narrow, and off centre
    contrast = noisy_moments(SPEC, COLUMNS, data, STRETCH, len(data), rng)
    contrast -= moments(SPEC, COLUMNS, astray)
    target = moments(SPEC, COLUMNS, add_noise(data, STRETCH, last, rng))

    def error(coefficients: np.ndarray) -> float:
        after = run(SPEC, COLUMNS, astray, coefficients, STRETCH, rng)
        return float(np.abs(moments(SPEC, COLUMNS, after) - target).mean())

    corrected = correct(fit, contrast, STRETCH.steps, preset).coefficients
    assert error(corrected) < 0.5 * error(fit.coefficients)


def test_without_gain_or_error_nothing_changes() -> None:
    rng, preset = np.random.default_rng(6), get_preset("digits")
    fit = fit_stretch(SPEC, COLUMNS, correlated(rng, 500), STRETCH, draws=1, ridge=1e-4, rng=rng)
    contrast = rng.standard_normal(COLUMNS.shape)
    for same in (correct(fit, contrast, 8, replace(preset, feedback=0.0)),
                 correct(fit, 0 * contrast, 8, preset)):
        np.testing.assert_array_equal(same.coefficients, fit.coefficients)
