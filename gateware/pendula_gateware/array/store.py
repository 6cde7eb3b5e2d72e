"""One of the array's memories: written and read over the memory bus, read by the array."""

from amaranth import *
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out

from pendula.contract.memory import Memory, memory_layouts
from pendula.contract.spec import ArraySpec
from pendula_gateware.interfaces import (
    MEMORY_READ_LATENCY,
    MemoryBus,
    MemoryBusInterface,
    row_shape,
)
from pendula_gateware.numeric.delay import delayed

__all__ = ["RowStore"]


class RowStore(wiring.Component):
    """Memory of rows with one read port, lent to the bus while the array does not use it.

    Parameters
    ----------
    spec : ArraySpec
        Array.
    number : Memory
        Which of its memories.

    Members
    -------
    bus : :py:`In(MemoryBus(spec))`
        Access from the link; `read_data` holds this memory's row whatever memory is addressed.
    use : :py:`In(1)`
        The array reads `row` in this cycle.
    row : :py:`In(range(rows))`
        Row that the array reads.
    o : :py:`Out(row_shape(layout))`
        Row read, `latency` cycles later.

    Notes
    -----
    Latency :data:`MEMORY_READ_LATENCY` cycles: the memory and an output register.
    """

    bus: MemoryBusInterface
    use: Signal
    row: Signal
    o: data.View
    latency = MEMORY_READ_LATENCY

    def __init__(self, *, spec: ArraySpec, number: Memory) -> None:
        self._layout = memory_layouts(spec)[number]
        self._number = number
        super().__init__({
            "bus": In(MemoryBus(spec)), "use": In(1), "row": In(range(self._layout.rows)),
            "o": Out(row_shape(self._layout)),
        })

    def elaborate(self, platform):
        m = Module()
        shape = row_shape(self._layout)
        m.submodules.rows = rows = memory.Memory(shape=shape, depth=self._layout.rows, init=[])
        write, read = rows.write_port(), rows.read_port()
        m.d.comb += [
            write.en.eq(self.bus.write & (self.bus.memory == self._number)),
            write.addr.eq(self.bus.row),
            write.data.eq(self.bus.write_data),
            read.addr.eq(Mux(self.use, self.row, self.bus.row)),
            self.o.eq(delayed(m, read.data, self.latency - 1)),
            self.bus.read_data.eq(self.o),
        ]
        return m
