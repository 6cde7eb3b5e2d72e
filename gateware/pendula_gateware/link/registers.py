"""Register bank, built from the contract's register map."""

from amaranth import *
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out

from pendula.contract.registers import REGISTER_BITS, REGISTERS, Access
from pendula_gateware.fabric import UNCHECKED
from pendula_gateware.interfaces import Byte, RegisterValues, register_shape

__all__ = ["Registers"]


class Registers(wiring.Component):
    """Store the writable registers, and read all of them.

    Members
    -------
    values : :py:`Out(RegisterValues)`
        Writable registers.
    saturations, cycles, frames_dropped, jitter_status, jitter_bits, measured : :py:`In`
        Read-only registers: one port each, by lower-case name.
    address : :py:`In(8)`
        Register to read or write.
    write : :py:`In(1)`
        Write `write_data` in this cycle, where `writable`; what does not fit is cut off.
    write_data : :py:`In(32)`
        Value to write.
    en : :py:`In(1)`
        Follow `address`; otherwise the outputs below stay.
    read_data : :py:`Out(32)`
        Value of the register, extended by its sign; anything where there is none.
    known, writable : :py:`Out(1)`
        Whether there is such a register, and whether it may be written.

    Notes
    -----
    Latency `latency` from `address` to `read_data`, `known` and `writable`.
    """

    values: data.View
    saturations: Signal
    cycles: Signal
    frames_dropped: Signal
    jitter_status: Signal
    jitter_bits: Signal
    measured: Signal
    address: Signal
    write: Signal
    write_data: Signal
    en: Signal
    read_data: Signal
    known: Signal
    writable: Signal
    latency = 2

    def __init__(self) -> None:
        read_only = {register.name.name.lower(): In(register_shape(register))
                     for register in REGISTERS if register.access is Access.READ_ONLY}
        super().__init__({
            "values": Out(RegisterValues),
            "address": In(Byte), "write": In(1), "write_data": In(REGISTER_BITS),
            "en": In(1), "read_data": Out(REGISTER_BITS), "known": Out(1), "writable": Out(1),
            **read_only})

    def elaborate(self, platform):
        m = Module()
        written = [register for register in REGISTERS if register.access is Access.READ_WRITE]
        values = Signal(RegisterValues, init={
            register.name.name.lower(): register.reset for register in written})
        copies = self._copy(m, {register.name: register.reset for register in written})
        write, read = copies.write_port(), copies.read_port()
        m.d.comb += [self.values.eq(values), write.addr.eq(self.address),
                     read.addr.eq(self.address)]
        read_data, known, writable = Signal(REGISTER_BITS), Signal(), Signal()
        m.d.comb += read_data.eq(read.data)
        with m.Switch(self.address):
            for register in REGISTERS:
                with m.Case(register.name):
                    m.d.comb += known.eq(1)
                    if register in written:
                        value = values[register.name.name.lower()]
                        kept = self.write_data[:register.width]
                        m.d.comb += [writable.eq(1), write.en.eq(self.write), write.data.eq(
                            kept.as_signed() if register.signed else kept)]
                        with m.If(self.write):
                            m.d.sync += value.eq(self.write_data)
                    else:
                        m.d.comb += read_data.eq(getattr(self, register.name.name.lower()))
        with m.If(self.en):
            m.d.sync += [self.read_data.eq(read_data), self.known.eq(known),
                         self.writable.eq(writable)]
        return m

    def _copy(self, m: Module, resets: dict[int, int]) -> memory.Memory:
        """Build a memory of what the writable registers read as: a choice of bits less for each."""
        rows = [resets.get(address, 0) for address in range(max(resets) + 1)]
        m.submodules.copies = copies = memory.Memory(
            shape=REGISTER_BITS, depth=len(rows), init=rows, attrs=UNCHECKED)
        return copies
