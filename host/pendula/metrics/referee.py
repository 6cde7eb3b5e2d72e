"""All scores of a set of images in one row, and the rows that give them meaning."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pendula.errors import DataError
from pendula.metrics.classifier import Classifier
from pendula.metrics.energy import energy_distance
from pendula.metrics.estimate import Estimate, share
from pendula.metrics.features import compare_features
from pendula.metrics.floors import bernoulli_pixels, independent_pixels, linear_gaussian
from pendula.metrics.memorisation import Nearest
from pendula.metrics.mlp import mlp_generator
from pendula.metrics.samples import FloatArray, check_samples

__all__ = ["COLUMNS", "LIMIT", "ImageScore", "Referee"]

LIMIT = 2000        # images of each set: distances are biased by it, so all sets share it

COLUMNS = {
    "confident": "share that the classifier puts, with probability > 0.9, into a class of the data",
    "energy": "energy distance of pixels",
    "frechet": "Frechet distance of features",
    "kernel": "kernel distance of features (unbiased)",
    "precision": "share of samples within reach of a held-out image, in features",
    "recall": "share of held-out images within reach of a sample",
    "density": "held-out images that reach a sample, over those expected",
    "coverage": "share of held-out images that reach a sample",
    "copies": "share nearer to a training image than 99 % of held-out images are",
    "nearness": "median distance to the nearest training image over that of held-out images",
}
"""Name and meaning of each figure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageScore:
    """Scores of one set of images.

    Parameters
    ----------
    name : str
        What was scored.
    role : str
        ``samples``, ``floor`` or ``control``.
    count : int
        Images that were scored.
    figures : dict of str to Estimate
        By the names of :data:`COLUMNS`.
    classes : tuple of float
        Share of each class of the classifier.
    """

    name: str
    role: str
    count: int
    figures: dict[str, Estimate]
    classes: tuple[float, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain data: every figure as ``[value, lo, hi]``."""
        return {"name": self.name, "role": self.role, "count": self.count,
                "classes": [round(one, 4) for one in self.classes],
                **{name: [float(f"{end:.5g}") for end in (one.value, one.lo, one.hi)]
                   for name, one in self.figures.items()}}


class Referee:
    """Judges images by held-out ones: always the same ones, and equally many of each set.

    Parameters
    ----------
    classifier : Classifier
        Gives features and classes.
    train, held_out : array, shapes (n, V) and (m, V)
        Images that the model has seen, and others of the same law; pixels from 0 to 1.
    train_labels : array of int, shape (n,)
        Their classes.
    seed : int
        Which held-out and training images are taken where there are more than `limit`, and seed of
        the controls.
    limit : int
        Most images of a set.
    """

    def __init__(self, classifier: Classifier, train: FloatArray, held_out: FloatArray,
                 train_labels: npt.NDArray[np.int64], *, seed: int, limit: int = LIMIT) -> None:
        rng = np.random.default_rng([seed, 0])
        self.count = min(limit, len(held_out), len(train))
        self.reference = rng.permutation(held_out)[:self.count]
        self._classifier, self._train, self._labels = classifier, train, train_labels
        self._reference_features = classifier.features(self.reference)
        self._nearest, self._seed = Nearest.of(train, self.reference), seed
        self._seen = rng.permutation(train)[:self.count]

    def score(self, name: str, images: npt.ArrayLike, role: str = "samples") -> ImageScore:
        """Score the first images of a set, pixels from 0 to 1.

        Raises
        ------
        DataError
            If there are fewer than 20 images, or they have another number of pixels.
        """
        drawn = check_samples(name, images)[:self.count]
        if drawn.shape[1] != self.reference.shape[1]:
            raise DataError(f"{name} must have {self.reference.shape[1]} pixels, "
                            f"not {drawn.shape[1]}")
        features = self._classifier.features(drawn)
        odds = self._classifier.probabilities(features)
        found = odds.argmax(axis=1)
        sure = self._classifier.sure(odds, self._labels)
        energy = energy_distance(drawn, self.reference)
        reach = 2.262 * energy.standard_error
        figures = {"confident": share(int(sure.sum()), len(drawn)),
                   "energy": Estimate(value=energy.distance, lo=energy.distance - reach,
                                      hi=energy.distance + reach),
                   **compare_features(features, self._reference_features),
                   **self._nearest.judge(drawn)}
        shares = np.bincount(found, minlength=self._classifier.classes) / len(drawn)
        return ImageScore(name=name, role=role, count=len(drawn), classes=tuple(shares.tolist()),
                          figures={column: figures[column] for column in COLUMNS})

    def yardsticks(self, parameters: int | None) -> Iterator[ImageScore]:
        """Yield the rows that the samples' figures are to be read beside.

        Training images are as good as it gets; a model without couplings knows single pixels,
        pooled or by class; a linear one means and covariances; a perceptron with `parameters`
        parameters, left out for None, is what a digital generator of that size does.
        """
        rng, train, count = np.random.default_rng([self._seed, 1]), self._train, self.count
        pooled = np.zeros_like(self._labels)
        yield self.score("training images", self._seen, "floor")
        yield self.score("Bernoulli pixels", bernoulli_pixels(train, pooled, count, rng), "control")
        yield self.score("Bernoulli pixels by class",
                         bernoulli_pixels(train, self._labels, count, rng), "control")
        yield self.score("independent pixels", independent_pixels(train, count, rng), "control")
        yield self.score("linear Gaussian", linear_gaussian(train, count, rng), "control")
        if parameters is not None:
            drawn = mlp_generator(train, count, parameters=parameters, rng=rng)
            yield self.score("perceptron of equal size", drawn, "control")
