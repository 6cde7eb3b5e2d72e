"""The link's checksum in hardware."""

from typing import Any

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.crc import catalog
from amaranth.lib.wiring import In, Out

from pendula.contract.protocol import CRC_BYTES
from pendula_gateware.fabric import GENERIC, Fabric
from pendula_gateware.interfaces import Byte

__all__ = ["Crc32"]


class Crc32(wiring.Component):
    """CRC-32/ISO-HDLC of bytes.

    Parameters
    ----------
    fabric : Fabric
        What it is built for.

    Members
    -------
    start : :py:`In(1)`
        Begin anew; wins over `valid`. Not while a byte is worked on.
    data : :py:`In(8)`
        Byte.
    valid : :py:`In(1)`
        Take it in, where `ready`.
    ready : :py:`Out(1)`
        Whether a byte can be taken, and `crc` and `match` are those of all bytes so far.
    crc : :py:`Out(32)`
        The checksum.
    match : :py:`Out(1)`
        Whether the bytes end in the checksum of those before.

    Notes
    -----
    One byte a cycle; in a fabric that is `compact`, one in 9 cycles.
    """

    start: Signal
    data: Signal
    valid: Signal
    ready: Signal
    crc: Signal
    match: Signal

    def __init__(self, *, fabric: Fabric = GENERIC) -> None:
        self._bits = 1 if fabric.compact else Byte.width        # a cycle
        super().__init__({"start": In(1), "data": In(Byte), "valid": In(1), "ready": Out(1),
                          "crc": Out(CRC_BYTES * Byte.width), "match": Out(1)})

    def elaborate(self, platform):
        m = Module()
        processor: Any = catalog.CRC32_ISO_HDLC(data_width=self._bits).create()
        m.submodules.processor = processor
        m.d.comb += [processor.start.eq(self.start), self.crc.eq(processor.crc),
                     self.match.eq(processor.match_detected)]
        if self._bits == Byte.width:
            m.d.comb += [processor.data.eq(self.data), processor.valid.eq(self.valid),
                         self.ready.eq(1)]
            return m
        rest, left = Signal(Byte, reset_less=True), Signal(range(Byte.width + 1))
        m.d.comb += [processor.data.eq(rest[0]), processor.valid.eq(~self.ready),
                     self.ready.eq(left == 0)]
        m.d.sync += rest.eq(Mux(self.ready, self.data, rest >> 1))
        with m.If(~self.ready):
            m.d.sync += left.eq(left - 1)
        with m.Elif(self.valid):
            m.d.sync += left.eq(Byte.width)
        return m
