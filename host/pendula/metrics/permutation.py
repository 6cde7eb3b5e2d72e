"""Permutation of labels: what every permutation test shares."""

import numpy as np
import numpy.typing as npt

from pendula.metrics.samples import FloatArray

__all__ = ["PERMUTATIONS", "permutation_p", "permuted_labels"]

PERMUTATIONS = 1999     # so that a level of 0.01 / 4 is met exactly: 5 of 2,000

_ROUND_OFF = 1e-6       # of sums in single precision, relative to the largest statistic


def permuted_labels(count_a: int, count_b: int, permutations: int,
                    rng: np.random.Generator) -> npt.NDArray[np.int8]:
    """Return who belongs to a: shape (1 + permutations, count_a + count_b), 1 for a and 0 for b.

    The first row is what was observed; the others are random permutations of it.
    """
    labels = np.zeros((1 + permutations, count_a + count_b), dtype=np.int8)
    labels[:, :count_a] = 1
    rng.permuted(labels[1:], axis=1, out=labels[1:])
    return labels


def permutation_p(observed: FloatArray, permuted: FloatArray) -> FloatArray:
    """Return p-values: the share of statistics, the observed one included, that are as large.

    Ties count as larger, even where round-off hides them.

    Parameters
    ----------
    observed : array, any shape
        Observed statistics.
    permuted : array, shape (permutations,)
        The same statistic, or the largest of several, under permuted labels.
    """
    slack = _ROUND_OFF * np.abs(permuted).max(initial=0)
    below = np.searchsorted(np.sort(permuted), observed - slack, side="left")
    return (1.0 + len(permuted) - below) / (1.0 + len(permuted))
