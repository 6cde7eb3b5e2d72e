"""Registers round a component, so that it can be placed alone, and the clock that it then takes."""

import json
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from pendula_gateware.numeric.delay import delayed
from pendula_gateware.top import Flat

__all__ = ["PARTS", "Harness", "clock_rates", "inner_ports", "run"]

PARTS = {"ecp5": ["nextpnr-ecp5", "--85k", "--speed", "6", "--package", "CABGA756", "--freq", "150",
                  "--lpf-allow-unconstrained"],
         "ice40": ["nextpnr-ice40", "--up5k", "--package", "sg48", "--freq", "48",
                   "--pcf-allow-unconstrained"]}
"""Place and route, by family: part, speed grade and the clock that is aimed at."""


class Harness(wiring.Component):
    """A component between a chain of registers and a tree of exclusive ors, with a pin at each end.

    All paths between registers are the component's own, but for those of the tree, which takes four
    bits a cycle.

    Parameters
    ----------
    inner : Flat
        Component.

    Members
    -------
    i : :py:`In(1)`
        Shifted into the chain, whose bits are the inputs.
    o : :py:`Out(1)`
        All outputs, folded.
    """

    i: Signal
    o: Signal

    def __init__(self, inner: Flat) -> None:
        self._inner = inner
        super().__init__({"i": In(1), "o": Out(1)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.inner = inner = self._inner
        inputs = Cat(port for name, port in inner_ports(inner) if name.flow is In)
        outputs = Cat(port for name, port in inner_ports(inner) if name.flow is Out)
        chain = Signal(len(inputs))
        m.d.sync += chain.eq(Cat(self.i, chain))
        m.d.comb += inputs.eq(chain)
        folded = delayed(m, outputs, 1)
        while len(folded) > 1:
            folded = delayed(m, Cat(folded[k:k + 4].xor() for k in range(0, len(folded), 4)), 1)
        m.d.comb += self.o.eq(folded)
        return m


def inner_ports(inner: wiring.Component) -> list[tuple[Any, Value]]:
    """Return member and value of every port of a component with plain ports."""
    return [(member, Value.cast(getattr(inner, name)))
            for name, member in inner.signature.members.items()]


def run(tools: str, command: list[str], folder: str) -> str:
    """Run a tool, native or from YoWASP, found on the path `tools`, and return what it prints."""
    found = [path for name in (command[0], f"yowasp-{command[0]}")
             if (path := shutil.which(name, path=tools))]
    if not found:
        raise SystemExit(f"{command[0]} or yowasp-{command[0]} must be on PATH or in --tools")
    done = subprocess.run([found[0], *command[1:]], cwd=folder, capture_output=True, text=True,
                          check=False)
    if done.returncode:
        raise SystemExit(f"{command[0]}: {done.stderr[-2000:]}")
    return done.stdout


def clock_rates(tools: str, family: str, folder: str, seeds: Iterable[int]) -> dict[int, float]:
    """Place and route top.json in a folder; return the clock in MHz that each seed reaches."""
    found = {}
    for seed in seeds:
        run(tools, [*PARTS[family], "--json", "top.json", "--seed", str(seed), "--report",
                    "report.json", "--timing-allow-fail"], folder)
        report = json.loads(Path(folder, "report.json").read_text())
        found[seed] = round(max(clock["achieved"] for clock in report["fmax"].values()), 1)
    return found
