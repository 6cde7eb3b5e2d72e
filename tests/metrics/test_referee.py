"""Rows of scores: what each kind of image gets."""

import numpy as np
import pytest

from pendula.errors import DataError
from pendula.metrics.classifier import load_classifier
from pendula.metrics.energy import energy_distance
from pendula.metrics.referee import COLUMNS, Referee
from pendula.training.data import load_images


@pytest.fixture(scope="module")
def images():
    return load_images("digits")


@pytest.fixture(scope="module")
def referee(images):
    return Referee(load_classifier("digits"), images.train, images.held_out, images.train_labels,
                   seed=3, limit=200)


def test_rows_are_complete(referee, images):
    row = referee.score("some", images.train)
    assert (row.name, row.role, row.count) == ("some", "samples", 200)
    assert list(row.figures) == list(COLUMNS)
    assert sum(row.classes) == pytest.approx(1)
    for estimate in row.figures.values():
        assert estimate.lo <= estimate.value <= estimate.hi
    energy = energy_distance(images.train[:200], referee.reference)
    assert row.figures["energy"].value == energy.distance
    plain = row.to_dict()
    assert plain["energy"][0] == pytest.approx(energy.distance, rel=1e-4)
    assert len(plain["classes"]) == 10


def test_yardsticks_are_in_the_order_that_they_deserve(referee):
    rows = {row.name: row.figures for row in referee.yardsticks(None)}
    assert list(rows) == ["training images", "Bernoulli pixels", "Bernoulli pixels by class",
                          "independent pixels", "linear Gaussian"]
    floor, pooled, by_class, single, gaussian = rows.values()
    assert floor["copies"].value == 1          # training images are copies of training images
    assert floor["confident"].lo > gaussian["confident"].hi > single["confident"].value
    assert floor["energy"].value < gaussian["energy"].lo
    assert gaussian["energy"].hi < by_class["energy"].lo
    assert floor["frechet"].hi < pooled["frechet"].lo
    assert by_class["frechet"].value < pooled["frechet"].lo
    assert all(row["copies"].value == 0 for row in (pooled, by_class, single, gaussian))


def test_only_classes_of_the_data_count_as_confident(images):
    ones = images.train_labels == 1
    few = Referee(load_classifier("digits"), images.train[ones], images.held_out,
                  images.train_labels[ones], seed=3, limit=100)
    assert few.score("ones", images.train[ones]).figures["confident"].value > 0.8
    assert few.score("all", images.train).figures["confident"].value < 0.2


def test_one_seed_chooses_the_same_images(images, referee):
    again = Referee(load_classifier("digits"), images.train, images.held_out, images.train_labels,
                    seed=3, limit=200)
    assert np.array_equal(again.reference, referee.reference)


def test_wrong_images_are_named(referee):
    with pytest.raises(DataError, match="some must have 64 pixels, not 63"):
        referee.score("some", np.zeros((30, 63)))
    with pytest.raises(DataError, match="at least 20 images, not 10"):
        referee.score("some", np.zeros((10, 64)))
