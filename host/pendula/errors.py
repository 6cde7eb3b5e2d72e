"""Every error that Pendula raises on purpose. The message names the bad value and the fix."""

__all__ = [
    "BuildError",
    "ContractError",
    "DataError",
    "DeviceError",
    "JitterError",
    "LinkDownError",
    "LinkError",
    "MissingExtraError",
    "ModelFileError",
    "PendulaError",
    "ProgramError",
    "SilentLinkError",
    "UrlError",
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
    """Training data is missing, damaged or of the wrong shape."""


class UrlError(PendulaError, ValueError):
    """A device URL names no backend, or an option that the backend lacks."""


class MissingExtraError(PendulaError, ImportError):
    """A feature needs an optional part of the installation."""


class BuildError(PendulaError, RuntimeError):
    """A simulator could not be built; the message carries the tool's own words."""


class LinkError(PendulaError, ConnectionError):
    """The other end of the link is silent, answers garbage, or speaks another contract."""


class LinkDownError(LinkError):
    """The connection to the device cannot be opened, or it broke."""


class SilentLinkError(LinkError):
    """The connection is open, and the device gives no sound answer."""


class JitterError(PendulaError, RuntimeError):
    """No seed can be drawn: the device has no jitter seeder, or its raw bits failed a test."""


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
