"""One verdict on two sets of samples, from four families of tests."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pendula.errors import DataError
from pendula.metrics.covariance import CovarianceDifferences, all_pairs, compare_covariances
from pendula.metrics.energy import EnergyTest, energy_test
from pendula.metrics.ess import effective_sample_size
from pendula.metrics.marginals import (
    KolmogorovSmirnov,
    MeanDifferences,
    compare_means,
    kolmogorov_smirnov,
)
from pendula.metrics.permutation import PERMUTATIONS
from pendula.metrics.power import Power, detectable
from pendula.metrics.samples import FloatArray, IndexArray, check_pair

__all__ = ["ALPHA", "LEAST_SAMPLES", "POWERS", "Family", "TwoSample", "compare_samples"]

ALPHA = 0.01
LEAST_SAMPLES = 32      # below, the large-sample formulas are not worth printing
POWERS = (0.9, 0.99)
_FAMILIES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Tests of one kind.

    Parameters
    ----------
    name : str
        What is tested.
    tests : int
        How many tests the family holds.
    p_value : float
        Smallest p-value, corrected for `tests`.
    level : float
        The family's share of alpha.
    """

    name: str
    tests: int
    p_value: float
    level: float

    @property
    def different(self) -> bool:
        """Whether the family found a difference."""
        return self.p_value <= self.level


@dataclass(frozen=True, eq=False, kw_only=True)
class TwoSample:
    """Two sets of samples compared.

    Parameters
    ----------
    alpha : float
        Probability of finding any difference between equal laws is at most this.
    families : tuple of Family
        Distribution functions, means, covariances and energy distance, at ``alpha / 4`` each.
    ks : KolmogorovSmirnov
        One test a node.
    means : MeanDifferences
        One test a feature.
    covariances : CovarianceDifferences
        One test a pair of features.
    energy : EnergyTest
        Of all features together.
    ess_a, ess_b : array, shape (F,)
        Effective sample size of each feature.
    power : tuple of Power
        What would have been found in the feature with the fewest effective samples.
    feature_nodes : array of int, shape (F,)
        Node of each feature: a state is one feature, a phase is two (all cosines, then all sines).
    """

    alpha: float
    families: tuple[Family, ...]
    ks: KolmogorovSmirnov
    means: MeanDifferences
    covariances: CovarianceDifferences
    energy: EnergyTest
    ess_a: FloatArray
    ess_b: FloatArray
    power: tuple[Power, ...]
    feature_nodes: IndexArray

    @property
    def different(self) -> bool:
        """Whether any family found a difference."""
        return any(family.different for family in self.families)


def compare_samples(a: npt.ArrayLike, b: npt.ArrayLike, *, seed: int, alpha: float = ALPHA,
                    periodic: bool = False, node_pairs: Sequence[tuple[int, int]] | None = None,
                    permutations: int = PERMUTATIONS) -> TwoSample:
    """Test whether two sets of samples have one law.

    Parameters
    ----------
    a, b : array, shapes (n, N) and (m, N)
        Real states in the order they were drawn, one column a node.
    seed : int
        Seed of the permutations.
    alpha : float
        Family-wise level of the whole verdict. Each of the four families has a quarter of it
        (Bonferroni); within a family the correction is Holm's (distribution functions),
        Bonferroni's (means) or the permutation law of the largest statistic (covariances).
    periodic : bool
        Whether states are phases in half turns. Means, covariances and energy distance then use
        their cosines and sines.
    node_pairs : sequence of (int, int), optional
        Pairs of nodes whose covariances are tested; all, variances included, where not given.
    permutations : int
        Random permutations of the tests of covariances and of the energy distance.

    Raises
    ------
    DataError
        If an array is wrong or holds fewer than 32 samples.
    """
    first, second = check_pair(a, b)
    if min(len(first), len(second)) < LEAST_SAMPLES:
        raise DataError(f"A statistical comparison must have at least {LEAST_SAMPLES} samples, "
                        f"not {min(len(first), len(second))}")
    nodes = first.shape[1]
    features = [_features(samples, periodic) for samples in (first, second)]
    ess = [effective_sample_size(values) for values in features]
    level = alpha / _FAMILIES
    pairs = all_pairs(nodes) if node_pairs is None else np.array(node_pairs, dtype=np.intp)
    ks = kolmogorov_smirnov(first, second)
    means = compare_means(*features, level=level)
    covariances = compare_covariances(*features, level=level, seed=seed,
                                      pairs=_feature_pairs(pairs, nodes) if periodic else pairs,
                                      permutations=permutations)
    energy = energy_test(*features, seed=seed, permutations=permutations)
    p_values = {"distribution functions": ks.p_holm, "means": means.p_corrected,
                "covariances": covariances.p_corrected,
                "energy distance": np.array([energy.p_value])}
    return TwoSample(
        alpha=alpha, ks=ks, means=means, covariances=covariances, energy=energy,
        families=tuple(Family(name=name, tests=len(p), p_value=float(p.min()), level=level)
                       for name, p in p_values.items()),
        ess_a=ess[0], ess_b=ess[1], feature_nodes=np.arange(len(ess[0])) % nodes,
        power=tuple(detectable(probability, ess_a=ess[0].min(), ess_b=ess[1].min(),
                               mean_tests=len(ess[0]), ks_tests=nodes, level=level)
                    for probability in POWERS))


def _features(samples: FloatArray, periodic: bool) -> FloatArray:
    if not periodic:
        return samples
    return np.concatenate([np.cos(np.pi * samples), np.sin(np.pi * samples)], axis=1)


def _feature_pairs(node_pairs: IndexArray, nodes: int) -> IndexArray:
    """Return all pairs of cosines and sines of pairs of nodes, each once."""
    shifts = np.array([(0, 0), (0, nodes), (nodes, 0), (nodes, nodes)])
    pairs = (node_pairs[:, None, :] + shifts).reshape(-1, 2)
    return np.unique(np.sort(pairs, axis=1), axis=0)
