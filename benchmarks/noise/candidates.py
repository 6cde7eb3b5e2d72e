"""Laws of Gaussian generators that fit an FPGA, computed exactly; components of those not taken.

Run: python benchmarks/noise/candidates.py
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from amaranth import *
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out
from scipy import special, stats

from figures import keep
from pendula.contract.gaussian import GAUSSIAN_LAW, TriangleMixture
from pendula.contract.noise import SIGMA_RAW, WORD_BITS
from pendula_gateware.numeric.delay import delayed

Floats = npt.NDArray[np.float64]
Law = tuple[npt.NDArray[np.signedinteger], Floats]          # values, probabilities


# Mixtures of triangles

def of_mixture(mixture: TriangleMixture) -> Law:
    counts = mixture.counts()
    values = sorted(counts)
    return np.array(values), np.array([counts[v] / 2**mixture.draw_bits for v in values])


# Inversion: octaves of the tail probability, 8 segments each, a straight line in each segment

SEGMENT_BITS, FRACTION_BITS, EXTRA_BITS = 3, 10, 3
OCTAVES = WORD_BITS


def segment(octave: int, part: int) -> tuple[int, int]:
    """Return offset and slope, with EXTRA_BITS fraction bits, over one segment."""
    width = 0.5 ** (octave + 1) if octave < OCTAVES - 1 else 0.0
    low = width * (1 + part / 2**SEGMENT_BITS) if width else 0.5 ** (OCTAVES - 1)
    at = np.arange(2**FRACTION_BITS) / 2**FRACTION_BITS
    tail = low + width / 2**SEGMENT_BITS * (at + 0.5 / 2**FRACTION_BITS)
    slope, offset = np.polyfit(at, -special.ndtri(tail / 2) * SIGMA_RAW * 2**EXTRA_BITS, 1)
    return round(offset), round(slope)


def of_inversion() -> Law:
    """Count words by enumerating octave, segment and fraction; the rest of a word is free."""
    counts: dict[int, int] = {}
    for octave in range(OCTAVES):
        for part in range(2**SEGMENT_BITS):
            offset, slope = segment(octave, part)
            rest = max(0, WORD_BITS - 1 - octave - 1)            # bits below the leading one
            known = min(rest, SEGMENT_BITS)
            if part % 2 ** (SEGMENT_BITS - known):
                continue                                        # bits that ran out are zeros
            bits = min(rest - known, FRACTION_BITS)
            for at in range(0, 2**FRACTION_BITS, 2 ** (FRACTION_BITS - bits)):
                value = (offset + (slope * at >> FRACTION_BITS) + 2 ** (EXTRA_BITS - 1)
                         ) >> EXTRA_BITS
                weight = 2 ** (rest - known - bits)
                for signed_value in (value, -value):
                    counts[signed_value] = counts.get(signed_value, 0) + weight
    values = np.arange(min(counts), max(counts) + 1)
    assert sum(counts.values()) == 2**WORD_BITS
    return values, np.array([counts.get(v, 0) / 2**WORD_BITS for v in values.tolist()])


# Sums

def of_table_hadamard(bits: int = 9, terms: int = 8) -> Law:
    """One output of eight: a sum of signed rows of a table of quantiles, rounded once."""
    quantiles = special.ndtri((np.arange(2**bits) + 0.5) / 2**bits)
    scale = SIGMA_RAW * terms / math.sqrt(terms) / quantiles.std()
    rows = np.round(quantiles * scale).astype(int)
    law = np.bincount(rows - rows.min()) / len(rows)
    return rounded(convolved(law, terms), terms)


def of_uniforms(terms: int, bits: int = 8) -> Law:
    """A sum of uniforms, scaled to the standard deviation and rounded."""
    law = convolved(np.full(2**bits, 0.5**bits), terms)
    sigma = math.sqrt(terms * (4**bits - 1) / 12)
    return rounded(law, sigma / SIGMA_RAW)


def convolved(law: Floats, times: int) -> Floats:
    result = np.ones(1)
    for _ in range(times):
        result = np.convolve(result, law)
    return result


def rounded(law: Floats, step: float) -> Law:
    """Divide a symmetric law's values by `step` and round them."""
    centre = (len(law) - 1) / 2
    near = np.floor((np.arange(len(law)) - centre) / step + 0.5).astype(int)
    values = np.arange(near.min(), near.max() + 1)
    return values, np.bincount(near - near.min(), law).astype(float)


# Figures

