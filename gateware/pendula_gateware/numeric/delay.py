"""Delays: a chain of registers, or a ring in memory where the chain would be long."""

from typing import Any

from amaranth import *
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from pendula_gateware.fabric import GENERIC, Fabric

__all__ = ["RING_DEPTH", "DelayLine", "delayed", "paced", "registered"]

RING_DEPTH = 8
"""Delays of at least this many cycles are kept in memory."""


def delayed(m, value, cycles, en=None):
    """Return `value` as it was `cycles` clock cycles ago, in registers of the ``sync`` domain.

    Parameters
    ----------
    m : Module
        Module that gets the registers.
    value : value-like
        What to delay; views keep their layout.
    cycles : int
        Delay; 0 returns `value` itself.
    en : Value, optional
        Count cycles with `en` alone.

    Raises
    ------
    ValueError
        If `cycles` is negative.
    """
    if cycles < 0:
        raise ValueError(f"cycles must not be negative, as in {cycles}")
    for _ in range(cycles):
        later = Signal.like(value, reset_less=True)
        with m.If(1 if en is None else en):
            m.d.sync += later.eq(value)
        value = later
    return value


def registered(m: Module, value) -> Signal:
    """Return the value of an expression as it was a cycle ago."""
    value = Value.cast(value)
    register = Signal(value.shape(), reset_less=True)
    m.d.sync += register.eq(value)
    return register


def paced(line, step, fold):
    """Return a :class:`DelayLine` that moves on only in the cycles with `step`.

    Parameters
    ----------
    line : DelayLine
        The line; its ports stay those of the component.
    step : Value
        Last of the `fold` cycles for which the input stays the same, and then the output.
    fold : int
        Cycles from one `step` to the next; a line that moves in every cycle is returned as it is.
    """
    return line if fold == 1 else EnableInserter(step)(line)


class DelayLine(wiring.Component):
    """Delay by a constant number of cycles.

    Parameters
    ----------
    shape : shape-like
        Shape of what is delayed.
    depth : int
        Delay in cycles, at least 1.
    fabric : Fabric
        What it is built for.

    Members
    -------
    i : :py:`In(shape)`
        Input, taken every cycle.
    o : :py:`Out(shape)`
        Input of `depth` cycles ago; before that, zeros or what the ring was left with.

    Notes
    -----
    Latency `depth`. From :data:`RING_DEPTH` on it is one memory and the registers that the fabric
    puts behind one. A word is never read as it is written.
    """

    i: Any
    o: Any

    def __init__(self, *, shape, depth: int, fabric: Fabric = GENERIC) -> None:
        if depth < 1:
            raise ValueError(f"depth must be at least 1, not {depth}")
        self._depth = depth
        self._shape = shape
        self._registers = fabric.registers
        self._attributes = fabric.ring_attributes(depth)
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
        words = self._depth - self._registers   # a word is read a round, less one, after it came
        width = Shape.cast(self._shape).width
        m.submodules.ring = ring = memory.Memory(
            shape=width, depth=words, init=[], attrs=self._attributes)
        write, read = ring.write_port(), ring.read_port()
        place, following = Signal(range(words)), Signal(range(words))
        m.d.comb += following.eq(Mux(place == words - 1, 0, place + 1))
        m.d.sync += place.eq(following)
        m.d.comb += [
            write.en.eq(1),
            write.addr.eq(place),
            write.data.eq(self.i),
            read.addr.eq(following),
            self.o.eq(delayed(m, read.data, self._registers)),
        ]
        return m
