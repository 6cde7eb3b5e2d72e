"""Covariances compared, all pairs at once."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pendula.metrics.ess import independent_stride
from pendula.metrics.permutation import PERMUTATIONS, permutation_p, permuted_labels
from pendula.metrics.samples import FloatArray, IndexArray, check_pair

__all__ = ["CovarianceDifferences", "all_pairs", "compare_covariances"]

_CHUNK = 512      # pairs at a time


def all_pairs(variables: int) -> IndexArray:
    """Return every pair (i, j) with i <= j, variances included; shape (V (V + 1) / 2, 2)."""
    return np.stack(np.triu_indices(variables), axis=1)


@dataclass(frozen=True, eq=False, kw_only=True)
class CovarianceDifferences:
    """Covariances compared, pair by pair.

    Parameters
    ----------
    pairs : array of int, shape (M, 2)
        Variables i and j.
    difference : array, shape (M,)
        Covariance in a minus that in b.
    half_width : array, shape (M,)
        ``difference +- half_width`` holds all M true differences at once with a probability of
        about ``1 - level``.
    scale : array, shape (M,)
        Product of the two variables' pooled standard deviations.
    p_corrected : array, shape (M,)
        Corrected for M tests by the permutation law of the largest statistic.
    level : float
        Family-wise level.
    permutations : int
        Number of permutations.
    """

    pairs: IndexArray
    difference: FloatArray
    half_width: FloatArray
    scale: FloatArray
    p_corrected: FloatArray
    level: float
    permutations: int


@dataclass(frozen=True, slots=True)
class _Products:
    """Products of centred variables of the pooled samples, for one chunk of pairs."""

    values: FloatArray      # standardised, shape (n + m, pairs)
    scale: FloatArray       # what they were divided by; 0 where a product is constant


def _products(centred: FloatArray, pairs: IndexArray) -> _Products:
    products = centred[:, pairs[:, 0]] * centred[:, pairs[:, 1]]
    products -= products.mean(axis=0)
    scale = products.std(axis=0)
    constant = scale <= 1e-12 * np.abs(products).max(axis=0, initial=1e-300)
    scale[constant] = 0
    values = np.divide(products, scale, out=np.zeros_like(products), where=scale > 0)
    return _Products(values, scale)


def compare_covariances(a: npt.ArrayLike, b: npt.ArrayLike, *, level: float, seed: int,
                        pairs: IndexArray | None = None,
                        permutations: int = PERMUTATIONS) -> CovarianceDifferences:
    """Test covariances of all pairs and give simultaneous intervals for their differences.

    Parameters
    ----------
    a, b : array, shapes (n, V) and (m, V)
        Samples in the order they were drawn; correlated sequences are thinned.
    level : float
        Family-wise level alpha.
    seed : int
        Seed of the permutations.
    pairs : array of int, shape (M, 2), optional
        Pairs of variables; all of them where not given.
    permutations : int
        Number of random permutations; costs ``permutations * (n + m) * M`` multiply-adds.

    Notes
    -----
    The statistic of a pair is the difference of the means of the products of the centred variables
    (centred at the pooled means), over its standard error. The law of the largest statistic comes
    from permuting the labels (P. Westfall and S. Young, *Resampling-based multiple testing*, 1993),
    so the level is exact for equal laws, whatever their shape; a difference of the means alone
    cancels where n = m. The intervals use the same critical value.
    """
    first, second = (samples[::independent_stride(samples)] for samples in check_pair(a, b))
    pairs = all_pairs(first.shape[1]) if pairs is None else pairs
    n, m = len(first), len(second)
    labels = permuted_labels(n, m, permutations, np.random.default_rng(seed))
    contrast = np.where(labels, np.float32(1 / n), np.float32(-1 / m))
    pooled = np.concatenate([first, second])
    centred = pooled - pooled.mean(axis=0)
    unit = np.sqrt(1 / n + 1 / m)

    observed, difference, errors = (np.empty(len(pairs)) for _ in range(3))
    largest = np.zeros(permutations)
    for start in range(0, len(pairs), _CHUNK):
        chunk = slice(start, start + _CHUNK)
        products = _products(centred, pairs[chunk])
        values = products.values
        statistics = contrast @ values.astype(np.float32) / unit
        observed[chunk] = statistics[0]
        np.maximum(largest, np.abs(statistics[1:]).max(axis=1), out=largest)
        difference[chunk] = products.scale * (values[:n].mean(axis=0) - values[n:].mean(axis=0))
        own = values[:n].var(axis=0) / n + values[n:].var(axis=0) / m
        errors[chunk] = products.scale * np.sqrt(own)

    rank = int(level * (permutations + 1) + 1e-9)      # p <= level beyond the rank-th largest
    critical = np.sort(largest)[-max(1, rank)]
    deviations = np.sqrt((first.var(axis=0, ddof=1) + second.var(axis=0, ddof=1)) / 2)
    return CovarianceDifferences(
        pairs=pairs, difference=difference, half_width=critical * errors,
        scale=deviations[pairs].prod(axis=1), p_corrected=permutation_p(np.abs(observed), largest),
        level=level, permutations=permutations)
