"""A virtual board: an engine behind a port that hosts open like a real board."""

from pendula.link.engine import AbstractEngine
from pendula.link.ports import AbstractPort

__all__ = ["Server"]

_INPUT_BYTES = 1 << 16      # waiting for the device, before the host must wait
_OUTPUT_BYTES = 1 << 16     # waiting for the host, before the device's clock stops


class Server:
    """Bytes between a port and an engine, whose clock stops while there is nothing to do.

    Parameters
    ----------
    engine : AbstractEngine
        The device.
    port : AbstractPort
        Where hosts open it.
    """

    def __init__(self, engine: AbstractEngine, port: AbstractPort) -> None:
        self._engine, self._port = engine, port
        self._input, self._output = bytearray(), bytearray()
        self._idle = False

    def serve(self) -> None:
        """Serve one host after the other, until interrupted."""
        while True:
            self.step()

    def step(self) -> None:
        """Move bytes and simulate for a slice, or wait for a host if there is nothing to do."""
        self._input += self._port.exchange(self._output, _INPUT_BYTES - len(self._input),
                                           wait=not self._can_work)
        if self._can_work:
            result = self._engine.exchange(bytes(self._input), self._engine.slice_cycles)
            del self._input[:result.consumed]
            self._output += result.output
            self._idle = result.idle

    @property
    def _can_work(self) -> bool:
        return (bool(self._input) or not self._idle) and len(self._output) < _OUTPUT_BYTES
