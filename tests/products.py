"""A component around products."""

from amaranth.hdl import C, Module, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from pendula_gateware.fabric import Fabric
from pendula_gateware.numeric.multiply import multiplied


class Product(wiring.Component):
    """Product of two signed values, or of one and a constant."""

    a: Signal
    b: Signal
    o: Signal

    def __init__(self, a_bits: int, b_bits: int | None, fabric: Fabric) -> None:
        self._constant, self._fabric = b_bits is None, fabric
        b_bits = b_bits or 2
        super().__init__({"a": In(signed(a_bits)), "b": In(signed(b_bits)),
                          "o": Out(signed(a_bits + b_bits))})

    def elaborate(self, platform):
        m = Module()
        b = C(1, signed(2)) if self._constant else self.b
        m.d.comb += self.o.eq(multiplied(m, "product", self.a, b, self._fabric))
        return m