def draws_to_see(values: npt.NDArray[np.signedinteger], p: Floats, sigma: float) -> float:
    """Return how many draws a chi-square test of the histogram takes at level 0.01, power 0.9.

    Against the Gaussian of the same standard deviation, rounded; cells of at least five expected.
    """
    ideal = np.diff(special.ndtr((np.append(values, values[-1] + 1) - 0.5) / sigma))
    for draws in 10.0 ** np.arange(3, 15, 0.05):
        inner = draws * ideal >= 5
        found, wanted = np.append(p[inner], 1 - p[inner].sum()), np.append(
            ideal[inner], 1 - ideal[inner].sum())
        shift = draws * ((found - wanted) ** 2 / np.maximum(wanted, 1e-15)).sum()
        freedom = inner.sum()
        if stats.ncx2.sf(stats.chi2.isf(0.01, freedom), freedom, shift) >= 0.9:
            return draws
    return math.inf


def describe(law: Law, bits: int) -> dict[str, float]:
    values, p = law
    sigma = math.sqrt((p * values**2).sum())

    def tail(sigmas: float) -> float:
        first = math.floor(sigmas * sigma) + 1
        return p[values >= first].sum() / stats.norm.sf((first - 0.5) / sigma) - 1

    return {"bits": bits, "sigma_raw": round(sigma, 4),
            "excess_kurtosis": float(f"{(p * values**4.0).sum() / sigma**4 - 3:.2g}"),
            "reach_sigma": round(float(values[p > 0].max()) / sigma, 2),
            **{f"tail_{k}": round(float(tail(k)), 4) for k in (3, 4, 5, 6)},
            "draws_to_see": float(f"{draws_to_see(values, p, sigma):.2g}")}


MIXTURES = {"64 triangles": TriangleMixture(6, 14, 6), "64 triangles, 48 bits":
            TriangleMixture(6, 30, 6), "128 triangles": TriangleMixture(7, 29, 5),
            "256 triangles, 40 bits": TriangleMixture(8, 24, 4), "256 triangles": GAUSSIAN_LAW,
            "512 triangles": TriangleMixture(9, 27, 3)}
OTHERS: dict[str, tuple[Callable[[], Law], int]] = {
    "inversion, 8 lines an octave": (of_inversion, WORD_BITS),
    "Table-Hadamard, 512 rows, 8 terms": (of_table_hadamard, 9),
    "sum of 12 uniforms": (lambda: of_uniforms(12), 96),
    "sum of 4 uniforms": (lambda: of_uniforms(4), 32)}


# A component for inversion

class InversionMapper(wiring.Component):
    """Map words to Gaussians by :func:`segment`: leading zeros, table, one product.

    Members
    -------
    draw : :py:`In(32)`
        Uniform word: sign, then the tail probability.
    gaussian : :py:`Out(signed(12))`
        Its Gaussian.

    Notes
    -----
    Latency 5 cycles, throughput 1 a cycle.
    """

    draw: Signal
    gaussian: Signal

    def __init__(self) -> None:
        super().__init__({"draw": In(WORD_BITS), "gaussian": Out(signed(12))})

    def _normalised(self, m: Module) -> tuple[Value, Value]:
        """Return the count of leading zeros and the bits below the leading one."""
        left: Any = self.draw[1:]
        zeros = []
        for shift in (16, 8, 4, 2, 1):
            none, following = Signal(), Signal(len(left))
            m.d.comb += [none.eq(left[-shift:] == 0),
                         following.eq(Mux(none, left << shift, left))]
            zeros.insert(0, none)
            left = following
        return Cat(zeros), left[-1 - SEGMENT_BITS - FRACTION_BITS:-1]

    def elaborate(self, platform):
        m = Module()
        rows: list[Any] = [dict(zip(("offset", "slope"), segment(octave, part), strict=True))
                           for octave in range(OCTAVES) for part in range(2**SEGMENT_BITS)]
        shape = data.StructLayout({"offset": signed(15), "slope": signed(12)})
        m.submodules.table = table = memory.Memory(shape=shape, depth=len(rows), init=rows)
        read = table.read_port()
        octave, below = self._normalised(m)
        octave, below = delayed(m, octave, 1), delayed(m, below, 1)
        m.d.comb += read.addr.eq(Cat(below[FRACTION_BITS:], octave))
        row: Any = delayed(m, read.data, 1)
        product = Signal(signed(12 + FRACTION_BITS))
        m.d.sync += product.eq(row.slope * delayed(m, below[:FRACTION_BITS], 2))
        value = Signal(signed(15))
        m.d.comb += value.eq((delayed(m, row.offset, 1) + (product >> FRACTION_BITS)
                              + (1 << EXTRA_BITS >> 1)) >> EXTRA_BITS)
        m.d.sync += self.gaussian.eq(Mux(delayed(m, self.draw[0], 4), -value, value))
        return m


def main() -> None:
    figures = {name: describe(of_mixture(law), law.draw_bits) for name, law in MIXTURES.items()}
    figures |= {name: describe(law(), bits) for name, (law, bits) in OTHERS.items()}
    keep("candidates", figures)


if __name__ == "__main__":
    main()
