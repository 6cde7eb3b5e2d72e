from functools import partial

import numpy as np
import pytest
from scipy import stats

from pendula.errors import DataError
from pendula.metrics.two_sample import compare_samples

fast = partial(compare_samples, permutations=399)


def draws(seed, count=200, nodes=8):
    return np.random.default_rng(seed).normal(size=(2, count, nodes))


def found(result):
    return {family.name for family in result.families if family.different}


def test_families_share_alpha():
    result = fast(*draws(1), seed=1, alpha=0.04)
    assert [family.name for family in result.families] == [
        "distribution functions", "means", "covariances", "energy distance"]
    assert [family.tests for family in result.families] == [8, 8, 36, 1]
    assert [family.level for family in result.families] == [0.01] * 4
    assert not result.different
    assert [power.probability for power in result.power] == [0.9, 0.99]


def test_equal_laws_are_rarely_called_different():
    """Level: at most alpha of comparisons, and some at a large alpha."""
    wrong = sum(compare_samples(*draws(seed, nodes=4), seed=seed, alpha=0.2,
                                permutations=199).different for seed in range(200))
    assert 8 <= wrong <= stats.binom.ppf(0.999, 200, 0.2)


def test_deviation_of_the_stated_size_is_found():
    hits = 0
    for seed in range(40):
        a, b = draws(seed)
        power = compare_samples(a, b, seed=seed, permutations=9).power[0]
        b[:, 5] += power.mean_shift_sd
        hits += "means" in found(compare_samples(a, b, seed=seed, permutations=9))
    assert hits >= stats.binom.ppf(0.001, 40, 0.9)


def test_shift_is_found_by_means_and_distribution_functions():
    a, b = draws(2, count=400)
    b[:, 3] += 0.7
    result = fast(a, b, seed=1)
    assert found(result) >= {"means", "distribution functions", "energy distance"}
    assert result.different
    assert np.argmin(result.ks.p_holm) == 3
    assert np.argmin(result.means.p_corrected) == 3


def test_correlation_alone_is_found_by_covariances():
    a, b = draws(3, count=600)
    b[:, 1] = 0.6 * b[:, 0] + 0.8 * b[:, 1]
    assert "covariances" in found(compare_samples(a, b, seed=1, permutations=1999))
    assert "means" not in found(fast(a, b, seed=1))


def test_chosen_pairs_limit_the_family():
    a, b = draws(4)
    result = fast(a, b, seed=1, node_pairs=[(0, 0), (0, 1)])
    assert result.covariances.pairs.tolist() == [[0, 0], [0, 1]]


def test_phases_near_the_wrap_are_compared_on_the_circle():
    rng = np.random.default_rng(5)
    a, b = ((1 + 0.05 * rng.normal(size=(2, 300, 6)) + 1) % 2) - 1
    result = fast(a, b, seed=1, periodic=True)
    assert not result.different
    assert result.feature_nodes.tolist() == [0, 1, 2, 3, 4, 5] * 2
    assert len(result.means.difference) == len(result.ess_a) == 12
    assert result.means.mean_a[:6] == pytest.approx(np.full(6, -1), abs=0.05)
    assert result.means.mean_a[6:] == pytest.approx(np.zeros(6), abs=0.05)
    assert len(result.covariances.pairs) == 12 * 13 // 2
    shifted = (b + 0.03 + 1) % 2 - 1
    assert "means" in found(fast(a, shifted, seed=1, periodic=True))


def test_phase_pairs_expand_to_cosines_and_sines():
    a, b = np.random.default_rng(6).uniform(-1, 1, size=(2, 50, 3))
    result = fast(a, b, seed=1, periodic=True, node_pairs=[(0, 2), (1, 1)])
    assert result.covariances.pairs.tolist() == [[0, 2], [0, 5], [1, 1], [1, 4], [2, 3], [3, 5],
                                                 [4, 4]]


def test_chain_is_judged_by_its_effective_size():
    rng = np.random.default_rng(7)
    slow = np.repeat(rng.normal(size=(60, 4)), 20, axis=0)
    result = fast(slow, rng.normal(size=(1200, 4)), seed=1)
    assert result.ess_a.max() < 150
    assert result.ess_b.min() > 800
    assert not result.different
    assert result.power[0].mean_shift_sd > 0.3


def test_too_few_samples_are_refused():
    with pytest.raises(DataError, match="at least 32 samples, not 31"):
        compare_samples(*draws(1, count=31), seed=1)


def test_seed_fixes_everything():
    a, b = draws(8)
    first, second = (fast(a, b, seed=5) for _ in range(2))
    assert first.families == second.families
    assert first.energy == second.energy
