"""Laws of noise in exact probabilities, and how many samples tell two laws apart."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats
from scipy.special import ndtr

from pendula.contract.gaussian import GAUSSIAN_LAW, TriangleMixture
from pendula.metrics.samples import FloatArray

LEVEL, POWER = 0.01, 0.9
SEPARATION = float(stats.norm.isf(LEVEL) + stats.norm.ppf(POWER)) ** 2   # n times chi-square

Distribution = Callable[[FloatArray], FloatArray]     # t to the probability of less than t


def normal(t: FloatArray) -> FloatArray:
    """Return the distribution function of the ideal Gaussian."""
    return np.asarray(ndtr(t))


def samples_needed(p: FloatArray, q: FloatArray) -> float:
    """Return the samples from `p` that the best test against `q` needs."""
    assert max(abs(p.sum() - 1), abs(q.sum() - 1)) < 1e-9
    hellinger = float(((np.sqrt(np.abs(p)) - np.sqrt(np.abs(q))) ** 2).sum()) / 2
    return SEPARATION / max(-8 * np.log1p(-min(hellinger, 1 - 1e-16)), 1e-15)


@dataclass(frozen=True, eq=False)
class Law:
    """A symmetric law in exact probabilities; values are in units of the nominal sigma."""

    name: str
    kind: str
    draw_bits: int
    values: FloatArray
    p: FloatArray

    def __post_init__(self) -> None:
        assert abs(self.p.sum() - 1) < 1e-12, self.name
        assert np.allclose(self.p, self.p[::-1], atol=1e-15), self.name
        assert np.allclose(self.values, -self.values[::-1]), self.name

    def below(self, t: FloatArray) -> FloatArray:
        """Return the probability of values less than `t`."""
        return np.append(0, np.cumsum(self.p))[np.searchsorted(self.values, t)]

    def moment(self, order: int) -> float:
        """Return a moment."""
        return float(self.p @ self.values**order)

    @property
    def cumulants(self) -> tuple[float, float, float]:
        """Variance less 1, excess kurtosis, sixth standardised cumulant."""
        m2, m4, m6 = (self.moment(order) for order in (2, 4, 6))
        return m2 - 1, m4 / m2**2 - 3, m6 / m2**3 - 15 * m4 / m2**2 + 30


def from_values(name: str, kind: str, draw_bits: int, raw: npt.NDArray[Any], weight: FloatArray,
                sigma: float = 0) -> Law:
    """Return the law of weighted raw values; sigma is its own standard deviation if not given."""
    values, inverse = np.unique(raw, return_inverse=True)
    p = np.bincount(inverse, weight) / weight.sum()
    p = (p + p[::-1]) / 2           # rounding errors of the sums
    return Law(name, kind, draw_bits, values / (sigma or np.sqrt(p @ values**2)), p)


def mixture(name: str, kind: str, law: TriangleMixture) -> Law:
    """Return the law of triangles."""
    raw, count = (np.array(column, float) for column in zip(*sorted(law.counts().items()),
                                                            strict=True))
    return from_values(name, kind, law.draw_bits, raw, count, law.sigma_raw)


def rescaled(name: str, kind: str, law: TriangleMixture) -> Law:
    """Return the law of triangles in units of its own standard deviation."""
    one = mixture(name, kind, law)
    return from_values(name, kind, law.draw_bits, one.values, one.p)


def uniform_sum(terms: int, bits: int) -> Law:
    """Return the law of a sum of uniforms."""
    p, one = np.ones(1), np.full(1 << bits, 0.5**bits)
    for _ in range(terms):
        p = np.convolve(p, one)
    raw = 2 * np.arange(len(p)) - float(len(p) - 1)
    return from_values(f"sum of {terms}" if terms > 1 else "uniform", "other", terms * bits, raw, p)


def all_laws() -> list[Law]:
    """Return the laws compared, the contract's first."""
    contract = mixture("contract", "contract", GAUSSIAN_LAW)
    raw, bits = np.round(contract.values * GAUSSIAN_LAW.sigma_raw), GAUSSIAN_LAW.draw_bits
    laws = [contract]
    for width in (3, 4, 5):         # narrower than triangles can be: rounded from 12 bits
        step = 2.0 ** (12 - width)
        rounded = np.sign(raw) * np.floor(np.abs(raw) / step + 0.5) * step
        laws.append(from_values(f"{width} bits", "bits", bits, rounded, contract.p))
    for width in range(6, 17):
        cell_bits = min(width - 1, 8)
        triangles = TriangleMixture(cell_bits, 36 - cell_bits, max(1, width - 8), 2 ** (width - 4))
        laws.append(mixture(f"{width} bits", "bits", triangles))
    for kind, sigma in (("reach", 0), ("reach, not rescaled", GAUSSIAN_LAW.sigma_raw)):
        for reach in (2, 2.5, 3, 3.5, 4, 4.5, 5):
            kept = np.abs(raw) <= reach * GAUSSIAN_LAW.sigma_raw
            laws.append(from_values(f"{reach} sigma", kind, bits, raw[kept], contract.p[kept],
                                    sigma))
    laws += [mixture("64 triangles, 32 bits", "other", TriangleMixture(6, 14, 6)),
             rescaled("half a draw", "other", TriangleMixture(7, 13, 1, 16)),
             rescaled("quarter of a draw", "other", TriangleMixture(5, 4, 1, 6))]
    laws += [uniform_sum(4, 10), uniform_sum(8, 9), uniform_sum(12, 9), uniform_sum(1, 10)]
    return [*laws, from_values("two points", "other", 1, np.array([-1.0, 1.0]), np.ones(2))]
