"""cocotb tests of the whole device, run by ``test_top.py``."""

from random import Random

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, ReadOnly

from gateware.traffic import (
    expected_answers,
    garbage,
    refused,
    request,
    session,
    small_spec,
)
from pendula.contract.protocol import Opcode

PHYSICS = "kuramoto"
TIMEOUT_MS = 5
IDLE_CYCLES = 300      # the array drains


async def start(dut):
    """Start the clock and leave reset."""
    Clock(dut.clk, 10, "ns").start()
    dut.i_valid.value = dut.o_ready.value = 0
    dut.rst.value = 1
    for _ in range(2):
        await FallingEdge(dut.clk)
    dut.rst.value = 0


class Wire:
    """Both byte streams of the device, moved on the falling edge, with random stalls."""

    def __init__(self, dut, rng, stall):
        self.dut, self.rng, self.stall = dut, rng, stall
        self.received = bytearray()
        self.waiting = None

    def _stalls(self):
        return self.rng.random() < self.stall

    async def cycle(self, byte):
        """Offer a byte (or None) for a cycle; return whether it was taken."""
        dut = self.dut
        await FallingEdge(dut.clk)
        dut.i_valid.value = byte is not None
        dut.i_payload.value = self.rng.randrange(256) if byte is None else byte
        ready = not self._stalls()
        dut.o_ready.value = ready
        await ReadOnly()
        valid, payload = int(dut.o_valid.value), int(dut.o_payload.value)
        if self.waiting is not None:
            assert valid
            assert payload == self.waiting
        self.waiting = payload if valid and not ready else None
        if valid and ready:
            self.received.append(payload)
        return byte is not None and int(dut.i_ready.value)

    async def exchange(self, data, count):
        """Send all data and receive `count` bytes."""
        for byte in data:
            while self._stalls():
                await self.cycle(None)
            while not await self.cycle(byte):
                pass
        while len(self.received) < count:
            await self.cycle(None)
        for _ in range(IDLE_CYCLES):
            await self.cycle(None)
        assert not int(self.dut.busy.value)


async def check(dut, requests, stall):
    """The device must answer exactly what the contract says."""
    data = b"".join(requests)
    expected = expected_answers(small_spec(PHYSICS), data)
    await start(dut)
    wire = Wire(dut, Random(cocotb.RANDOM_SEED), stall)
    await wire.exchange(data, len(expected))
    assert bytes(wire.received) == expected


@cocotb.test(timeout_time=TIMEOUT_MS, timeout_unit="ms")
@cocotb.parametrize(stall=[0.0, 0.3])
async def whole_session(dut, stall):
    await check(dut, session(Random(cocotb.RANDOM_SEED), PHYSICS), stall)


@cocotb.test(timeout_time=TIMEOUT_MS, timeout_unit="ms")
async def good_requests_among_damage_and_refusals(dut):
    rng = Random(cocotb.RANDOM_SEED)
    requests = session(rng, PHYSICS)[:-2]
    for bad in refused(rng, small_spec(PHYSICS)):
        requests += [garbage(rng), b"\0", bad, request(rng, Opcode.HELLO)]
    await check(dut, requests, 0.1)
