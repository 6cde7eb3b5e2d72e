from random import Random

import pytest
from cobs import cobs

from pendula.contract.protocol import HEADER_BYTES, MAX_REQUEST_BYTES, seal
from pendula_gateware.fabric import GENERIC, ICE40
from pendula_gateware.link.deframer import Deframer
from streams import get_packet, put, simulate

GOOD = cobs.encode(seal(b"valid"))


def run(frames, stall=0.0, seed=1, fabric=GENERIC):
    """Send frames, and check contents, drop counter and busy at the end."""
    expected = [content for content in map(Deframer.model, frames) if content is not None]
    dropped = sum(frame != b"" and Deframer.model(frame) is None for frame in frames)
    dut = Deframer(fabric=fabric)

    async def source(ctx):
        await put(ctx, dut.i, b"\0".join(frames) + b"\0", Random(seed), stall)

    async def sink(ctx):
        rng = Random(seed + 1)
        for content in expected:
            assert await get_packet(ctx, dut.o, rng, stall) == content

    async def end(ctx):
        await source(ctx)
        while ctx.get(dut.busy):
            await ctx.tick()
        assert ctx.get(dut.dropped) == dropped
        assert not ctx.get(dut.o.valid)

    simulate(dut, end, sink)
    return expected, dropped


@pytest.mark.parametrize("fabric", [GENERIC, ICE40], ids=lambda fabric: fabric.name)
@pytest.mark.parametrize("stall", [0.0, 0.4])
def test_good_frames_pass(stall, fabric):
    rng = Random(7)
    lengths = [HEADER_BYTES, HEADER_BYTES + 1, 250, 251, MAX_REQUEST_BYTES]
    contents = [rng.randbytes(length) for length in lengths]
    assert run([cobs.encode(seal(content)) for content in contents], stall,
               fabric=fabric) == (contents, 0)


def test_empty_frames_are_ignored():
    assert run([b"", b"", GOOD, b"", GOOD, b""]) == ([b"valid"] * 2, 0)


@pytest.mark.parametrize("bad", [
    b"\1",                                                  # empty content
    cobs.encode(b"\1"), cobs.encode(b"12345"),              # no room for header and CRC
    cobs.encode(seal(b"1")), cobs.encode(seal(b"")),        # CRC, but no header
    cobs.encode(b"no checksum"),
    GOOD[:-1], GOOD[1:], GOOD + b"\1", GOOD + b"\2", GOOD + b"\1\1",
    cobs.encode(seal(bytes([1]) * (MAX_REQUEST_BYTES + 1))),
    cobs.encode(seal(bytes(MAX_REQUEST_BYTES + 1))),
    bytes([1]) * 2100,
    bytes([255]) * 1100,
], ids=lambda frame: f"{len(frame)}-{frame[:4].hex()}")
def test_bad_frames_are_dropped(bad):
    assert run([bad, GOOD, bad, bad, GOOD], 0.05) == ([b"valid"] * 2, 3)


def test_every_flipped_bit_is_noticed():
    frames = []
    for bit in range(8 * len(GOOD)):
        damaged = bytearray(GOOD)
        damaged[bit // 8] ^= 1 << bit % 8
        frames += [*bytes(damaged).split(b"\0"), GOOD]
    contents, _ = run(frames)
    assert contents == [b"valid"] * (8 * len(GOOD))


@pytest.mark.parametrize(("seed", "fabric"), [(0, GENERIC), (1, GENERIC), (2, ICE40), (3, ICE40)])
def test_garbage_never_blocks(seed, fabric):
    rng = Random(seed)
    garbage = bytes(rng.choice((0, 1, 2, 5, 255, rng.randrange(256))) for _ in range(3000))
    contents, dropped = run([*garbage.split(b"\0"), GOOD], 0.1, seed, fabric)
    assert contents == [b"valid"]
    assert dropped > 100


def test_busy_lasts_until_the_content_is_taken():
    dut = Deframer()

    async def bench(ctx):
        await put(ctx, dut.i, GOOD)
        await ctx.tick()
        assert not ctx.get(dut.busy)
        await put(ctx, dut.i, b"\0")
        for _ in range(20):
            assert ctx.get(dut.busy)
            await ctx.tick()
        assert await get_packet(ctx, dut.o) == b"valid"
        assert not ctx.get(dut.busy)

    simulate(dut, bench)


def test_latency():
    dut = Deframer()

    async def bench(ctx):
        await put(ctx, dut.i, GOOD + b"\0")
        for _ in range(dut.latency - 1):
            assert not ctx.get(dut.o.valid)
            await ctx.tick()
        assert ctx.get(dut.o.valid)

    simulate(dut, bench)
