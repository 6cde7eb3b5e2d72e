"""Samples against a known law: means, variances, distribution functions, covariances, cells.

Every test states its power: the deviation that it finds with a given probability.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from pendula.errors import DataError
from pendula.extras import import_extra
from pendula.metrics.ess import effective_sample_size
from pendula.metrics.power import detectable
from pendula.metrics.samples import FloatArray, check_samples

__all__ = ["CellTest", "CovarianceTest", "KnownLaw", "LawTest", "compare_with_cells",
           "compare_with_covariance", "compare_with_law"]

_LAW_TESTS = 3


class KnownLaw(Protocol):
    """A law of one variable."""

    def cdf(self, x_val: FloatArray) -> FloatArray:
        """Return its distribution function."""
        ...

    def moment(self, order: int) -> float:
        """Return its mean (order 1) or a central moment."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LawTest:
    """Samples of one variable against its law.

    Parameters
    ----------
    level : float
        Probability of finding any difference where there is none; a third of it each for mean,
        variance and distribution function.
    ess : float
        Effective sample size.
    mean_z, variance_z : float
        Deviations of mean and variance, in their standard errors.
    ks_distance : float
        Kolmogorov-Smirnov distance.
    p_values : tuple of float
        Of mean, variance and distribution function, each corrected for the three.
    probability : float
        Power that the following deviations are found with, each by its own test.
    mean_shift_sd : float
        Shift of the mean, in standard deviations.
    variance_change : float
        Relative change of the variance.
    ks_detectable : float
        Kolmogorov-Smirnov distance.
    """

    level: float
    ess: float
    mean_z: float
    variance_z: float
    ks_distance: float
    p_values: tuple[float, ...]
    probability: float
    mean_shift_sd: float
    variance_change: float
    ks_detectable: float

    @property
    def different(self) -> bool:
        """Whether the samples are not from the law."""
        return min(self.p_values) <= self.level


def compare_with_law(samples: npt.ArrayLike, law: KnownLaw, *, level: float = 0.01,
                     probability: float = 0.99) -> LawTest:
    """Test whether samples have a law.

    Parameters
    ----------
    samples : array, shape (n, V)
        Samples in the order they were drawn; columns are independent variables of the same law.
    law : KnownLaw
        Its fourth central moment gives the variance of the sample variance.
    level, probability : float
        Level of all three tests together, and power for which deviations are stated.

    Notes
    -----
    Large-sample formulas: normal laws of mean and variance, Kolmogorov's law of the distance. The
    effective sample size of the states stands for that of their squares and ranks, which is no
    smaller for the reversible chains that it is meant for.
    """
    stats = import_extra("scipy.stats", "report")
    array = check_samples("samples", samples)
    ess = float(effective_sample_size(array).sum())
    values = np.sort(array.ravel())
    steps = np.arange(len(values) + 1) / len(values)
    probabilities = law.cdf(values)
    distance = float(max((probabilities - steps[:-1]).max(), (steps[1:] - probabilities).max()))
    mean, variance = law.moment(1), law.moment(2)
    spread = np.sqrt(law.moment(4) - variance**2)
    mean_z = float((values.mean() - mean) / np.sqrt(variance / ess))
    variance_z = float((((values - mean) ** 2).mean() - variance) / (spread / np.sqrt(ess)))
    p = [2 * stats.norm.sf(abs(mean_z)), 2 * stats.norm.sf(abs(variance_z)),
         stats.kstwobign.sf(distance * np.sqrt(ess))]
    power = detectable(probability, ess_a=ess, ess_b=np.inf, mean_tests=1, ks_tests=1,
                       level=level / _LAW_TESTS)
    return LawTest(
        level=level, ess=ess, mean_z=mean_z, variance_z=variance_z, ks_distance=distance,
        p_values=tuple(min(1.0, _LAW_TESTS * float(one)) for one in p),
        probability=probability, mean_shift_sd=power.mean_shift_sd,
        variance_change=power.mean_shift_sd * float(spread / variance),
        ks_detectable=power.ks_distance)


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class CovarianceTest:
    """Covariances of samples against those of a Gaussian law of mean zero.

    Parameters
    ----------
    level : float
        Family-wise level.
    ess : float
        Smallest effective sample size.
    z : array, shape (V, V)
        Deviations in their standard errors.
    p_value : float
        Of the largest, corrected for all pairs (Bonferroni).
    probability : float
        Power that the following deviation is found with.
    change : float
        Change of a single covariance, in units of its two standard deviations; of a variance, its
        relative change. Smaller ones are found where nodes are uncorrelated.
    """

    level: float
    ess: float
    z: FloatArray
    p_value: float
    probability: float
    change: float

    @property
    def different(self) -> bool:
        """Whether any covariance is another."""
        return self.p_value <= self.level


