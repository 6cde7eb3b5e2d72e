"""Scores of a model's samples, or of samples from a file, beside floors and controls."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pendula.contract.step import PIXEL_HI
from pendula.device import open_device
from pendula.metrics.classifier import Classifier, load_classifier
from pendula.metrics.inception import inception_distance, protocol
from pendula.metrics.referee import LIMIT, ImageScore, Referee
from pendula.metrics.samples import FloatArray
from pendula.program import Program
from pendula.training.data import Images, load_images

__all__ = ["Scores", "frozen_program", "parameter_count", "score"]

Progress = Callable[[int], None]
"""Called with the number of sets of images that were scored since the last call."""

ROWS = 8
"""Sets of images that :func:`score` judges for a program; two fewer for a file."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Scores:
    """A table of scores.

    Parameters
    ----------
    rows : tuple of ImageScore
        The samples, then floor and controls.
    dataset : str
        What they were judged by.
    classifier : Classifier
        Whose features and classes were taken.
    samples, held_out : array of uint8, shape (n, rows, columns)
        What was judged, and what by.
    inception : float or None
        Frechet distance over Inception's features, where its weights were given.
    protocol : str
        How that was taken.
    """

    rows: tuple[ImageScore, ...]
    dataset: str
    classifier: Classifier
    samples: npt.NDArray[np.uint8]
    held_out: npt.NDArray[np.uint8]
    inception: float | None = None
    protocol: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return all figures as plain data."""
        return {"dataset": self.dataset, "held_out": len(self.held_out),
                "classifier": {"name": self.classifier.name, "accuracy": self.classifier.accuracy},
                "rows": [row.to_dict() for row in self.rows],
                "inception": self.inception, "protocol": self.protocol}


def score(source: Program | FloatArray, dataset: str, *, data: Path | None = None,
          url: str = "twin://", seed: int = 1, limit: int = LIMIT, weights: Path | None = None,
          progress: Progress | None = None) -> Scores:
    """Score images by held-out ones, with floor and controls.

    Parameters
    ----------
    source : Program or array, shape (n, V)
        What draws the images, or images with pixels from 0 to 1.
    dataset : str
        One of :data:`pendula.metrics.classifier.CLASSIFIERS`.
    data : path, optional
        Folder with the data set's files, where it needs one.
    url : str
        Device that draws them.
    seed : int
        Of samples, controls and the choice of held-out images.
    limit : int
        Most images of a set.
    weights : Path, optional
        Inception's, for a Frechet distance over its features too
        (:mod:`pendula.metrics.inception`).
    progress : callable, optional
        Called with 1 after each row, `ROWS` times for a program.

    Raises
    ------
    DataError
        If data are missing, or the images have another size.
    """
    classifier, images = load_classifier(dataset), load_images(dataset, data)
    referee = Referee(classifier, images.train, images.held_out, images.train_labels, seed=seed,
                      limit=limit)
    program = source if isinstance(source, Program) else None
    drawn, frozen = (draw(source, url, referee.count, seed) if isinstance(source, Program) else
                     (source, None))
    rows = []

    def keep(row: ImageScore) -> None:
        rows.append(row)
        if progress:
            progress(1)

    keep(referee.score("samples", drawn))
    for row in referee.yardsticks(parameter_count(program) if program else None):
        keep(row)
    if frozen is not None:
        keep(referee.score("frozen random array", frozen, "control"))
    pictures, distance, words = _pictures(drawn, images), None, ""
    if weights:
        distance = inception_distance(pictures, _pictures(images.train, images), weights)
        words = protocol(len(pictures), len(images.train))
    return Scores(rows=tuple(rows), dataset=dataset, classifier=classifier, samples=pictures,
                  held_out=_pictures(referee.reference, images), inception=distance,
                  protocol=words)


def draw(program: Program, url: str, count: int, seed: int) -> list[FloatArray]:
    """Return samples of a program and of its frozen one, pixels from 0 to 1, shape (count, V)."""
    drawn = []
    with open_device(url) as device:
        for one in (program, frozen_program(program, seed)):
            device.load(one)
            drawn.append(device.sample(count, seed=seed, pixels=True).values / PIXEL_HI)
    return drawn


def parameter_count(program: Program) -> int:
    """Return the number of codes that a program may choose."""
    couplings = int(np.array(program.graph.mask).sum()) * program.segments
    return couplings + program.local_codes.size


def frozen_program(program: Program, seed: int) -> Program:
    """Return a program that has learnt nothing: the codes of each segment dealt out at random.

    Couplings change places among the edges, local codes of each term among the nodes; gains,
    noise, schedule and readout stay.
    """
    rng, present = np.random.default_rng(seed), np.array(program.graph.mask)
    codes, local_codes = program.codes.copy(), program.local_codes.copy()
    for segment in codes:
        segment[present] = rng.permutation(segment[present])
    local_codes = rng.permuted(local_codes, axis=1)
    return replace(program, codes=codes, local_codes=local_codes, unrounded={},
                   provenance={"rule": "frozen at random", "seed": seed})


def _pictures(drawn: FloatArray, images: Images) -> npt.NDArray[np.uint8]:
    return np.rint(drawn * PIXEL_HI).astype(np.uint8).reshape(-1, *images.shape)
