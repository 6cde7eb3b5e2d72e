import numpy as np
import pytest
from scipy import stats

from pendula.metrics.covariance import all_pairs, compare_covariances


def mixed(rng, count, variables=5):
    mixing = np.random.default_rng(99).normal(size=(variables, variables))
    return rng.normal(size=(count, variables)) @ mixing


def test_all_pairs_hold_variances():
    assert all_pairs(3).tolist() == [[0, 0], [0, 1], [0, 2], [1, 1], [1, 2], [2, 2]]


def test_differences_are_those_of_the_covariance_matrices():
    rng = np.random.default_rng(1)
    a, b = mixed(rng, 4000), 1.5 * mixed(rng, 4000)
    result = compare_covariances(a, b, level=0.05, seed=1, permutations=199)
    expected = np.cov(a, rowvar=False) - np.cov(b, rowvar=False)
    i, j = result.pairs.T
    np.testing.assert_allclose(result.difference, expected[i, j], rtol=1e-2, atol=1e-3)
    assert result.p_corrected.min() == 1 / 200


def test_level_holds_for_heavy_tails():
    found = sum(
        compare_covariances(*np.random.default_rng(seed).standard_t(3, (2, 100, 6)), level=0.1,
                            seed=seed, permutations=99).p_corrected.min() <= 0.1
        for seed in range(150))
    assert 3 <= found <= stats.binom.ppf(0.999, 150, 0.1)


def test_intervals_hold_all_differences_at_once():
    missed = 0
    for seed in range(150):
        rng = np.random.default_rng(seed)
        result = compare_covariances(2 * rng.normal(size=(200, 4)), rng.normal(size=(200, 4)),
                                     level=0.1, seed=seed, permutations=99)
        truth = 3.0 * (result.pairs[:, 0] == result.pairs[:, 1])
        missed += bool((np.abs(result.difference - truth) > result.half_width).any())
    assert missed <= stats.binom.ppf(0.999, 150, 0.1)


def test_one_changed_correlation_is_found_where_it_is():
    rng = np.random.default_rng(2)
    a, b = rng.normal(size=(2, 600, 20))
    b[:, 11] = 0.5 * b[:, 4] + np.sqrt(0.75) * b[:, 11]
    result = compare_covariances(a, b, level=0.01, seed=3, permutations=499)
    assert result.pairs[result.p_corrected <= 0.01].tolist() == [[4, 11]]
    outside = np.abs(result.difference) > result.half_width
    assert result.pairs[outside].tolist() == [[4, 11]]


def test_shifted_means_alone_change_nothing():
    rng = np.random.default_rng(3)
    a, b = rng.normal(size=(2, 300, 5))
    result = compare_covariances(a, b + 3, level=0.05, seed=1, permutations=199)
    assert np.abs(result.difference).max() < 0.6
    assert result.p_corrected.min() > 0.01


def test_chosen_pairs_alone():
    a, b = np.random.default_rng(4).normal(size=(2, 100, 5))
    pairs = np.array([[1, 1], [0, 4]])
    chosen = compare_covariances(a, b, level=0.05, seed=1, pairs=pairs, permutations=99)
    everything = compare_covariances(a, b, level=0.05, seed=1, permutations=99)
    np.testing.assert_allclose(chosen.difference, everything.difference[[5, 4]])
    assert chosen.pairs.tolist() == pairs.tolist()


def test_more_pairs_than_a_chunk():
    a, b = np.random.default_rng(5).normal(size=(2, 60, 40))
    result = compare_covariances(a, b, level=0.05, seed=1, permutations=19)
    assert len(result.pairs) == 820
    assert np.isfinite(result.half_width).all()
    assert result.p_corrected.min() >= 1 / 20


def test_constant_variables_never_differ_in_covariance():
    a, b = np.zeros((50, 2)), np.ones((50, 2))
    a[:, 1] = b[:, 1] = np.random.default_rng(6).normal(size=50)
    result = compare_covariances(a, b, level=0.05, seed=1, permutations=99)
    assert result.p_corrected[0] == 1
    assert result.difference[0] == pytest.approx(0)


def test_correlated_samples_are_thinned():
    rng = np.random.default_rng(7)
    slow = np.repeat(rng.normal(size=(30, 3)), 30, axis=0)
    result = compare_covariances(slow, rng.normal(size=(900, 3)), level=0.01, seed=1,
                                 permutations=199)
    assert result.p_corrected.min() > 0.01
