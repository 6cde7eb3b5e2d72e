"""Products wider than one hardware multiplier, with registers around each stage."""

from amaranth import *

from pendula_gateware.numeric.delay import delayed

__all__ = ["multiplied", "product_latency"]


def product_latency(a_bits: int, b_bits: int, bits: int, stages: int = 1) -> int:
    """Return the cycles of :func:`multiplied`: `stages` three times, and one where it splits."""
    return 3 * stages + bool(bits and max(a_bits, b_bits) > bits)


def multiplied(m: Module, a: Value, b: Value, bits: int, stages: int = 1,
               en: Value | None = None) -> Value:
    """Return the product of two signed values, :func:`product_latency` cycles later.

    Parameters
    ----------
    m : Module
        Module that gets multipliers and registers.
    a, b : Value
        Factors, signed.
    bits : int
        Bits of a signed factor of one multiplier; wider ones are split. 0 never splits.
    stages : int
        Registers before each multiplier, which may be far away, and, twice as many, after it.
    en : Value, optional
        Count cycles with `en` alone.
    """
    a, b = (value if isinstance(value, Const) else delayed(m, value, stages, en)
            for value in (a, b))
    partials = [delayed(m, a_part * b_part, 2 * stages, en) << a_place + b_place
                for a_part, a_place in _parts(a, bits) for b_part, b_place in _parts(b, bits)]
    if len(partials) == 1:
        return partials[0]
    return delayed(m, sum(partials, C(0))[:len(a) + len(b)].as_signed(), 1, en)


def _parts(value: Value, bits: int) -> list[tuple[Value, int]]:
    """Split a signed value into signed parts, all but the last not negative, and their places."""
    parts, place = [], 0
    while bits and len(value) - place > bits:
        parts.append((Cat(value[place:place + bits - 1], C(0, 1)).as_signed(), place))
        place += bits - 1
    return [*parts, (value[place:].as_signed(), place)]
