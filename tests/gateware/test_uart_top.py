# amaranth: UnusedElaboratable=no
"""The whole device on two wires: every bit from and to the host is simulated."""

from collections import deque
from random import Random

import numpy as np
import pytest
from amaranth.sim import Simulator

import pendula
from gateware.traffic import BUILD_ID, small_spec
from pendula.contract import ArraySpec
from pendula.contract.uart import DATA_BITS, FRAME_BITS
from pendula.link.client import Client
from pendula.link.link_device import LinkDevice
from pendula.link.transport import AbstractTransport
from pendula.program import random_program
from pendula_gateware.top import Top
from pendula_gateware.uart_top import UartTop
from wires import levels_of

SPEC = small_spec("quartic")
BAUD_HZ = 3_000_000
CYCLES_A_BIT = 4
REST_BITS = 3 * FRAME_BITS       # of silence from an idle device, before nothing more will come


class WireTransport(AbstractTransport):
    """Both wires of a simulated device; the host's bits are `mismatch` too long."""

    def __init__(self, dut: UartTop, mismatch: float = 0.0) -> None:
        self.dut, self.cycles_a_bit = dut, (1 + mismatch) * dut.clock_hz / dut.baud_hz
        self.sent: deque[int] = deque()
        self.received = bytearray()
        self.resting = 0
        self.simulator = Simulator(dut)
        self.simulator.add_clock(1 / dut.clock_hz)
        self.lost = 0            # cycles in which the device says that bytes were
        self.simulator.add_testbench(self._host)

    async def _host(self, ctx):
        dut, level, cycle, looks = self.dut, 1, 0, deque()
        bits = []
        while True:
            wanted = self.sent.popleft() if self.sent else 1
            if wanted != level:
                ctx.set(dut.rx, wanted)
                level = wanted
            if not looks and not ctx.get(dut.tx):
                looks.extend(cycle + int((k + 0.5) * self.cycles_a_bit) for k in range(FRAME_BITS))
            if looks and looks[0] == cycle:
                looks.popleft()
                bits.append(ctx.get(dut.tx))
                if not looks:
                    assert (bits[0], bits[-1]) == (0, 1)
                    self.received.append(sum(bits[1 + k] << k for k in range(DATA_BITS)))
                    bits = []
            works = self.sent or looks or ctx.get(dut.busy)
            self.resting = 0 if works else self.resting + 1
            cycle += 1
            self.lost += (await ctx.tick().sample(dut.lost))[2]

    def write(self, data: bytes) -> None:
        self.sent.extend(levels_of(data, self.cycles_a_bit))
        self.resting = 0

    def read(self, cycles: int) -> bytes:
        while not self.received and self.resting < REST_BITS * self.cycles_a_bit:
            self.simulator.advance()
        data, self.received = bytes(self.received), bytearray()
        return data

    def close(self) -> None:
        pass


class WireDevice(LinkDevice):
    """A device on two simulated wires."""

    def __init__(self, mismatch: float = 0.0) -> None:
        super().__init__("wires://")
        self.dut = UartTop(top=Top(spec=SPEC, build_id=BUILD_ID),
                           clock_hz=CYCLES_A_BIT * BAUD_HZ, baud_hz=BAUD_HZ)
        self.transport = WireTransport(self.dut, mismatch)

    def _connect(self, spec: ArraySpec | None) -> Client:
        return self._client or Client(self.transport, self.health)


@pytest.mark.parametrize("mismatch", [-0.02, 0.02])
def test_samples_equal_the_twin_at_the_level_of_bits(mismatch):
    program = random_program(SPEC, np.random.default_rng(1), steps=3, segments=2)
    with WireDevice(mismatch) as device, pendula.open("twin://") as twin:
        assert device.info()["spec_id"] == SPEC.digest[:16]
        device.load(program)
        twin.load(program)
        batch = device.sample(3, seed=4, hidden=True)
        assert np.array_equal(batch.values, twin.sample(3, seed=4, hidden=True).values)
        assert device.health.retries == 0
        assert device.health.frames_dropped == 0
        assert device.transport.lost == 0


def test_damaged_bits_cost_frames_and_no_more():
    """The link resynchronises after noise on the wire, and what it answers then is right."""
    with WireDevice() as device:
        before = device.info()
        rng = Random(5)
        for _ in range(4):
            device.transport.sent.extend(rng.choices((0, 1), k=200) + [1] * 50)
            device.transport.write(b"\0")
            assert device.info() == before
        assert device.health.retries <= 8
        lost = device.transport.lost        # bytes without a stop bit
        device.info()
        assert device.transport.lost > lost + CYCLES_A_BIT * FRAME_BITS       # it still says so
