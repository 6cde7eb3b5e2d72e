"""What is packed is added up and multiplied as one number, and comes apart again."""

from itertools import product

from amaranth import *
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from pendula_gateware.numeric.packing import packed, unpacked
from streams import simulate

BITS, COUNT = 3, 3


class Apart(wiring.Component):
    """Take a packed number apart."""

    i: Signal
    o: data.View

    def __init__(self) -> None:
        super().__init__({"i": In(signed(12)), "o": Out(data.ArrayLayout(signed(BITS), COUNT))})

    def elaborate(self, platform):
        m = Module()
        for place, value in enumerate(unpacked(self.i, BITS, COUNT)):
            m.d.comb += self.o[place].eq(value)
        return m


def test_all_triples():
    component = Apart()

    async def run(ctx):
        for values in product(range(-4, 4), repeat=COUNT):
            ctx.set(component.i, packed(values, BITS))
            assert [*ctx.get(component.o)] == [*values]

    simulate(component, run)


def test_arithmetic_is_that_of_the_values():
    left, right = [-3, 7, -1], [2, -8, 0]
    assert packed(left, 8) + 5 * packed(right, 8) == packed(
        [a + 5 * b for a, b in zip(left, right, strict=True)], 8)
