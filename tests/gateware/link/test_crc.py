"""A proof that the hardware's CRC is that of the contract, for bytes without number.

The hardware's next remainder is a sum over GF(2) of bits of the one before and of the byte. Sums of
bits that agree for no bits and for each bit alone agree for all. Four bytes lead from the first
remainder to any other, so five bytes hold every step that there is; what follows is induction.
"""

import re
import zlib
from typing import Any

import pytest
from amaranth.back import rtlil  # pyright: ignore[reportAttributeAccessIssue]
from amaranth.sim import Simulator

from pendula.contract.protocol import CRC_BYTES, seal
from pendula_gateware.fabric import FABRICS, GENERIC, Fabric
from pendula_gateware.link.crc import Crc32

WORD_HI = (1 << 8 * CRC_BYTES) - 1
COMPACT = next(fabric for fabric in FABRICS.values() if fabric.compact)
both = pytest.mark.parametrize("fabric", [GENERIC, COMPACT], ids=["bytes", "bits"])
BASIS = [0, *(1 << k for k in range(8 * CRC_BYTES))]


def remainder(data: bytes, start: int = WORD_HI) -> int:
    """Return the remainder of bytes after one that was there, as zlib has it without its ends."""
    return zlib.crc32(data, start ^ WORD_HI) ^ WORD_HI


def word(value: int) -> bytes:
    return value.to_bytes(CRC_BYTES, "little")


def rank(words: list[int]) -> int:
    """Return how many of the words are no sums of others."""
    pivots: list[int] = []
    for value in words:
        for pivot in pivots:
            value = min(value, value ^ pivot)
        if value:
            pivots.append(value)
    return len(pivots)


def outputs(fabric: Fabric, messages: list[bytes]) -> list[tuple[int, int]]:
    """Return CRC and match of messages."""
    crc, found = Crc32(fabric=fabric), []

    async def testbench(ctx: Any) -> None:
        for message in messages:
            ctx.set(crc.start, 1)
            await ctx.tick()
            ctx.set(crc.start, 0)
            for byte in message:
                ctx.set(crc.data, byte)
                ctx.set(crc.valid, 1)
                await ctx.tick()
                ctx.set(crc.valid, 0)
                while not ctx.get(crc.ready):
                    await ctx.tick()
            found.append((ctx.get(crc.crc), ctx.get(crc.match)))

    sim = Simulator(crc)
    sim.add_clock(1e-6)
    sim.add_testbench(testbench)
    sim.run()
    return found


@both
def test_the_next_remainder_is_a_sum_of_bits(fabric):
    """Whether `start` is high, or not: nothing else but it and `valid` is selected by."""
    crc = Crc32(fabric=fabric)
    text, = (part for part in rtlil.convert(crc, emit_src=False, ports=[
        crc.start, crc.valid, crc.data, crc.ready, crc.crc, crc.match]).split("\nmodule ")
        if r"\crc_reg" in part)
    cells = re.findall(r"cell (\$\w+) .*?\n(.*?)\n  end\n", text, re.DOTALL)
    assert {kind for kind, _ in cells} == {"$xor", "$mux", "$dff", "$eq"}
    assert [re.findall(r"\\Y (.*)", body) for kind, body in cells if kind == "$eq"] == [
        [r"\match_detected"]]
    assert {*re.findall(r"switch (.*)", text)} == {r"\rst [0]", r"{ \start [0] \valid [0] }"}
    assert {match for kind, body in cells if kind == "$mux"
            for match in re.findall(r"\\S (.*)", body)} == {r"\start [0]"}


def test_every_remainder_comes_of_four_bytes():
    first = remainder(bytes(4))
    assert rank([remainder(word(bit)) ^ first for bit in BASIS]) == 8 * CRC_BYTES


@both
def test_every_step_is_that_of_the_contract(fabric):
    messages = [word(bit) + b"\0" for bit in BASIS] + [bytes(4) + bytes((1 << k,))
                                                       for k in range(8)]
    assert [crc for crc, _ in outputs(fabric, messages)] == [*map(zlib.crc32, messages)]


@both
def test_a_match_is_a_crc_behind_what_it_is_of(fabric):
    """Four bytes add up with the remainder: one word alone leads to that of a match."""
    assert [remainder(word(bit), 0) for bit in BASIS] == [remainder(bytes(4), bit) for bit in BASIS]
    assert rank([remainder(word(bit), 0) for bit in BASIS]) == 8 * CRC_BYTES
    sound = [seal(bytes((bit % 251,))) for bit in BASIS]
    assert all(match for _, match in outputs(fabric, sound))
    wrong = [packet[:-1] + bytes((packet[-1] ^ 4,)) for packet in sound]
    assert not any(match for _, match in outputs(fabric, wrong))
    assert {remainder(packet) for packet in sound} == {remainder(word(WORD_HI), 0)}