def compare_with_covariance(samples: npt.ArrayLike, covariance: FloatArray, *,
                            level: float = 0.01, probability: float = 0.99) -> CovarianceTest:
    """Test whether samples of a Gaussian law of mean zero have a covariance.

    Parameters
    ----------
    samples : array, shape (n, V)
        Samples in the order they were drawn.
    covariance : array, shape (V, V)
        Of the law.
    level, probability : float
        Family-wise level, and power for which deviations are stated.

    Notes
    -----
    The mean of ``x_i x_j`` over n samples has the variance ``(C_ii C_jj + C_ij^2) / n`` (Isserlis).
    """
    stats = import_extra("scipy.stats", "report")
    array = check_samples("samples", samples)
    variables = array.shape[1]
    if covariance.shape != (variables, variables):
        raise DataError(f"covariance must have shape ({variables}, {variables}), "
                        f"not {covariance.shape}")
    ess = float(effective_sample_size(array).min())
    diagonal = np.diag(covariance)
    error = np.sqrt((np.outer(diagonal, diagonal) + covariance**2) / ess)
    z = (array.T @ array / len(array) - covariance) / error
    tests = variables * (variables + 1) // 2
    margin = float(stats.norm.isf(level / (2 * tests)) + stats.norm.ppf(probability))
    return CovarianceTest(
        level=level, ess=ess, z=z, probability=probability,
        p_value=min(1.0, tests * 2 * float(stats.norm.sf(np.abs(z).max()))),
        change=margin * float(np.sqrt(2 / ess)))


@dataclass(frozen=True, slots=True, kw_only=True)
class CellTest:
    """Counts of samples in cells against their probabilities.

    Parameters
    ----------
    level : float
        Level.
    count : int
        Number of samples.
    cells : int
        Cells, after those of small probability are merged.
    chi2 : float
        Pearson's statistic.
    p_value : float
        Its p-value.
    probability : float
        Power that the following deviation is found with.
    effect : float
        Cohen's w: root of the sum of ``(q - p)^2 / p`` over the cells, for the true q.
    """

    level: float
    count: int
    cells: int
    chi2: float
    p_value: float
    probability: float
    effect: float

    @property
    def different(self) -> bool:
        """Whether the samples have another law."""
        return self.p_value <= self.level


_LEAST_EXPECTED = 10.0


def compare_with_cells(counts: npt.ArrayLike, probabilities: npt.ArrayLike, *,
                       level: float = 0.01, probability: float = 0.99) -> CellTest:
    """Test counts of independent samples by Pearson's chi-squared test.

    Parameters
    ----------
    counts, probabilities : array, same shape
        Samples in each cell, and its probability. Cells that expect fewer than ten are merged.
    level, probability : float
        Level, and power for which the deviation is stated.
    """
    stats = import_extra("scipy.stats", "report")
    optimize = import_extra("scipy.optimize", "report")
    seen, law = np.ravel(counts).astype(np.float64), np.ravel(probabilities)
    count = seen.sum()
    rare = law * count < _LEAST_EXPECTED
    if rare.any():
        seen, law = (np.append(one[~rare], one[rare].sum()) for one in (seen, law))
    freedom = len(law) - 1
    chi2 = float(((seen - count * law) ** 2 / (count * law)).sum())
    critical = stats.chi2.isf(level, freedom)
    distance = optimize.brentq(
        lambda nc: stats.ncx2.sf(critical, freedom, nc) - probability, 1e-9, 1e4)
    return CellTest(level=level, count=int(count), cells=len(law), chi2=chi2,
                    p_value=float(stats.chi2.sf(chi2, freedom)), probability=probability,
                    effect=float(np.sqrt(distance / count)))
