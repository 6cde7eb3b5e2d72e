import numpy as np
import pytest

from pendula.metrics.estimate import FOLDS, jackknife, share


def test_the_interval_of_a_mean_is_students():
    values = np.random.default_rng(0).normal(size=200)
    found = jackknife(lambda rows, _: {"mean": float(values[rows].mean())}, 200, 50)["mean"]
    groups = np.array([values[np.arange(200) % FOLDS == fold].mean() for fold in range(FOLDS)])
    error = groups.std(ddof=1) / np.sqrt(FOLDS)
    assert found.value == values.mean()
    reach = 2.262 * error * np.array([-1, 1])
    np.testing.assert_allclose([found.lo, found.hi], values.mean() + reach)


def test_intervals_of_a_difference_cover_it_as_often_as_they_say():
    rng, covered = np.random.default_rng(1), 0
    for _ in range(400):
        a, b = rng.normal(1, 1, 60), rng.normal(0, 2, 90)
        found = jackknife(lambda rows, others, a=a, b=b: {
            "shift": float(a[rows].mean() - b[others].mean())}, 60, 90)["shift"]
        covered += found.lo < 1 < found.hi
    assert 0.915 < covered / 400 < 0.985       # 95 %, within about three standard deviations


@pytest.mark.parametrize(("hits", "count", "lo", "hi"), [
    (0, 10, 0, 0.27753), (5, 10, 0.23659, 0.76341), (81, 263, 0.25527, 0.36621)])
def test_shares_have_wilsons_interval(hits, count, lo, hi):
    found = share(hits, count)
    assert found.value == hits / count
    np.testing.assert_allclose([found.lo, found.hi], [lo, hi], atol=5e-5)
