"""Simulators of the top, seen as a device at the other end of a byte link."""

import abc
from dataclasses import dataclass

from pendula.link.transport import AbstractTransport

__all__ = ["AbstractEngine", "Exchange", "SimulatorTransport"]

_MARGIN_CYCLES = 200_000     # of silence, before a busy device is given up as hung


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
    """One running simulation of :class:`pendula_gateware.top.Top`."""

    slice_cycles: int
    """Cycles that take some hundredths of a second: what a call should simulate at most."""

    @abc.abstractmethod
    def exchange(self, data: bytes, max_cycles: int) -> Exchange:
        """Feed input and simulate, while the device is busy, for `max_cycles` at most."""

    @abc.abstractmethod
    def close(self) -> None:
        """End the simulation."""


class SimulatorTransport(AbstractTransport):
    """Byte link into a simulation, which advances only while the host reads.

    Parameters
    ----------
    engine : AbstractEngine
        Simulation; closed with the transport.
    """

    def __init__(self, engine: AbstractEngine) -> None:
        self._engine = engine
        self._pending = b""

    def write(self, data: bytes) -> None:
        """Queue bytes for the device."""
        self._pending += data

    def read(self, cycles: int) -> bytes:
        """Simulate until the device sends something or is idle."""
        patience = 2 * cycles + _MARGIN_CYCLES
        while patience > 0:
            result = self._engine.exchange(self._pending,
                                           min(patience, self._engine.slice_cycles))
            self._pending = self._pending[result.consumed:]
            patience -= result.cycles
            if result.output or result.idle:
                return result.output
        return b""

    def close(self) -> None:
        """End the simulation."""
        self._engine.close()
