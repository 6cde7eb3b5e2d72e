"""Memories keep what the bus writes, a row a cycle, and show it to the bus and to the array."""

from dataclasses import replace
from random import Random

import pytest

from pendula.contract import ArraySpec, get_physics
from pendula.contract.memory import Memory
from pendula_gateware.array.store import RowStore
from pendula_gateware.fabric import ECP5, GENERIC
from streams import simulate

SPEC = ArraySpec(physics=get_physics("quartic"), nodes=11, offsets=(-2, 1), segments=1)


@pytest.mark.parametrize("fabric", [
    GENERIC, replace(ECP5, bank_depth=4), replace(ECP5, bank_depth=4, buffers=2)],
    ids=["whole", "in banks", "twice in banks"])
def test_rows_are_written_in_every_cycle(fabric):
    store, rng = RowStore(spec=SPEC, number=Memory.NODE, fabric=fabric), Random(3)
    buffers = range(fabric.buffers)
    rows = [(buffer, row) for buffer in buffers for row in range(SPEC.nodes)]
    width = store.o.shape().size
    image = {place: rng.getrandbits(width) for place in rows}

    async def bench(ctx):
        ctx.set(store.bus.write, 1)
        for place in rng.sample(rows, len(rows)):
            ctx.set(store.bus.memory, Memory.NODE)
            ctx.set(store.bus.buffer, place[0])
            ctx.set(store.bus.row, place[1])
            ctx.set(store.bus.write_data, image[place])
            await ctx.tick()
        # what another memory is told, and what is not written, leaves no trace
        ctx.set(store.bus.memory, Memory.TABLE)
        ctx.set(store.bus.write_data, 0)
        await ctx.tick()
        ctx.set(store.bus.write, 0)
        ctx.set(store.bus.memory, Memory.NODE)
        await ctx.tick().repeat(store.latency)
        for buffer, row in rows:
            ctx.set(store.bus.buffer, buffer)
            ctx.set(store.bus.row, row)
            await ctx.tick().repeat(store.latency)
            assert ctx.get(store.bus.read_data) == image[buffer, row]
        ctx.set(store.use, 1)
        for buffer in buffers:
            ctx.set(store.buffer, buffer)
            for cycle in range(SPEC.nodes + store.latency):
                if cycle >= store.latency:
                    assert (ctx.get(store.o.as_value())
                            == image[buffer, cycle - store.latency])
                ctx.set(store.row, min(cycle, SPEC.nodes - 1))
                await ctx.tick()

    simulate(store, bench)
