"""``verilator://``: the gateware compiled by Verilator, in this process."""

import ctypes
from pathlib import Path

from pendula.contract.spec import ArraySpec
from pendula.errors import BuildError
from pendula.link.engine import AbstractEngine, Exchange
from pendula_sim.build import build_library
from pendula_sim.devices import SimulatedDevice

__all__ = ["VerilatorDevice", "VerilatorEngine"]

_OUTPUT_BYTES = 1 << 16


class _Exchange(ctypes.Structure):
    """``struct Exchange`` of harness.cpp."""

    _fields_ = (
        ("input", ctypes.c_char_p),
        ("input_bytes", ctypes.c_uint64),
        ("output", ctypes.c_void_p),
        ("output_bytes", ctypes.c_uint64),
        ("max_cycles", ctypes.c_uint64),
        ("stalls", ctypes.c_uint64),
        ("consumed", ctypes.c_uint64),
        ("produced", ctypes.c_uint64),
        ("cycles", ctypes.c_uint64),
        ("idle", ctypes.c_uint64),
    )


def _open_library(path: Path) -> ctypes.CDLL:
    try:
        library = ctypes.CDLL(str(path))
    except OSError as error:
        raise BuildError(f"simulator library must be loadable, not fail with: {error}: "
                         f"delete {path} to build it again") from None
    library.pendula_create.restype = ctypes.c_void_p
    library.pendula_create.argtypes = []
    library.pendula_destroy.restype = None
    library.pendula_destroy.argtypes = [ctypes.c_void_p]
    library.pendula_exchange.restype = None
    library.pendula_exchange.argtypes = [ctypes.c_void_p, ctypes.POINTER(_Exchange)]
    return library


class VerilatorEngine(AbstractEngine):
    """Simulation in a library from :func:`pendula_sim.build.build_library`.

    Parameters
    ----------
    path : Path
        The library.

    Notes
    -----
    `stalls` says when output is taken: not in cycle k of every 64 where bit k is set.
    """

    slice_cycles = 200_000

    def __init__(self, path: Path) -> None:
        self._library = _open_library(path)
        self._output = ctypes.create_string_buffer(_OUTPUT_BYTES)
        self._exchange = _Exchange(output=ctypes.addressof(self._output),
                                   output_bytes=_OUTPUT_BYTES)
        self.stalls = 0
        self._device: int | None = self._library.pendula_create()

    def exchange(self, data: bytes, max_cycles: int) -> Exchange:
        """Feed input and simulate, while the device is busy, for `max_cycles` at most."""
        if self._device is None:
            raise BuildError("simulation must be open, not closed")
        exchange = self._exchange
        exchange.input, exchange.input_bytes = data, len(data)
        exchange.max_cycles, exchange.stalls = max_cycles, self.stalls
        self._library.pendula_exchange(self._device, ctypes.byref(exchange))
        output = ctypes.string_at(self._output, exchange.produced)
        return Exchange(exchange.consumed, output, exchange.cycles, bool(exchange.idle))

    def close(self) -> None:
        """Free the simulation."""
        if self._device is not None:
            self._library.pendula_destroy(self._device)
            self._device = None


class VerilatorDevice(SimulatedDevice):
    """The gateware compiled by Verilator; built on first use, then taken from a cache."""

    def _start(self, spec: ArraySpec) -> VerilatorEngine:
        return VerilatorEngine(build_library(spec, self._options))
