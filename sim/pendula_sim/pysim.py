"""``pysim://``: the gateware in Amaranth's own simulator. Slow, and needs no compiler."""

from collections import deque
from typing import Any

from amaranth.sim import Simulator

from pendula.contract.spec import ArraySpec
from pendula.link.engine import AbstractEngine, Exchange
from pendula_gateware.top import Top
from pendula_sim.design import design_id
from pendula_sim.devices import SimulatedDevice
from pendula_sim.elaborate import make_top

__all__ = ["PysimDevice", "PysimEngine"]

_CLOCK_PERIOD_S = 1e-6


class PysimEngine(AbstractEngine):
    """Simulation of a component with the ports of :class:`pendula_gateware.top.Top`.

    Parameters
    ----------
    top : Top
        Component to simulate.
    """

    slice_cycles = 500

    def __init__(self, top: Top) -> None:
        self._top = top
        self._input: deque[int] = deque()
        self._output = bytearray()
        self._cycles = 0
        self._idle = False
        self._simulator = Simulator(top)
        self._simulator.add_clock(_CLOCK_PERIOD_S)
        self._simulator.add_testbench(self._drive)

    async def _drive(self, ctx: Any) -> None:
        i, o, busy = self._top.i, self._top.o, self._top.busy
        sampled = ctx.tick().sample(i.ready, o.valid, o.payload)
        ctx.set(o.ready, 1)
        offered = None
        while True:
            payload = self._input[0] if self._input else None
            if payload != offered:      # a set() settles the whole design: only where it must be
                ctx.set(i.payload, payload or 0)
                ctx.set(i.valid, payload is not None)
                offered = payload
            self._idle = payload is None and not ctx.get(busy)
            _, _, ready, valid, byte = await sampled
            if payload is not None and ready:
                self._input.popleft()
            if valid:
                self._output.append(byte)
            self._cycles += 1

    def exchange(self, data: bytes, max_cycles: int) -> Exchange:
        """Feed input and simulate, while the device is busy, for `max_cycles` at most."""
        self._input.extend(data)
        start = self._cycles
        while self._cycles - start < max_cycles and not (self._idle and not self._input):
            self._simulator.advance()
        output, self._output = bytes(self._output), bytearray()
        consumed = len(data) - len(self._input)
        self._input.clear()
        return Exchange(consumed, output, self._cycles - start, self._idle)

    def close(self) -> None:
        """Forget the simulation."""
        self._input.clear()


class PysimDevice(SimulatedDevice):
    """The gateware in Amaranth's simulator."""

    def _start(self, spec: ArraySpec) -> PysimEngine:
        return PysimEngine(make_top(spec, self._options, design_id(spec, self._options)))
