"""Parser: the bytes of a frame become a request."""

from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from pendula.contract.protocol import Opcode
from pendula_gateware.interfaces import Byte, PacketStream
from pendula_gateware.link.shapes import MAX_FIXED_BYTES, Request, fixed_bytes

__all__ = ["Parser"]


class Parser(wiring.Component):
    """Read the header and the arguments of a request.

    Members
    -------
    i : :py:`In(PacketStream)`
        Contents of frames, at least a header each.
    request : :py:`Out(stream.Signature(Request))`
        Request. One with a tail must not be taken before the tail has ended.
    tail : :py:`Out(PacketStream)`
        What follows the arguments of a WRITE_MEMORY, at least one byte.
    busy : :py:`Out(1)`
        Whether a request that has arrived is not yet taken.

    Notes
    -----
    One byte a cycle. Latency from the last byte in front of the tail to `request`: 2 cycles.
    """

    i: stream.Interface
    request: stream.Interface
    tail: stream.Interface
    busy: Signal
    latency = 2

    def __init__(self) -> None:
        super().__init__({"i": In(PacketStream), "request": Out(stream.Signature(Request)),
                          "tail": Out(PacketStream), "busy": Out(1)})

    def elaborate(self, platform):
        m = Module()
        request = self.request.p
        length = Signal(range(MAX_FIXED_BYTES + 2))      # one more: too long
        expected, known = Signal.like(length), Signal()
        with m.Switch(request.opcode):
            for opcode in Opcode:
                with m.Case(opcode):
                    m.d.comb += [expected.eq(fixed_bytes(opcode)), known.eq(1)]
        short = request.opcode == Opcode.WRITE_MEMORY    # ended where the tail should begin
        has_tail = Signal()         # a register: no path leads from the request to `ready`

        with m.FSM() as fsm:
            with m.State("FIXED"):
                m.d.comb += self.i.ready.eq(~has_tail)
                with m.If(has_tail):
                    m.d.sync += [request.bad_length.eq(0), has_tail.eq(0)]
                    m.next = "TAIL"
                with m.Elif(self.i.valid):
                    byte = request.as_value().word_select(length, Byte.width)
                    m.d.sync += has_tail.eq(
                        short & (length == fixed_bytes(Opcode.WRITE_MEMORY) - 1) & ~self.i.p.last)
                    with m.If(length < MAX_FIXED_BYTES):
                        m.d.sync += byte.eq(self.i.p.data)
                    with m.If(length <= MAX_FIXED_BYTES):
                        m.d.sync += length.eq(length + 1)
                    with m.If(self.i.p.last):
                        m.next = "CHECK"
            with m.State("CHECK"):
                m.d.sync += request.bad_length.eq(known & (short | (length != expected)))
                m.next = "REQUEST"
            with m.State("TAIL"):
                m.d.comb += [self.request.valid.eq(1), self.tail.p.eq(self.i.p),
                             self.tail.valid.eq(self.i.valid), self.i.ready.eq(self.tail.ready)]
                with m.If(self.i.valid & self.i.ready & self.i.p.last):
                    m.next = "REQUEST"
            with m.State("REQUEST"):
                m.d.comb += self.request.valid.eq(1)
                with m.If(self.request.ready):
                    m.d.sync += length.eq(0)
                    m.next = "FIXED"
        m.d.comb += self.busy.eq(~fsm.ongoing("FIXED"))
        return m
