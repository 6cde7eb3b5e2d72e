"""One of the array's memories: written and read over the memory bus, read by the array."""

from collections.abc import Collection

from amaranth import *
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from pendula.contract.memory import BUFFERED, BUFFERS_HI, Memory, memory_layouts
from pendula.contract.spec import ArraySpec
from pendula_gateware.fabric import GENERIC, LARGE, UNCHECKED, Fabric
from pendula_gateware.interfaces import MemoryBus, MemoryBusInterface, row_shape
from pendula_gateware.numeric.delay import delayed

__all__ = ["RowStore"]


class RowStore(wiring.Component):
    """Memory of rows, or of some of their fields, with one read port, lent to the bus at rest.

    Where the fabric has two buffers and the memory is buffered, it is there twice, and the one that
    the array does not use is always lent to the bus.

    Parameters
    ----------
    spec : ArraySpec
        Array.
    number : Memory
        Which of its memories.
    fields : collection of str, optional
        Fields to keep; all of them where it is not given.
    fabric : Fabric
        What it is built for.

    Members
    -------
    bus : :py:`In(MemoryBus(spec))`
        Access from the link; `read_data` holds this memory's row whatever memory is addressed.
        Fields that are not kept read as zero.
    use : :py:`In(1)`
        The array reads `row`, not the bus.
    row : :py:`In(range(rows))`
        Row that the array reads.
    buffer : :py:`In(range(2))`
        Buffer that the array reads. Constant while `use`, and `latency` cycles longer.
    o : :py:`Out(row_shape(layout))`
        Row read, `latency` cycles later.

    Notes
    -----
    Latency `latency`: the memory, the registers that the fabric puts behind it, and the choice of
    the bank where there are several.
    """

    bus: MemoryBusInterface
    use: Signal
    row: Signal
    buffer: Signal
    o: data.View

    def __init__(self, *, spec: ArraySpec, number: Memory,
                 fields: Collection[str] | None = None, fabric: Fabric = GENERIC) -> None:
        layout = memory_layouts(spec)[number]
        self._banks, self._registers = fabric.banks(layout.rows), fabric.registers
        self._number, self._shape = number, row_shape(layout)
        self._kept = data.StructLayout({
            name: field.shape for name, field in self._shape if fields is None or name in fields})
        self._large = fabric.is_large(layout.rows * self._kept.size)
        self._buffers = fabric.buffers if number in BUFFERED else 1
        super().__init__({
            "bus": In(MemoryBus(spec)), "use": In(1), "row": In(range(layout.rows)),
            "buffer": In(range(BUFFERS_HI)), "o": Out(self._shape),
        })

    @property
    def latency(self) -> int:
        """Cycles from a row's number to the row."""
        return self._far + self._kept_latency + (len(self._banks) > 1)

    @property
    def _far(self) -> int:
        """Cycles from what is asked to the banks: there may be many."""
        return self._registers if len(self._banks) > 1 else 0

    @property
    def _kept_latency(self) -> int:
        """Cycles from a row's number to what its bank keeps there."""
        return 1 + self._registers

    def _bank(self, row: Value) -> Value:
        """Return the number of the bank of a row."""
        return row[exact_log2(self._banks[0]):] if len(self._banks) > 1 else C(0)

    def _is(self, value: Value, buffer: int) -> Value:
        """Return whether a value names a buffer; any does where there is one."""
        return value == buffer if self._buffers > 1 else C(1)

    def _build_bank(self, m: Module, buffer: int, number: int, row: Value, store: Value,
                    written: data.View) -> data.View:
        """Return what a bank answers, `_kept_latency` cycles after it was asked."""
        kind, place = LARGE if self._large else "bank", buffer * len(self._banks) + number
        m.submodules[f"{kind}_{place}"] = bank = memory.Memory(
            shape=self._kept, depth=self._banks[number], init=[],
            attrs=UNCHECKED | ({"ram_style": "huge"} if self._large else {}))
        write, read = bank.write_port(), bank.read_port()
        m.d.comb += [
            write.en.eq(store & (self._bank(row) == number)),
            write.addr.eq(row),
            read.addr.eq(row),
            read.en.eq(~write.en),
            *(write.data[name].eq(written[name]) for name, _ in self._kept),
        ]
        return delayed(m, read.data, self._registers)

    def _build_buffer(self, m: Module, buffer: int, written: data.View) -> data.View:
        """Return the fields of a buffer's row, `latency` cycles after it was asked."""
        row = Signal.like(self.row, name=f"row_{buffer}")
        m.d.comb += row.eq(Mux(self.use & self._is(self.buffer, buffer), self.row, self.bus.row))
        store = (self.bus.write & (self.bus.memory == self._number)
                 & self._is(self.bus.buffer, buffer))
        # The row is the bus's whenever that writes: one port serves both.
        row, store = delayed(m, row, self._far), delayed(m, store, self._far)
        kept = [self._build_bank(m, buffer, number, row, store, written)
                for number in range(len(self._banks))]
        o = kept[0]
        if len(kept) > 1:
            o = Signal.like(o, reset_less=True)
            m.d.sync += o.eq(Array(kept)[delayed(m, self._bank(row), self._kept_latency)])
        return o

    def elaborate(self, platform):
        m = Module()
        written = data.View(self._shape, delayed(
            m, self.bus.write_data[:self._shape.size], self._far))
        kept = [self._build_buffer(m, buffer, written) for buffer in range(self._buffers)]
        seen = Signal(self._shape)
        for port, buffer in ((self.o, self.buffer), (seen, self.bus.buffer)):
            o = Array(kept)[buffer] if len(kept) > 1 else kept[0]
            m.d.comb += [port[name].eq(o[name]) for name, _ in self._kept]
        m.d.comb += self.bus.read_data.eq(seen)
        return m
