"""Several signed numbers in one: multiplied and added together, and then taken apart."""

from collections.abc import Sequence
from typing import Any

from amaranth import *

__all__ = ["packed", "unpacked"]


def packed(values: Sequence[Any], bits: int) -> Any:
    """Return ``sum_r values[r] << r * bits``, of signed values or of integers.

    Sums of packed numbers, and products with one factor, are those of the values, as long as
    each of these stays a signed number of `bits` bits.
    """
    return sum(value << place * bits for place, value in enumerate(values))


def unpacked(word: Value, bits: int, count: int) -> list[Value]:
    """Return the signed values of a packed number: the sign of each was borrowed from the next."""
    values = []
    for _ in range(count):
        values.append(word[:bits].as_signed())
        word = word[bits:] + word[bits - 1]
    return values
