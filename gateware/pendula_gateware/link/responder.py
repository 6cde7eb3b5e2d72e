"""Responder: responses become the contents of frames."""

from amaranth import *
from amaranth.lib import memory, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from pendula.contract.jitter import SEED_BITS
from pendula.contract.protocol import HEADER_BYTES, Hello
from pendula_gateware.interfaces import Byte, PacketStream
from pendula_gateware.link.shapes import VALUE_BYTES, Response, Tail

__all__ = ["HelloPacket", "Responder"]


class HelloPacket(wiring.Component):
    """Send who the device is, over and over.

    Parameters
    ----------
    hello : Hello
        Who the device is; its `jitter_seed` is that of the port.

    Members
    -------
    jitter_seed : :py:`In(64)`
        Seed to report, where `hello` has rings; ignored otherwise. Constant while `o` moves.
    o : :py:`Out(PacketStream)`
        Valid from the second cycle on.
    """

    jitter_seed: Signal
    o: stream.Interface

    def __init__(self, *, hello: Hello) -> None:
        self._hello = hello
        super().__init__({"jitter_seed": In(SEED_BITS), "o": Out(PacketStream)})

    @property
    def hello(self) -> Hello:
        """Who the device is."""
        return self._hello

    def elaborate(self, platform):
        m = Module()
        content = self._hello.encode()
        first_seed_byte = len(content) - SEED_BITS // Byte.width
        m.submodules.rom = rom = memory.Memory(shape=Byte, depth=len(content), init=content)
        read, moves = rom.read_port(), ~self.o.valid | self.o.ready
        place, shown = Signal(range(len(content))), Signal(range(len(content)))
        last = place == len(content) - 1
        m.d.comb += [read.addr.eq(place), read.en.eq(moves), self.o.p.data.eq(read.data)]
        if self._hello.jitter_rings:
            with m.If(shown >= first_seed_byte):
                byte = (shown - first_seed_byte)[:ceil_log2(SEED_BITS // Byte.width)]
                m.d.comb += self.o.p.data.eq(self.jitter_seed.word_select(byte, Byte.width))
        with m.If(moves):
            m.d.sync += [shown.eq(place), self.o.p.last.eq(last), self.o.valid.eq(1),
                         place.eq(Mux(last, 0, place + 1))]
        return m


class Responder(wiring.Component):
    """Send header, value and tail of responses.

    Members
    -------
    i : :py:`In(stream.Signature(Response))`
        Responses; taken a cycle after the last byte.
    hello : :py:`In(PacketStream)`
        Tails of responses with `Tail.HELLO`.
    result : :py:`In(PacketStream)`
        Tails of responses with `Tail.RESULT`.
    rows : :py:`In(PacketStream)`
        Tails of responses with `Tail.ROWS`.
    o : :py:`Out(PacketStream)`
        Contents.

    Notes
    -----
    Latency `latency` cycles, then one byte a cycle, and one cycle in which the response is taken:
    no path leads from `i` to `o`, nor back.
    """

    i: stream.Interface
    hello: stream.Interface
    result: stream.Interface
    rows: stream.Interface
    o: stream.Interface
    latency = 1

    def __init__(self) -> None:
        super().__init__({"i": In(stream.Signature(Response)), "hello": In(PacketStream),
                          "result": In(PacketStream), "rows": In(PacketStream),
                          "o": Out(PacketStream)})

    def elaborate(self, platform):
        m = Module()
        response, offered = Signal(Response), Signal()
        m.d.sync += [response.eq(self.i.p), offered.eq(self.i.valid & ~self.i.ready)]
        place = Signal(range(HEADER_BYTES + VALUE_BYTES))
        end = place == Mux(response.has_value, HEADER_BYTES + VALUE_BYTES, HEADER_BYTES) - 1
        moves = self.o.valid & self.o.ready
        with m.FSM():
            with m.State("FIXED"):
                tail = response.tail != Tail.NONE
                m.d.comb += [self.o.p.data.eq(response.as_value().word_select(place, Byte.width)),
                             self.o.p.last.eq(end & ~tail), self.o.valid.eq(offered)]
                with m.If(moves):
                    m.d.sync += place.eq(Mux(end, 0, place + 1))
                    with m.If(end):
                        m.next = "TAKEN"
                        with m.If(tail):
                            m.next = "TAIL"
            with m.State("TAIL"):
                for kind, source in ((Tail.HELLO, self.hello), (Tail.RESULT, self.result),
                                     (Tail.ROWS, self.rows)):
                    with m.If(response.tail == kind):
                        m.d.comb += [self.o.p.eq(source.p),
                                     self.o.valid.eq(offered & source.valid),
                                     source.ready.eq(self.o.ready)]
                with m.If(moves & self.o.p.last):
                    m.next = "TAKEN"
            with m.State("TAKEN"):
                m.d.comb += self.i.ready.eq(1)
                m.next = "FIXED"
        return m
