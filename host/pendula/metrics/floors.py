"""Scores of images with the floor and the cheap controls that give them meaning."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pendula.metrics.energy import energy_distance
from pendula.metrics.samples import FloatArray, check_pair

__all__ = ["Score", "bernoulli_pixels", "image_scores", "independent_pixels", "linear_gaussian"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """Energy distance of one set of images to held-out data.

    Parameters
    ----------
    name : str
        What was scored.
    role : str
        ``samples``, ``floor`` (what perfect samples would score) or ``control`` (what a model
        without couplings, or without non-linearity, scores).
    distance : float
        Unbiased energy distance, in the unit of the pixels; 0 for equal laws.
    standard_error : float
        Of the distance, by jackknife.
    count : int
        Number of images.
    """

    name: str
    role: str
    distance: float
    standard_error: float
    count: int


def independent_pixels(train: FloatArray, count: int, rng: np.random.Generator) -> FloatArray:
    """Draw images whose pixels have the laws of the data, independently of each other."""
    columns = (rng.choice(train[:, pixel], count) for pixel in range(train.shape[1]))
    return np.stack(list(columns), axis=1)


def bernoulli_pixels(train: FloatArray, labels: npt.NDArray[np.int64], count: int,
                     rng: np.random.Generator) -> FloatArray:
    """Draw images of black and white pixels, independent given the class, with the data's means.

    Parameters
    ----------
    train : array, shape (n, V)
        Training images, pixels from 0 to 1.
    labels : array of int, shape (n,)
        Class of each; all alike for pooled means.
    count : int
        Images to draw, of classes as frequent as in the data.
    rng : numpy.random.Generator
        Source of classes and pixels.
    """
    classes, members = np.unique(labels, return_inverse=True)
    means = np.stack([train[members == member].mean(axis=0) for member in range(len(classes))])
    chosen = means[rng.choice(members, count)]
    return (rng.random(chosen.shape) < chosen).astype(np.float64)


def linear_gaussian(train: FloatArray, count: int, rng: np.random.Generator) -> FloatArray:
    """Draw from the Gaussian with the data's means and covariances, clipped to the data's range."""
    values, vectors = np.linalg.eigh(np.cov(train, rowvar=False))
    factor = vectors * np.sqrt(np.maximum(values, 0))
    draws = train.mean(axis=0) + rng.standard_normal((count, len(values))) @ factor.T
    return np.clip(draws, train.min(), train.max())


def image_scores(samples: Mapping[str, npt.ArrayLike], *, train: npt.ArrayLike,
                 held_out: npt.ArrayLike, seed: int) -> tuple[Score, ...]:
    """Score sets of images, the training images and two controls against held-out images.

    Parameters
    ----------
    samples : mapping of str to array, shape (n, V)
        Images to score, by name; all arrays in one unit.
    train, held_out : array, shape (n, V)
        Images that the model has seen, and others of the same law.
    seed : int
        Seed of the controls, which are as many as the training images.

    Returns
    -------
    tuple of Score
        The samples in their order, then ``training images`` (the floor), then the controls
        ``independent pixels`` and ``linear Gaussian``.
    """
    seen, reference = check_pair(train, held_out)
    rng = np.random.default_rng(seed)
    entries = [(name, "samples", check_pair(images, reference)[0])
               for name, images in samples.items()]
    entries += [
        ("training images", "floor", seen),
        ("independent pixels", "control", independent_pixels(seen, len(seen), rng)),
        ("linear Gaussian", "control", linear_gaussian(seen, len(seen), rng)),
    ]
    return tuple(_score(name, role, images, reference) for name, role, images in entries)


def _score(name: str, role: str, images: FloatArray, reference: FloatArray) -> Score:
    energy = energy_distance(images, reference)
    return Score(name=name, role=role, distance=energy.distance,
                 standard_error=energy.standard_error, count=len(images))
