"""Tests against known laws: their levels hold, and they find what they say that they find."""

from dataclasses import dataclass

import numpy as np
import pytest
from scipy import stats

from pendula.errors import DataError
from pendula.metrics import compare_with_cells, compare_with_covariance, compare_with_law

RUNS = 100


@dataclass
class Normal:
    """The normal law, or a shift, a spread or a mixture of it."""

    def cdf(self, x_val):
        return stats.norm.cdf(x_val)

    def moment(self, order):
        return {1: 0.0, 2: 1.0, 4: 3.0}[order]


def normals(seed, shape):
    return np.random.default_rng(seed).standard_normal(shape)


def found(test, draw):
    """Return how often a test finds a difference."""
    return sum(test(draw(seed)).different for seed in range(RUNS))


def law_test(samples):
    return compare_with_law(samples, Normal(), level=0.05)


def test_level_of_the_law_test_holds():
    count = found(law_test, lambda seed: normals(seed, (500, 2)))
    assert count <= stats.binom.isf(0.001, RUNS, 0.05)


def test_shift_of_the_stated_size_is_found():
    shift = law_test(normals(0, (500, 2))).mean_shift_sd
    assert 0.1 < shift < 0.2
    assert found(law_test, lambda seed: normals(seed, (500, 2)) + shift) >= 0.95 * RUNS
    assert found(law_test, lambda seed: normals(seed, (500, 2)) + shift / 4) < 0.5 * RUNS


def test_change_of_the_variance_of_the_stated_size_is_found():
    change = law_test(normals(0, (500, 2))).variance_change
    draws = found(law_test, lambda seed: normals(seed, (500, 2)) * np.sqrt(1 + change))
    assert draws >= 0.95 * RUNS


def test_distance_of_the_stated_size_is_found():
    """A law that is off by a shift of a part of the line: neither mean nor variance tell it."""
    distance = law_test(normals(0, (2000, 1))).ks_detectable

    def draw(seed):
        x = normals(seed, (2000, 1))
        low = stats.norm.ppf(0.5 - distance)
        return np.where((x > low) & (x < 0), low - 1e-9, x)
    assert found(lambda x: compare_with_law(x, Normal(), level=0.05), draw) >= 0.95 * RUNS


def test_correlated_samples_count_less():
    steps = normals(0, (4000, 1))
    chain = np.zeros_like(steps)
    for n in range(1, len(chain)):
        chain[n] = 0.9 * chain[n - 1] + np.sqrt(1 - 0.81) * steps[n]
    outcome = compare_with_law(chain, Normal())
    assert 100 < outcome.ess < 400      # (1 - 0.9) / (1 + 0.9) * 4000 = 210
    assert not outcome.different


COVARIANCE = np.array([[1.0, 0.4, 0.0], [0.4, 0.5, -0.1], [0.0, -0.1, 2.0]])


def gaussian(seed, covariance=COVARIANCE, count=800):
    return np.random.default_rng(seed).multivariate_normal(np.zeros(3), covariance, count)


def covariance_test(samples):
    return compare_with_covariance(samples, COVARIANCE, level=0.05)


def test_level_of_the_covariance_test_holds():
    assert found(covariance_test, gaussian) <= stats.binom.isf(0.001, RUNS, 0.05)


def test_variance_of_the_stated_size_is_found():
    change = covariance_test(gaussian(0)).change
    other = COVARIANCE.copy()
    other[2, 2] *= 1 + change
    assert found(covariance_test, lambda seed: gaussian(seed, other)) >= 0.95 * RUNS


def test_covariance_of_the_stated_size_is_found():
    change = covariance_test(gaussian(0)).change
    other = COVARIANCE.copy()
    other[0, 2] = other[2, 0] = change * np.sqrt(2)
    assert found(covariance_test, lambda seed: gaussian(seed, other)) >= 0.95 * RUNS


def test_covariance_must_have_the_shape_of_the_samples():
    with pytest.raises(DataError, match=r"covariance must have shape \(3, 3\), not \(2, 2\)"):
        compare_with_covariance(gaussian(0), np.eye(2))


LAW = np.array([0.4, 0.3, 0.2, 0.0995, 0.0005])


def cell_test(seed, law=LAW):
    return compare_with_cells(np.random.default_rng(seed).multinomial(3000, law), LAW, level=0.05)


def test_cells():
    outcome = cell_test(0)
    assert (outcome.count, outcome.cells) == (3000, 5)      # the rarest is its own, merged cell
    assert sum(cell_test(seed).different for seed in range(RUNS)) <= stats.binom.isf(
        0.001, RUNS, 0.05)
    direction = np.array([1, -1, 0, 0, 0]) / np.sqrt(1 / 0.4 + 1 / 0.3)
    other = LAW + outcome.effect * direction
    assert np.sqrt(((other - LAW) ** 2 / LAW).sum()) == pytest.approx(outcome.effect)
    assert sum(cell_test(seed, other).different for seed in range(RUNS)) >= 0.95 * RUNS


def test_deviations_are_in_standard_errors():
    x = normals(3, (400, 2)) + 0.2
    outcome = law_test(x)
    assert outcome.mean_z == pytest.approx(x.mean() * np.sqrt(outcome.ess))
    assert outcome.variance_z == pytest.approx(((x**2).mean() - 1) / np.sqrt(2 / outcome.ess))
    assert outcome.ks_distance == pytest.approx(stats.kstest(x.ravel(), "norm").statistic)
    assert outcome.p_values[0] == pytest.approx(6 * stats.norm.sf(abs(outcome.mean_z)))
