"""Two-sample tests of one variable at a time, corrected for their number."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pendula.extras import import_extra
from pendula.metrics.ess import effective_sample_size
from pendula.metrics.samples import FloatArray, check_pair

__all__ = ["KolmogorovSmirnov", "MeanDifferences", "compare_means", "holm", "kolmogorov_smirnov"]


def holm(p_values: npt.ArrayLike) -> FloatArray:
    """Return p-values corrected for their number by Holm's step-down rule.

    Rejecting where the result is at most alpha keeps the probability of any false rejection at
    alpha, whatever the dependence between the tests (S. Holm, Scand. J. Statistics 6, 1979).
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    scaled = p[order] * np.arange(len(p), 0, -1)
    corrected = np.empty_like(p)
    corrected[order] = np.minimum(1.0, np.maximum.accumulate(scaled))
    return corrected


@dataclass(frozen=True, eq=False, kw_only=True)
class KolmogorovSmirnov:
    """Kolmogorov-Smirnov test of every variable.

    Parameters
    ----------
    distance : array, shape (V,)
        Largest difference of the two empirical distribution functions.
    p_value : array, shape (V,)
        Probability of such a distance under equal laws, one test at a time.
    p_holm : array, shape (V,)
        The same, corrected for V tests.
    """

    distance: FloatArray
    p_value: FloatArray
    p_holm: FloatArray


def kolmogorov_smirnov(a: npt.ArrayLike, b: npt.ArrayLike) -> KolmogorovSmirnov:
    """Test every variable for equal laws.

    Parameters
    ----------
    a, b : array, shapes (n, V) and (m, V)
        Samples in the order they were drawn.

    Notes
    -----
    p-values are Smirnov's asymptotic ones at ``ess_a * ess_b / (ess_a + ess_b)``: for the same
    numbers of independent samples they lie slightly above the exact ones. Ties (states on a coarse
    lattice, pixels) make the test conservative, never liberal: it then finds less than
    :func:`pendula.metrics.power.detectable` says.
    """
    stats = import_extra("scipy.stats", "report")
    first, second = check_pair(a, b)
    distance = np.asarray(stats.ks_2samp(first, second, axis=0, method="asymp").statistic)
    ess_a, ess_b = effective_sample_size(first), effective_sample_size(second)
    p = stats.kstwobign.sf(distance * np.sqrt(ess_a * ess_b / (ess_a + ess_b)))
    return KolmogorovSmirnov(distance=distance, p_value=p, p_holm=holm(p))


@dataclass(frozen=True, eq=False, kw_only=True)
class MeanDifferences:
    """Means compared, variable by variable.

    Parameters
    ----------
    mean_a, mean_b : array, shape (V,)
        Means.
    difference : array, shape (V,)
        ``mean_a - mean_b``.
    half_width : array, shape (V,)
        ``difference +- half_width`` holds all V true differences at once with the probability
        ``1 - level``.
    scale : array, shape (V,)
        Standard deviation of a variable, pooled; 0 where both are constant.
    p_corrected : array, shape (V,)
        Corrected for V tests by Bonferroni's rule, to match the intervals.
    level : float
        Family-wise level.
    """

    mean_a: FloatArray
    mean_b: FloatArray
    difference: FloatArray
    half_width: FloatArray
    scale: FloatArray
    p_corrected: FloatArray
    level: float


def compare_means(a: npt.ArrayLike, b: npt.ArrayLike, *, level: float) -> MeanDifferences:
    """Test the means of all variables and give simultaneous intervals for their differences.

    Parameters
    ----------
    a, b : array, shapes (n, V) and (m, V)
        Samples in the order they were drawn.
    level : float
        Family-wise level alpha.

    Notes
    -----
    Welch's t with Welch-Satterthwaite degrees of freedom; effective sample sizes take the place of
    n and m. Intervals are Bonferroni's, at ``level / V`` each. The t distribution is an
    approximation for laws that are not Gaussian; from some 50 samples on it is a good one.
    """
    stats = import_extra("scipy.stats", "report")
    first, second = check_pair(a, b)
    ess = [effective_sample_size(samples) for samples in (first, second)]
    variance = [samples.var(axis=0, ddof=1) for samples in (first, second)]
    squared_errors = [v / n for v, n in zip(variance, ess)]
    total = sum(squared_errors)
    error = np.sqrt(total)
    spread = sum(s**2 / np.maximum(n - 1, 1) for s, n in zip(squared_errors, ess))
    freedom = np.divide(total**2, spread, out=np.ones_like(error), where=spread > 0)
    means = first.mean(axis=0), second.mean(axis=0)
    difference = means[0] - means[1]
    t = np.divide(np.abs(difference), error, where=error > 0,
                  out=np.where(difference == 0, 0.0, np.inf))
    variables = len(difference)
    return MeanDifferences(
        mean_a=means[0], mean_b=means[1], difference=difference,
        half_width=stats.t.isf(level / (2 * variables), freedom) * error,
        scale=np.sqrt((variance[0] + variance[1]) / 2),
        p_corrected=np.minimum(1.0, variables * 2 * stats.t.sf(t, freedom)), level=level)
