from dataclasses import replace
from random import Random

import pytest

from gateware.traffic import BUILD_ID, small_spec
from pendula.contract import CONTRACT_ID
from pendula.contract.protocol import Hello
from pendula_gateware.link.responder import HelloPacket, Responder
from pendula_gateware.link.shapes import Tail
from streams import get_packet, put, put_packet, simulate

HELLO = Hello.of(small_spec("ising"), contract_id=CONTRACT_ID, build_id=BUILD_ID, lanes=1)


@pytest.mark.parametrize("stall", [0.0, 0.4])
def test_parts_stand_in_order(stall):
    rng, dut = Random(1), Responder()
    responses = [{"sequence": rng.randrange(256), "status": rng.randrange(256),
                  "value": rng.randrange(1 << 32), "has_value": rng.randrange(2),
                  "tail": rng.choice(list(Tail))} for _ in range(60)]
    tails = {Tail.HELLO: dut.hello, Tail.RESULT: dut.result, Tail.ROWS: dut.rows}
    contents = [rng.randbytes(rng.randint(1, 9)) for _ in responses]

    async def source(ctx):
        await put(ctx, dut.i, responses, Random(2), stall)

    def tail_source(kind):
        async def send(ctx):
            for response, content in zip(responses, contents, strict=True):
                if response["tail"] is kind:
                    await put_packet(ctx, tails[kind], content, Random(3), stall)
        return send

    async def sink(ctx):
        for response, content in zip(responses, contents, strict=True):
            value = response["value"].to_bytes(4, "little") if response["has_value"] else b""
            tail = b"" if response["tail"] is Tail.NONE else content
            expected = bytes((response["sequence"], response["status"])) + value + tail
            assert await get_packet(ctx, dut.o, rng, stall) == expected
        await ctx.tick()
        assert not ctx.get(dut.o.valid)

    simulate(dut, source, *map(tail_source, tails), sink)


def test_latency():
    dut = Responder()

    async def bench(ctx):
        assert not ctx.get(dut.o.valid)
        ctx.set(dut.i.payload, {"sequence": 7})
        ctx.set(dut.i.valid, 1)
        for _ in range(dut.latency):
            assert not ctx.get(dut.o.valid)
            await ctx.tick()
        assert ctx.get(dut.o.valid)
        assert ctx.get(dut.o.payload.data) == 7

    simulate(dut, bench)


@pytest.mark.parametrize("rings", [0, 4])
def test_hello_reports_the_seed_where_there_are_rings(rings):
    record = replace(HELLO, jitter_rings=rings)
    dut = HelloPacket(hello=record)

    async def sink(ctx):
        for seed in (0, 0x0123456789ABCDEF, (1 << 64) - 1):
            ctx.set(dut.jitter_seed, seed)
            packet = await get_packet(ctx, dut.o, Random(1), 0.3)
            assert Hello.decode(packet) == replace(record, jitter_seed=seed if rings else 0)

    simulate(dut, sink)
