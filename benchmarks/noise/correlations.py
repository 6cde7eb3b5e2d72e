"""Correlations of Gaussians and of their squares: between lanes and at every lag up to 4,096.

Run: python benchmarks/noise/correlations.py [--blocks B] [--seed S]
"""

import argparse
import itertools

import numpy as np
import numpy.typing as npt
from scipy import stats

from figures import keep
from pendula.twin.noise import GaussianSampler, NoiseStreams

LANES = 6                   # at every lag
WIDE = 64                   # at lag 0
LAGS = 4096
BLOCK = 1 << 19             # draws of each lane at a time
LEVEL, POWER = 0.01, 0.99
Floats = npt.NDArray[np.float64]


def blocks(seed: int, lanes: int, count: int, rows: int):
    """Yield Gaussians of unit variance, shape (lanes, rows)."""
    (words, sides), xi = np.empty((2, rows, lanes), np.uint32), np.empty((rows, lanes), np.int16)
    streams, sampler = NoiseStreams(seed, range(lanes), count * rows), GaussianSampler(xi.shape)
    for done in range(count):
        streams.draw(words, sides)
        sampler.gaussians(words, sides, xi)
        print(f"\r{done}/{count} ", end="", flush=True)
        yield xi.T / 256.0
    print("\r", end="")


def lagged(x: Floats, sums: dict[tuple[int, int], Floats]) -> None:
    """Add up, for every pair of lanes, products at lags -LAGS..LAGS within the block."""
    size = BLOCK + 2 * LAGS
    spectra = np.fft.rfft(x, size)
    for a, b in itertools.combinations_with_replacement(range(len(x)), 2):
        products = np.fft.irfft(spectra[a].conj() * spectra[b], size)
        sums[a, b] = sums.get((a, b), 0.0) + np.concatenate([products[-LAGS:],
                                                             products[: LAGS + 1]])


def judge(z: Floats, terms: float) -> dict[str, object]:
    """Compare correlations, in standard errors, with independent standard normals."""
    largest, tests = float(np.abs(z).max()), z.size
    level = 1 - (1 - LEVEL) ** (1 / tests)
    bound = (stats.norm.isf(level / 2) + stats.norm.isf(1 - POWER)) / terms**0.5
    return {"correlations": tests, "largest_errors": round(largest, 2),
            "p_of_largest": round(float(-np.expm1(tests * np.log1p(-2 * stats.norm.sf(largest)))),
                                  3),
            "spread_errors": round(float(z.std()), 4), "bound": float(f"{bound:.2g}")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--blocks", type=int, default=64)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    plain: dict[tuple[int, int], Floats] = {}
    squares: dict[tuple[int, int], Floats] = {}
    for x in blocks(args.seed, LANES, args.blocks, BLOCK):
        lagged(x, plain)
        lagged((x**2 - 1) / 2**0.5, squares)
    terms = args.blocks * (BLOCK - np.abs(np.arange(-LAGS, LAGS + 1)))
    figures: dict[str, object] = {"seed": args.seed, "lanes": LANES, "lags": LAGS, "level": LEVEL,
                                  "power": POWER, "draws_of_a_lane": args.blocks * BLOCK}
    for name, sums in (("values", plain), ("squares", squares)):
        z = {pair: total / np.sqrt(terms) for pair, total in sums.items()}
        one = np.concatenate([z[a, b][LAGS + 1:] for a, b in z if a == b])
        two = np.concatenate([z[a, b] for a, b in z if a != b])
        figures[f"lags of one lane, {name}"] = judge(one, terms.min())
        figures[f"lags between lanes, {name}"] = judge(two, terms.min())
    gram, rows = np.zeros((WIDE, WIDE)), 1 << 16
    count = max(1, args.blocks * BLOCK // rows)
    for x in blocks(args.seed + 1, WIDE, count, rows):
        gram += x @ x.T
    pairs = gram[np.triu_indices(WIDE, 1)] / (count * rows) ** 0.5
    figures[f"{WIDE} lanes at lag 0, values"] = judge(pairs, count * rows)
    keep("correlations", figures)


if __name__ == "__main__":
    main()
