"""What the placer reports: resources, clocks, and the path that limits a clock."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pendula_boards.flow import Flow
from pendula_boards.pll import MHZ

__all__ = ["CriticalPath", "Placement", "Usage", "read_placement", "read_usage"]

Usage = dict[str, tuple[int, int]]
"""Used and available, by the flow's name of the resource."""

_CELL = re.compile(r"_(?:TRELLIS|LUT\d|CCU2C|PFUMX|L6MUX|MULT|DP16KD|ALU54B|SB_|DFF|ALU|MUX2|BSRAM"
                   r"|RAM16).*$")


@dataclass(frozen=True, slots=True)
class CriticalPath:
    """The slowest path between two flip-flops of a clock.

    Parameters
    ----------
    start, end : str
        What it leads from and to.
    delay_ns : float
        How long it takes.
    routing_ns : float
        How much of it is wires.
    """

    start: str
    end: str
    delay_ns: float
    routing_ns: float

    def __str__(self) -> str:
        return (f"{self.delay_ns:.1f} ns from {self.start} to {self.end}, "
                f"{self.routing_ns:.1f} ns of it in wires")


@dataclass(frozen=True, slots=True)
class Placement:
    """A placed and routed design.

    Parameters
    ----------
    usage : Usage
        Resources.
    clocks_hz : mapping of str to pair of float
        Fastest and wanted rate of each clock.
    critical : CriticalPath, optional
        Path that limits the slowest clock.
    """

    usage: Usage
    clocks_hz: Mapping[str, tuple[float, float]]
    critical: CriticalPath | None

    @property
    def fmax_hz(self) -> float:
        """Fastest rate of the clock that has least to spare."""
        return min(self.clocks_hz.values(), key=lambda pair: pair[0] / pair[1])[0]

    @property
    def met(self) -> bool:
        """Whether every clock is as fast as wanted."""
        return all(fastest >= wanted for fastest, wanted in self.clocks_hz.values())


def read_usage(path: Path, flow: Flow) -> Usage:
    """Return the resources in the placer's report."""
    counts = json.loads(path.read_text())["utilization"]
    return {name: (counts[bel]["used"], counts[bel]["available"])
            for name, bel in flow.resources.items()}


def read_placement(path: Path, flow: Flow) -> Placement:
    """Return what the placer's report says."""
    report = json.loads(path.read_text())
    clocks = {name: (pair["achieved"] * MHZ, pair["constraint"] * MHZ)
              for name, pair in report["fmax"].items()}
    paths = [_read_path(entry["path"]) for entry in report["critical_paths"]
             if entry["from"] == entry["to"]]
    return Placement(read_usage(path, flow), clocks,
                     max(paths, key=lambda found: found.delay_ns, default=None))


def _read_path(hops: list[dict[str, Any]]) -> CriticalPath:
    return CriticalPath(_plain(hops[0]["from"]["cell"]), _plain(hops[-1]["to"]["cell"]),
                        sum(hop["delay"] for hop in hops),
                        sum(hop["delay"] for hop in hops if hop["type"] == "routing"))


def _plain(cell: str) -> str:
    """Return the name of a signal in the gateware, without what synthesis added to it."""
    return _CELL.sub("", cell)
