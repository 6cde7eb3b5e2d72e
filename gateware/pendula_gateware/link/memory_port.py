"""Memory port: rows of the array's memories, written from bytes and checked by CRC."""

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


class MemoryPort(wiring.Component):
    """Execute WRITE_MEMORY and CHECKSUM.

    Parameters
    ----------
    spec : ArraySpec
        Array whose memories are reached.

    Members
    -------
    run : :py:`In(1)`
        Execute; stays until `done` has been seen. The inputs below must not change meanwhile.
    check : :py:`In(1)`
        CHECKSUM rather than WRITE_MEMORY.
    memory : :py:`In(8)`
        Number of the memory.
    first, rows : :py:`In(32)`
        First row; number of rows for CHECKSUM.
    tail : :py:`In(PacketStream)`
        Bytes of the rows for WRITE_MEMORY; read to its end in any case.
    bus : :py:`Out(MemoryBus(spec))`
        The memories.
    done : :py:`Out(1)`
        All is over; `status` and `crc` are final.
    status : :py:`Out(Status)`
        OK; BAD_LENGTH if the tail ended within a row; else BAD_ADDRESS if there is no such memory
        or row, also for a CHECKSUM of no rows that begins there. The rows before are written.
    crc : :py:`Out(32)`
        CRC-32 of the rows' bytes, for CHECKSUM.

    Notes
    -----
    A row takes a cycle for each byte and one more to write it, two more to check it.
    """

    run: Signal
    check: Signal
    memory: Signal
    first: Signal
    rows: Signal
    tail: stream.Interface
    bus: MemoryBusInterface
    done: Signal
    status: Signal
    crc: Signal

    def __init__(self, *, spec: ArraySpec) -> None:
        self._spec = spec
        super().__init__({
            "run": In(1), "check": In(1), "memory": In(Byte), "first": In(ROW_BITS),
            "rows": In(ROW_BITS), "tail": In(PacketStream), "bus": Out(MemoryBus(spec)),
            "done": Out(1), "status": Out(Status), "crc": Out(CRC_BYTES * Byte.width)})

    @property
    def spec(self) -> ArraySpec:
        """Array whose memories are reached."""
        return self._spec

    def _cursor(self, m) -> _Cursor:
        """Build the cursor; `place` counts the cycles of a fetch as well."""
        layouts = memory_layouts(self._spec)
        row_bytes = max(layout.row_bytes for layout in layouts.values())
        cursor = _Cursor(row=Signal(ROW_BITS), left=Signal(ROW_BITS), known=Signal(),
                         exists=Signal(), complete=Signal(),
                         place=Signal(range(max(row_bytes, MEMORY_READ_LATENCY))))
        with m.Switch(self.memory):
            for memory, layout in layouts.items():
                with m.Case(memory):
                    m.d.comb += [cursor.known.eq(1),
                                 cursor.complete.eq(cursor.place == layout.row_bytes - 1)]
                    m.d.sync += cursor.exists.eq(cursor.row < layout.rows)
            with m.Default():
                m.d.sync += cursor.exists.eq(0)
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
                    with m.If(self.check):
                        m.next = "FETCH"
            self._write(m, cursor)
            self._check(m, cursor)
            with m.State("DONE"), m.If(~self.run):
                m.next = "IDLE"
        m.d.sync += [byte.eq(self.bus.read_data.word_select(cursor.place, Byte.width)),
                     crc.valid.eq(fsm.ongoing("READ"))]
        m.d.comb += [crc.data.eq(byte), crc.start.eq(~self.run), self.crc.eq(crc.crc),
                     self.done.eq(fsm.ongoing("DONE") & ~crc.valid)]
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

    def _check(self, m, cursor):
        """Fetch a row, read its bytes, and so on to the last row."""
        with m.State("FETCH"):
            m.d.sync += cursor.place.eq(cursor.place + 1)
            with m.If(cursor.place == MEMORY_READ_LATENCY - 1):
                m.d.sync += cursor.place.eq(0)
                m.next = "READ"
                with m.If(cursor.left == 0):
                    m.next = "DONE"
                with m.If(~cursor.exists):
                    m.d.sync += self.status.eq(Status.BAD_ADDRESS)
                    m.next = "DONE"
        with m.State("READ"):
            m.d.sync += cursor.place.eq(cursor.place + 1)
            with m.If(cursor.complete):
                m.d.sync += [cursor.place.eq(0), cursor.row.eq(cursor.row + 1),
                             cursor.left.eq(cursor.left - 1)]
                m.next = "FETCH"
                with m.If(cursor.left == 1):
                    m.next = "DONE"
