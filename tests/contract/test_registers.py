"""The register map: unique addresses, and widths that hold what they must."""

import pytest

from pendula.contract import PHYSICS, ArraySpec, InitialState
from pendula.contract.numbers import Interval
from pendula.contract.protocol import ARGUMENTS, Opcode
from pendula.contract.registers import (
    REGISTER_BITS,
    REGISTERS,
    Access,
    JitterCommand,
    JitterStatus,
    Readout,
    Register,
    RegisterName,
    get_register,
)

every_register = pytest.mark.parametrize("register", REGISTERS, ids=lambda r: r.name.name)


def holds(name: RegisterName, value: int) -> bool:
    interval = get_register(name).interval
    return interval.lo <= value <= interval.hi


def test_every_name_has_one_register_in_order_of_addresses() -> None:
    assert [register.name for register in REGISTERS] == sorted(RegisterName)


@every_register
def test_register_fits_the_link(register: Register) -> None:
    assert 1 <= register.width <= REGISTER_BITS
    assert 0 <= register.name.value < 256
    assert ARGUMENTS[Opcode.READ_REGISTER] == "<B"
    assert ARGUMENTS[Opcode.WRITE_REGISTER] == "<BI"
    assert register.doc


@every_register
def test_reset_value_fits(register: Register) -> None:
    assert register.interval.lo <= register.reset <= register.interval.hi


@every_register
def test_interval_is_that_of_the_width(register: Register) -> None:
    size = 2**register.width
    assert register.interval == (Interval(-size // 2, size // 2 - 1) if register.signed
                                 else Interval(0, size - 1))


def test_registers_hold_every_value_that_a_program_may_ask_for() -> None:
    widest = ArraySpec(physics=PHYSICS["quartic"], nodes=2, offsets=(1,), segments=4096,
                       gain_bits=18)
    assert holds(RegisterName.SEGMENTS, widest.segments)
    assert holds(RegisterName.INITIAL, max(InitialState))
    assert holds(RegisterName.INITIAL_GAIN, widest.gain.hi)
    assert holds(RegisterName.INITIAL_GAIN, widest.gain.lo)
    assert holds(RegisterName.READOUT, ~Readout(0))


def test_registers_of_the_jitter_seeder_hold_every_command_and_status() -> None:
    assert all(holds(RegisterName.JITTER_COMMAND, command) for command in JitterCommand)
    assert holds(RegisterName.JITTER_STATUS, ~JitterStatus(0))
    assert get_register(RegisterName.JITTER_STATUS).width == len(JitterStatus)


def test_what_is_found_is_read_only() -> None:
    assert {register.name for register in REGISTERS if register.access is Access.READ_ONLY} == {
        RegisterName.SATURATIONS, RegisterName.CYCLES, RegisterName.FRAMES_DROPPED,
        RegisterName.JITTER_STATUS, RegisterName.JITTER_BITS, RegisterName.MEASURED}
