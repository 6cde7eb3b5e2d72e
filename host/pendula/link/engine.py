"""Engines: devices in this process, worked by feeding bytes and clock cycles."""

import abc
from dataclasses import dataclass

__all__ = ["AbstractEngine", "Exchange"]


@dataclass(frozen=True, slots=True)
class Exchange:
    """What happened in one call of :meth:`AbstractEngine.exchange`.

    Parameters
    ----------
    consumed : int
        Bytes of input that the device took.
    output : bytes
        Bytes that the device sent.
    cycles : int
        Clock cycles that were simulated.
    idle : bool
        Whether the device is idle: it took all input and will send nothing more.
    """

    consumed: int
    output: bytes
    cycles: int
    idle: bool


class AbstractEngine(abc.ABC):
    """One device that only advances when it is told to: a running simulation."""

    slice_cycles: int
    """Cycles that take some hundredths of a second: what a call should simulate at most."""

    @abc.abstractmethod
    def exchange(self, data: bytes, max_cycles: int) -> Exchange:
        """Feed input and simulate, while the device is busy, for `max_cycles` at most."""

    @abc.abstractmethod
    def close(self) -> None:
        """End the simulation."""
