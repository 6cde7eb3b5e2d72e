"""Consistent overhead byte stuffing: packets become blocks without zeros, a zero ends a packet.

A block is a code byte n = 1..255 and n - 1 bytes that are not zero; it stands for these bytes and,
unless n = 255 or the packet ends there, a zero.
"""

from amaranth import *
from amaranth.lib import data, fifo, stream, wiring
from amaranth.lib.wiring import In, Out
from cobs import cobs

from pendula_gateware.interfaces import Byte, ByteStream, PacketStream

__all__ = ["Decoded", "Decoder", "Encoder"]

DELIMITER = 0
FULL_CODE = 255
BUFFER_BYTES = 256       # a block must fit whole; the next one follows as it is sent
BUFFER_BLOCKS = 4

Decoded = data.StructLayout({"data": Byte, "end": 1, "malformed": 1})
"""One byte of a packet, or where `end` is set, its end: no byte; `malformed` if a block was cut."""

Block = data.StructLayout({"code": Byte, "final": 1})


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
        Whether a byte of `o` is still to come.

    Notes
    -----
    A block is sent once its last byte has come and meanwhile the next block is taken: throughput is
    1 encoded byte a cycle, latency the length of a block plus 2 cycles.
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
        m.submodules.bytes = bytes_ = fifo.SyncFIFOBuffered(width=Byte.width, depth=BUFFER_BYTES)
        m.submodules.blocks = blocks = fifo.SyncFIFOBuffered(width=Block.size,
                                                             depth=BUFFER_BLOCKS)
        filling = self._fill(m, bytes_, blocks)
        sending = self._send(m, bytes_, blocks)
        m.d.comb += self.busy.eq(filling | sending | bytes_.r_level.any() | blocks.r_level.any())
        return m

    def _fill(self, m, bytes_, blocks):
        """Sort bytes into blocks; return whether the end of a packet is not yet stored."""
        block = data.View(Block, blocks.w_data)
        code = Signal(Byte, init=1)              # of the block, if it ended in a zero now
        following = code + 1
        byte, last = self.i.p.data, self.i.p.last
        zero, full = byte == 0, following == FULL_CODE
        m.d.comb += bytes_.w_data.eq(byte)
        with m.FSM(name="fill") as fsm:
            with m.State("BYTE"):
                m.d.comb += [self.i.ready.eq(bytes_.w_rdy & blocks.w_rdy),
                             block.code.eq(Mux(zero, code, following)),
                             block.final.eq(last & ~zero)]
                with m.If(self.i.ready & self.i.valid):
                    m.d.comb += [bytes_.w_en.eq(~zero), blocks.w_en.eq(zero | full | last)]
                    m.d.sync += code.eq(Mux(blocks.w_en, 1, following))
                    with m.If(zero & last):      # the block after the zero is empty
                        m.next = "EMPTY"
            with m.State("EMPTY"):
                m.d.comb += [block.code.eq(1), block.final.eq(1), blocks.w_en.eq(1)]
                with m.If(blocks.w_rdy):
                    m.next = "BYTE"
        return fsm.ongoing("EMPTY")

    def _send(self, m, bytes_, blocks):
        """Send blocks; return whether one is under way."""
        block = data.View(Block, blocks.r_data)
        remaining = Signal(range(FULL_CODE))
        final = Signal()
        with m.FSM(name="send") as fsm:
            with m.State("CODE"):
                m.d.comb += [self.o.p.eq(block.code), self.o.valid.eq(blocks.r_rdy),
                             blocks.r_en.eq(self.o.ready)]
                with m.If(self.o.valid & self.o.ready):
                    m.d.sync += [remaining.eq(block.code - 1), final.eq(block.final)]
                    with m.If(block.code != 1):
                        m.next = "BYTE"
                    with m.Elif(block.final):
                        m.next = "END"
            with m.State("BYTE"):
                m.d.comb += [self.o.p.eq(bytes_.r_data), self.o.valid.eq(bytes_.r_rdy),
                             bytes_.r_en.eq(self.o.ready)]
                with m.If(self.o.valid & self.o.ready):
                    m.d.sync += remaining.eq(remaining - 1)
                    with m.If((remaining == 1) & final):
                        m.next = "END"
                    with m.Elif(remaining == 1):
                        m.next = "CODE"
            with m.State("END"):
                m.d.comb += [self.o.p.eq(DELIMITER), self.o.valid.eq(1)]
                with m.If(self.o.ready):
                    m.next = "CODE"
        return ~fsm.ongoing("CODE")
