# amaranth: UnusedElaboratable=no
"""Delay lines delay, in registers and in memory alike."""

from random import Random

import pytest

from pendula_gateware.fabric import ECP5, GENERIC, ICE40
from pendula_gateware.numeric.delay import RING_DEPTH, DelayLine
from streams import simulate


@pytest.mark.parametrize("fabric", [GENERIC, ICE40, ECP5], ids=lambda fabric: fabric.name)
@pytest.mark.parametrize("depth", [1, 2, RING_DEPTH - 1, RING_DEPTH, RING_DEPTH + 1, 40])
def test_delay_line(depth, fabric):
    component = DelayLine(shape=13, depth=depth, fabric=fabric)
    values = [Random(depth).getrandbits(13) for _ in range(200)]
    seen = []

    async def run(ctx):
        for value in values:
            ctx.set(component.i, value)
            seen.append(ctx.get(component.o))
            await ctx.tick()

    simulate(component, run)
    assert component.latency == depth
    assert seen[depth:] == values[:-depth]


def test_depth_is_checked():
    with pytest.raises(ValueError, match="depth must be at least 1, not 0"):
        DelayLine(shape=1, depth=0)
