from random import Random

import pytest

from pendula_gateware.fabric import GENERIC, ICE40
from pendula_gateware.link.deframer import Deframer
from pendula_gateware.link.framer import Framer
from streams import get, put_packet, simulate


@pytest.mark.parametrize("fabric", [GENERIC, ICE40], ids=lambda fabric: fabric.name)
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


def test_busy_lasts_until_the_delimiter():
    dut = Framer()

    async def bench(ctx):
        await put_packet(ctx, dut.i, b"content")
        for _ in dut.model(b"content"):
            assert ctx.get(dut.busy)
            await get(ctx, dut.o, 1)
        await ctx.tick()
        assert not ctx.get(dut.busy)

    simulate(dut, bench)
