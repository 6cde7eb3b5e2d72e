"""Number types: width, binary point, rounding and overflow belong to the type."""

import enum
from dataclasses import dataclass

from pendula.errors import ContractError

__all__ = ["Interval", "NumberFormat", "Overflow", "signed_format"]


class Overflow(enum.StrEnum):
    """What happens to a value outside the range of its type."""

    WRAP = "wrap"
    SATURATE = "saturate"


@dataclass(frozen=True, slots=True)
class Interval:
    """Closed interval of integers, for proofs that nothing overflows.

    Parameters
    ----------
    lo, hi : int
        Smallest and largest member.
    """

    lo: int
    hi: int

    def __post_init__(self) -> None:
        if self.lo > self.hi:
            raise ContractError(f"Interval must have lo <= hi, not {self.lo} > {self.hi}")

    @classmethod
    def symmetric(cls, hi: int) -> "Interval":
        """Return the interval of all integers of magnitude at most `hi`."""
        return cls(-hi, hi)

    def __add__(self, other: "Interval") -> "Interval":
        return Interval(self.lo + other.lo, self.hi + other.hi)

    def __mul__(self, other: "Interval") -> "Interval":
        ends = [a * b for a in (self.lo, self.hi) for b in (other.lo, other.hi)]
        return Interval(min(ends), max(ends))

    def __lshift__(self, bits: int) -> "Interval":
        return Interval(self.lo << bits, self.hi << bits)

    def times(self, count: int) -> "Interval":
        """Return the interval of sums of `count` members."""
        return Interval(self.lo * count, self.hi * count)

    @property
    def signed_bits(self) -> int:
        """Width of the narrowest two's complement integer that holds every member."""
        return 1 + max(self.hi, ~self.lo).bit_length()


@dataclass(frozen=True, slots=True)
class NumberFormat:
    """Two's complement fixed-point type; rounding is always half up, once.

    Parameters
    ----------
    i_bits : int
        Integer bits, the sign bit included.
    f_bits : int
        Fraction bits; the real value is ``raw * 2**-f_bits``.
    overflow : Overflow
        Rule for values outside the range.
    """

    i_bits: int
    f_bits: int
    overflow: Overflow

    def __post_init__(self) -> None:
        if self.i_bits < 1 or self.f_bits < 0:
            raise ContractError("NumberFormat must have i_bits >= 1 and f_bits >= 0, "
                                f"not {self.i_bits}, {self.f_bits}")

    def __str__(self) -> str:
        return f"SQ{self.i_bits}.{self.f_bits}-{self.overflow}"

    @property
    def width(self) -> int:
        """Number of bits."""
        return self.i_bits + self.f_bits

    @property
    def lo(self) -> int:
        """Smallest raw value."""
        return -(1 << (self.width - 1))

    @property
    def hi(self) -> int:
        """Largest raw value."""
        return (1 << (self.width - 1)) - 1

    @property
    def interval(self) -> Interval:
        """All raw values."""
        return Interval(self.lo, self.hi)

    def fit(self, raw: int) -> tuple[int, bool]:
        """Apply the overflow rule to an integer at this type's binary point.

        Returns
        -------
        tuple of int and bool
            The raw value, and whether saturation changed it (never for ``WRAP``).
        """
        if self.overflow is Overflow.WRAP:
            return ((raw - self.lo) & ((1 << self.width) - 1)) + self.lo, False
        fitted = max(self.lo, min(self.hi, raw))
        return fitted, fitted != raw

    def reduce(self, raw: int, f_bits: int) -> tuple[int, bool]:
        """Round half up an integer with `f_bits` *more* fraction bits than this type; fit it."""
        if f_bits > 0:
            raw = (raw + (1 << (f_bits - 1))) >> f_bits
        return self.fit(raw)


def signed_format(width: int, f_bits: int = 0) -> NumberFormat:
    """Return the saturating signed type of `width` bits."""
    return NumberFormat(width - f_bits, f_bits, Overflow.SATURATE)
