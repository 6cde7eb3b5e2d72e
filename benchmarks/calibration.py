"""Measure level and power of the statistical comparison: how often it errs, how often it finds.

    python benchmarks/calibration.py [replicates]
"""

import sys
from collections import Counter
from collections.abc import Callable
from itertools import pairwise

import numpy as np

from pendula.metrics import ALPHA, TwoSample, compare_samples
from pendula.metrics.samples import FloatArray

SAMPLES, NODES = 256, 16

Draw = Callable[[np.random.Generator], FloatArray]


def gaussian(rng: np.random.Generator) -> FloatArray:
    """Draw correlated Gaussians."""
    common = rng.standard_normal((SAMPLES, 1))
    return 0.6 * common + 0.8 * rng.standard_normal((SAMPLES, NODES))


def bimodal(rng: np.random.Generator) -> FloatArray:
    """Draw states near -1 or 1, unlike for each node, as a trained array gives."""
    up = rng.random((SAMPLES, NODES)) < np.linspace(0.02, 0.98, NODES)
    return np.where(up, 1.0, -1.0) + 0.1 * rng.standard_normal((SAMPLES, NODES))


def heavy_tails(rng: np.random.Generator) -> FloatArray:
    """Draw Student's t with three degrees of freedom."""
    return rng.standard_t(3, (SAMPLES, NODES))


def lattice(rng: np.random.Generator) -> FloatArray:
    """Draw Gaussians rounded so coarsely that most values tie."""
    return np.round(2 * gaussian(rng)) / 2


def chain(rng: np.random.Generator) -> FloatArray:
    """Draw a sequence with lag-one correlation 0.7."""
    states = rng.standard_normal((SAMPLES, NODES))
    for before, after in pairwise(states):
        after *= np.sqrt(1 - 0.7**2)
        after += 0.7 * before
    return states


def phases(rng: np.random.Generator) -> FloatArray:
    """Draw phases around half a turn, where the range wraps."""
    return (1 + 0.2 * rng.standard_normal((SAMPLES, NODES)) + 1) % 2 - 1


def count_findings(replicates: int, draw: Draw, change: Draw, *, periodic: bool = False) -> Counter:
    """Return how many comparisons found a difference, by family and in all."""
    found = Counter()
    for seed in range(replicates):
        rng = np.random.default_rng([seed, 1])
        result = compare_samples(draw(rng), change(rng), seed=seed, periodic=periodic)
        found.update(family.name for family in result.families if family.different)
        found["any"] += result.different
    return found


def independent(rng: np.random.Generator) -> FloatArray:
    """Draw independent standard Gaussians."""
    return rng.standard_normal((SAMPLES, NODES))


def stated_power() -> TwoSample:
    """Return one comparison, for the power that it states."""
    rng = np.random.default_rng(0)
    return compare_samples(independent(rng), independent(rng), seed=0)


def main() -> None:
    """Print the table."""
    replicates = int(sys.argv[1]) if len(sys.argv) > 1 else 400
    print(f"{replicates} comparisons of {SAMPLES} with {SAMPLES} samples of {NODES} nodes, "
          f"alpha = {ALPHA}; number that found a difference")
    for draw in (gaussian, bimodal, heavy_tails, lattice, chain, phases):
        found = count_findings(replicates, draw, draw, periodic=draw is phases)
        print(f"  equal laws, {draw.__name__:12}: {dict(found)}")
    for power in stated_power().power:
        def shifted(rng: np.random.Generator, by: float = power.mean_shift_sd) -> FloatArray:
            samples = independent(rng)
            samples[:, 3] += by
            return samples

        def mixed(rng: np.random.Generator, by: float = power.ks_distance) -> FloatArray:
            samples = independent(rng)     # a share of the node's samples moves beyond the median
            negative = np.flatnonzero(samples[:, 3] < 0)
            moved = rng.random(len(negative)) < 2 * by
            samples[negative[moved], 3] *= -1
            return samples

        name = f"stated power {power.probability}"
        for change, size in ((shifted, power.mean_shift_sd), (mixed, power.ks_distance)):
            found = count_findings(replicates, independent, change)
            print(f"  {name}, {change.__name__} by {size:.3f}: {dict(found)}")


if __name__ == "__main__":
    main()
