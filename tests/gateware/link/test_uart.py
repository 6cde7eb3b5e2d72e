# amaranth: UnusedElaboratable=no
"""The UART on its wires: bits of the right length, and bytes from wires that are not ideal."""

import math
from random import Random

import pytest

from pendula.contract.uart import FRAME_BITS
from pendula.errors import ContractError
from pendula_gateware.link.uart import (
    MIN_CYCLES_A_BIT,
    UartReceiver,
    UartTransmitter,
    baud_error,
    baud_tolerance,
)
from streams import get, put, simulate
from wires import levels_of, read_wire

BAUD_HZ = 1_000_000
CLOCKS_HZ = [4_000_000, 6_900_000, 12_000_000, 27_500_000]


def receiver(clock_hz: int = 8_000_000) -> UartReceiver:
    return UartReceiver(clock_hz=clock_hz, baud_hz=BAUD_HZ)


async def drive(ctx, dut, levels):
    for level in levels:
        ctx.set(dut.rx, level)
        await ctx.tick()
    ctx.set(dut.rx, 1)
    await ctx.tick().repeat(4 * dut.latency)


def count_losses(dut, lost: list[None]):
    """Return a process that appends to a list for each byte that is lost."""
    async def count(ctx):
        while True:
            _, _, loses = await ctx.tick().sample(dut.lost)
            lost.extend([None] * loses)

    return count


def receive(dut, levels) -> tuple[list[int], int]:
    """Return the bytes that the receiver makes of levels, one a clock cycle, and those it lost."""
    received, lost = [], []

    async def wire(ctx):
        await drive(ctx, dut, levels)

    async def sink(ctx):
        ctx.set(dut.o.ready, 1)
        while True:
            _, _, valid, byte = await ctx.tick().sample(dut.o.valid, dut.o.payload)
            if valid:
                received.append(byte)

    simulate(dut, wire, checks=[sink, count_losses(dut, lost)], timeout_cycles=len(levels) + 100)
    return received, len(lost)


def random_bytes(seed: int, count: int = 60) -> bytes:
    return bytes((0x00, 0xFF, 0x55, 0xAA, 0x80, 0x01)) + Random(seed).randbytes(count)


@pytest.mark.parametrize("mismatch", [-1, -0.6, 0, 0.6, 1])
@pytest.mark.parametrize("clock_hz", CLOCKS_HZ)
def test_bytes_are_received_within_the_tolerance(clock_hz, mismatch):
    """All of it, with a gap of any phase between two bytes."""
    rate = 1 + 0.999 * mismatch * baud_tolerance(clock_hz, BAUD_HZ)
    data = random_bytes(1, count=20)
    levels = levels_of(data, rate * clock_hz / BAUD_HZ, Random(2))
    assert receive(receiver(clock_hz), levels) == ([*data], 0)


def test_the_tolerance_is_two_percent_or_more():
    for clock_hz in CLOCKS_HZ:
        assert 0.02 < baud_tolerance(clock_hz, BAUD_HZ) < 0.0527


@pytest.mark.parametrize("mismatch", [-0.08, 0.08])
def test_bytes_beyond_the_tolerance_are_wrong(mismatch):
    """So the test above can fail."""
    data = random_bytes(3)
    levels = levels_of(data, (1 + mismatch) * 12, Random(4))
    assert receive(receiver(12_000_000), levels)[0] != [*data]


def test_bytes_without_a_gap_are_received_at_another_rate():
    data = random_bytes(5)
    for mismatch in (-0.02, 0.02):
        levels = levels_of(data, (1 + mismatch) * 8)
        assert receive(receiver(), levels) == ([*data], 0)


def test_a_byte_without_a_stop_bit_is_lost_and_the_next_is_not():
    rng = Random(6)
    broken = levels_of(b"\x0f", 8)[:-8] + [0] * 8
    levels = (levels_of(b"ab", 8, rng) + broken + [0] * 99 + [1] * 8 + levels_of(b"c", 8, rng)
              + broken + [1] * 8 + levels_of(b"d", 8))
    assert receive(receiver(), levels) == ([*b"abcd"], 2)


def test_spikes_are_outvoted_and_short_dips_are_no_byte():
    rng = Random(7)
    levels = levels_of(random_bytes(8), 8, rng)
    for place in range(3, len(levels) - 3, 5):         # one cycle of each five, far from edges
        if len({*levels[place - 2:place + 3]}) == 1:
            levels[place] ^= 1
    assert receive(receiver(), [1] * 9 + [0] * 3 + [1] * 20 + levels) == ([*random_bytes(8)], 0)


