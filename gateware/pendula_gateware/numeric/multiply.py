"""Products wider than one hardware multiplier, with registers around each stage."""

from amaranth import *

from pendula_gateware.fabric import ECP5, GENERIC, Fabric
from pendula_gateware.numeric.delay import delayed

__all__ = ["multiplied", "product", "product_latency"]


def product_latency(a_bits: int, b_bits: int, fabric: Fabric = GENERIC) -> int:
    """Return the cycles of :func:`multiplied`: three registers, and one more where it splits."""
    bits = fabric.multiplier_bits
    return 3 * fabric.registers + bool(bits and max(a_bits, b_bits) > bits)


def multiplied(m: Module, name: str, a: Value, b: Value, fabric: Fabric = GENERIC,
               en: Value | None = None) -> Value:
    """Return the product of two signed values, :func:`product_latency` cycles later.

    Parameters
    ----------
    m : Module
        Module that gets multipliers and registers.
    name : str
        What the names of the multipliers begin with.
    a, b : Value
        Factors, signed; wider ones than the fabric multiplies are split.
    fabric : Fabric
        What it is built for.
    en : Value, optional
        Count cycles with `en` alone.
    """
    bits = fabric.multiplier_bits
    partials = [
        product(m, f"{name}_{a_place}_{b_place}", a_part, b_part, fabric, en) << a_place + b_place
        for a_part, a_place in _parts(a, bits) for b_part, b_place in _parts(b, bits)]
    if len(partials) == 1:
        return partials[0]
    return delayed(m, sum(partials, C(0))[:len(a) + len(b)].as_signed(), 1, en)


def product(m: Module, name: str, a: Value, b: Value, fabric: Fabric = GENERIC,
            en: Value | None = None, behind: int = 2) -> Value:
    """Return the product of two signed values that one hardware multiplier takes.

    Where the fabric has registers, there is one before each factor that changes, as a multiplier
    may be far away, and `behind` after the product: those of the multiplier's cell, if the fabric
    names one, and flip-flops otherwise, as with `en`.
    """
    constant = isinstance(a, Const) or isinstance(b, Const)
    if fabric.names_cells and en is None and not constant:
        return _cell_product(m, name, a, b, behind)
    a, b = (value if isinstance(value, Const) else delayed(m, value, fabric.registers, en)
            for value in (a, b))
    return delayed(m, a * b, behind * fabric.registers, en)


def _cell_product(m: Module, name: str, a: Value, b: Value, behind: int) -> Value:
    """Return the product of an ECP5's multiplier, by registers of its own (FPGA-TN-02205)."""
    o = Signal(signed(2 * ECP5.multiplier_bits))
    ports = {"i_CLK0": ClockSignal(), "i_CE0": 1, "i_RST0": 0}
    for factor, value in (("A", a), ("B", b)):
        wide = Signal(signed(ECP5.multiplier_bits), name=f"{name}_{factor.lower()}")
        m.d.comb += wide.eq(value)
        ports |= {f"i_{factor}{place}": bit for place, bit in enumerate(wide)}
        ports |= {f"i_SIGNED{factor}": 1, f"i_SOURCE{factor}": 0}
    ports |= {f"i_C{place}": 0 for place in range(ECP5.multiplier_bits)}
    ports |= {f"o_P{place}": bit for place, bit in enumerate(o)}
    registers = ("INPUTA", "INPUTB", *["PIPELINE"] * (behind > 1), "OUTPUT")
    parameters = {f"p_REG_{register}_{control}": f"{control}0"
                  for register in registers for control in ("CLK", "CE", "RST")}
    m.submodules[name] = Instance("MULT18X18D", **parameters, **ports)
    return o[:len(a) + len(b)].as_signed()


def _parts(value: Value, bits: int) -> list[tuple[Value, int]]:
    """Split a signed value into signed parts, all but the last not negative, and their places."""
    if not bits or len(value) <= bits:
        return [(value, 0)]
    parts, place = [], 0
    while len(value) - place > bits:
        parts.append((Cat(value[place:place + bits - 1], C(0, 1)).as_signed(), place))
        place += bits - 1
    return [*parts, (value[place:].as_signed(), place)]
