"""The Gaussian: a mixture of triangles, drawn by an alias table and a sum of two uniforms.

After D. B. Thomas, "FPGA Gaussian random number generators with guaranteed statistical accuracy",
FCCM 2014. The probability mass function follows from the table, in exact integers:
:meth:`TriangleMixture.counts`.
"""

import math
from dataclasses import dataclass
from functools import cached_property

from pendula.contract.numbers import Interval
from pendula.errors import ContractError

__all__ = ["GAUSSIAN_LAW", "AliasCell", "TriangleMixture"]


@dataclass(frozen=True, slots=True)
class AliasCell:
    """One row of the alias table.

    Parameters
    ----------
    threshold : int
        The cell keeps draws below this, of ``2**threshold_bits``.
    alias : int
        Cell that the other draws go to.
    """

    threshold: int
    alias: int


@dataclass(frozen=True)
class TriangleMixture:
    """A map from uniform bits to Gaussians, and its exact law.

    The bits of a draw, from bit 0 up: first uniform, threshold, second uniform, cell. A cell
    stands for a triangle ``2**uniform_bits`` raw units wide on either side; neighbouring triangles
    are as far apart.

    Parameters
    ----------
    cell_bits : int
        Bits that choose a cell.
    threshold_bits : int
        Bits that decide between a cell and its alias.
    uniform_bits : int
        Bits of each of the two uniforms that add up to a triangle.
    sigma_raw : int
        Standard deviation, in raw units.

    Raises
    ------
    ContractError
        If a number is not positive, or the cells are wider than a standard deviation or span less
        than four of them.
    """

    cell_bits: int = 8
    threshold_bits: int = 28
    uniform_bits: int = 4
    sigma_raw: int = 256

    def __post_init__(self) -> None:
        for name in ("cell_bits", "threshold_bits", "uniform_bits", "sigma_raw"):
            if getattr(self, name) < 1:
                raise ContractError(f"{name} must be at least 1, not {getattr(self, name)}")
        low, high = 1 << self.uniform_bits, self.cells << self.uniform_bits >> 3
        if not low <= self.sigma_raw <= high:
            raise ContractError(f"sigma_raw of {self.cells} cells must be within {low}..{high}, "
                                f"not {self.sigma_raw}")

    @property
    def cells(self) -> int:
        """Number of cells."""
        return 1 << self.cell_bits

    @property
    def draw_bits(self) -> int:
        """Uniform bits that one Gaussian takes."""
        return self.cell_bits + self.threshold_bits + 2 * self.uniform_bits

    @property
    def reach(self) -> Interval:
        """Least and largest value."""
        high = max(self.counts())
        return Interval(-high, high)

    def centre(self, cell: int) -> int:
        """Return the centre of a cell's triangle."""
        return (2 * cell - (self.cells - 1)) << (self.uniform_bits - 1)

    def weights(self) -> list[int]:
        """Return the triangles' integer weights, symmetric, in ``2**(cell + threshold bits)``."""
        pitch = 1 << self.uniform_bits
        variance = self.sigma_raw**2 - (pitch**2 - 1) / 6   # the triangle itself adds the rest
        density = [math.exp(-(self.centre(cell) ** 2) / (2 * variance))
                   for cell in range(self.cells // 2)]
        total = 1 << (self.cell_bits + self.threshold_bits - 1)
        mass = math.fsum(density)                           # the same on every version of Python
        ideal = [value * total / mass for value in density]
        weights = [int(value) for value in ideal]
        by_rest = sorted(range(len(ideal)), key=lambda cell: weights[cell] - ideal[cell])
        for cell in by_rest[: total - sum(weights)]:        # largest remainders first
            weights[cell] += 1
        return weights + weights[::-1]

    @cached_property
    def table(self) -> tuple[AliasCell, ...]:
        """Alias table, one row a cell, by Vose's method in integers."""
        full = 1 << self.threshold_bits
        left = self.weights()
        table = [AliasCell(0, cell) for cell in range(self.cells)]   # alias to itself: always kept
        small = [cell for cell, weight in enumerate(left) if weight < full]
        large = [cell for cell, weight in enumerate(left) if weight > full]
        while small and large:
            cell, donor = small.pop(), large[-1]
            table[cell] = AliasCell(left[cell], donor)
            left[donor] -= full - left[cell]
            if left[donor] <= full:
                large.pop()
                if left[donor] < full:
                    small.append(donor)
        return tuple(table)

    def gaussian(self, draw: int) -> int:
        """Return the raw Gaussian that `draw_bits` uniform bits stand for."""
        def take(bits: int) -> int:
            nonlocal draw
            field = draw & ((1 << bits) - 1)
            draw >>= bits
            return field

        first, threshold = take(self.uniform_bits), take(self.threshold_bits)
        second, cell = take(self.uniform_bits), take(self.cell_bits)
        row = self.table[cell]
        if threshold >= row.threshold:
            cell = row.alias
        return self.centre(cell) + first + second - ((1 << self.uniform_bits) - 1)

    def counts(self) -> dict[int, int]:
        """Return the exact law: how many of the ``2**draw_bits`` draws give each raw value."""
        full, span = 1 << self.threshold_bits, (1 << self.uniform_bits) - 1
        weights = [0] * self.cells
        for cell, row in enumerate(self.table):
            weights[cell] += row.threshold
            weights[row.alias] += full - row.threshold
        counts: dict[int, int] = {}
        for cell, weight in enumerate(weights):
            for step in range(-span, span + 1) if weight else ():
                value = self.centre(cell) + step
                counts[value] = counts.get(value, 0) + weight * (span + 1 - abs(step))
        return counts


GAUSSIAN_LAW = TriangleMixture()
"""The law of the noise source; docs/adr/0008 compares it with others."""
