"""A buffered stream is the same stream."""

from random import Random

import pytest

from pendula_gateware.numeric.buffer import StreamBuffer
from streams import get, put, simulate


@pytest.mark.parametrize("stalls", [(0.0, 0.0), (0.5, 0.0), (0.0, 0.5), (0.4, 0.6)])
def test_order_and_count(stalls):
    component = StreamBuffer(8)
    sent = [Random(1).randrange(256) for _ in range(200)]
    received: list[int] = []
    cycles = []

    async def feed(ctx):
        await put(ctx, component.i, sent, Random(2), stalls[0])

    async def receive(ctx):
        received.extend(await get(ctx, component.o, len(sent), Random(3), stalls[1]))

    async def count(ctx):
        while len(received) < len(sent):
            cycles.append(1)
            await ctx.tick()

    simulate(component, feed, receive, count)
    assert received == sent
    if not any(stalls):
        assert len(cycles) <= len(sent) + StreamBuffer.latency + 1


def test_no_path_through():
    """While the output stalls, input is accepted twice, and not in the cycle of a transfer."""
    component = StreamBuffer(8)

    async def run(ctx):
        ctx.set(component.i.valid, 1)
        await ctx.tick().repeat(3)
        assert not ctx.get(component.i.ready)
        ctx.set(component.o.ready, 1)
        assert not ctx.get(component.i.ready)
        ctx.set(component.i.valid, 0)
        await ctx.tick()
        assert ctx.get(component.i.ready)

    simulate(component, run)
