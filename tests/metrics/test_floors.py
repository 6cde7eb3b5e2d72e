import numpy as np
import pytest

from pendula.errors import DataError
from pendula.metrics.energy import energy_distance
from pendula.metrics.floors import (
    bernoulli_pixels,
    image_scores,
    independent_pixels,
    linear_gaussian,
)


def images(rng, count):
    """Draw 6-pixel images of two kinds, so that pixels depend on each other non-linearly."""
    kind = rng.random((count, 1)) < 0.5
    return np.clip(np.where(kind, [1, 1, 0, 0, 1, 0.5], [0, 0, 1, 0, 1, 0.5])
                   + 0.1 * rng.normal(size=(count, 6)), 0, 1)


def test_independent_pixels_keep_each_pixels_law_and_nothing_else():
    rng = np.random.default_rng(1)
    train = images(rng, 4000)
    drawn = independent_pixels(train, 4000, rng)
    np.testing.assert_allclose(drawn.mean(axis=0), train.mean(axis=0), atol=0.05)
    np.testing.assert_allclose(drawn.std(axis=0), train.std(axis=0), atol=0.05)
    assert all(np.isin(drawn[:, pixel], train[:, pixel]).all() for pixel in range(6))
    assert abs(np.corrcoef(drawn[:, 0], drawn[:, 1])[0, 1]) < 0.06
    assert np.corrcoef(train[:, 0], train[:, 1])[0, 1] > 0.9


def test_bernoulli_pixels_have_the_means_of_their_class():
    train = np.array([[0.9, 0.1], [0.7, 0.3], [0.2, 0.5]])
    labels = np.array([4, 4, 7])
    drawn = bernoulli_pixels(train, labels, 9000, np.random.default_rng(5))
    assert set(np.unique(drawn)) == {0, 1}
    np.testing.assert_allclose(drawn.mean(axis=0), train.mean(axis=0), atol=0.02)
    expected = (2 * 0.8 * 0.2 + 0.2 * 0.5) / 3     # within a class pixels are independent
    np.testing.assert_allclose((drawn[:, 0] * drawn[:, 1]).mean(), expected, atol=0.02)
    pooled = bernoulli_pixels(train, 0 * labels, 9000, np.random.default_rng(5))
    np.testing.assert_allclose((pooled[:, 0] * pooled[:, 1]).mean(), 0.6 * 0.3, atol=0.02)


def test_linear_gaussian_keeps_means_and_covariances():
    rng = np.random.default_rng(2)
    train = rng.normal(size=(5000, 6)) @ rng.normal(size=(6, 6)) + 3
    drawn = linear_gaussian(train, 5000, rng)
    np.testing.assert_allclose(drawn.mean(axis=0), train.mean(axis=0), atol=0.2)
    np.testing.assert_allclose(np.cov(drawn, rowvar=False), np.cov(train, rowvar=False), atol=0.7)


def test_linear_gaussian_stays_in_range():
    rng = np.random.default_rng(3)
    drawn = linear_gaussian(images(rng, 300), 1000, rng)
    assert drawn.min() >= 0
    assert drawn.max() <= 1


def test_scores_are_in_order_and_controls_are_worse_than_the_floor():
    rng = np.random.default_rng(4)
    train, held_out = images(rng, 800), images(rng, 400)
    scores = image_scores({"model": images(rng, 300), "blank": np.zeros((50, 6))}, train=train,
                          held_out=held_out, seed=1)
    assert [score.name for score in scores] == [
        "model", "blank", "training images", "independent pixels", "linear Gaussian"]
    assert [score.role for score in scores] == ["samples", "samples", "floor", "control", "control"]
    assert [score.count for score in scores] == [300, 50, 800, 800, 800]
    model, blank, floor, independent, gaussian = (score.distance for score in scores)
    assert abs(floor) < 0.01
    assert abs(model) < 0.02
    assert 0.02 < gaussian < independent < blank
    assert all(0 < score.standard_error < 0.1 for score in scores)


def test_scores_are_distances_to_the_held_out_images():
    rng = np.random.default_rng(5)
    drawn, train, held_out = images(rng, 60), images(rng, 80), images(rng, 70)
    scores = image_scores({"model": drawn}, train=train, held_out=held_out, seed=1)
    expected = [energy_distance(images, held_out) for images in (drawn, train)]
    assert [score.distance for score in scores[:2]] == [one.distance for one in expected]
    assert [score.standard_error for score in scores[:2]] == [
        one.standard_error for one in expected]


def test_pixels_must_agree():
    with pytest.raises(DataError, match="equally many variables, not 5 and 6"):
        image_scores({"model": np.zeros((10, 5))}, train=np.zeros((10, 6)),
                     held_out=np.zeros((10, 6)), seed=1)
