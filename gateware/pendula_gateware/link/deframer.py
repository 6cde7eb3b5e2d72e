"""Deframer: frames that arrived whole, and nothing else."""

from amaranth import *
from amaranth.lib import memory, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from pendula.contract.protocol import CRC_BYTES, HEADER_BYTES, MAX_REQUEST_BYTES, unseal
from pendula.contract.registers import REGISTER_BITS
from pendula_gateware.fabric import GENERIC, Fabric
from pendula_gateware.interfaces import Byte, ByteStream, PacketStream
from pendula_gateware.link.cobs import Decoder
from pendula_gateware.link.crc import Crc32

__all__ = ["Deframer"]

MIN_FRAME_BYTES = HEADER_BYTES + CRC_BYTES
MAX_FRAME_BYTES = MAX_REQUEST_BYTES + CRC_BYTES


class Deframer(wiring.Component):
    """Store a frame, check it, then pass on its content without the CRC.

    A frame that is malformed, too short, too long or fails its CRC is dropped and counted.

    Parameters
    ----------
    fabric : Fabric
        What it is built for.

    Members
    -------
    i : :py:`In(ByteStream)`
        COBS frames, each ended by a zero byte.
    o : :py:`Out(PacketStream)`
        Contents: at least `HEADER_BYTES`, at most `MAX_REQUEST_BYTES` each.
    dropped : :py:`Out(32)`
        Frames dropped since power-up; wraps.
    busy : :py:`Out(1)`
        Whether a frame that has ended is still inside.

    Notes
    -----
    Latency 5 cycles from the delimiter to the first byte of content. One byte a cycle either way,
    or as :class:`Crc32` says; no input is taken while content is sent.
    """

    i: stream.Interface
    o: stream.Interface
    dropped: Signal
    busy: Signal
    latency = 5

    def __init__(self, *, fabric: Fabric = GENERIC) -> None:
        self._fabric = fabric
        super().__init__({"i": In(ByteStream), "o": Out(PacketStream),
                          "dropped": Out(REGISTER_BITS), "busy": Out(1)})

    @staticmethod
    def model(frame: bytes) -> bytes | None:
        """Compute the content of the bytes before a delimiter, or None where they are dropped."""
        packet = Decoder.model(frame)
        return None if packet is None or len(packet) > MAX_FRAME_BYTES else unseal(packet)

    def elaborate(self, platform):
        m = Module()
        m.submodules.decoder = decoder = Decoder()
        m.submodules.crc = crc = Crc32(fabric=self._fabric)
        m.submodules.frame = frame = memory.Memory(shape=Byte, depth=MAX_REQUEST_BYTES, init=[])
        write, read = frame.write_port(), frame.read_port()
        connect(m, flipped(self.i), decoder.i)

        length = Signal(range(MAX_FRAME_BYTES + 2))      # one more: too long
        following = Signal(range(MAX_FRAME_BYTES + 2))   # position of the byte to read next
        long, malformed, good = Signal(), Signal(), Signal()     # `long`: too long already
        item, moves = decoder.o.p, decoder.o.valid & crc.ready
        m.d.comb += [write.addr.eq(length), write.data.eq(item.data), crc.data.eq(item.data),
                     read.addr.eq(following), read.en.eq(0)]
        with m.If(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.FSM() as fsm:
            with m.State("RECEIVE"):
                m.d.comb += decoder.o.ready.eq(crc.ready)
                m.d.sync += malformed.eq(item.malformed)
                with m.If(moves & item.end):
                    m.next = "JUDGE"
                with m.Elif(moves & ~long):
                    m.d.comb += [write.en.eq(length < MAX_REQUEST_BYTES), crc.valid.eq(1)]
                    m.d.sync += [length.eq(length + 1), long.eq(length == MAX_FRAME_BYTES)]
            with m.State("JUDGE"):
                m.d.sync += [good.eq(crc.match & (length >= MIN_FRAME_BYTES) & ~long & ~malformed),
                             long.eq(0)]
                m.next = "CHECK"
            with m.State("CHECK"):
                m.d.comb += [crc.start.eq(1), read.en.eq(good)]
                with m.If(good):
                    m.d.sync += [length.eq(length - CRC_BYTES), following.eq(1)]
                    m.next = "SEND"
                with m.Else():
                    m.d.sync += [length.eq(0), self.dropped.eq(self.dropped + 1)]
                    m.next = "RECEIVE"
            with m.State("SEND"), m.If(~self.o.valid | self.o.ready):
                last = following == length
                m.d.comb += read.en.eq(1)
                m.d.sync += [self.o.p.data.eq(read.data), self.o.p.last.eq(last),
                             self.o.valid.eq(1), following.eq(following + 1)]
                with m.If(last):
                    m.d.sync += [length.eq(0), following.eq(0)]
                    m.next = "RECEIVE"
        m.d.comb += self.busy.eq(~fsm.ongoing("RECEIVE") | decoder.o.valid | self.o.valid)
        return m
