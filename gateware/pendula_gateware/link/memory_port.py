"""Memory port: rows of the array's memories, written from bytes, read, and checked by CRC."""

from dataclasses import dataclass

from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from pendula.contract.memory import BUFFER_BIT, BUFFERED, memory_layouts
from pendula.contract.protocol import CRC_BYTES, Status
from pendula.contract.spec import ArraySpec
from pendula_gateware.fabric import GENERIC, Fabric
from pendula_gateware.interfaces import (
    MEMORY_READ_LATENCY,
    Byte,
    MemoryBus,
    MemoryBusInterface,
    PacketStream,
)
from pendula_gateware.link.crc import Crc32
from pendula_gateware.numeric.delay import delayed, registered

__all__ = ["MemoryPort"]

ROW_BITS = 32      # of the row number on the link


@dataclass(frozen=True)
class _Cursor:
    """Where the port is: row, byte in it, and whether these are within bounds."""

    row: Signal
    place: Signal
    exists: Signal      # the row exists, from the second cycle at this row on
    complete: Value     # `place` is the last byte of the row
    fits: Signal        # all rows to read exist, from the third cycle on
    last: Value         # the row is the last one to read, from the third cycle on


class MemoryPort(wiring.Component):
    """Execute WRITE_MEMORY, CHECKSUM and READ_MEMORY.

    Parameters
    ----------
    spec : ArraySpec
        Array whose memories are reached.
    sums : int
        Sums of its statistics.
    fabric : Fabric
        What it is built for.

    Members
    -------
    run : :py:`In(1)`
        Execute; stays until `done` has been seen. The inputs below must not change meanwhile.
    check : :py:`In(1)`
        CHECKSUM rather than WRITE_MEMORY.
    read : :py:`In(1)`
        READ_MEMORY rather than WRITE_MEMORY.
    memory : :py:`In(8)`
        Number of the memory, and of its buffer where there are two.
    first, rows : :py:`In(32)`
        First row; number of rows for CHECKSUM and READ_MEMORY.
    tail : :py:`In(PacketStream)`
        Bytes of the rows for WRITE_MEMORY; read to its end in any case.
    bus : :py:`Out(MemoryBus(spec))`
        The memories.
    o : :py:`Out(PacketStream)`
        Bytes of the rows for READ_MEMORY, where its status is OK.
    done : :py:`Out(1)`
        `status` and `crc` are final; with READ_MEMORY before the first byte of `o`.
    status : :py:`Out(Status)`
        OK; BAD_LENGTH if the tail ended within a row; else BAD_ADDRESS if there is no such memory
        or row, also for a CHECKSUM of no rows that begins there, and for a READ_MEMORY of no rows
        or of one that is missing. The rows before are written.
    crc : :py:`Out(32)`
        CRC-32 of the rows' bytes, for CHECKSUM.

    Notes
    -----
    A row takes a cycle for each byte and one more to write it, `MEMORY_READ_LATENCY` and one more
    to read or check it; to check it in a fabric that is `compact`, a byte takes as long as its CRC.
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
    status: Signal
    crc: Signal

    def __init__(self, *, spec: ArraySpec, sums: int = 0, fabric: Fabric = GENERIC) -> None:
        self._spec, self._sums, self._fabric = spec, sums, fabric
        super().__init__({
            "run": In(1), "check": In(1), "read": In(1), "memory": In(Byte), "first": In(ROW_BITS),
            "rows": In(ROW_BITS), "tail": In(PacketStream), "bus": Out(MemoryBus(spec)),
            "o": Out(PacketStream), "done": Out(1), "status": Out(Status),
            "crc": Out(CRC_BYTES * Byte.width)})

    @property
    def spec(self) -> ArraySpec:
        """Array whose memories are reached."""
        return self._spec

    @property
    def sums(self) -> int:
        """Sums of its statistics."""
        return self._sums

    def _drive_bus(self, m, number, buffer, row, word, store):
        """Ask for a row, or store it; the bus leads to memories far apart, and has registers."""
        for port, value in (
                (self.bus.memory, number), (self.bus.buffer, buffer), (self.bus.row, row),
                (self.bus.write, store), (self.bus.write_data, word)):
            m.d.comb += port.eq(delayed(m, value, self._fabric.registers))

    def _cursor(self, m) -> _Cursor:
        """Build the cursor; `place` counts the cycles of a fetch as well.

        Rows are counted in as few bits as the largest memory needs; what the link asks for beyond
        these is missing in any case.
        """
        layouts = memory_layouts(self._spec, self._sums)
        row_bytes = max(layout.row_bytes for layout in layouts.values())
        limit = Signal(range(max(layout.rows for layout in layouts.values()) + 1))
        row, exists, fits = Signal.like(limit), Signal(), Signal()
        place = Signal(range(max(row_bytes, MEMORY_READ_LATENCY + 1)))
        last_place, known = Signal.like(place), Signal()
        number, buffer = self.memory[:BUFFER_BIT], self.memory[BUFFER_BIT]
        with m.Switch(number):
            for memory, layout in layouts.items():
                twice = self._fabric.buffers > 1 and memory in BUFFERED
                with m.Case(memory):
                    m.d.sync += [limit.eq(layout.rows), last_place.eq(layout.row_bytes - 1),
                                 known.eq(1 if twice else ~buffer)]
            with m.Default():
                m.d.sync += [limit.eq(0), last_place.eq(0), known.eq(0)]
        bits = len(row)
        end = registered(m, self.first[:bits] + self.rows[:bits])
        near = known & ~self.first[bits:].any()
        m.d.sync += [exists.eq(near & (row < limit)),
                     fits.eq(near & ~self.rows[bits:].any() & (end <= limit))]
        return _Cursor(row=row, place=place, exists=exists, fits=fits,
                       complete=place == last_place,
                       last=registered(m, row + 1 == end))

    def elaborate(self, platform):
        m = Module()
        m.submodules.crc = crc = Crc32(fabric=self._fabric)
        cursor, started = self._cursor(m), Signal()
        word = Signal(-(-len(self.bus.write_data) // Byte.width) * Byte.width, reset_less=True)
        byte, store = word[:Byte.width], Signal()
        number = registered(m, self.memory[:BUFFER_BIT])
        buffer = registered(m, self.memory[BUFFER_BIT])
        self._drive_bus(m, number, buffer, cursor.row, word, store)
        with m.FSM() as fsm:
            with m.State("IDLE"):
                m.d.sync += [cursor.row.eq(self.first), cursor.place.eq(0), started.eq(0),
                             self.status.eq(Status.OK)]
                with m.If(self.run):
                    m.next = "WRITE"
                    with m.If(self.check | self.read):
                        m.next = "FETCH"
            self._write(m, number, cursor, word, store)
            self._fetch(m, cursor, word, started)
            self._send(m, cursor, word, Mux(self.check, crc.ready, self.o.ready))
            with m.State("DONE"), m.If(~self.run):
                m.next = "IDLE"
        sending = fsm.ongoing("SEND")
        m.d.comb += [
            crc.data.eq(byte), crc.valid.eq(sending & self.check),
            crc.start.eq(~self.run), self.crc.eq(crc.crc), self.o.valid.eq(sending & self.read),
            self.o.p.data.eq(byte), self.o.p.last.eq(cursor.complete & cursor.last),
            self.done.eq((fsm.ongoing("DONE") & crc.ready) | (started & self.read))]
        return m

    def _write(self, m, number, cursor, word, store):
        """Gather the bytes of a row, store it, and so on to the end of the tail."""
        ended = Signal()
        with m.State("WRITE"):
            m.d.comb += self.tail.ready.eq(1)
            with m.If(self.tail.valid):
                m.d.sync += [word.eq(word >> Byte.width), ended.eq(self.tail.p.last),
                             cursor.place.eq(Mux(cursor.complete, 0, cursor.place + 1))]
                # The first byte of a row arrives at its low end.
                with m.Switch(number):
                    for memory, layout in memory_layouts(self._spec, self._sums).items():
                        with m.Case(memory):
                            m.d.sync += word.word_select(
                                layout.row_bytes - 1, Byte.width).eq(self.tail.p.data)
                with m.If(cursor.complete):
                    m.next = "STORE"
                with m.Elif(self.tail.p.last):
                    m.d.sync += self.status.eq(Status.BAD_LENGTH)
                    m.next = "DONE"
        with m.State("STORE"):
            m.d.comb += store.eq(cursor.exists & (self.status == Status.OK))
            m.d.sync += cursor.row.eq(cursor.row + 1)
            with m.If(~cursor.exists):
                m.d.sync += self.status.eq(Status.BAD_ADDRESS)
            m.next = "WRITE"
            with m.If(ended):
                m.next = "DONE"

    def _fetch(self, m, cursor, word, started):
        """Fetch a row, if all rows exist."""
        some = self.rows.any()
        with m.State("FETCH"):
            m.d.sync += [cursor.place.eq(cursor.place + 1), word.eq(self.bus.read_data)]
            with m.If(cursor.place == MEMORY_READ_LATENCY):
                m.d.sync += cursor.place.eq(0)
                with m.If(cursor.fits & some):
                    m.d.sync += started.eq(1)
                    m.next = "SEND"
                with m.Else():
                    with m.If(~(cursor.exists & self.check & ~some)):
                        m.d.sync += self.status.eq(Status.BAD_ADDRESS)
                    m.next = "DONE"

    def _send(self, m, cursor, word, ready):
        """Send the bytes of a row, or take their CRC, and so on to the last row."""
        with m.State("SEND"), m.If(ready):
            m.d.sync += [word.eq(word >> Byte.width), cursor.place.eq(cursor.place + 1)]
            with m.If(cursor.complete):
                m.d.sync += [cursor.place.eq(0), cursor.row.eq(cursor.row + 1)]
                m.next = "FETCH"
                with m.If(cursor.last):
                    m.next = "DONE"
