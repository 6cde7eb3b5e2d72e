"""Register bank, built from the contract's register map."""

from amaranth import *
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from pendula.contract.registers import REGISTER_BITS, REGISTERS, Access
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
    read_data : :py:`Out(32)`
        Value of the register, extended by its sign; 0 where there is none.
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
    read_data: Signal
    known: Signal
    writable: Signal
    latency = 1

    def __init__(self) -> None:
        read_only = {register.name.name.lower(): In(register_shape(register))
                     for register in REGISTERS if register.access is Access.READ_ONLY}
        super().__init__({
            "values": Out(RegisterValues),
            "address": In(Byte), "write": In(1), "write_data": In(REGISTER_BITS),
            "read_data": Out(REGISTER_BITS), "known": Out(1), "writable": Out(1), **read_only})

    def elaborate(self, platform):
        m = Module()
        values = Signal(RegisterValues, init={
            register.name.name.lower(): register.reset for register in REGISTERS
            if register.access is Access.READ_WRITE})
        m.d.comb += self.values.eq(values)
        m.d.sync += [self.known.eq(0), self.writable.eq(0), self.read_data.eq(0)]
        with m.Switch(self.address):
            for register in REGISTERS:
                name, writable = register.name.name.lower(), register.access is Access.READ_WRITE
                value = values[name] if writable else getattr(self, name)
                with m.Case(register.name):
                    m.d.sync += [self.known.eq(1), self.writable.eq(writable),
                                 self.read_data.eq(value)]
                    if writable:
                        with m.If(self.write):
                            m.d.sync += value.eq(self.write_data)
        return m
