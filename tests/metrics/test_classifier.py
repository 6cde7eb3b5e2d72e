"""The shipped classifiers are as accurate as they say."""

import os
from pathlib import Path

import numpy as np
import pytest

from pendula.errors import DataError
from pendula.metrics.classifier import CLASSIFIERS, Classifier, load_classifier
from pendula.training.data import DATASETS, area_average, load_images


def accuracy(classifier: Classifier, images, labels) -> float:
    odds = classifier.probabilities(classifier.features(images))
    np.testing.assert_allclose(odds.sum(axis=1), 1)
    return round(float((odds.argmax(axis=1) == labels).mean()), 4)


def test_the_network_is_the_formula():
    rng = np.random.default_rng(0)
    weights = tuple(rng.normal(size=shape) for shape in ((5, 4), (4, 3), (3, 2)))
    biases = tuple(rng.normal(size=size) for size in (4, 3, 2))
    images = rng.random((6, 5))
    network = Classifier(name="small", weights=weights, biases=biases, accuracy=0)
    hidden = np.maximum(np.maximum(images @ weights[0] + biases[0], 0) @ weights[1] + biases[1], 0)
    logits = hidden @ weights[2] + biases[2]
    assert network.classes == 2
    np.testing.assert_allclose(network.features(images), hidden)
    np.testing.assert_allclose(network.probabilities(hidden),
                               np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True))


def test_every_classifier_is_shipped():
    assert set(CLASSIFIERS) <= set(DATASETS)
    for dataset in CLASSIFIERS:
        assert load_classifier(dataset).classes == 10
        assert 0.85 < load_classifier(dataset).accuracy < 1


def test_the_digits_are_named_as_often_as_stated():
    images, classifier = load_images("digits"), load_classifier("digits")
    assert accuracy(classifier, images.held_out, images.held_out_labels) == classifier.accuracy


@pytest.mark.dataset
@pytest.mark.skipif("PENDULA_DATA" not in os.environ, reason="PENDULA_DATA names no folder")
@pytest.mark.parametrize("dataset", ["mnist", "fashion-mnist", "mnist01-12"])
def test_the_others_too(dataset):
    classifier, small = load_classifier(dataset), dataset == "mnist01-12"
    name = "mnist" if small else dataset
    images = load_images(name, Path(os.environ["PENDULA_DATA"]) / name)
    held_out = images.held_out
    if small:
        held_out = area_average(held_out.reshape(-1, 28, 28), (12, 12)).reshape(-1, 144)
    found = accuracy(classifier, held_out, images.held_out_labels)
    assert found == pytest.approx(classifier.accuracy, abs=2e-4)    # trained on single precision


def test_other_images_and_data_sets_are_named():
    with pytest.raises(DataError, match="digits-8 must have 64 pixels, not 65"):
        load_classifier("digits").features(np.zeros((4, 65)))
    with pytest.raises(DataError, match=r"must be one with a classifier, digits, .*, not 'cats'"):
        load_classifier("cats")
