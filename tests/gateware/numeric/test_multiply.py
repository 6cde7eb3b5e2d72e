"""Split products equal products."""

from random import Random

import pytest
from amaranth.hdl import Module, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from pendula_gateware.numeric.multiply import multiplied, product_latency
from streams import simulate


class Multiplier(wiring.Component):
    a: Signal
    b: Signal
    o: Signal

    def __init__(self, a_bits: int, b_bits: int, bits: int, stages: int) -> None:
        self._bits, self._stages = bits, stages
        super().__init__({"a": In(signed(a_bits)), "b": In(signed(b_bits)),
                          "o": Out(signed(a_bits + b_bits))})

    def elaborate(self, platform):
        m = Module()
        m.d.comb += self.o.eq(multiplied(m, self.a, self.b, self._bits, self._stages))
        return m


@pytest.mark.parametrize("stages", [0, 1])
@pytest.mark.parametrize("bits", [0, 4, 5, 16])
@pytest.mark.parametrize(("a_bits", "b_bits"), [(3, 3), (4, 9), (5, 5), (17, 6), (16, 24)])
def test_products(a_bits, b_bits, bits, stages):
    latency = product_latency(a_bits, b_bits, bits, stages)
    component, rng = Multiplier(a_bits, b_bits, bits, stages), Random(a_bits)

    def draw(width: int) -> int:
        low, high = -(1 << width - 1), (1 << width - 1) - 1
        return rng.choice((low, high, -1, 0, 1, rng.randint(low, high)))

    factors = [(draw(a_bits), draw(b_bits)) for _ in range(200)]
    products: list[int] = []

    async def run(ctx):
        for cycle in range(len(factors) + latency):
            if cycle < len(factors):
                ctx.set(component.a, factors[cycle][0])
                ctx.set(component.b, factors[cycle][1])
            if cycle >= latency:
                products.append(ctx.get(component.o))
            await ctx.tick()

    simulate(component, run)
    assert products == [a * b for a, b in factors]
