import numpy as np
import pytest

from pendula.errors import DataError
from pendula.metrics import energy_distance
from pendula.verification import measure_shift

TYPICAL = np.sqrt((1 + 4 + 0.25) / 3)


def pairs(seed=1, count=600):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((count, 3)) * [1, 2, 0.5], rng


def test_shift_of_a_mean_is_measured_where_it_is():
    before, rng = pairs()
    moved = before + 0.05 * rng.standard_normal(before.shape)
    moved[:, 1] += 0.04
    shift = measure_shift(before, moved)
    assert shift.found
    assert shift.mean_feature == 1
    assert shift.mean_sd == pytest.approx(0.04 / TYPICAL, abs=shift.mean_half_width_sd)
    assert shift.mean_half_width_sd < 0.01
    assert shift.apart_sd == pytest.approx(
        np.sqrt(0.05**2 + 0.04**2 / 3) / TYPICAL, rel=0.2)


def test_change_of_a_spread_is_measured():
    before, _ = pairs()
    after = before.copy()
    after[:, 1] *= 1.01
    shift = measure_shift(before, after)
    assert shift.found
    assert shift.spread == pytest.approx(0.01 * 4 / TYPICAL**2, abs=shift.spread_half_width)


def test_features_that_hardly_vary_count_for_little():
    before, rng = pairs()
    before[:, 0] *= 1e-9
    after = before + 1e-7 * rng.standard_normal(before.shape)
    shift = measure_shift(before, after)
    assert abs(shift.mean_sd) < 1e-6
    assert abs(shift.spread) < 1e-6


def test_intervals_hold_nothing_where_there_is_nothing():
    found = 0
    for seed in range(200):
        before, rng = pairs(seed, 100)
        found += measure_shift(before, before + 0.1 * rng.standard_normal(before.shape)
                               * np.array([1, 2, 0.5])
                               - 0.1**2 / 2 * before).found
    assert found <= 12       # two families at 0.01 each: 4 expected


def test_energy_is_that_of_independent_samples():
    before, rng = pairs(count=1500)
    after = before + np.array([0.3, 0, 0]) + 0.05 * rng.standard_normal(before.shape)
    shift = measure_shift(before, after)
    other = energy_distance(before, pairs(2, 1500)[0] + np.array([0.3, 0, 0]))
    assert shift.energy == pytest.approx(other.distance, abs=4 * other.standard_error)
    assert shift.energy_error < other.standard_error


def test_equal_samples_have_no_shift():
    before, _ = pairs()
    shift = measure_shift(before, before)
    assert (shift.mean_sd, shift.spread, shift.energy, shift.apart_sd) == (0, 0, 0, 0)
    assert not shift.found


def test_pairs_must_match():
    with pytest.raises(DataError, match="paired samples must be two sets of one shape"):
        measure_shift(np.zeros((4, 2)), np.zeros((5, 2)))


def test_energy_leaves_out_the_pairs_themselves():
    before, rng = pairs(count=5)
    after = before + rng.standard_normal(before.shape)

    def apart(x, y):
        return np.linalg.norm(x - y)
    terms = [apart(before[i], after[j]) + apart(before[j], after[i]) - apart(before[i], before[j])
             - apart(after[i], after[j]) for i in range(5) for j in range(5) if i != j]
    assert measure_shift(before, after).energy == pytest.approx(np.mean(terms))