def test_a_byte_that_is_not_taken_stays_and_the_next_are_lost():
    dut, lost = receiver(), []

    async def bench(ctx):
        await drive(ctx, dut, levels_of(b"abc", 8))
        assert len(lost) == 2
        assert bytes(await get(ctx, dut.o, 1)) == b"a"
        await drive(ctx, dut, levels_of(b"d", 8))
        assert bytes(await get(ctx, dut.o, 1)) == b"d"
        assert len(lost) == 2

    simulate(dut, bench, checks=[count_losses(dut, lost)])


def test_receiver_latency():
    dut = receiver()

    async def bench(ctx):
        cycles = []
        for _ in range(2):
            for cycle, level in enumerate(levels_of(b"\x5a", 8) + [1] * 20):
                ctx.set(dut.rx, level)
                if ctx.get(dut.o.valid):
                    cycles.append(cycle - (FRAME_BITS - 0.5) * 8)
                    break
                await ctx.tick()
            ctx.set(dut.o.ready, 1)
            await ctx.tick().repeat(2)
        assert len(cycles) == 2
        assert max(abs(cycle - dut.latency) for cycle in cycles) <= 1

    simulate(dut, bench)


@pytest.mark.parametrize("clock_hz", CLOCKS_HZ)
@pytest.mark.parametrize("stall", [0.0, 0.02])
def test_transmitter(clock_hz, stall):
    """Every bit is as long as it should be, within a cycle; bytes follow without a gap."""
    dut = UartTransmitter(clock_hz=clock_hz, baud_hz=BAUD_HZ)
    data = random_bytes(9, 30)
    levels = []

    async def source(ctx):
        await put(ctx, dut.i, data, Random(10), stall)
        while ctx.get(dut.busy):
            await ctx.tick()

    async def wire(ctx):
        while True:
            levels.append(ctx.get(dut.tx))
            await ctx.tick()

    simulate(dut, source, checks=[wire])
    assert bytes(read_wire(levels, clock_hz / BAUD_HZ)) == data
    if not stall:
        bits = FRAME_BITS * len(data)
        assert abs(len(levels) - bits * clock_hz / BAUD_HZ) <= 3
    assert levels[-1] == 1


def test_transmitter_latency_and_idle_wire():
    dut = UartTransmitter(clock_hz=4 * BAUD_HZ, baud_hz=BAUD_HZ)

    async def bench(ctx):
        for _ in range(5 * FRAME_BITS):
            assert (ctx.get(dut.tx), ctx.get(dut.busy), ctx.get(dut.i.ready)) == (1, 0, 1)
            await ctx.tick()
        await put(ctx, dut.i, b"\xff")
        assert (ctx.get(dut.tx), ctx.get(dut.busy)) == (0, 1)

    simulate(dut, bench)


@pytest.mark.parametrize(("clock_hz", "baud_hz"), [
    (12_000_000, 3_000_000), (100_000_000, 115_200), (25_000_000, 921_600), (48_000_000, 9600)])
def test_baud_error_is_that_of_the_generator(clock_hz, baud_hz):
    """Against the number of cycles that ten thousand bits take."""
    error = baud_error(clock_hz, baud_hz)
    increment = UartReceiver(clock_hz=clock_hz, baud_hz=baud_hz)._phase_increment
    cycles = math.ceil((10_000 << 24) / increment)
    assert abs(10_000 * clock_hz / baud_hz / cycles - 1 - error) < 2 / cycles
    assert abs(error) < 1e-3


@pytest.mark.parametrize("block", [UartReceiver, UartTransmitter])
@pytest.mark.parametrize(("baud_hz", "message"), [
    (3_000_001, "must be within 1..3000000 at a clock of 12000000 Hz, not 3000001"),
    (0, "must be within")])
def test_rates_that_cannot_be_are_refused(block, baud_hz, message):
    with pytest.raises(ContractError, match=message):
        block(clock_hz=MIN_CYCLES_A_BIT * 3_000_000, baud_hz=baud_hz)
    with pytest.raises(ContractError, match="must be at least 6 at a clock of 100000000 Hz, not 1"):
        block(clock_hz=100_000_000, baud_hz=1)
