import numpy as np

from pendula.metrics.permutation import PERMUTATIONS, permutation_p, permuted_labels
from pendula.metrics.two_sample import ALPHA


def test_first_row_is_observed_and_all_keep_the_counts():
    labels = permuted_labels(3, 5, 200, np.random.default_rng(1))
    assert labels.shape == (201, 8)
    assert labels[0].tolist() == [1, 1, 1, 0, 0, 0, 0, 0]
    assert (labels.sum(axis=1) == 3).all()


def test_every_labelling_is_equally_likely():
    labels = permuted_labels(1, 3, 4000, np.random.default_rng(2))[1:]
    assert (abs(labels.mean(axis=0) - 0.25) < 0.03).all()


def test_observed_statistic_counts_as_one_of_the_permutations():
    permuted = np.array([1.0, 2.0, 3.0])
    p_values = permutation_p(np.array([0.0, 2.5, 9.0]), permuted)
    np.testing.assert_array_equal(p_values, [1, 0.5, 0.25])


def test_ties_count_even_with_round_off():
    assert permutation_p(np.array(2 + 1e-9), np.array([1.0, 2.0, 3.0])) == 0.75


def test_smallest_p_value_allows_a_finding_at_a_familys_level():
    assert 1 / (PERMUTATIONS + 1) <= ALPHA / 4 / 2
