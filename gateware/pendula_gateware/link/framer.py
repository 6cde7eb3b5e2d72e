"""Framer: content gets its CRC and becomes a frame."""

from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from pendula.contract.protocol import CRC_BYTES, seal
from pendula_gateware.fabric import GENERIC, Fabric
from pendula_gateware.interfaces import Byte, ByteStream, PacketStream
from pendula_gateware.link.cobs import Encoder
from pendula_gateware.link.crc import Crc32
from pendula_gateware.numeric.buffer import pass_on

__all__ = ["Framer"]


class Framer(wiring.Component):
    """Append the CRC to every packet, then encode it.

    Parameters
    ----------
    fabric : Fabric
        What it is built for.

    Members
    -------
    i : :py:`In(PacketStream)`
        Contents of any length.
    o : :py:`Out(ByteStream)`
        COBS frames, each ended by a zero byte.
    busy : :py:`Out(1)`
        Whether something of a packet that has ended is still inside, or a byte in the buffer.

    Notes
    -----
    Throughput is that of :class:`~pendula_gateware.link.cobs.Encoder`, or as :class:`Crc32` says;
    latency as well, a cycle more where the fabric has registers.
    """

    i: stream.Interface
    o: stream.Interface
    busy: Signal

    def __init__(self, *, fabric: Fabric = GENERIC) -> None:
        self._fabric = fabric
        super().__init__({"i": In(PacketStream), "o": Out(ByteStream), "busy": Out(1)})

    @staticmethod
    def model(content: bytes) -> bytes:
        """Compute the frame of some content, delimiter included."""
        return Encoder.model(seal(content))

    def elaborate(self, platform):
        m = Module()
        m.submodules.encoder = encoder = Encoder()
        m.submodules.crc = crc = Crc32(fabric=self._fabric)
        connect(m, encoder.o, flipped(self.o))
        packets = PacketStream.create(path=("packets",))
        waiting = pass_on(m, "buffer", packets, encoder.i, fabric=self._fabric)
        place = Signal(range(CRC_BYTES))
        moves = packets.valid & packets.ready
        with m.FSM() as fsm:
            with m.State("CONTENT"):
                m.d.comb += [packets.p.data.eq(self.i.p.data),
                             packets.valid.eq(self.i.valid & crc.ready),
                             self.i.ready.eq(packets.ready & crc.ready),
                             crc.data.eq(self.i.p.data), crc.valid.eq(moves)]
                with m.If(moves & self.i.p.last):
                    m.next = "CRC"
            with m.State("CRC"):
                m.d.comb += [packets.p.data.eq(crc.crc.word_select(place, Byte.width)),
                             packets.p.last.eq(place == CRC_BYTES - 1),
                             packets.valid.eq(crc.ready),
                             crc.start.eq(moves & packets.p.last)]
                with m.If(moves):
                    m.d.sync += place.eq(Mux(packets.p.last, 0, place + 1))
                with m.If(moves & packets.p.last):
                    m.next = "CONTENT"
        m.d.comb += self.busy.eq(fsm.ongoing("CRC") | waiting | encoder.busy)
        return m
