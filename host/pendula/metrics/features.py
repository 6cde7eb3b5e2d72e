"""Distances between two sets of images in the features of a classifier.

Frechet distance between Gaussians of the features (M. Heusel et al., arXiv 1706.08500), squared
maximum mean discrepancy with a cubic kernel (M. Binkowski et al., arXiv 1801.01401), improved
precision and recall (T. Kynkaanniemi et al., arXiv 1904.06991), density and coverage (M. Naeem et
al., arXiv 2002.09797). The features are ours, not Inception's, so the figures compare with each
other and with nothing published.
"""

import numpy as np

from pendula.errors import DataError
from pendula.metrics.estimate import FOLDS, Estimate, jackknife
from pendula.metrics.samples import FloatArray, IndexArray, check_pair

__all__ = ["NEIGHBOURS", "compare_features", "frechet_distance", "kernel_distance"]

NEIGHBOURS = 5      # k of the balls around samples


def compare_features(samples: FloatArray, reference: FloatArray) -> dict[str, Estimate]:
    """Compare features of samples, shape (n, F), with those of real images, shape (m, F).

    Returns
    -------
    dict of str to Estimate
        ``frechet``, ``kernel``, ``precision``, ``recall``, ``density`` and ``coverage``.

    Raises
    ------
    DataError
        If the shapes are wrong or a set has fewer than 20 rows.
    """
    fake, real = check_pair(samples, reference)
    if min(len(fake), len(real)) < 2 * FOLDS:
        raise DataError(f"A comparison of features must have at least {2 * FOLDS} images, "
                        f"not {min(len(fake), len(real))}")
    products = _Products(fake, real)

    def statistics(rows: IndexArray, others: IndexArray) -> dict[str, float]:
        chosen = products.chosen(rows, others)
        return {"frechet": frechet_distance(fake[rows], real[others]),
                "kernel": _mmd(chosen), **_manifold(chosen)}

    return jackknife(statistics, len(fake), len(real))


def frechet_distance(a: FloatArray, b: FloatArray) -> float:
    """Return the Frechet distance between Gaussians with the moments of `a` and `b`.

    Notes
    -----
    Biased upwards, the more the fewer samples: compare sets of one size alone.
    """
    first, second = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    values, vectors = np.linalg.eigh(first)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    cross = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ second @ root), 0)).sum()
    shift = a.mean(axis=0) - b.mean(axis=0)
    return float(shift @ shift + np.trace(first) + np.trace(second) - 2 * cross)


def kernel_distance(a: FloatArray, b: FloatArray) -> float:
    """Return the unbiased squared discrepancy with the kernel ``(x y / F + 1)^3``."""
    return _mmd(_Products(a, b))


class _Products:
    """Inner products within and between two sets of features.

    Parameters
    ----------
    fake, real : array, shapes (n, F) and (m, F)
        Features.
    """

    def __init__(self, fake: FloatArray, real: FloatArray) -> None:
        self.width = fake.shape[1]
        self.fake, self.real, self.between = fake @ fake.T, real @ real.T, fake @ real.T

    def chosen(self, rows: IndexArray, others: IndexArray) -> "_Products":
        """Return those of some samples and some real images."""
        part = object.__new__(_Products)
        part.width = self.width
        part.fake = self.fake[np.ix_(rows, rows)]
        part.real = self.real[np.ix_(others, others)]
        part.between = self.between[np.ix_(rows, others)]
        return part


def _mmd(products: _Products) -> float:
    def within(inner: FloatArray) -> float:
        values = (inner / products.width + 1) ** 3
        return (values.sum() - np.trace(values)) / (len(values) * (len(values) - 1))

    between = ((products.between / products.width + 1) ** 3).mean()
    return float(within(products.fake) + within(products.real) - 2 * between)


def _manifold(products: _Products) -> dict[str, float]:
    """Return precision, recall, density and coverage from balls around samples."""
    norms, real_norms = np.diag(products.fake), np.diag(products.real)
    radius = _radii(products.fake, norms)                 # of the ball around each sample
    real_radius = _radii(products.real, real_norms)
    between = norms[:, None] + real_norms - 2 * products.between
    inside = between < real_radius
    return {"precision": float(inside.any(axis=1).mean()),
            "recall": float((between < radius[:, None]).any(axis=0).mean()),
            "density": float(inside.sum(axis=1).mean() / NEIGHBOURS),
            "coverage": float(inside.any(axis=0).mean())}


def _radii(inner: FloatArray, norms: FloatArray) -> FloatArray:
    """Return the squared distance of each row to its k-th nearest other row."""
    squares = norms[:, None] + norms - 2 * inner
    np.fill_diagonal(squares, np.inf)
    return np.partition(squares, NEIGHBOURS - 1, axis=1)[:, NEIGHBOURS - 1]
