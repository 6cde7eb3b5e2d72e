"""Effective sample size: how many independent samples a correlated sequence is worth.

The autocorrelation is summed over Geyer's initial monotone positive sequence (C. J. Geyer,
*Practical Markov chain Monte Carlo*, Statistical Science 7, 1992).
"""

import numpy as np
import numpy.typing as npt

from pendula.extras import import_extra
from pendula.metrics.samples import FloatArray, check_samples

__all__ = ["effective_sample_size", "independent_stride"]

_STRIDE_LEVEL = 0.001    # probability of thinning independent samples
_LEAST_ROWS = 8          # that thinning leaves


def _autocovariance(samples: FloatArray) -> FloatArray:
    """Return the biased autocovariance at lags 0..n-1, shape (n, V); 0 for constant variables."""
    count = len(samples)
    centred = np.where((samples == samples[0]).all(axis=0), 0.0, samples - samples.mean(axis=0))
    spectrum = np.fft.rfft(centred, 2 * count, axis=0)
    return np.fft.irfft(np.abs(spectrum) ** 2, 2 * count, axis=0)[:count] / count


def _autocorrelation_time(autocovariance: FloatArray) -> FloatArray:
    """Return the variance of the mean over that of independent samples; at least 1."""
    even = len(autocovariance) // 2 * 2
    pairs = autocovariance[0:even:2] + autocovariance[1:even:2]
    positive = np.cumprod(pairs > 0, axis=0)
    pairs = np.minimum.accumulate(pairs, axis=0) * positive
    variance = autocovariance[0]
    safe = np.where(variance > 0, variance, 1.0)
    return np.maximum(1.0, np.where(variance > 0, 2 * pairs.sum(axis=0) / safe - 1, 1.0))


def effective_sample_size(samples: npt.ArrayLike) -> FloatArray:
    """Return how many independent samples the rows are worth, one figure a variable.

    Parameters
    ----------
    samples : array, shape (n, V)
        Samples in the order they were drawn.

    Returns
    -------
    array of float64, shape (V,)
        Within 1..n.

    Notes
    -----
    The tests that use it should err towards caution: no variable counts as more than n, nor as
    more than all variables together (their autocovariances summed), whose estimate is less noisy.
    So independent samples give a little less than n.
    """
    array = check_samples("samples", samples)
    autocovariance = _autocovariance(array)
    together = _autocorrelation_time(autocovariance.sum(axis=1, keepdims=True))
    times = np.maximum(_autocorrelation_time(autocovariance), together)
    return len(array) / np.minimum(times, len(array))


def independent_stride(samples: npt.ArrayLike) -> int:
    """Return k such that every k-th row is nearly independent of the one before.

    It is 1 for independent samples, but rarely, and leaves at least eight rows.

    Notes
    -----
    At the first lag that will do, no variable's autocorrelation is significant at ``0.001 / V``,
    nor that of all variables together at 0.001. If that is not lag 1, k is twice as large: by then
    the rest, which could not be seen, has gone too. A small rest misleads permutation tests.
    """
    stats = import_extra("scipy.stats", "report")
    array = check_samples("samples", samples)
    count, variables = array.shape
    autocovariance = _autocovariance(array)
    total = autocovariance.sum(axis=1)
    covariance = np.atleast_2d(np.cov(array, rowvar=False))
    limit_each = stats.norm.isf(_STRIDE_LEVEL / variables) / np.sqrt(count) * autocovariance[0]
    limit_total = stats.norm.isf(_STRIDE_LEVEL) / np.sqrt(count) * np.linalg.norm(covariance)
    free = (autocovariance <= limit_each).all(axis=1) & (total <= limit_total)
    if free[1]:
        return 1
    longest = max(1, count // _LEAST_ROWS)
    first = 1 + int(np.argmax(free[1:])) if free[1:].any() else longest
    return min(2 * first, longest)
