"""Small classifiers that scores look through: one network for each kind of image.

They are multilayer perceptrons with rectifiers, trained by ``benchmarks/classifiers.py`` on the
training images alone. Their weights are package data: half-precision tensors ``w0``, ``b0``, ...
in safetensors files, whose metadata state data, seed and the accuracy on held-out images.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors import safe_open

from pendula.errors import DataError
from pendula.metrics.samples import FloatArray, check_samples

__all__ = ["CLASSIFIERS", "CONFIDENT", "FOLDER", "Classifier", "load_classifier"]

CONFIDENT = 0.9
"""Probability above which an image counts as classified."""

FOLDER = Path(__file__).with_name("classifiers")

CLASSIFIERS = {"digits": "digits-8", "mnist01-12": "mnist-12", "mnist": "mnist-28",
               "fashion-mnist": "fashion-mnist-28"}
"""Classifier of each data set (:data:`pendula.training.data.DATASETS`)."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Classifier:
    """A multilayer perceptron.

    Parameters
    ----------
    name : str
        Name of the classifier.
    weights : tuple of array, shapes (V, h), (h, h'), ..., (h'', C)
        For V pixels from 0 to 1 and C classes.
    biases : tuple of array, shapes (h,), ..., (C,)
        Biases.
    accuracy : float
        Share of held-out images that it names.
    """

    name: str
    weights: tuple[FloatArray, ...]
    biases: tuple[FloatArray, ...]
    accuracy: float

    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self.biases[-1])

    def features(self, images: npt.ArrayLike) -> FloatArray:
        """Return the last hidden layer for images of shape (n, V), pixels from 0 to 1.

        Raises
        ------
        DataError
            If the images have another number of pixels.
        """
        values = check_samples("images", images)
        if values.shape[1] != len(self.weights[0]):
            raise DataError(f"images for the classifier {self.name} must have "
                            f"{len(self.weights[0])} pixels, not {values.shape[1]}")
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            values = np.maximum(values @ weight + bias, 0)
        return values

    def probabilities(self, features: FloatArray) -> FloatArray:
        """Return the probability of each class, shape (n, C), from :meth:`features`."""
        logits = features @ self.weights[-1] + self.biases[-1]
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        return odds / odds.sum(axis=1, keepdims=True)

    def sure(self, odds: FloatArray, labels: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        """Return of which images the classifier is sure, shape (n,), from :meth:`probabilities`.

        These are images of one of `labels` with a probability above :data:`CONFIDENT`.
        """
        return (odds.max(axis=1) > CONFIDENT) & np.isin(odds.argmax(axis=1), labels)


@cache
def load_classifier(dataset: str) -> Classifier:
    """Return the shipped classifier for the images of a data set.

    Raises
    ------
    DataError
        If there is none for this data set.
    """
    if dataset not in CLASSIFIERS:
        raise DataError(f"data set must be one with a classifier, {', '.join(CLASSIFIERS)}, "
                        f"not {dataset!r}")
    name = CLASSIFIERS[dataset]
    with safe_open(FOLDER / f"{name}.safetensors", framework="numpy") as file:
        layers = range(len(file.keys()) // 2)
        weights, biases = (tuple(file.get_tensor(f"{kind}{layer}").astype(np.float64)
                                 for layer in layers) for kind in "wb")
        accuracy = float(file.metadata()["accuracy"])
    return Classifier(name=name, weights=weights, biases=biases, accuracy=accuracy)
