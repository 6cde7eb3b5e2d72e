"""``netlist://``: the gateware after synthesis, as cells of a vendor, compiled by Verilator."""

from dataclasses import replace
from typing import ClassVar
from urllib.parse import urlsplit

from pendula.contract.spec import ArraySpec
from pendula_sim.build import build_library
from pendula_sim.devices import SimulatedDevice
from pendula_sim.synthesis import SYNTHESES
from pendula_sim.verilator import VerilatorEngine

__all__ = ["NetlistDevice"]


class NetlistDevice(SimulatedDevice):
    """The netlist of the gateware for a family of FPGAs; built on first use, then cached.

    Parameters
    ----------
    url : str
        ``netlist://`` and the name of the family.
    lanes : str
        Samples drawn side by side.
    fold : str
        Cycles that a lane takes for a node.
    buffers : str
        Programs that it holds.
    """

    fabrics: ClassVar[tuple[str, ...]] = tuple(SYNTHESES)

    def __init__(self, url: str, lanes: str = "1", fold: str = "1", buffers: str = "1") -> None:
        super().__init__(url, lanes, fabric=urlsplit(url).netloc, fold=fold, buffers=buffers)
        self._options = replace(self._options, netlist=True)

    def _start(self, spec: ArraySpec) -> VerilatorEngine:
        return VerilatorEngine(build_library(spec, self._options))
