"""Every error that Pendula raises on purpose. The message names the bad value and the fix."""

__all__ = [
    "BoardError",
    "BuildError",
    "CheckpointError",
    "ClockError",
    "ContractError",
    "DataError",
    "DeviceError",
    "DivergenceError",
    "FitError",
    "FlashError",
    "JitterError",
    "LinkDownError",
    "LinkError",
    "MissingExtraError",
    "ModelFileError",
    "PendulaError",
    "ProgramError",
    "RecordingError",
    "SilentLinkError",
    "StatisticsError",
    "TimingError",
    "UrlError",
    "WrongBuildError",
]


class PendulaError(Exception):
    """Base of all expected errors; the command line prints it as one line and exits with 2."""


class ContractError(PendulaError, ValueError):
    """An array spec, number format or layout breaks a rule of the contract."""


class ProgramError(PendulaError, ValueError):
    """A program does not fit its array spec: wrong shape, code out of range, absent edge used."""


class ModelFileError(PendulaError, ValueError):
    """A model file cannot be used.

    Parameters
    ----------
    field : str
        The part of the file that is at fault.
    reason : str
        What is wrong with it.
    """

    def __init__(self, field: str, reason: str) -> None:
        self.field = field
        super().__init__(f"model file: {field}: {reason}")


class DataError(PendulaError, ValueError):
    """Training data or samples are missing, damaged or of the wrong shape."""


class CheckpointError(PendulaError, RuntimeError):
    """A training cannot go on from a file, or cannot write one."""


class DivergenceError(PendulaError, ArithmeticError):
    """A training left the finite numbers; its last good checkpoint is kept."""


class UrlError(PendulaError, ValueError):
    """A device URL names no backend, or an option that the backend lacks."""


class MissingExtraError(PendulaError, ImportError):
    """A feature needs an optional part of the installation."""


class BuildError(PendulaError, RuntimeError):
    """A simulator or bitstream could not be built; the message carries the tool's own words."""


class BoardError(PendulaError, ValueError):
    """There is no board of that name, or a bitstream is for another one."""


class ClockError(PendulaError, ValueError):
    """A board cannot make a clock, or a baud rate from it."""


class FitError(BuildError):
    """A design needs more of an FPGA than there is; the message says of what."""


class TimingError(BuildError):
    """A design is slower than its clock.

    Parameters
    ----------
    fmax_hz : float
        What it was placed and routed for at best.
    """

    def __init__(self, message: str, fmax_hz: float) -> None:
        self.fmax_hz = fmax_hz
        super().__init__(message)


class FlashError(PendulaError, RuntimeError):
    """A bitstream could not be loaded into a board; the message carries the tool's own words."""


class LinkError(PendulaError, ConnectionError):
    """The other end of the link is silent, answers garbage, or speaks another contract."""


class LinkDownError(LinkError):
    """The connection to the device cannot be opened, or it broke."""


class SilentLinkError(LinkError):
    """The connection is open, and the device gives no sound answer."""


class RecordingError(LinkError):
    """A recording is damaged or too large, or the host asks for something else than it holds.

    Parameters
    ----------
    line : int
        Number of the line at fault, from 1; 0 where it is none.
    """

    def __init__(self, message: str, line: int = 0) -> None:
        self.line = line
        super().__init__(message)


class WrongBuildError(LinkError):
    """The board that answers runs another bitstream than the one that was loaded."""


class JitterError(PendulaError, RuntimeError):
    """No seed can be drawn: the device has no jitter seeder, or its raw bits failed a test."""


class StatisticsError(PendulaError, RuntimeError):
    """No moments can be measured: the device has no statistics, or too few sums."""


class DeviceError(PendulaError, RuntimeError):
    """The device refused a command.

    Parameters
    ----------
    status : int
        Status code of :class:`pendula.contract.protocol.Status`.
    """

    def __init__(self, message: str, status: int) -> None:
        self.status = status
        super().__init__(message)
