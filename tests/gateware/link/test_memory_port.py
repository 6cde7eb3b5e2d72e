import zlib
from dataclasses import replace
from random import Random

import pytest
from amaranth import *
from amaranth.lib import wiring

from gateware.traffic import small_spec
from pendula.contract.memory import Memory, memory_layouts
from pendula.contract.protocol import Status
from pendula_gateware.array.array import OscillatorArray
from pendula_gateware.fabric import ECP5, GENERIC, ICE40
from pendula_gateware.interfaces import MEMORY_READ_LATENCY
from pendula_gateware.link.memory_port import MemoryPort
from streams import get_packet, put_packet, simulate

SPEC = small_spec("kuramoto")
SUMS = 11
LAYOUTS = memory_layouts(SPEC, SUMS)
MASK = (1 << 32) - 1


class PortWithArray(wiring.Component):
    """Memory port with the memories that it is made for."""

    def __init__(self, fabric):
        self.port = MemoryPort(spec=SPEC, sums=SUMS, fabric=fabric)
        self.array = OscillatorArray(spec=SPEC, sums=SUMS, fabric=fabric)
        super().__init__({})

    def elaborate(self, platform):
        m = Module()
        m.submodules.port, m.submodules.array = self.port, self.array
        wiring.connect(m, self.port.bus, self.array.bus)
        return m


class Driver:
    """Starts commands, and records what is written."""

    def __init__(self, fabric=GENERIC):
        self.dut = PortWithArray(fabric)
        self.port = self.dut.port
        self.written = []

    async def record(self, ctx):
        bus = self.port.bus
        while True:
            _, _, write, *where = await ctx.tick().sample(bus.write, bus.memory, bus.row,
                                                          bus.write_data)
            if write:
                self.written.append(tuple(where))

    async def _finish(self, ctx):
        cycles = 1
        while not ctx.get(self.port.done):
            await ctx.tick()
            cycles += 1
        result = ctx.get(self.port.status), ctx.get(self.port.crc)
        ctx.set(self.port.run, 0)
        await ctx.tick()
        return *result, cycles

    async def write(self, ctx, memory, first, tail, rng=None, stall=0.0):
        self.written.clear()
        ctx.set(self.port.memory, memory)
        ctx.set(self.port.first, first)
        ctx.set(self.port.check, 0)
        ctx.set(self.port.run, 1)
        await put_packet(ctx, self.port.tail, tail, rng, stall)
        status, _, _ = await self._finish(ctx)
        await ctx.tick()        # the last row may be a cycle behind
        return status

    async def check(self, ctx, memory, first, rows):
        ctx.set(self.port.memory, memory)
        ctx.set(self.port.first, first)
        ctx.set(self.port.rows, rows)
        ctx.set(self.port.check, 1)
        ctx.set(self.port.run, 1)
        return await self._finish(ctx)

    async def read(self, ctx, memory, first, rows, rng=None, stall=0.0):
        """Return the status and the bytes; nothing is sent where the status is bad."""
        ctx.set(self.port.memory, memory)
        ctx.set(self.port.first, first)
        ctx.set(self.port.rows, rows)
        ctx.set(self.port.check, 0)
        ctx.set(self.port.read, 1)
        ctx.set(self.port.run, 1)
        while not ctx.get(self.port.done):
            assert not ctx.get(self.port.o.valid)
            await ctx.tick()
        status, content = ctx.get(self.port.status), b""
        if status == Status.OK:
            content = await get_packet(ctx, self.port.o, rng, stall)
        assert not ctx.get(self.port.o.valid)
        assert (ctx.get(self.port.done), ctx.get(self.port.status)) == (1, status)
        ctx.set(self.port.run, 0)
        ctx.set(self.port.read, 0)
        await ctx.tick()
        return status, content


def pieces(memory, first, tail):
    """Rows as the bus must see them."""
    layout = LAYOUTS[memory]
    values = [int.from_bytes(tail[k:k + layout.row_bytes], "little") & ((1 << layout.width) - 1)
              for k in range(0, len(tail) // layout.row_bytes * layout.row_bytes,
                             layout.row_bytes)]
    return [(memory, first + k, value) for k, value in enumerate(values)
            if first + k < layout.rows]


