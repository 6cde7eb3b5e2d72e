import numpy as np
import pytest
from scipy import stats

from pendula.metrics.ess import effective_sample_size
from pendula.metrics.marginals import compare_means, holm, kolmogorov_smirnov


def test_holm_by_hand():
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_array_equal(holm([0.6, 0.9]), [1.0, 1.0])


def test_distance_is_the_largest_gap_of_distribution_functions():
    a, b = np.random.default_rng(1).normal(size=(2, 60, 3))
    b[:, 2] += 1
    result = kolmogorov_smirnov(a, b[:40])
    for node in range(3):
        grid = np.concatenate([a[:, node], b[:40, node]])
        gaps = [(a[:, node] <= x).mean() - (b[:40, node] <= x).mean() for x in grid]
        assert result.distance[node] == pytest.approx(np.abs(gaps).max())


def test_p_values_are_never_below_the_exact_ones():
    a = np.random.default_rng(2).normal(size=(300, 40))
    b = np.random.default_rng(3).normal(size=(300, 40)) + np.linspace(0, 0.5, 40)
    result = kolmogorov_smirnov(a, b)
    exact = [stats.ks_2samp(a[:, i], b[:, i], method="exact")[1] for i in range(40)]
    assert (result.p_value >= np.array(exact) * 0.999).all()
    assert result.p_value.min() < 1e-6
    np.testing.assert_array_equal(result.p_holm, holm(result.p_value))


def test_correlated_samples_count_less():
    rng = np.random.default_rng(4)
    a, b = np.repeat(rng.normal(size=(50, 1)), 20, axis=0), rng.normal(size=(1000, 1))
    assert kolmogorov_smirnov(a, b).distance[0] > 0.1
    assert kolmogorov_smirnov(a, b).p_value[0] > 0.01
    shuffled = rng.permutation(a)
    assert kolmogorov_smirnov(shuffled, b).p_value[0] < 0.001


def test_ties_make_the_test_conservative():
    rng = np.random.default_rng(5)
    coarse = np.round(rng.normal(size=(2, 200, 400)))
    assert (kolmogorov_smirnov(*coarse).p_value < 0.05).mean() < 0.02


def test_means_agree_with_welch():
    rng = np.random.default_rng(6)
    a, b = rng.normal(size=(400, 1)), 2 * rng.normal(size=(200, 1)) + 0.3
    ess = effective_sample_size(a)[0], effective_sample_size(b)[0]
    result = compare_means(a, b, level=0.05)
    welch = stats.ttest_ind_from_stats(a.mean(), a.std(ddof=1), ess[0], b.mean(), b.std(ddof=1),
                                       ess[1], equal_var=False)
    assert result.p_corrected[0] == pytest.approx(welch.pvalue)
    assert result.difference[0] == pytest.approx(a.mean() - b.mean())


def test_intervals_hold_all_differences_at_once():
    shifts = np.linspace(-1, 1, 10)
    missed = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        result = compare_means(rng.exponential(size=(100, 10)) + shifts,
                               rng.exponential(size=(100, 10)), level=0.1)
        missed += bool((np.abs(result.difference - shifts) > result.half_width).any())
    assert 3 <= missed <= stats.binom.ppf(0.999, 200, 0.1)


def test_interval_excludes_zero_exactly_where_the_p_value_is_small():
    rng = np.random.default_rng(7)
    a = rng.normal(size=(200, 50))
    result = compare_means(a, rng.normal(size=(200, 50)) + np.linspace(0, 0.8, 50), level=0.05)
    excludes = np.abs(result.difference) > result.half_width
    np.testing.assert_array_equal(excludes, result.p_corrected < 0.05)
    assert 0 < excludes.sum() < 50


def test_constant_nodes():
    a, b = np.zeros((50, 3)), np.zeros((50, 3))
    b[:, 1] = 1
    b[:, 2] = np.random.default_rng(8).normal(size=50)
    result = compare_means(a, b, level=0.05)
    assert result.p_corrected[0] == 1
    assert result.p_corrected[1] == 0
    assert result.half_width[0] == 0
    assert kolmogorov_smirnov(a, b).p_value[0] == 1
    assert kolmogorov_smirnov(a, b).p_value[1] < 1e-9
