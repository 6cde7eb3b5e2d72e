import numpy as np
import pytest
from scipy import stats
from scipy.spatial.distance import cdist

from pendula.metrics.energy import energy_distance, energy_test


def by_definition(a, b):
    n, m = len(a), len(b)
    return (2 * cdist(a, b).mean() - cdist(a, a).sum() / (n * (n - 1))
            - cdist(b, b).sum() / (m * (m - 1)))


@pytest.mark.parametrize(("n", "m"), [(700, 400), (5, 4), (23, 30)])
def test_estimate_is_the_definition(n, m):
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(n, 3)), 2 * rng.normal(size=(m, 3))
    expected = by_definition(a, b)
    assert energy_distance(a, b).distance == pytest.approx(expected, rel=1e-9)
    assert energy_test(a, b, seed=1, permutations=19).distance == pytest.approx(expected, rel=1e-9)


def test_estimate_keeps_its_precision_for_equal_laws():
    a, b = 1e4 + np.random.default_rng(2).normal(size=(2, 256, 64))
    assert energy_distance(a, b).distance == pytest.approx(by_definition(a, b), abs=1e-11)


def test_standard_error_is_the_jackknife_over_tenths():
    rng = np.random.default_rng(3)
    a, b = rng.normal(size=(43, 2)), rng.normal(size=(60, 2)) + 1
    fold_a, fold_b = np.arange(43) % 10, np.arange(60) % 10
    left_out = [by_definition(a[fold_a != k], b[fold_b != k]) for k in range(10)]
    expected = np.sqrt(9 * np.var(left_out))
    assert energy_distance(a, b).standard_error == pytest.approx(expected, rel=1e-9)


def test_estimate_in_one_dimension_is_the_squared_gap_of_distribution_functions():
    a, b = np.array([[0.0]] * 2000), np.array([[1.0]] * 2000)    # 2 * integral of (F - G)**2
    assert energy_distance(a, b).distance == pytest.approx(2)


def test_estimate_is_unbiased():
    estimates = [energy_distance(*np.random.default_rng(seed).normal(size=(2, 20, 2))).distance
                 for seed in range(400)]
    assert abs(np.mean(estimates)) < 3 * np.std(estimates) / 20


def test_standard_error_is_that_of_repetition():
    results = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        results.append(energy_distance(rng.normal(size=(200, 3)), rng.normal(size=(100, 3)) + 1))
    spread = np.std([result.distance for result in results])
    assert np.mean([result.standard_error for result in results]) == pytest.approx(spread, rel=0.2)


def test_p_value_is_uniform_for_equal_laws():
    p = [energy_test(*np.random.default_rng(seed).standard_cauchy(size=(2, 40, 3)), seed=seed,
                     permutations=99).p_value for seed in range(200)]
    assert stats.kstest(p, "uniform").pvalue > 0.01


def test_dependence_alone_is_found():
    rng = np.random.default_rng(3)
    a, b = rng.normal(size=(2, 400, 2))
    b[:, 1] = b[:, 0]
    assert energy_test(a, b, seed=1, permutations=199).p_value == 1 / 200


def test_limit_and_thinning_are_reported():
    rng = np.random.default_rng(4)
    independent, slow = rng.normal(size=(100, 8)), np.repeat(rng.normal(size=(50, 8)), 10, axis=0)
    result = energy_test(independent, slow, seed=1, limit=64, permutations=19)
    assert result.used[0] == 64
    assert result.used[1] <= 60
    assert result.p_value > 0.01


def test_seed_fixes_the_p_value():
    a, b = np.random.default_rng(5).normal(size=(2, 50, 2))
    p = [energy_test(a, b, seed=seed, permutations=199).p_value for seed in (1, 1, 2)]
    assert p[0] == p[1] != p[2]


def test_equal_constants_do_not_differ():
    assert energy_test(np.ones((10, 2)), np.ones((12, 2)), seed=1, permutations=99).p_value == 1
