"""The register map: all registers are 32 bits wide on the link, little-endian."""

import enum
from dataclasses import dataclass

from pendula.contract.memory import BUFFERS_HI
from pendula.contract.numbers import Interval
from pendula.contract.statistics import BIN_BITS_HI, RUN_SAMPLES_HI, SUMS_HI

__all__ = ["REGISTERS", "REGISTER_BITS", "Access", "JitterCommand", "JitterStatus", "Readout",
           "Register", "RegisterName", "get_register"]

REGISTER_BITS = 32


class Access(enum.StrEnum):
    """Who may write a register."""

    READ_WRITE = "rw"
    READ_ONLY = "r"


class RegisterName(enum.IntEnum):
    """Address of a register."""

    SEED_LO = 0
    SEED_HI = 1
    INITIAL = 2
    INITIAL_GAIN = 3
    SEGMENTS = 4
    STOP_STEP = 5
    READOUT = 6
    PIXEL_GAIN = 7
    PIXEL_OFFSET = 8
    JITTER_COMMAND = 9
    MEASUREMENTS = 10
    BIN_BITS = 11
    THIN = 12
    BUFFER = 13
    SATURATIONS = 16
    CYCLES = 17
    FRAMES_DROPPED = 18
    JITTER_STATUS = 19
    JITTER_BITS = 20
    MEASURED = 21


class Readout(enum.IntFlag):
    """Bits of the READOUT register."""

    PIXEL = 1        # 8-bit pixels instead of raw states
    ALL = 2          # hidden nodes as well
    MEASURE = 4      # sums over the samples instead of the samples


class JitterCommand(enum.IntEnum):
    """What a write of the JITTER_COMMAND register starts; other values start nothing."""

    DRAW = 1         # draw a seed, which HELLO reports, and test the raw bits that it takes
    GATHER = 2       # gather 32 raw bits for JITTER_BITS, untested


class JitterStatus(enum.IntFlag):
    """Bits of the JITTER_STATUS register; all are 0 where there is no seeder."""

    PRESENT = 1      # there is a jitter seeder
    HEALTHY = 2      # the last draw passed both tests, and HELLO has its seed
    REPETITION = 4   # the last draw failed the repetition count test: a run of equal bits
    PROPORTION = 8   # the last draw failed the adaptive proportion test: too many equal bits


@dataclass(frozen=True, slots=True)
class Register:
    """One register.

    Parameters
    ----------
    name : RegisterName
        Name and address.
    access : Access
        Who may write it.
    width : int
        Bits that the device keeps; reads extend them by the sign where `signed`.
    signed : bool
        Whether the value is two's complement.
    reset : int
        Value after power-up.
    doc : str
        Meaning and unit.
    """

    name: RegisterName
    access: Access
    width: int
    signed: bool
    reset: int
    doc: str

    @property
    def interval(self) -> Interval:
        """Values that the register holds."""
        lo = -(1 << (self.width - 1)) if self.signed else 0
        return Interval(lo, lo + (1 << self.width) - 1)


_RW, _R = Access.READ_WRITE, Access.READ_ONLY

REGISTERS: tuple[Register, ...] = (
    Register(RegisterName.SEED_LO, _RW, 32, False, 0, "Low word of the 64-bit seed"),
    Register(RegisterName.SEED_HI, _RW, 32, False, 0, "High word of the 64-bit seed"),
    Register(RegisterName.INITIAL, _RW, 3, False, 0, "Initial state (InitialState)"),
    Register(RegisterName.INITIAL_GAIN, _RW, 18, True, 0,
             "Gain of a Gaussian initial state, in units of the noise gain"),
    Register(RegisterName.SEGMENTS, _RW, 13, False, 1, "Time segments of the program"),
    Register(RegisterName.STOP_STEP, _RW, 32, False, (1 << 32) - 1,
             "Steps after which a sample stops; all ones runs the whole program"),
    Register(RegisterName.READOUT, _RW, len(Readout), False, 0, "What a sample returns (Readout)"),
    Register(RegisterName.PIXEL_GAIN, _RW, 16, True, 0,
             "Pixel units per raw state, times 2**(state_bits + 2)"),
    Register(RegisterName.PIXEL_OFFSET, _RW, 18, True, 0, "Pixel at state 0, times 2**8"),
    Register(RegisterName.JITTER_COMMAND, _RW, 2, False, 0,
             "Written: starts a draw or gathers raw bits (JitterCommand)"),
    Register(RegisterName.MEASUREMENTS, _RW, SUMS_HI.bit_length(), False, 0,
             "Measurements of the list that a RUN with MEASURE goes through"),
    Register(RegisterName.BIN_BITS, _RW, BIN_BITS_HI.bit_length(), False, 0,
             "Bits of a bin's number in histograms"),
    Register(RegisterName.THIN, _RW, RUN_SAMPLES_HI.bit_length(), False, 1,
             "Of so many samples of a RUN with MEASURE the last counts"),
    Register(RegisterName.BUFFER, _RW, (BUFFERS_HI - 1).bit_length(), False, 0,
             "Buffer that RUN and FORCES read; without effect where the device has one"),
    Register(RegisterName.SATURATIONS, _R, 32, False, 0,
             "Clipped node updates since the last RUN began; stays at all ones"),
    Register(RegisterName.CYCLES, _R, 32, False, 0, "Clock cycles of the last RUN; wraps"),
    Register(RegisterName.FRAMES_DROPPED, _R, 32, False, 0,
             "Frames refused for CRC or length since power-up; wraps"),
    Register(RegisterName.JITTER_STATUS, _R, 4, False, 0,
             "Whether there is a jitter seeder, and what came of its last draw (JitterStatus)"),
    Register(RegisterName.JITTER_BITS, _R, 32, False, 0,
             "Last 32 raw bits of the jitter seeder, the oldest lowest"),
    Register(RegisterName.MEASURED, _R, 32, False, 0,
             "Samples that count in the sums of the last RUN with MEASURE"),
)


def get_register(name: RegisterName) -> Register:
    """Return the register at an address."""
    return next(register for register in REGISTERS if register.name is name)
