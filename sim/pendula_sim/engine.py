"""Simulators, seen as a device at the other end of a byte link."""

from pendula.link.engine import AbstractEngine
from pendula.link.transport import AbstractTransport

__all__ = ["SimulatorTransport"]

_MARGIN_CYCLES = 200_000     # of silence, before a busy device is given up as hung


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
