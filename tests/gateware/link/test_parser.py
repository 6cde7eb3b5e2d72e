import struct
from random import Random

import pytest

from pendula.contract.protocol import ARGUMENTS, Opcode
from pendula_gateware.link.parser import Parser
from streams import get, get_packet, put, put_packet, simulate

UNKNOWN = (0, 8, 77, 255)


def contents(rng):
    """Requests of every opcode with arguments of every length up to a few bytes too many."""
    for opcode in (*Opcode, *UNKNOWN):
        for length in (*range(14), 40):
            yield bytes((rng.randrange(256), opcode)) + rng.randbytes(length)


@pytest.mark.parametrize("stall", [0.0, 0.4])
def test_requests_and_tails(stall):
    rng, dut = Random(1), Parser()
    cases = list(contents(rng))
    rng.shuffle(cases)

    async def source(ctx):
        for content in cases:
            await put_packet(ctx, dut.i, content, rng, stall)

    async def sink(ctx):
        for content in cases:
            await check(ctx, content)
        assert not ctx.get(dut.busy)

    async def check(ctx, content):
        opcode, body = content[1], content[2:]
        size = struct.calcsize(ARGUMENTS[Opcode(opcode)]) if opcode in ARGUMENTS else 0
        has_tail = opcode == Opcode.WRITE_MEMORY and len(body) > size
        if has_tail:
            assert await get_packet(ctx, dut.tail, rng, stall) == body[size:]
        request, = await get(ctx, dut.request, 1, rng, stall)
        assert (request.sequence, request.opcode) == tuple(content[:2])
        bad = opcode in ARGUMENTS and not has_tail and (
            len(body) != size or opcode == Opcode.WRITE_MEMORY)
        assert request.bad_length == bad, content
        if not bad:
            assert request.arguments.to_bytes(16, "little")[:size] == body[:size]

    simulate(dut, source, sink)


@pytest.mark.parametrize(("content", "ends"), [
    ((9, Opcode.HELLO), True), ((9, Opcode.WRITE_MEMORY, *range(5)), False)])
def test_latency(content, ends):
    dut = Parser()
    last = len(content) - 1

    async def source(ctx):
        await put(ctx, dut.i, ({"data": byte, "last": ends and k == last}
                               for k, byte in enumerate(content)))
        for _ in range(dut.latency - 1):
            assert not ctx.get(dut.request.valid)
            await ctx.tick()
        assert ctx.get(dut.request.valid)

    simulate(dut, source)