@pytest.mark.parametrize(("fabric", "stall"), [
    (GENERIC, 0.0), (GENERIC, 0.3), (replace(ECP5, bank_depth=4), 0.3),
    (replace(ICE40, large_bits=1), 0.3)], ids=["at once", "stalled", "in banks", "compact"])
@pytest.mark.parametrize("memory", Memory)
def test_rows_are_written_checked_and_read(memory, fabric, stall):
    layout, driver, rng = LAYOUTS[memory], Driver(fabric), Random(memory)
    image = [bytes(layout.row_bytes)] * layout.rows

    async def bench(ctx):
        for _ in range(2):
            first = rng.randrange(layout.rows)
            tail = rng.randbytes(layout.row_bytes * rng.randint(1, layout.rows - first))
            assert await driver.write(ctx, memory, first, tail, rng, stall) == Status.OK
            expected = pieces(memory, first, tail)
            width = len(Value.cast(driver.port.bus.write_data))
            mask = (1 << min(width, layout.width)) - 1
            assert [(m, row, data & mask) for m, row, data in driver.written] == expected
            for _, row, data in expected:
                image[row] = data.to_bytes(layout.row_bytes, "little")
            start = rng.randrange(layout.rows)
            rows = rng.randint(1, layout.rows - start)
            content = b"".join(image[start:start + rows])
            status, crc, cycles = await driver.check(ctx, memory, start, rows)
            assert (status, crc) == (Status.OK, zlib.crc32(content))
            byte_cycles = 9 if fabric.compact else 1
            assert cycles <= (byte_cycles * (len(content) + 1)
                              + (MEMORY_READ_LATENCY + 1) * rows + 2)
            assert await driver.read(ctx, memory, start, rows, rng, stall) == (Status.OK, content)

    simulate(driver.dut, bench, checks=[driver.record])


@pytest.mark.parametrize("memory", Memory)
def test_rows_beyond_the_end_are_refused(memory):
    layout, driver = LAYOUTS[memory], Driver()
    row = bytes(range(1, layout.row_bytes + 1))
    cases = [(layout.rows, 1, 0), (layout.rows - 1, 2, 1), (MASK, 3, 0), (MASK - 1, 1, 0)]

    async def bench(ctx):
        for first, rows, written in cases:
            assert await driver.write(ctx, memory, first, rows * row) == Status.BAD_ADDRESS
            assert len(driver.written) == written
            status, _, _ = await driver.check(ctx, memory, first, rows)
            assert status == Status.BAD_ADDRESS
            assert await driver.read(ctx, memory, first, rows) == (Status.BAD_ADDRESS, b"")
        for rows in (0, layout.rows + 1, MASK):
            assert await driver.read(ctx, memory, 0, rows) == (Status.BAD_ADDRESS, b"")
        assert (await driver.check(ctx, memory, layout.rows, 0))[0] == Status.BAD_ADDRESS
        assert (await driver.check(ctx, memory, 0, 0))[:2] == (Status.OK, 0)

    simulate(driver.dut, bench, checks=[driver.record])


@pytest.mark.parametrize("memory", [
    memory for memory, layout in LAYOUTS.items() if layout.row_bytes > 1])
def test_ragged_tails_are_refused(memory):
    layout, driver = LAYOUTS[memory], Driver()
    row = bytes(range(1, layout.row_bytes + 1))

    async def bench(ctx):
        for length in (*range(1, layout.row_bytes), layout.row_bytes + 1):
            status = await driver.write(ctx, memory, 1, (2 * row)[:length])
            assert status == Status.BAD_LENGTH
            assert len(driver.written) == length // layout.row_bytes

    simulate(driver.dut, bench, checks=[driver.record])


@pytest.mark.parametrize("memory", [max(Memory) + 1, 128, 255])
def test_unknown_memories_are_refused(memory):
    driver = Driver()

    async def bench(ctx):
        assert await driver.write(ctx, memory, 0, bytes(40)) == Status.BAD_ADDRESS
        assert not driver.written
        for rows in (0, 1, MASK):
            assert (await driver.check(ctx, memory, 0, rows))[0] == Status.BAD_ADDRESS
            assert await driver.read(ctx, memory, 0, rows) == (Status.BAD_ADDRESS, b"")

    simulate(driver.dut, bench, checks=[driver.record])
