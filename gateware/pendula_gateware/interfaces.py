"""Shapes and signatures that the array and the link share; all widths come from the contract."""

from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from pendula.contract import registers
from pendula.contract.jitter import SEED_BITS
from pendula.contract.memory import BUFFERS_HI, Memory, RowLayout, memory_layouts
from pendula.contract.spec import ArraySpec

__all__ = [
    "MEMORY_READ_LATENCY",
    "Byte",
    "ByteStream",
    "JitterPort",
    "JitterPortInterface",
    "MemoryBus",
    "MemoryBusInterface",
    "Packet",
    "PacketStream",
    "RegisterValues",
    "job_shape",
    "lane_shape",
    "register_shape",
    "row_shape",
    "share_bus",
]

MEMORY_READ_LATENCY = 6
"""Cycles from an address on a :class:`MemoryBus` to its data, at most."""

Byte = unsigned(8)
ByteStream = stream.Signature(Byte)


Packet = data.StructLayout({"data": Byte, "last": 1})
"""One byte of a packet; every packet has at least one."""

PacketStream = stream.Signature(Packet)


def lane_shape(lanes: int) -> Shape:
    """Return the shape of a lane's number; never of zero bits, which Verilog cannot say."""
    return Shape.cast(range(max(2, lanes)))


def job_shape(lanes: int) -> data.StructLayout:
    """Return what the array does next.

    It draws samples from `index` on, `more` of them beside the first, one a lane; or where `force`
    is set, it evaluates the forces of the segment `index`, once.
    """
    return data.StructLayout({"force": 1, "index": 32, "more": lane_shape(lanes)})


class JitterPortInterface(wiring.PureInterface):
    """Ports of a :class:`JitterPort`."""

    draw: Signal
    gather: Signal
    busy: Signal
    seed: Signal
    status: Signal
    bits: Signal


class JitterPort(wiring.Signature):
    """A jitter seeder, seen from the link.

    Members
    -------
    draw : :py:`Out(1)`
        Draw a seed; not while `busy`.
    gather : :py:`Out(1)`
        Gather raw bits for `bits`; not while `busy`.
    busy : :py:`In(1)`
        Whether a draw or a gathering is not finished, from the cycle after it was asked for on.
    seed : :py:`In(64)`
        Seed of the last draw; 0 before the first, during one, and where its tests failed.
    status : :py:`In(4)`
        :class:`~pendula.contract.registers.JitterStatus`.
    bits : :py:`In(32)`
        Last raw bits, the oldest lowest.
    """

    def __init__(self) -> None:
        super().__init__({
            "draw": Out(1), "gather": Out(1), "busy": In(1), "seed": In(SEED_BITS),
            "status": In(len(registers.JitterStatus)), "bits": In(registers.REGISTER_BITS)})

    def create(self, *, path=None, src_loc_at: int = 0) -> JitterPortInterface:
        """Create the ports."""
        return JitterPortInterface(self, path=path, src_loc_at=1 + src_loc_at)


def row_shape(layout: RowLayout) -> data.StructLayout:
    """Return the hardware layout of a memory row."""
    members = {}
    for field in layout.fields:
        item = signed(field.width) if field.signed else unsigned(field.width)
        members[field.name] = item if field.count == 1 else data.ArrayLayout(item, field.count)
    return data.StructLayout(members)


def register_shape(register: registers.Register) -> Shape:
    """Return the hardware shape of a register."""
    return signed(register.width) if register.signed else unsigned(register.width)


RegisterValues = data.StructLayout({
    register.name.name.lower(): register_shape(register)
    for register in registers.REGISTERS if register.access is registers.Access.READ_WRITE})
"""All writable registers, by lower-case name."""


class MemoryBusInterface(wiring.PureInterface):
    """Ports of a :class:`MemoryBus`."""

    memory: Signal
    buffer: Signal
    row: Signal
    write: Signal
    write_data: Signal
    read_data: Signal


class MemoryBus(wiring.Signature):
    """Access to the array's memories, seen from the link.

    Only while the array is idle, but for the buffer that it does not use.

    Parameters
    ----------
    spec : ArraySpec
        Array whose memories are reached.

    Members
    -------
    memory : :py:`Out(Memory)`
        Memory to address.
    buffer : :py:`Out(range(2))`
        Buffer to address, where the memory is buffered.
    row : :py:`Out(range(rows))`
        Row of that memory.
    write : :py:`Out(1)`
        Write `write_data` in this cycle.
    write_data : :py:`Out(width)`
        Row to write, in the low bits.
    read_data : :py:`In(width)`
        Row that is addressed, once it has been for :data:`MEMORY_READ_LATENCY` cycles, in the low
        bits; the others are zero.
    """

    def __init__(self, spec: ArraySpec) -> None:
        layouts = memory_layouts(spec).values()
        width = max(layout.width for layout in layouts)
        super().__init__({
            "memory": Out(Memory), "buffer": Out(range(BUFFERS_HI)),
            "row": Out(range(max(layout.rows for layout in layouts))),
            "write": Out(1),
            "write_data": Out(width),
            "read_data": In(width),
        })

    def create(self, *, path=None, src_loc_at: int = 0) -> MemoryBusInterface:
        """Create the ports."""
        return MemoryBusInterface(self, path=path, src_loc_at=1 + src_loc_at)


def share_bus(m: Module, bus: MemoryBusInterface, *memories: MemoryBusInterface) -> None:
    """Show every memory what is asked for on `bus`; what they answer is left to the caller."""
    for memory in memories:
        m.d.comb += [memory.memory.eq(bus.memory), memory.buffer.eq(bus.buffer),
                     memory.row.eq(bus.row), memory.write.eq(bus.write),
                     memory.write_data.eq(bus.write_data)]
