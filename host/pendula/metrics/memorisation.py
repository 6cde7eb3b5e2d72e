"""Whether samples are copies: how near they are to training images, and how near others are."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pendula.metrics.estimate import Estimate, share
from pendula.metrics.samples import FloatArray, check_pair

__all__ = ["COPY_QUANTILE", "Nearest", "nearest_distances"]

COPY_QUANTILE = 0.01
_ROWS = 512         # images at a time: bounds memory


@dataclass(frozen=True, eq=False, kw_only=True)
class Nearest:
    """How near held-out images are to training images: the yardstick for samples.

    Parameters
    ----------
    train : array, shape (n, V)
        Training images.
    held_out : array, shape (m,)
        Distance of each held-out image to the nearest training image, ascending.
    """

    train: npt.NDArray[np.float32]
    held_out: FloatArray

    @classmethod
    def of(cls, train: FloatArray, held_out: FloatArray) -> "Nearest":
        """Measure held-out images, shape (m, V)."""
        seen, others = check_pair(train, held_out)
        single = seen.astype(np.float32)
        return cls(train=single, held_out=np.sort(nearest_distances(others, single)))

    def judge(self, samples: FloatArray) -> dict[str, Estimate]:
        """Return how near samples are to training images.

        Returns
        -------
        dict of str to Estimate
            ``copies``: share of samples that are nearer to a training image than all but 1 % of
            the held-out images are. ``nearness``: median distance, in units of theirs; its
            interval is that of the median's order statistics.
        """
        found = np.sort(nearest_distances(samples, self.train))
        limit = np.quantile(self.held_out, COPY_QUANTILE)
        half = 0.98 * np.sqrt(len(found))       # 1.96 standard deviations of a binomial(n, 1/2)
        ranks = np.clip(np.rint(len(found) / 2 + half * np.array([0, -1, 1])), 0, len(found) - 1)
        value, lo, hi = found[ranks.astype(int)] / np.median(self.held_out)
        return {"copies": share(int((found < limit).sum()), len(found)),
                "nearness": Estimate(value=float(value), lo=float(lo), hi=float(hi))}


def nearest_distances(images: npt.ArrayLike, others: npt.NDArray[np.float32]) -> FloatArray:
    """Return the Euclidean distance of each image to the nearest of `others`.

    Parameters
    ----------
    images, others : array, shapes (n, V) and (m, V)
        Images; an image that is among the others is at distance 0, up to single precision.
    """
    points = np.asarray(images, dtype=np.float32)
    norms, found = (others**2).sum(axis=1), []
    for start in range(0, len(points), _ROWS):
        rows = points[start:start + _ROWS]
        squares = (norms - 2 * rows @ others.T).min(axis=1) + (rows**2).sum(axis=1)
        found.append(np.sqrt(np.maximum(squares, 0)))
    return np.concatenate(found).astype(np.float64)
