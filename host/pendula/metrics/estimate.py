"""Figures with intervals: from a jackknife over groups, or of a share."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pendula.metrics.samples import IndexArray

__all__ = ["FOLDS", "Estimate", "jackknife", "share"]

FOLDS = 10          # groups that the jackknife leaves out in turn
_STUDENT = 2.262    # 97.5 % quantile of Student's t with FOLDS - 1 degrees of freedom
_NORMAL = 1.96      # the same of the normal law


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A figure and its 95 % interval.

    Parameters
    ----------
    value : float
        Estimate from all samples.
    lo, hi : float
        Ends of the interval.
    """

    value: float
    lo: float
    hi: float


def jackknife(statistic: Callable[[IndexArray, IndexArray], dict[str, float]], n: int,
              m: int) -> dict[str, Estimate]:
    """Return statistics of two independent sets of samples, with intervals.

    A tenth of each set is left out at a time. Nothing is drawn with replacement, as a bootstrap
    would: a sample that occurs twice is its own nearest neighbour, and moves distances between
    sets by more than the spread that one wants to know.

    Parameters
    ----------
    statistic : callable
        Takes the rows of the first and of the second set to use; returns figures by name.
    n, m : int
        Sizes of the sets, at least twice `FOLDS`.
    """
    whole = statistic(np.arange(n), np.arange(m))
    kept = [statistic(np.flatnonzero(np.arange(n) % FOLDS != fold),
                      np.flatnonzero(np.arange(m) % FOLDS != fold)) for fold in range(FOLDS)]
    return {name: _around(value, np.array([one[name] for one in kept]))
            for name, value in whole.items()}


def _around(value: float, left_out: np.ndarray) -> Estimate:
    error = np.sqrt((FOLDS - 1) / FOLDS * ((left_out - left_out.mean()) ** 2).sum())
    reach = _STUDENT * float(error)
    return Estimate(value=float(value), lo=float(value) - reach, hi=float(value) + reach)


def share(hits: int, count: int) -> Estimate:
    """Return a share with Wilson's interval (E. Wilson, JASA 22, 1927)."""
    p, z2 = hits / count, _NORMAL**2
    middle = (p + z2 / (2 * count)) / (1 + z2 / count)
    reach = _NORMAL * np.sqrt(p * (1 - p) / count + z2 / (4 * count**2)) / (1 + z2 / count)
    return Estimate(value=p, lo=float(middle - reach), hi=float(middle + reach))
