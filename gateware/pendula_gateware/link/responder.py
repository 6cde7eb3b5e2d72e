"""Responder: responses become the contents of frames."""

from collections.abc import Sequence

from amaranth import *
from amaranth.lib import memory, stream, wiring
from amaranth.lib.wiring import In, Out

from pendula.contract.protocol import HEADER_BYTES
from pendula_gateware.interfaces import Byte, PacketStream
from pendula_gateware.link.shapes import VALUE_BYTES, Response, Tail

__all__ = ["ConstantPacket", "Responder"]


class ConstantPacket(wiring.Component):
    """Send one packet over and over.

    Parameters
    ----------
    content : bytes
        The packet.

    Members
    -------
    o : :py:`Out(PacketStream)`
        Valid from the second cycle on.
    """

    o: stream.Interface

    def __init__(self, *, content: Sequence[int]) -> None:
        self._content = bytes(content)
        super().__init__({"o": Out(PacketStream)})

    @property
    def content(self) -> bytes:
        """The packet."""
        return self._content

    def elaborate(self, platform):
        m = Module()
        count = len(self._content)
        m.submodules.rom = rom = memory.Memory(shape=Byte, depth=count, init=self._content)
        read = rom.read_port(domain="comb")
        place = Signal(range(count))
        last = place == count - 1
        m.d.comb += read.addr.eq(place)
        with m.If(~self.o.valid | self.o.ready):
            m.d.sync += [self.o.p.data.eq(read.data), self.o.p.last.eq(last),
                         self.o.valid.eq(1), place.eq(Mux(last, 0, place + 1))]
        return m


class Responder(wiring.Component):
    """Send header, value and tail of responses.

    Members
    -------
    i : :py:`In(stream.Signature(Response))`
        Responses.
    hello : :py:`In(PacketStream)`
        Tails of responses with `Tail.HELLO`.
    result : :py:`In(PacketStream)`
        Tails of responses with `Tail.RESULT`.
    o : :py:`Out(PacketStream)`
        Contents.
    busy : :py:`Out(1)`
        Whether a response that was taken is not yet sent.

    Notes
    -----
    Latency 1 cycle, then one byte a cycle; one response at a time.
    """

    i: stream.Interface
    hello: stream.Interface
    result: stream.Interface
    o: stream.Interface
    busy: Signal
    latency = 1

    def __init__(self) -> None:
        super().__init__({"i": In(stream.Signature(Response)), "hello": In(PacketStream),
                          "result": In(PacketStream), "o": Out(PacketStream), "busy": Out(1)})

    def elaborate(self, platform):
        m = Module()
        response = Signal(Response)
        place = Signal(range(HEADER_BYTES + VALUE_BYTES))
        end = Mux(response.has_value, HEADER_BYTES + VALUE_BYTES, HEADER_BYTES) - 1
        moves = self.o.valid & self.o.ready
        with m.FSM() as fsm:
            with m.State("IDLE"):
                m.d.comb += self.i.ready.eq(1)
                m.d.sync += [response.eq(self.i.p), place.eq(0)]
                with m.If(self.i.valid):
                    m.next = "FIXED"
            with m.State("FIXED"):
                tail = response.tail != Tail.NONE
                m.d.comb += [self.o.p.data.eq(response.as_value().word_select(place, Byte.width)),
                             self.o.p.last.eq((place == end) & ~tail), self.o.valid.eq(1)]
                with m.If(moves):
                    m.d.sync += place.eq(place + 1)
                    with m.If(place == end):
                        m.next = "IDLE"
                        with m.If(tail):
                            m.next = "TAIL"
            with m.State("TAIL"):
                for kind, source in ((Tail.HELLO, self.hello), (Tail.RESULT, self.result)):
                    with m.If(response.tail == kind):
                        m.d.comb += [self.o.p.eq(source.p), self.o.valid.eq(source.valid),
                                     source.ready.eq(self.o.ready)]
                with m.If(moves & self.o.p.last):
                    m.next = "IDLE"
        m.d.comb += self.busy.eq(~fsm.ongoing("IDLE"))
        return m
