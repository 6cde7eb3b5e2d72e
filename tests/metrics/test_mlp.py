import numpy as np
import pytest

from pendula.errors import DataError
from pendula.metrics import mlp
from pendula.metrics.energy import energy_distance
from pendula.metrics.floors import linear_gaussian
from pendula.metrics.mlp import LATENT, hidden_units, mlp_generator


def images(count, seed):
    rng = np.random.default_rng(seed)
    kind = rng.random((count, 1)) < 0.5
    centre = np.where(kind, [0.9, 0.9, 0.1, 0.1], [0.1, 0.1, 0.9, 0.5])
    return centre + 0.02 * rng.normal(size=(count, 4))


def test_it_has_as_many_parameters_as_asked_for():
    units = hidden_units(144, 10_000)
    count = (LATENT + 1) * units + (units + 1) * 144
    assert 10_000 - (LATENT + 1 + 144) < count <= 10_000
    with pytest.raises(DataError, match="parameters must be at least 305, not 304"):
        hidden_units(144, 304)
    assert hidden_units(144, 305) == 1


def test_it_learns_two_kinds_of_images():
    train, others = images(2000, 0), images(500, 1)
    rng = np.random.default_rng(2)
    drawn = mlp_generator(train, 500, parameters=2000, rng=rng)
    assert drawn.shape == (500, 4)
    assert 0 <= drawn.min() <= drawn.max() <= 1
    found, control = (energy_distance(one, others)
                      for one in (drawn, linear_gaussian(train, 500, rng)))
    assert found.distance + 5 * found.standard_error < control.distance - 5 * control.standard_error


def test_the_slope_is_that_of_the_energy_distance():
    rng = np.random.default_rng(5)
    drawn, real = rng.random((6, 4)), rng.random((8, 4))
    ahead = np.zeros_like(drawn)
    for index in np.ndindex(drawn.shape):
        moved = np.stack([drawn, drawn])
        moved[:, *index] += [1e-5, -1e-5]
        ends = [energy_distance(one, real).distance for one in moved]
        ahead[index] = (ends[0] - ends[1]) / 2e-5
    found = mlp._energy_slope(drawn.astype(np.float32), real.astype(np.float32))
    np.testing.assert_allclose(found, ahead, atol=2e-6)


def test_one_seed_gives_one_set():
    train = images(100, 3)
    first, second = (mlp_generator(train, 3, parameters=100, rng=np.random.default_rng(4))
                     for _ in range(2))
    assert np.array_equal(first, second)
