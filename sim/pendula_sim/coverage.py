"""Simulations that count which branches of the gateware they take."""

import ctypes
import re
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt

from pendula.contract.spec import ArraySpec
from pendula_sim.build import build_library
from pendula_sim.design import Options
from pendula_sim.verilator import VerilatorEngine

__all__ = ["COVERAGE", "Branch", "CoverageEngine"]

COVERAGE = Options(coverage=True)

_FIELD = re.compile("\1([^\2]*)\2([^\1']*)")     # of a line of Verilator's list: name, value


@dataclass(frozen=True, slots=True)
class Branch:
    """A branch, block or choice in the Verilog that the gateware becomes.

    Parameters
    ----------
    component : str
        Names of the submodules that it is in, from the top, joined by dots.
    line : int
        Line in that Verilog.
    kind : str
        What Verilator calls it: ``if``, ``else``, ``case``, ``cond_then`` and so on.
    """

    component: str
    line: int
    kind: str


class CoverageEngine(VerilatorEngine):
    """Simulation of an array, built with a counter for each branch.

    Parameters
    ----------
    spec : ArraySpec
        Array; built where it is missing from the cache.

    Notes
    -----
    `counts`, shape (branches,), dtype uint32, are the counters themselves: they move with the
    simulation, wrap, and may be set.
    """

    def __init__(self, spec: ArraySpec) -> None:
        super().__init__(build_library(spec, COVERAGE))
        library, branches = self._library, ctypes.c_uint64()
        library.pendula_coverage.restype = ctypes.POINTER(ctypes.c_uint32)
        library.pendula_coverage.argtypes = [ctypes.c_void_p, ctypes.POINTER(ctypes.c_uint64)]
        library.pendula_write_coverage.restype = None
        library.pendula_write_coverage.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
        pointer = library.pendula_coverage(self._device, ctypes.byref(branches))
        self.counts: npt.NDArray[np.uint32] = np.ctypeslib.as_array(pointer, (branches.value,))

    def branches(self) -> list[Branch]:
        """Return what each counter counts.

        Verilator lists names and counts, in an order of its own: for a moment, each counter holds
        its own number.
        """
        kept = self.counts.copy()
        self.counts[:] = np.arange(len(kept))
        with TemporaryDirectory() as folder:
            path = Path(folder) / "coverage.dat"
            self._library.pendula_write_coverage(self._device, bytes(path))
            lines = path.read_text().splitlines()
        self.counts[:] = kept
        found = dict(map(_read_branch, lines[1:]))
        return [found[k] for k in range(len(kept))]


def _read_branch(line: str) -> tuple[int, Branch]:
    fields, number = dict(_FIELD.findall(line)), line.rpartition(" ")[2]
    return int(number), Branch(fields["h"].removeprefix("TOP."), int(fields["l"]), fields["o"])
