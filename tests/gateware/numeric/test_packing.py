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


def check(numbers):
    """Take numbers apart, and compare with the values that each came of."""
    component = Apart()

    async def run(ctx):
        for number, values in numbers:
            ctx.set(component.i, number)
            assert [*ctx.get(component.o)] == values

    simulate(component, run)


def test_all_triples():
    check((packed(values, BITS), [*values]) for values in product(range(-4, 4), repeat=COUNT))


def test_sums_and_products_are_those_of_the_values():
    small = [*product((-1, 0, 1), repeat=COUNT)]
    check((packed(left, BITS) + factor * packed(right, BITS),
           [a + factor * b for a, b in zip(left, right, strict=True)])
          for left, right, factor in product(small, small, (-2, -1, 2)))
