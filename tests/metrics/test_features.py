import numpy as np
import pytest
from scipy import linalg

from pendula.errors import DataError
from pendula.metrics.features import (
    NEIGHBOURS,
    compare_features,
    frechet_distance,
    kernel_distance,
)


def draw(seed, count=60, width=4, shift=0.0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, width)) @ np.diag([1, 2, 0.5, 0]) + shift


def test_frechet_distance_is_that_of_the_gaussians():
    a, b = draw(0), draw(1, 90) @ linalg.hadamard(4) / 2 + 1
    first, second = np.cov(a.T), np.cov(b.T)
    cross = np.sqrt(np.maximum(np.linalg.eigvals(first @ second).real, 0)).sum()
    expected = ((a.mean(axis=0) - b.mean(axis=0))**2).sum() + np.trace(first + second) - 2 * cross
    assert frechet_distance(a, b) == pytest.approx(float(expected), abs=1e-4)
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(a, a + 3) == pytest.approx(36)


def test_kernel_distance_is_the_unbiased_one():
    a, b = draw(2, 7), draw(3, 9)

    def kernel(x, y):
        return (x @ y / 4 + 1)**3

    within = [np.mean([kernel(x, y) for i, x in enumerate(z) for j, y in enumerate(z) if i != j])
              for z in (a, b)]
    between = np.mean([kernel(x, y) for x in a for y in b])
    assert kernel_distance(a, b) == pytest.approx(float(sum(within) - 2 * between))


def test_kernel_distances_of_equal_laws_are_zero_on_average():
    found = np.array([kernel_distance(draw([4, k], 40), draw([5, k], 40)) for k in range(300)])
    assert abs(found.mean()) < 3 * found.std() / np.sqrt(300)
    assert (found < 0).any()


def test_balls_are_counted_as_by_hand():
    fake, real = draw(6, 40, shift=0.5), draw(7, 50)
    found = compare_features(fake, real)

    def radius(points):
        return np.array([np.sort(np.linalg.norm(points - p, axis=1))[NEIGHBOURS] for p in points])

    between = np.linalg.norm(fake[:, None] - real, axis=2)
    inside = between < radius(real)
    assert found["precision"].value == inside.any(axis=1).mean()
    assert found["coverage"].value == inside.any(axis=0).mean()
    assert found["density"].value == pytest.approx(inside.sum() / (NEIGHBOURS * 40))
    assert found["recall"].value == (between < radius(fake)[:, None]).any(axis=0).mean()


def test_figures_tell_what_is_wrong_with_the_samples():
    real = draw(8, 400)
    same, narrow, far = (compare_features(samples, real) for samples in (
        draw(9, 400), 0.1 * draw(9, 400), draw(9, 400, shift=8.0)))
    assert narrow["precision"].value > 0.95 > 0.5 > narrow["recall"].value
    assert far["precision"].value == far["coverage"].value == 0
    for name in ("frechet", "kernel"):
        assert same[name].value < narrow[name].lo < narrow[name].value < far[name].lo
    assert same["kernel"].lo < 0 < same["kernel"].hi


def test_too_few_images_are_named():
    with pytest.raises(DataError, match="at least 20 images, not 19"):
        compare_features(draw(0, 19), draw(1))
