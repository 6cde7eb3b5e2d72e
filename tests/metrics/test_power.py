import numpy as np
import pytest
from scipy import stats

from pendula.metrics.marginals import compare_means, kolmogorov_smirnov
from pendula.metrics.power import detectable

SAMPLES, NODES, LEVEL, REPLICATES = 300, 20, 0.0025, 300


def assert_power(found, probability):
    """At least the stated power, and not so much more that the statement says nothing."""
    assert stats.binom.ppf(0.001, REPLICATES, probability) <= found
    assert found <= stats.binom.ppf(0.999, REPLICATES, (1 + probability) / 2)


@pytest.mark.parametrize("probability", [0.5, 0.9])
def test_shift_of_the_stated_size_is_found_with_the_stated_power(probability):
    power = detectable(probability, ess_a=SAMPLES, ess_b=SAMPLES, mean_tests=NODES, ks_tests=NODES,
                       level=LEVEL)
    found = 0
    for seed in range(REPLICATES):
        a, b = np.random.default_rng(seed).normal(size=(2, SAMPLES, 1))
        b += power.mean_shift_sd * 1.05               # the tests count a few samples less
        found += bool(compare_means(a, b, level=LEVEL / NODES).p_corrected[0] <= LEVEL / NODES)
    assert_power(found, probability)


@pytest.mark.parametrize("probability", [0.5, 0.9])
def test_distance_of_the_stated_size_is_found_with_at_least_the_stated_power(probability):
    power = detectable(probability, ess_a=SAMPLES, ess_b=SAMPLES, mean_tests=NODES, ks_tests=NODES,
                       level=LEVEL)
    found = 0
    for seed in range(REPLICATES):
        rng = np.random.default_rng(seed)
        a, b = rng.random((2, SAMPLES, 1))
        moved = (b < 0.5) & (rng.random((SAMPLES, 1)) < 2.1 * power.ks_distance)
        b[moved] += 0.5                               # a gap of 1.05 ks_distance at the median
        found += bool(kolmogorov_smirnov(a, b).p_value[0] <= LEVEL / NODES)
    assert stats.binom.ppf(0.001, REPLICATES, probability) <= found


def test_more_samples_find_less_and_more_tests_find_more():
    def shift(ess=100.0, tests=10, probability=0.9):
        return detectable(probability, ess_a=ess, ess_b=ess, mean_tests=tests, ks_tests=tests,
                          level=0.01)

    assert shift(ess=400).mean_shift_sd == pytest.approx(shift().mean_shift_sd / 2)
    assert shift(ess=400).ks_distance == pytest.approx(shift().ks_distance / 2)
    assert shift(tests=100).mean_shift_sd > shift().mean_shift_sd
    assert shift(tests=100).ks_distance > shift().ks_distance
    assert shift(probability=0.99).mean_shift_sd > shift().mean_shift_sd
