"""Consistent overhead byte stuffing: packets become blocks without zeros, a zero ends a packet.

A block is a code byte n = 1..255 and n - 1 bytes that are not zero; it stands for these bytes and,
unless n = 255 or the packet ends there, a zero.
"""

from amaranth import *
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out
from cobs import cobs

from pendula_gateware.fabric import UNCHECKED
from pendula_gateware.interfaces import Byte, ByteStream, PacketStream
from pendula_gateware.numeric.delay import registered

__all__ = ["Decoded", "Decoder", "Encoder"]

DELIMITER = 0
FULL_CODE = 255
BUFFER_BYTES = 512       # a power of two: a block must fit whole, and the next one as it is sent

Decoded = data.StructLayout({"data": Byte, "end": 1, "malformed": 1})
"""One byte of a packet, or where `end` is set, its end: no byte; `malformed` if a block was cut."""


class Decoder(wiring.Component):
    """Take packets out of a byte stream.

    Members
    -------
    i : :py:`In(ByteStream)`
        Encoded bytes.
    o : :py:`Out(stream.Signature(Decoded))`
        Bytes of a packet, then its end. Consecutive delimiters are no packets.

    Notes
    -----
    Latency 1 cycle, throughput 1 encoded byte a cycle.
    """

    i: stream.Interface
    o: stream.Interface
    latency = 1

    def __init__(self) -> None:
        super().__init__({"i": In(ByteStream), "o": Out(stream.Signature(Decoded))})

    @staticmethod
    def model(frame: bytes) -> bytes | None:
        """Compute the packet in the bytes before a delimiter, or None where they are malformed."""
        try:
            return cobs.decode(frame)
        except cobs.DecodeError:
            return None

    def elaborate(self, platform):
        m = Module()
        remaining = Signal(range(FULL_CODE))     # bytes of the block that are still to come
        started = Signal()                       # a packet has begun
        zero = Signal()                          # the block ends in a zero if another one follows
        end, byte = self.i.p == DELIMITER, self.i.p
        item = Signal(Decoded)
        with m.If(end):
            m.d.comb += [item.end.eq(1), item.malformed.eq(remaining.any())]
        with m.Elif(remaining.any()):
            m.d.comb += item.data.eq(byte)
        holds_item = Mux(end, started, remaining.any() | zero)

        m.d.comb += self.i.ready.eq(~self.o.valid | self.o.ready)
        with m.If(self.i.ready):
            m.d.sync += [self.o.valid.eq(self.i.valid & holds_item), self.o.p.eq(item)]
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += started.eq(~end)
            with m.If(end):
                m.d.sync += [remaining.eq(0), zero.eq(0)]
            with m.Elif(remaining.any()):
                m.d.sync += remaining.eq(remaining - 1)
            with m.Else():
                m.d.sync += [remaining.eq(byte - 1), zero.eq(byte != FULL_CODE)]
        return m


class Encoder(wiring.Component):
    """Put packets into a byte stream, a delimiter after each.

    Members
    -------
    i : :py:`In(PacketStream)`
        Packets of any length.
    o : :py:`Out(ByteStream)`
        Encoded bytes.
    busy : :py:`Out(1)`
        Whether a byte of a packet that has ended is still to come.

    Notes
    -----
    A block is sent once its last byte has come and meanwhile the next block is taken: throughput is
    1 encoded byte a cycle, latency the length of a block plus 3 cycles. Encoded bytes wait in a
    ring; the place of a block's code is left free until the block ends.
    """

    i: stream.Interface
    o: stream.Interface
    busy: Signal

    def __init__(self) -> None:
        super().__init__({"i": In(PacketStream), "o": Out(ByteStream), "busy": Out(1)})

    @staticmethod
    def model(packet: bytes) -> bytes:
        """Compute the encoded bytes of a packet, delimiter included."""
        return cobs.encode(packet) + bytes((DELIMITER,))

    def elaborate(self, platform):
        m = Module()
        m.submodules.ring = ring = memory.Memory(
            shape=Byte, depth=BUFFER_BYTES, init=[], attrs=UNCHECKED)
        write = ring.write_port()
        start = Signal(range(BUFFER_BYTES))             # of the block that is not yet whole
        place = Signal(range(BUFFER_BYTES), init=1)     # for the byte that comes next
        sent = self._send(m, ring.read_port(), start)
        room = Signal()
        # stale by two bytes; three more places are for codes and a delimiter
        m.d.sync += room.eq(registered(m, (place - sent)[:len(place)]) < BUFFER_BYTES - 6)
        closing = self._fill(m, write, room)
        m.d.comb += [write.addr.eq(Mux(closing, start, place)),
                     self.busy.eq(closing | (start != sent) | self.o.valid)]
        with m.If(write.en):
            m.d.sync += place.eq(place + 1)
        with m.If(closing):
            m.d.sync += start.eq(place)
        return m

    def _fill(self, m, write, room):
        """Sort bytes into blocks; return whether a code or a delimiter is written."""
        code = Signal(Byte, init=1)              # of the block, if it ended now
        ended, empty = Signal(), Signal()        # the packet has; a block without bytes ends it
        byte, last, zero = self.i.p.data, self.i.p.last, self.i.p.data == 0
        with m.FSM() as fsm:
            with m.State("BYTE"):
                m.d.comb += [self.i.ready.eq(room), write.data.eq(byte),
                             write.en.eq(self.i.valid & room & ~zero)]
                with m.If(self.i.valid & room):
                    m.d.sync += [code.eq(code + ~zero), ended.eq(last), empty.eq(last & zero)]
                    with m.If(zero | last | (code == FULL_CODE - 1)):
                        m.next = "CODE"
            with m.State("CODE"):
                m.d.comb += [write.data.eq(code), write.en.eq(1)]
                m.d.sync += [code.eq(1), empty.eq(0)]
                with m.If(~ended):
                    m.next = "BYTE"
                with m.Elif(~empty):
                    m.next = "END"
            with m.State("END"):
                m.d.comb += [write.data.eq(DELIMITER), write.en.eq(1)]
                m.next = "BYTE"
        return ~fsm.ongoing("BYTE")

    def _send(self, m, read, start):
        """Send what is in front of `start`; return the place of what is read next."""
        place, moves = Signal.like(start), ~self.o.valid | self.o.ready
        m.d.comb += [read.addr.eq(place), read.en.eq(moves), self.o.p.eq(read.data)]
        with m.If(moves):
            m.d.sync += [self.o.valid.eq(place != start), place.eq(place + (place != start))]
        return place
