from random import Random

import pytest

from pendula_gateware.fabric import ECP5, GENERIC, ICE40
from pendula_gateware.link.deframer import Deframer
from pendula_gateware.link.framer import Framer
from streams import get, put_packet, simulate

on_fabrics = pytest.mark.parametrize("fabric", [ECP5, GENERIC, ICE40],
                                     ids=lambda fabric: fabric.name)


@on_fabrics
@pytest.mark.parametrize("stall", [0.0, 0.4])
def test_frames_hold_content_and_crc(stall, fabric):
    rng = Random(1)
    contents = [rng.randbytes(length) for length in (2, 3, 248, 249, 250, 251, 252, 700, 5)]
    contents += [bytes(length) for length in (2, 254, 300)]
    dut = Framer(fabric=fabric)
    expected = b"".join(map(dut.model, contents))

    async def source(ctx):
        for content in contents:
            await put_packet(ctx, dut.i, content, rng, stall)

    async def sink(ctx):
        assert bytes(await get(ctx, dut.o, len(expected), Random(2), stall)) == expected
        await ctx.tick().repeat(4)
        assert not ctx.get(dut.busy)

    simulate(dut, source, sink)
    frames = expected.split(b"\0")[:-1]
    assert [Deframer.model(frame) for frame in frames] == contents


@on_fabrics
def test_busy_lasts_until_the_delimiter(fabric):
    dut = Framer(fabric=fabric)

    async def bench(ctx):
        await put_packet(ctx, dut.i, b"content")
        ctx.set(dut.o.ready, 1)
        left = len(dut.model(b"content"))
        while left:
            _, _, busy, valid = await ctx.tick().sample(dut.busy, dut.o.valid)
            assert busy
            left -= valid
        assert not ctx.get(dut.busy)

    simulate(dut, bench)
