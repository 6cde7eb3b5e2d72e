"""Tap line and state reader."""

from dataclasses import replace

import pytest

from pendula.contract import PHYSICS, ArraySpec
from pendula_gateware.array.lane import TapLine
from pendula_gateware.array.shapes import accumulator_shape, packs_edges
from pendula_gateware.fabric import ECP5, GENERIC
from pendula_gateware.numeric.packing import packed
from streams import simulate


@pytest.mark.parametrize("offsets", [(-7, -2, 1, 4), (1,), (-3,), (2, 3), (-20, 20)])
@pytest.mark.parametrize("physics", ["quartic", "kuramoto"])
@pytest.mark.parametrize("fold", [1, 2, 5])
@pytest.mark.parametrize("fabric", [GENERIC, ECP5], ids=lambda fabric: fabric.name)
def test_taps_show_the_neighbours(physics, offsets, fold, fabric):
    """For all cycles of a node."""
    spec = ArraySpec(physics=PHYSICS[physics], nodes=50, offsets=offsets)
    component = TapLine(spec=spec, fabric=replace(fabric, fold=fold))
    bits = accumulator_shape(spec, "partial").width
    stream = [[(37 * n + 11 * r) % 251 - 125 for r in range(spec.physics.rank)] for n in range(50)]

    async def run(ctx):
        for cycle in range(50 * fold + component.latency):
            if cycle < 50 * fold:
                ctx.set(component.i, stream[cycle // fold])
            ctx.set(component.step, cycle % fold == fold - 1)
            node = (cycle - component.latency) // fold
            for k, offset in enumerate(offsets):
                if 0 <= node + offset < 50 and 0 <= node < 50:
                    shown, sent = ctx.get(component.o[k]), stream[node + offset]
                    assert (shown == packed(sent, bits) if packs_edges(spec, fabric)
                            else [*shown] == sent), (node, offset)
            await ctx.tick()

    simulate(component, run)
