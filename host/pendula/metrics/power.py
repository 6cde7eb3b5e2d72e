"""Power: what the tests would have found."""

from dataclasses import dataclass

import numpy as np

from pendula.extras import import_extra

__all__ = ["Power", "detectable"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Power:
    """Smallest deviations of a single variable that would be found.

    Parameters
    ----------
    probability : float
        Probability of finding them.
    mean_shift_sd : float
        Shift of the mean, in standard deviations of the variable, found by the test of means.
    ks_distance : float
        Kolmogorov-Smirnov distance of the two laws, found by that test.
    """

    probability: float
    mean_shift_sd: float
    ks_distance: float


def detectable(probability: float, *, ess_a: float, ess_b: float, mean_tests: int,
               ks_tests: int, level: float) -> Power:
    """Return the smallest deviations found with `probability`, if one variable deviates.

    Parameters
    ----------
    probability : float
        Wanted power.
    ess_a, ess_b : float
        Effective sample sizes of the variable; infinite for a law that is known.
    mean_tests, ks_tests : int
        Number of variables tested together.
    level : float
        Family-wise level of each test.

    Notes
    -----
    Large-sample formulas with ``1 / e = 1 / ess_a + 1 / ess_b`` and z the upper normal quantile. A
    shift is found if it exceeds ``(z(level / 2 mean_tests) + z(1 - probability)) / sqrt(e)``, a
    distance if it exceeds the critical one by ``z(1 - probability) / (2 sqrt(e))``: an empirical
    distribution function has at most the variance 1 / 4n, so this power is a lower bound. Ties
    lower it.
    """
    stats = import_extra("scipy.stats", "report")
    root = float(1 / np.sqrt(1 / ess_a + 1 / ess_b))
    margin = stats.norm.ppf(probability)
    return Power(
        probability=probability,
        mean_shift_sd=float(stats.norm.isf(level / (2 * mean_tests)) + margin) / root,
        ks_distance=float(stats.kstwobign.isf(level / ks_tests) + margin / 2) / root)
