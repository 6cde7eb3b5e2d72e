from itertools import pairwise

import numpy as np
import pytest

from pendula.metrics.ess import effective_sample_size, independent_stride


def autoregressive(rng, count, variables, correlation):
    states = rng.standard_normal((count, variables))
    for before, after in pairwise(states):
        after *= np.sqrt(1 - correlation**2)
        after += correlation * before
    return states


@pytest.mark.parametrize("correlation", [0.3, 0.6, 0.9])
def test_autoregressive_sequence_has_the_size_of_theory(correlation):
    states = autoregressive(np.random.default_rng(1), 20_000, 12, correlation)
    expected = 20_000 * (1 - correlation) / (1 + correlation)
    assert effective_sample_size(states).mean() == pytest.approx(expected, rel=0.1)


def test_independent_samples_count_nearly_in_full():
    ess = effective_sample_size(np.random.default_rng(2).standard_normal((1000, 64)))
    assert ess.max() <= 1000
    assert ess.mean() > 900


def test_alternating_samples_do_not_count_more_than_once():
    states = np.tile([[1.0], [-1.0]], (50, 1))
    assert effective_sample_size(states) == [100]


def test_constant_variables_do_not_matter():
    states = np.random.default_rng(3).standard_normal((500, 3))
    states[:, 1] = 0.001        # whose mean is not exact
    with_constant = effective_sample_size(states)
    assert with_constant[1] > 400
    without = effective_sample_size(states[:, [0, 2]])
    np.testing.assert_allclose(with_constant[[0, 2]], without, rtol=1e-12)


def test_one_long_sample_repeated_is_worth_one():
    states = np.linspace(0, 1, 400)[:, None]
    assert effective_sample_size(states)[0] < 10


def test_independent_samples_are_not_thinned():
    draws = (np.random.default_rng(seed).standard_normal((300, 16)) for seed in range(50))
    assert [independent_stride(samples) for samples in draws].count(1) >= 49


def test_correlated_samples_are_thinned_until_they_look_independent():
    states = autoregressive(np.random.default_rng(4), 4000, 16, 0.8)
    stride = independent_stride(states)
    assert 20 < stride < 80
    assert independent_stride(states[::stride]) == 1


def test_one_slow_variable_among_many_is_enough_to_thin():
    rng = np.random.default_rng(5)
    states = rng.standard_normal((1000, 64))
    states[:, 7] = autoregressive(rng, 1000, 1, 0.9)[:, 0]
    assert independent_stride(states) > 5


def test_thinning_leaves_eight_rows():
    assert independent_stride(np.linspace(0, 1, 80)[:, None] ** 0.5) <= 10
