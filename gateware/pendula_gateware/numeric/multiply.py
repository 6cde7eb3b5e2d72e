"""Products wider than one hardware multiplier, with a register after each stage."""

from amaranth import *

from pendula_gateware.numeric.delay import registered

__all__ = ["PRODUCT_LATENCY", "multiplied"]

PRODUCT_LATENCY = 2
"""Cycles of :func:`multiplied`."""


def multiplied(m: Module, a: Value, b: Value, bits: int) -> Signal:
    """Return the product of two signed values, :data:`PRODUCT_LATENCY` cycles later.

    Parameters
    ----------
    m : Module
        Module that gets multipliers and registers.
    a, b : Value
        Factors, signed.
    bits : int
        Bits of a signed factor of one multiplier; wider ones are split. 0 never splits.
    """
    partials = [registered(m, high * low) << place_a + place_b
                for high, place_a in _parts(a, bits) for low, place_b in _parts(b, bits)]
    product = Signal(signed(len(a) + len(b)), reset_less=True)
    m.d.sync += product.eq(sum(partials))
    return product


def _parts(value: Value, bits: int) -> list[tuple[Value, int]]:
    """Split a signed value into signed parts, all but the last not negative, and their places."""
    parts, place = [], 0
    while bits and len(value) - place > bits:
        parts.append((Cat(value[place:place + bits - 1], C(0, 1)).as_signed(), place))
        place += bits - 1
    return [*parts, (value[place:].as_signed(), place)]
