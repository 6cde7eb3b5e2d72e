"""Drifting: the kernels' means as sums one by one, and a training that follows them."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
from scipy.signal import correlate2d

from pendula.training.ais.drifting import drift, pixels, random_filters, ways
from pendula.training.ais.presets import AIS_PRESETS
from pendula.training.ais.training import Report, train_ais


def plainly(samples: np.ndarray, data: np.ndarray, temperature: float) -> np.ndarray:
    """Return the drift at one temperature, not scaled."""
    unit = np.mean([np.linalg.norm(x - y) for x in samples for y in data])
    kernel = np.array([[np.exp(-np.linalg.norm(x - y) / (temperature * unit))
                        for y in np.concatenate([data, samples])] for x in samples])
    np.fill_diagonal(kernel[:, len(data):], 0)
    shares = np.sqrt(kernel / kernel.sum(0) * kernel / kernel.sum(1, keepdims=True))
    near, crowd = shares[:, :len(data)], shares[:, len(data):]
    return np.stack([sum(near[i, j] * crowd[i, k] * (data[j] - samples[k])
                         for j in range(len(data)) for k in range(len(samples)))
                     for i in range(len(samples))])


def test_it_is_the_difference_of_two_means() -> None:
    rng = np.random.default_rng(0)
    samples, data = rng.uniform(size=(5, 3)), rng.uniform(size=(7, 3))
    expected, lengths = np.zeros_like(samples), []
    for temperature in (0.2, 0.5):
        one = plainly(samples, data, temperature)
        lengths.append(np.sqrt((one**2).mean()))
        expected += one / lengths[-1]
    found, moved = drift(jnp.asarray(samples), jnp.asarray(data), (0.2, 0.5))
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(moved, np.mean(lengths), rtol=1e-3)


def test_looks_are_led_back_to_pixels_and_weigh_the_same() -> None:
    rng = np.random.default_rng(1)
    samples, data = jnp.asarray(rng.uniform(size=(5, 4))), jnp.asarray(rng.uniform(size=(7, 4)))
    matrix = rng.normal(size=(4, 3))
    plain, moved = drift(samples, data, (0.3,))
    seen, _ = drift(samples @ matrix, data @ matrix, (0.3,))
    back = np.asarray(seen) @ matrix.T
    expected = plain / np.sqrt((plain**2).mean()) + back / np.sqrt((back**2).mean())
    found, length = ways(samples, data, (0.3,), (pixels, lambda images: images @ matrix))
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)
    assert length == moved


def test_filters_are_rectified_and_averaged_over_squares() -> None:
    image = np.random.default_rng(2).uniform(size=(6, 8))
    filters = np.random.default_rng(0).normal(size=(2, 5, 5))
    responses = np.stack([np.maximum(correlate2d(image, one / np.linalg.norm(one), "same"), 0)
                          for one in filters])
    expected = responses.reshape(2, 3, 2, 4, 2).mean((2, 4))
    found = random_filters((6, 8), 2)(jnp.asarray(image.reshape(1, -1), jnp.float32))
    np.testing.assert_allclose(found, expected.reshape(1, -1), rtol=1e-4, atol=1e-5)


def test_training_by_drifting_comes_nearer_to_the_images() -> None:
    preset = replace(AIS_PRESETS["ais-digits-critic"], loss="drifting", filters=4, degree=8,
                     segments=2, steps=2, iterations=60, interval=20, rate=0.1)
    reports: list[Report] = []
    program = train_ais(preset, preset.load(), progress=reports.append)
    assert program.provenance["rule"] == "drifting of end states (AIS-like)"
    energies = [report.energy for report in reports if report.energy is not None]
    assert 0 < energies[-1] < 0.6 * energies[0]
    assert all(report.distance > 0 for report in reports)
