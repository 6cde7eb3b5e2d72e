"""Memory port: rows of the array's memories, written from bytes, read, and checked by CRC."""

from dataclasses import dataclass

from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from pendula.contract.memory import memory_layouts
from pendula.contract.protocol import CRC_BYTES, Status
from pendula.contract.spec import ArraySpec
from pendula_gateware.interfaces import (
    MEMORY_READ_LATENCY,
    Byte,
    MemoryBus,
    MemoryBusInterface,
    PacketStream,
)
from pendula_gateware.link.crc import crc32
from pendula_gateware.numeric.delay import registered

__all__ = ["MemoryPort"]

ROW_BITS = 32      # of the row number on the link


@dataclass(frozen=True)
class _Cursor:
    """Where the port is: row, byte in it, rows left, and whether these are within bounds."""

    row: Signal
    place: Signal
    left: Signal
    known: Signal       # the memory exists
    exists: Signal      # the row exists, from the second cycle at this row on
    complete: Signal    # `place` is the last byte of the row
    fits: Signal        # the last row to read exists, from the third cycle on


class MemoryPort(wiring.Component):
    """Execute WRITE_MEMORY, CHECKSUM and READ_MEMORY.

    Parameters
    ----------
    spec : ArraySpec
        Array whose memories are reached.
    sums : int
        Sums of its statistics.

    Members
    -------
    run : :py:`In(1)`
        Execute; stays until `done` has been seen. The inputs below must not change meanwhile.
    check : :py:`In(1)`
        CHECKSUM rather than WRITE_MEMORY.
    read : :py:`In(1)`
        READ_MEMORY rather than WRITE_MEMORY.
    memory : :py:`In(8)`
        Number of the memory.
    first, rows : :py:`In(32)`
        First row; number of rows for CHECKSUM and READ_MEMORY.
    tail : :py:`In(PacketStream)`
        Bytes of the rows for WRITE_MEMORY; read to its end in any case.
    bus : :py:`Out(MemoryBus(spec))`
        The memories.
    o : :py:`Out(PacketStream)`
        Bytes of the rows for READ_MEMORY, where its status is OK.
    done : :py:`Out(1)`
        `status` and `crc` are final; with READ_MEMORY until the first row is taken.
    over : :py:`Out(1)`
        And all of `o` is taken.
    status : :py:`Out(Status)`
        OK; BAD_LENGTH if the tail ended within a row; else BAD_ADDRESS if there is no such memory
        or row, also for a CHECKSUM of no rows that begins there, and for a READ_MEMORY of no rows
        or of one that is missing. The rows before are written.
    crc : :py:`Out(32)`
        CRC-32 of the rows' bytes, for CHECKSUM.

    Notes
    -----
    A row takes a cycle for each byte and one more to write it, `MEMORY_READ_LATENCY` more to check
    it. To read it takes two cycles for each byte and `MEMORY_READ_LATENCY` more.
    """

    run: Signal
    check: Signal
    read: Signal
    memory: Signal
    first: Signal
    rows: Signal
    tail: stream.Interface
    bus: MemoryBusInterface
    o: stream.Interface
    done: Signal
    over: Signal
    status: Signal
    crc: Signal

    def __init__(self, *, spec: ArraySpec, sums: int = 0) -> None:
        self._spec, self._sums = spec, sums
        super().__init__({
            "run": In(1), "check": In(1), "read": In(1), "memory": In(Byte), "first": In(ROW_BITS),
            "rows": In(ROW_BITS), "tail": In(PacketStream), "bus": Out(MemoryBus(spec)),
            "o": Out(PacketStream), "done": Out(1), "over": Out(1), "status": Out(Status),
            "crc": Out(CRC_BYTES * Byte.width)})

    @property
    def spec(self) -> ArraySpec:
        """Array whose memories are reached."""
        return self._spec

    @property
    def sums(self) -> int:
        """Sums of its statistics."""
        return self._sums

    def _cursor(self, m) -> _Cursor:
        """Build the cursor; `place` counts the cycles of a fetch as well."""
        layouts = memory_layouts(self._spec, self._sums)
        row_bytes = max(layout.row_bytes for layout in layouts.values())
        cursor = _Cursor(row=Signal(ROW_BITS), left=Signal(ROW_BITS), known=Signal(),
                         exists=Signal(), complete=Signal(), fits=Signal(),
                         place=Signal(range(max(row_bytes, MEMORY_READ_LATENCY))))
        end = registered(m, cursor.row + cursor.left)
        with m.Switch(self.memory):
            for memory, layout in layouts.items():
                with m.Case(memory):
                    m.d.comb += [cursor.known.eq(1),
                                 cursor.complete.eq(cursor.place == layout.row_bytes - 1)]
                    m.d.sync += [cursor.exists.eq(cursor.row < layout.rows), cursor.fits.eq(
                        (cursor.left != 0) & (end <= layout.rows))]
            with m.Default():
                m.d.sync += [cursor.exists.eq(0), cursor.fits.eq(0)]
        m.d.comb += [self.bus.memory.eq(self.memory), self.bus.row.eq(cursor.row)]
        return cursor

    def elaborate(self, platform):
        m = Module()
        m.submodules.crc = crc = crc32()
        cursor, byte = self._cursor(m), Signal(Byte)
        with m.FSM() as fsm:
            with m.State("IDLE"):
                m.d.sync += [cursor.row.eq(self.first), cursor.left.eq(self.rows),
                             cursor.place.eq(0), self.status.eq(Status.OK)]
                with m.If(self.run):
                    m.next = "WRITE"
                    with m.If(self.check | self.read):
                        m.next = "FETCH"
            self._write(m, cursor)
            self._fetch(m, cursor)
            self._check(m, cursor)
            self._read(m, cursor, byte)
            with m.State("DONE"), m.If(~self.run):
                m.next = "IDLE"
        m.d.sync += crc.valid.eq(fsm.ongoing("CHECK"))
        with m.If(~fsm.ongoing("SEND")):
            m.d.sync += byte.eq(self.bus.read_data.word_select(cursor.place, Byte.width))
        m.d.comb += [crc.data.eq(byte), crc.start.eq(~self.run), self.crc.eq(crc.crc),
                     self.over.eq(fsm.ongoing("DONE") & ~crc.valid),
                     self.done.eq(self.over | fsm.ongoing("PICK") | fsm.ongoing("SEND"))]
        return m

    def _write(self, m, cursor):
        """Gather the bytes of a row, store it, and so on to the end of the tail."""
        ended = Signal()
        with m.State("WRITE"):
            m.d.comb += self.tail.ready.eq(1)
            with m.If(self.tail.valid):
                byte = self.bus.write_data.word_select(cursor.place, Byte.width)
                m.d.sync += [byte.eq(self.tail.p.data), ended.eq(self.tail.p.last),
                             cursor.place.eq(Mux(cursor.complete, 0, cursor.place + 1))]
                with m.If(cursor.complete):
                    m.next = "STORE"
                with m.Elif(self.tail.p.last):
                    m.d.sync += self.status.eq(Mux(cursor.known, Status.BAD_LENGTH,
                                                   Status.BAD_ADDRESS))
                    m.next = "DONE"
        with m.State("STORE"):
            m.d.comb += self.bus.write.eq(cursor.exists & (self.status == Status.OK))
            m.d.sync += cursor.row.eq(cursor.row + 1)
            with m.If(~cursor.exists):
                m.d.sync += self.status.eq(Status.BAD_ADDRESS)
            m.next = "WRITE"
            with m.If(ended):
                m.next = "DONE"

    def _fetch(self, m, cursor):
        """Fetch a row, if there is one."""
        with m.State("FETCH"):
            m.d.sync += cursor.place.eq(cursor.place + 1)
            with m.If(cursor.place == MEMORY_READ_LATENCY - 1):
                m.d.sync += cursor.place.eq(0)
                m.next = "CHECK"
                with m.If(self.read):
                    m.next = "PICK"
                with m.If(~self.read & (cursor.left == 0)):
                    m.next = "DONE"
                with m.If(~Mux(self.read, cursor.fits, cursor.exists)):
                    m.d.sync += self.status.eq(Status.BAD_ADDRESS)
                    m.next = "DONE"

    def _check(self, m, cursor):
        """Take the bytes of a row, and so on to the last row."""
        with m.State("CHECK"):
            m.d.sync += cursor.place.eq(cursor.place + 1)
            with m.If(cursor.complete):
                m.d.sync += [cursor.place.eq(0), cursor.row.eq(cursor.row + 1),
                             cursor.left.eq(cursor.left - 1)]
                m.next = "FETCH"
                with m.If(cursor.left == 1):
                    m.next = "DONE"

    def _read(self, m, cursor, byte):
        """Send the bytes of a row, and so on to the last row."""
        last = cursor.left == 1
        with m.State("PICK"):
            m.next = "SEND"
        with m.State("SEND"):
            m.d.comb += [self.o.valid.eq(1), self.o.p.data.eq(byte),
                         self.o.p.last.eq(cursor.complete & last)]
            with m.If(self.o.ready):
                m.d.sync += cursor.place.eq(cursor.place + 1)
                m.next = "PICK"
                with m.If(cursor.complete):
                    m.d.sync += [cursor.place.eq(0), cursor.row.eq(cursor.row + 1),
                                 cursor.left.eq(cursor.left - 1)]
                    m.next = "FETCH"
                    with m.If(last):
                        m.next = "DONE"
