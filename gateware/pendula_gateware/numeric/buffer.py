"""A stream cut in two by registers."""

from typing import Any

from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect

from pendula_gateware.fabric import Fabric

__all__ = ["StreamBuffer", "pass_on"]


class StreamBuffer(wiring.Component):
    """Two places in a stream, so that no path leads through it, in either direction.

    Parameters
    ----------
    shape : shape-like
        Shape of the payload.

    Members
    -------
    i : :py:`In(stream.Signature(shape))`
        Input.
    o : :py:`Out(stream.Signature(shape))`
        The same, at least a cycle later.

    Notes
    -----
    Latency 1 cycle, throughput 1 payload a cycle.
    """

    i: stream.Interface
    o: stream.Interface
    latency = 1

    def __init__(self, shape: Any) -> None:
        super().__init__({"i": In(stream.Signature(shape)), "o": Out(stream.Signature(shape))})

    def elaborate(self, platform):
        m = Module()
        aside, full = Signal.like(self.i.payload, reset_less=True), Signal()
        m.d.comb += self.i.ready.eq(~full)
        with m.If(~full):       # whatever it is, so that this does not wait for `o.ready`
            m.d.sync += aside.eq(self.i.payload)
        with m.If(self.o.ready | ~self.o.valid):
            m.d.sync += [self.o.valid.eq(full | self.i.valid), full.eq(0),
                         self.o.payload.eq(Mux(full, aside, self.i.payload))]
        with m.Elif(self.i.valid):
            m.d.sync += full.eq(1)
        return m


def pass_on(m: Module, name: str, source: Any, sink: Any, *, fabric: Fabric) -> Value:
    """Connect two streams, with a buffer between where the fabric has registers.

    Parameters
    ----------
    m : Module
        Module that gets the connection.
    name : str
        Name of the buffer among its submodules.
    source, sink : stream.Interface
        The streams.
    fabric : Fabric
        What it is built for.

    Returns
    -------
    Value
        Whether a payload waits in the buffer.
    """
    if not fabric.registers:
        connect(m, source, sink)
        return C(0)
    m.submodules[name] = buffer = StreamBuffer(source.p.shape())
    connect(m, source, buffer.i)
    connect(m, buffer.o, sink)
    return buffer.o.valid
