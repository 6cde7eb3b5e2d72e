"""Energy distance: one figure for how far two multivariate laws are apart.

``2 E|X - Y| - E|X - X'| - E|Y - Y'|`` with Euclidean norms; zero if and only if the laws are equal
(G. Szekely and M. Rizzo, *Energy statistics*, J. Stat. Planning and Inference 143, 2013). The
estimate here is the unbiased one (no sample is paired with itself), so it may be negative, and
sets of different sizes may be compared.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pendula.metrics.ess import independent_stride
from pendula.metrics.permutation import PERMUTATIONS, permutation_p, permuted_labels
from pendula.metrics.samples import FloatArray, check_pair

__all__ = ["ENERGY_LIMIT", "EnergyDistance", "EnergyTest", "energy_distance", "energy_test"]

ENERGY_LIMIT = 2000     # samples of each set that the permutation test uses
_ROWS = 512             # rows of the distance matrix at a time
_FOLDS = 10             # groups of the jackknife


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyDistance:
    """Energy distance of two sets of samples.

    Parameters
    ----------
    distance : float
        Unbiased estimate, in the samples' own unit.
    standard_error : float
        Of the estimate, from a jackknife that leaves out a tenth at a time.
    """

    distance: float
    standard_error: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyTest:
    """Permutation test of the energy distance.

    Parameters
    ----------
    distance : float
        Unbiased estimate, in the samples' own unit.
    p_value : float
        Share of permutations, the observed one included, with a distance as large.
    used : tuple of int
        Samples of each set that took part, after thinning and the limit.
    permutations : int
        Number of random permutations.
    """

    distance: float
    p_value: float
    used: tuple[int, int]
    permutations: int


def _distance_rows(points: FloatArray) -> Iterator[tuple[slice, FloatArray]]:
    """Yield the Euclidean distance matrix a few rows at a time."""
    centred = points - points.mean(axis=0)      # keeps the round-off of the difference below small
    norms = (centred**2).sum(axis=1)
    for start in range(0, len(points), _ROWS):
        rows = slice(start, start + _ROWS)
        squares = norms[rows, None] + norms - 2 * centred[rows] @ centred.T
        np.fill_diagonal(squares[:, start:], 0)
        yield rows, np.sqrt(np.maximum(squares, 0))


def _unbiased(within_a: FloatArray, within_b: FloatArray, between: FloatArray, n: FloatArray | int,
              m: FloatArray | int) -> FloatArray:
    """Return the energy distance from sums of distances over ordered pairs."""
    return 2 * between / (n * m) - within_a / (n * (n - 1)) - within_b / (m * (m - 1))


def energy_distance(a: npt.ArrayLike, b: npt.ArrayLike) -> EnergyDistance:
    """Return the energy distance between all of `a`, shape (n, V), and all of `b`, shape (m, V).

    Notes
    -----
    Samples are taken as independent. Time grows with (n + m)**2; memory does not.
    """
    first, second = check_pair(a, b)
    n, m = len(first), len(second)
    folds = min(_FOLDS, n // 2, m // 2)
    group = np.concatenate([np.arange(n) % folds, folds + np.arange(m) % folds])
    member = np.eye(2 * folds)[group]
    sums = np.zeros((2 * folds, 2 * folds))         # of distances, between any two groups
    for rows, distances in _distance_rows(np.concatenate([first, second])):
        sums += member[rows].T @ (distances @ member)

    everyone = np.ones((1, folds))
    kept = np.concatenate([everyone, everyone - np.eye(folds)])    # all, then all but one group
    keeps_a, keeps_b = np.pad(kept, ((0, 0), (0, folds))), np.pad(kept, ((0, 0), (folds, 0)))
    within_a, within_b, between = (
        np.einsum("fi,ij,fj->f", x, sums, y)
        for x, y in ((keeps_a, keeps_a), (keeps_b, keeps_b), (keeps_a, keeps_b)))
    sizes = member.sum(axis=0)
    estimates = _unbiased(within_a, within_b, between, keeps_a @ sizes, keeps_b @ sizes)
    left_out = estimates[1:]
    variance = (folds - 1) / folds * ((left_out - left_out.mean()) ** 2).sum()
    return EnergyDistance(distance=float(estimates[0]), standard_error=float(np.sqrt(variance)))


def energy_test(a: npt.ArrayLike, b: npt.ArrayLike, *, seed: int, limit: int = ENERGY_LIMIT,
                permutations: int = PERMUTATIONS) -> EnergyTest:
    """Test whether `a`, shape (n, V), and `b`, shape (m, V), have one law.

    Parameters
    ----------
    a, b : array
        Samples in the order they were drawn; correlated sequences are thinned.
    seed : int
        Seed of the permutations.
    limit : int
        Use at most this many samples of each, evenly spread.
    permutations : int
        Number of random permutations; the level is exact for equal laws.
    """
    first, second = (_thin(samples, limit) for samples in check_pair(a, b))
    n, m = len(first), len(second)
    labels = permuted_labels(n, m, permutations, np.random.default_rng(seed))
    labels = labels.T.astype(np.float64)
    within_a, row_sums = np.zeros(1 + permutations), np.empty(n + m)
    for rows, distances in _distance_rows(np.concatenate([first, second])):
        within_a += (labels[rows] * (distances @ labels)).sum(axis=0)
        row_sums[rows] = distances.sum(axis=1)
    between = row_sums @ labels - within_a
    within_b = row_sums.sum() - 2 * between - within_a
    statistics = _unbiased(within_a, within_b, between, n, m)
    return EnergyTest(distance=float(statistics[0]), used=(n, m), permutations=permutations,
                      p_value=float(permutation_p(statistics[0], statistics[1:])))


def _thin(samples: FloatArray, limit: int) -> FloatArray:
    """Return rows that are nearly independent, at most `limit` of them, evenly spread."""
    rows = np.arange(0, len(samples), independent_stride(samples))
    if len(rows) > limit:
        rows = rows[np.linspace(0, len(rows) - 1, limit).astype(int)]
    return samples[rows]
