"""What an approximation moves, from samples that were drawn with the same noise before and after.

The noise they share leaves a small difference, so that a few hundred samples show a shift that
independent ones would need millions for.
"""

from dataclasses import dataclass

import numpy as np

from pendula.errors import DataError
from pendula.extras import import_extra
from pendula.metrics.samples import FloatArray, check_samples

__all__ = ["Shift", "measure_shift"]

_LEVEL = 0.01
_ROWS = 256         # rows of the distance matrix at a time


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """From one set of samples to another, pair by pair.

    Parameters
    ----------
    count : int
        Number of pairs.
    mean_sd : float
        Largest shift of a feature's mean, in standard deviations; here and below the root mean
        square of those of all features, since some hardly vary at all.
    mean_half_width_sd : float
        Of the interval about it, which holds the shifts of all features with probability 0.99.
    mean_feature : int
        Feature that shifts most; phases have cosines first, then sines.
    spread : float
        Largest change of a feature's variance, over twice the mean variance of all: the relative
        change of a typical standard deviation.
    spread_half_width : float
        Of its interval, as for the mean.
    energy : float
        Energy distance of the two laws, in units of the features.
    energy_error : float
        Its standard error.
    apart_sd : float
        Root mean square distance of the pairs, in standard deviations: how far the two paths part.
    """

    count: int
    mean_sd: float
    mean_half_width_sd: float
    mean_feature: int
    spread: float
    spread_half_width: float
    energy: float
    energy_error: float
    apart_sd: float

    @property
    def found(self) -> bool:
        """Whether mean or spread of any feature is seen to shift."""
        return (abs(self.mean_sd) > self.mean_half_width_sd
                or abs(self.spread) > self.spread_half_width)


def measure_shift(before: FloatArray, after: FloatArray) -> Shift:
    """Return how far the law shifts between paired samples, both of shape (n, F).

    Raises
    ------
    DataError
        If the shapes differ or there are fewer than two pairs.

    Notes
    -----
    Intervals of means are from the pairs' own differences, those of spreads from the differences
    of their squares (delta method), Bonferroni over the features. The energy distance is the mean
    of ``|x_i - y_j| + |x_j - y_i| - |x_i - x_j| - |y_i - y_j|`` over pairs i != j, a U-statistic,
    which pairing does not bias; its error is that of its projection.
    """
    first, second = check_samples("before", before), check_samples("after", after)
    if first.shape != second.shape or len(first) < 2:
        raise DataError(f"paired samples must be two sets of one shape, not {first.shape} and "
                        f"{second.shape}")
    quantile = float(import_extra("scipy.stats", "report").norm.isf(_LEVEL / (2 * first.shape[1])))
    root = np.sqrt(len(first))
    scale = float(np.sqrt(first.var(axis=0).mean())) or 1.0
    moved = (second - first) / scale
    centred = [(values - values.mean(axis=0)) / scale for values in (first, second)]
    widened = (centred[1] ** 2 - centred[0] ** 2) / 2
    mean, spread = moved.mean(axis=0), widened.mean(axis=0)
    feature, wide = int(np.abs(mean).argmax()), int(np.abs(spread).argmax())
    energy, error = _energy(first, second)
    return Shift(
        count=len(first), mean_sd=float(mean[feature]), mean_feature=feature,
        mean_half_width_sd=float(quantile * moved[:, feature].std(ddof=1) / root),
        spread=float(spread[wide]),
        spread_half_width=float(quantile * widened[:, wide].std(ddof=1) / root),
        energy=energy, energy_error=error, apart_sd=float(np.sqrt((moved**2).mean())))


def _energy(first: FloatArray, second: FloatArray) -> tuple[float, float]:
    count = len(first)
    rows = np.zeros(count)
    for start in range(0, count, _ROWS):
        part = slice(start, start + _ROWS)
        kernel = (_distances(first[part], second) + _distances(second[part], first)
                  - _distances(first[part], first) - _distances(second[part], second))
        kernel[np.arange(len(kernel)), np.arange(start, start + len(kernel))] = 0
        rows[part] = kernel.sum(axis=1)
    rows /= count - 1
    return float(rows.mean()), 2 * float(rows.std(ddof=1)) / float(np.sqrt(count))


def _distances(x: FloatArray, y: FloatArray) -> FloatArray:
    cdist = import_extra("scipy.spatial.distance", "report").cdist
    return np.asarray(cdist(x, y), np.float64)
