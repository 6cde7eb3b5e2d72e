from random import Random

import pytest
from cobs import cobs

from pendula_gateware.link.cobs import BUFFER_BYTES, Decoded, Decoder, Encoder
from streams import get, put, put_packet, simulate

STALLS = [0.0, 0.4]

PACKETS = [
    b"\0", b"\1", b"\0\0", b"\1\0", b"\0\1", bytes(300),
    *(bytes([255]) * length + end for length in (253, 254, 255) for end in (b"", b"\0", b"\7\0")),
    bytes([1]) * 508,
]


def random_packets(rng, count, longest):
    """Packets in which zeros are rare, common, or everything."""
    return [bytes(rng.randrange(1, 256) if rng.random() > zeros else 0
                  for _ in range(rng.randint(1, longest)))
            for zeros in (0.004, 0.1, 0.5) for _ in range(count)]


@pytest.mark.parametrize("stall", STALLS)
def test_encoder_equals_library(stall):
    packets = PACKETS + random_packets(Random(1), 1, 600)
    expected = b"".join(cobs.encode(packet) + b"\0" for packet in packets)
    dut = Encoder()

    async def source(ctx):
        rng = Random(2)
        for packet in packets:
            await put_packet(ctx, dut.i, packet, rng, stall)

    async def sink(ctx):
        assert bytes(await get(ctx, dut.o, len(expected), Random(3), stall)) == expected
        await ctx.tick().repeat(4)
        assert not ctx.get(dut.busy)

    assert b"".join(map(dut.model, packets)) == expected
    simulate(dut, source, sink)


def test_encoder_stops_where_its_ring_is_full():
    cases = [(b"\0" + bytes([1]) * length + b"\0", bytes(9))    # it ends as room does, or after
             for length in range(BUFFER_BYTES - 12, BUFFER_BYTES)]
    dut = Encoder()

    async def source(ctx):
        for packets in cases:
            for packet in packets:
                await put_packet(ctx, dut.i, packet)
            await ctx.tick().until(~dut.busy)

    async def sink(ctx):
        for packets in cases:
            await ctx.tick().repeat(BUFFER_BYTES + 8)       # as nothing is taken
            expected = b"".join(map(dut.model, packets))
            assert bytes(await get(ctx, dut.o, len(expected))) == expected

    simulate(dut, source, sink)


def test_encoder_sends_a_byte_a_cycle():
    packet = bytes([1]) * 2540
    dut = Encoder()

    async def source(ctx):
        await put_packet(ctx, dut.i, packet)

    async def sink(ctx):
        await get(ctx, dut.o, len(dut.model(packet)))

    simulate(dut, source, sink, timeout_cycles=len(packet) + len(packet) // 254 + 260)


def decoded(frame):
    """Items that the decoder makes of the bytes before a delimiter."""
    packet = Decoder.model(frame)
    if packet is None:
        return None
    return [(byte, 0, 0) for byte in packet] + ([(0, 1, 0)] if frame else [])


@pytest.mark.parametrize("stall", STALLS)
def test_decoder_equals_library(stall):
    rng = Random(4)
    frames = [cobs.encode(packet) for packet in PACKETS + random_packets(rng, 1, 300)]
    frames += [b"", b"", b"\1", b"\1\1", b"\xff" + bytes([9]) * 254 + b"\1"]
    expected = [item for frame in frames for item in decoded(frame) or []]
    dut = Decoder()

    async def source(ctx):
        await put(ctx, dut.i, b"".join(frame + b"\0" for frame in frames), Random(5), stall)

    async def sink(ctx):
        for data, end, malformed in expected:
            item, = await get(ctx, dut.o, 1, rng, stall)
            assert (item.data, item.end, item.malformed) == (data, end, malformed)

    simulate(dut, source, sink)


def test_decoder_flags_what_the_library_refuses():
    rng = Random(6)
    frames = [bytes(rng.choices((1, 2, 3, 4, 255), k=rng.randint(1, 8))) for _ in range(300)]
    dut = Decoder()
    assert {decoded(frame) is None for frame in frames} == {False, True}

    async def source(ctx):
        await put(ctx, dut.i, b"".join(frame + b"\0" for frame in frames), rng, 0.1)

    async def sink(ctx):
        for frame in frames:
            items = []
            while not items or not items[-1].end:
                items += await get(ctx, dut.o, 1)
            expected = decoded(frame)
            assert items[-1].malformed == (expected is None)
            if expected is not None:
                assert [(item.data, item.end, item.malformed) for item in items] == expected

    simulate(dut, source, sink)


def test_decoder_latency():
    dut = Decoder()

    async def bench(ctx):
        ctx.set(dut.o.ready, 1)
        await put(ctx, dut.i, [2, 7])
        for _ in range(dut.latency - 1):
            assert not ctx.get(dut.o.valid)
            await ctx.tick()
        assert ctx.get(dut.o.valid)
        assert ctx.get(dut.o.payload) == Decoded.const({"data": 7})

    simulate(dut, bench)
