"""Split products equal products."""

from dataclasses import replace
from random import Random

import pytest
from amaranth.back import rtlil  # pyright: ignore[reportAttributeAccessIssue]

from pendula_gateware.fabric import ECP5, GENERIC
from pendula_gateware.numeric.multiply import product_latency
from products import Product
from streams import simulate


@pytest.mark.parametrize("stages", [0, 1])
@pytest.mark.parametrize("bits", [0, 4, 5, 16])
@pytest.mark.parametrize(("a_bits", "b_bits"), [(3, 3), (4, 9), (5, 5), (17, 6), (16, 24)])
def test_products(a_bits, b_bits, bits, stages):
    fabric = replace(GENERIC, multiplier_bits=bits, registers=stages)
    latency = product_latency(a_bits, b_bits, fabric)
    component, rng = Product(a_bits, b_bits, fabric), Random(a_bits)

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


@pytest.mark.parametrize(("a_bits", "b_bits", "cells"), [(9, 18, 1), (9, 19, 2), (19, 36, 6)])
def test_cells_have_the_registers(a_bits, b_bits, cells):
    text = rtlil.convert(Product(a_bits, b_bits, ECP5.synthesised), emit_src=False)
    assert text.count("cell \\MULT18X18D") == cells
    for register in ("INPUTA", "INPUTB", "PIPELINE", "OUTPUT"):
        assert text.count(f'parameter \\REG_{register}_CLK "CLK0"') == cells
    assert text.count("cell $dff") == (cells > 1)       # of the sum


def test_a_constant_needs_no_multiplier():
    text = rtlil.convert(Product(9, None, ECP5.synthesised), emit_src=False)
    assert "MULT18X18D" not in text
