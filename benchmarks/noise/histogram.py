"""Test the twin's Gaussians against their exact law: chi-square and Anderson-Darling.

Run: python benchmarks/noise/histogram.py [--draws N] [--seed S]
"""

import argparse

import numpy as np
import numpy.typing as npt
from scipy import integrate, stats

from figures import keep
from pendula.contract.gaussian import GAUSSIAN_LAW
from pendula.twin.noise import GaussianSampler, NoiseStreams

SHAPE = 512, 2048           # draws of each stream, streams
POOL = 50                   # least expected count of a cell of the chi-square
Floats = npt.NDArray[np.float64]


def law() -> tuple[npt.NDArray[np.int64], Floats]:
    """Return the values and their probabilities."""
    counts = GAUSSIAN_LAW.counts()
    values = np.array(sorted(counts))
    return values, np.array([counts[v] / 2**GAUSSIAN_LAW.draw_bits for v in values.tolist()])


def histogram(draws: int, seed: int) -> npt.NDArray[np.int64]:
    """Count the Gaussians of 2,048 streams at a time, in order, by value."""
    high = GAUSSIAN_LAW.reach.hi
    (words, sides), xi = np.empty((2, *SHAPE), np.uint32), np.empty(SHAPE, np.int16)
    sampler, seen = GaussianSampler(SHAPE), np.zeros(2 * high + 1, np.int64)
    streams = NoiseStreams(seed, range(SHAPE[1]), draws // SHAPE[1])
    for done in range(0, draws, xi.size):
        streams.draw(words, sides)
        sampler.gaussians(words, sides, xi)
        seen += np.bincount(xi.ravel() + np.int16(high), minlength=len(seen))
        if done % (xi.size << 8) == 0:
            print(f"\r{done / draws:6.1%}", end="", flush=True)
    print("\r", end="")
    return seen


def chi_square(seen: npt.NDArray[np.int64], expected: Floats) -> tuple[float, int, float]:
    """Return statistic, degrees of freedom and p; the tails are pooled until POOL are expected."""
    inner = np.flatnonzero(expected >= POOL)
    low, high = inner[0], inner[-1] + 1

    def pool(values: npt.NDArray) -> npt.NDArray:
        return np.concatenate([[values[:low].sum()], values[low:high], [values[high:].sum()]])

    result = stats.chisquare(pool(seen), pool(expected))
    return float(result.statistic), int(high - low) + 1, float(result.pvalue)


def anderson_darling(seen: npt.NDArray[np.int64], p: Floats) -> tuple[float, float]:
    """Return the statistic of Anderson and Darling for a discrete law, and p.

    Choulakian, Lockhart and Stephens, "Cramer-von Mises statistics for discrete distributions",
    1994. The cells are so fine that the limit law of the continuous case holds: a sum of chi-square
    variables with weights 1 / (j (j + 1)), inverted after Imhof (1961).
    """
    n, below = seen.sum(), np.cumsum(p)[:-1]
    z = np.cumsum(seen - n * p)[:-1]
    statistic = float((z**2 * p[:-1] / (below * (1 - below))).sum() / n)
    j = np.arange(1, 2001)
    weights = 1 / (j * (j + 1))

    def integrand(u: float) -> float:
        angle = 0.5 * (np.arctan(weights * u).sum() - statistic * u)
        return np.sin(angle) / (u * np.exp(0.25 * np.log1p((weights * u) ** 2).sum()))

    inverted = integrate.quad(integrand, 0, 200, limit=2000)[0]
    return statistic, min(1.0, max(0.0, 0.5 + inverted / np.pi))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=1 << 33)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    values, p = law()
    seen = histogram(args.draws, args.seed)
    n = int(seen.sum())
    assert len(seen) == len(values), "the law has no gaps"
    statistic, freedom, chi_p = chi_square(seen, n * p)
    ad, ad_p = anderson_darling(seen, p)
    variance = float((p * values**2).sum())
    # Moments in units of their standard errors under the law
    errors = {}
    for order in (1, 2, 3, 4):
        mean = float((p * values**order).sum())
        spread = float((p * values.astype(float) ** (2 * order)).sum()) - mean**2
        found = float((seen * values.astype(float) ** order).sum()) / n
        errors[f"moment_{order}_errors"] = round((found - mean) / (spread / n) ** 0.5, 2)
    keep("histogram", {
        "draws": n, "seed": args.seed, "chi_square": round(statistic, 1),
        "degrees_of_freedom": freedom, "chi_square_p": round(chi_p, 4),
        "anderson_darling": round(ad, 3), "anderson_darling_p": round(ad_p, 4), **errors,
        "largest_sigma": round(float(abs(values[seen > 0]).max()) / variance**0.5, 2),
        "from_6_sigma": int(seen[abs(values) >= 6 * GAUSSIAN_LAW.sigma_raw].sum()),
        "from_6_sigma_expected": round(
            n * float(p[abs(values) >= 6 * GAUSSIAN_LAW.sigma_raw].sum()), 1)})


if __name__ == "__main__":
    main()
