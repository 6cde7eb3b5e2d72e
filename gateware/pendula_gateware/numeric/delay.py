"""Delays: a chain of registers, or a ring in memory where the chain would be long."""

from typing import Any

from amaranth import *
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["RING_DEPTH", "DelayLine", "delayed"]

RING_DEPTH = 8
"""Delays of at least this many cycles are kept in memory."""


def delayed(m, value, cycles):
    """Return `value` as it was `cycles` clock cycles ago, in registers of the ``sync`` domain.

    Parameters
    ----------
    m : Module
        Module that gets the registers.
    value : value-like
        What to delay; views keep their layout.
    cycles : int
        Delay; 0 returns `value` itself.
    """
    for _ in range(cycles):
        later = Signal.like(value, reset_less=True)
        m.d.sync += later.eq(value)
        value = later
    return value


class DelayLine(wiring.Component):
    """Delay by a constant number of cycles.

    Parameters
    ----------
    shape : shape-like
        Shape of what is delayed.
    depth : int
        Delay in cycles, at least 1.

    Members
    -------
    i : :py:`In(shape)`
        Input, taken every cycle.
    o : :py:`Out(shape)`
        Input of `depth` cycles ago; before that, zeros or what the ring was left with.

    Notes
    -----
    Latency `depth`. From :data:`RING_DEPTH` on it is one memory of ``depth - 2`` words and an
    output register, since a block RAM is slow to answer.
    """

    i: Any
    o: Any

    def __init__(self, *, shape, depth: int) -> None:
        if depth < 1:
            raise ValueError(f"depth must be at least 1, not {depth}")
        self._depth = depth
        self._shape = shape
        super().__init__({"i": In(shape), "o": Out(shape)})

    @property
    def latency(self) -> int:
        """Delay in cycles."""
        return self._depth

    def elaborate(self, platform):
        m = Module()
        if self._depth < RING_DEPTH:
            m.d.comb += self.o.eq(delayed(m, self.i, self._depth))
            return m
        words = self._depth - 2                 # the read port and the output register are the rest
        width = Shape.cast(self._shape).width
        m.submodules.ring = ring = memory.Memory(shape=width, depth=words, init=[])
        write, read = ring.write_port(), ring.read_port()
        place = Signal(range(words))
        m.d.sync += place.eq(Mux(place == words - 1, 0, place + 1))
        m.d.comb += [
            write.en.eq(1),
            write.addr.eq(place),
            write.data.eq(self.i),
            read.addr.eq(place),                # read before write: what was stored a round ago
            self.o.eq(delayed(m, read.data, 1)),
        ]
        return m
