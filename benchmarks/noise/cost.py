"""Area and speed of noise sources on ECP5 and iCE40, with the YoWASP tools or native ones.

Run: python benchmarks/noise/cost.py [--tools FOLDER] [--only TEXT]

Area is what synthesis counts for the component alone; LUT4 includes carry cells, at two a CCU2C.
Fmax is the best of three seeds after place and route, with registers before and after it.
"""

import argparse
import json
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from amaranth import *
from amaranth.back import rtlil  # pyright: ignore[reportAttributeAccessIssue]
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from candidates import MIXTURES, InversionMapper
from figures import keep, kept
from harness import Harness, clock_rates, inner_ports, run
from pendula.contract import PHYSICS, ArraySpec, grid
from pendula.contract.noise import SIDE_BITS, WORD_BITS
from pendula_gateware.array.lane import Lane
from pendula_gateware.noise.seeder import SeedBank, StateLayout
from pendula_gateware.noise.source import GaussianMapper, NoiseSource, Xoshiro
from pendula_gateware.top import Flat

SYNTHESIS = {"ecp5": "synth_ecp5 -abc9 -top top", "ice40": "synth_ice40 -device u -top top"}
DSP = {"ecp5": {True: "", False: " -nodsp"}, "ice40": {True: " -dsp", False: ""}}
CELLS = {
    "ecp5": {"LUT4": {"LUT4": 1, "CCU2C": 2, "TRELLIS_DPR16X4": 4}, "FF": {"TRELLIS_FF": 1},
             "block RAM": {"DP16KD": 1, "PDPW16KD": 1}, "DSP": {"MULT18X18D": 1}},
    "ice40": {"LUT4": {"SB_LUT4": 1}, "carry": {"SB_CARRY": 1},
              "FF": dict.fromkeys(("SB_DFF", "SB_DFFE", "SB_DFFSR", "SB_DFFESR", "SB_DFFSS",
                                   "SB_DFFESS"), 1),
              "block RAM": {"SB_RAM40_4K": 1}, "DSP": {"SB_MAC16": 1}}}
SEEDS = 1, 2, 3


class LoadedXoshiro(Xoshiro):
    """The same generator, its state loaded through a multiplexer instead of the feedback."""

    def elaborate(self, platform):
        m = Module()
        s = Signal(StateLayout)
        total, side = Signal(WORD_BITS), Signal(WORD_BITS)
        m.d.comb += [total.eq(s[0] + s[3]), side.eq(s[1] + s[2])]
        with m.If(self.clear):
            m.d.sync += s.eq(self.seed)
        with m.Elif(self.advance):
            m.d.sync += [
                self.draw.word.eq(total.rotate_left(7) + s[0]),
                self.draw.side.eq(side[-SIDE_BITS:]),
                s[0].eq(s[0] ^ s[3] ^ s[1]), s[1].eq(s[1] ^ s[2] ^ s[0]),
                s[2].eq(s[2] ^ s[0] ^ (s[1] << 9)), s[3].eq((s[3] ^ s[1]).rotate_left(11)),
            ]
        return m


class Xoroshiro(Xoshiro):
    """xoroshiro128+ (24, 16, 37): one sum of 64 bits, of which the top ones make the draw."""

    def elaborate(self, platform):
        m = Module()
        s = Signal(data.ArrayLayout(2 * WORD_BITS, 2))
        total, mixed = Signal(2 * WORD_BITS), s[0] ^ s[1]
        m.d.comb += total.eq(s[0] + s[1])
        with m.If(self.clear):
            m.d.sync += s.eq(0)
        with m.Elif(self.advance):
            m.d.sync += [
                self.draw.eq(total[-WORD_BITS - SIDE_BITS:]),
                s.eq(Cat(s[0].rotate_left(24) ^ mixed ^ (mixed << 16)[:2 * WORD_BITS],
                         mixed.rotate_left(37)) ^ self.seed.as_value()),
            ]
        return m


class Source(wiring.Component):
    """A generator, and a mapper that takes as many bits of its draws as it needs."""

    clear: Signal
    seed: data.View
    advance: Signal
    gaussian: Signal

    def __init__(self, generator: Any, mapper: Any) -> None:
        self._generator, self._mapper = generator, mapper
        super().__init__({"clear": In(1), "seed": In(StateLayout), "advance": In(1),
                          "gaussian": Out(mapper.gaussian.shape())})

    def elaborate(self, platform):
        m = Module()
        m.submodules.generator, m.submodules.mapper = g, mapper = self._generator, self._mapper
        m.d.comb += [g.clear.eq(self.clear), g.seed.eq(self.seed), g.advance.eq(self.advance),
                     mapper.draw.eq(g.draw), self.gaussian.eq(mapper.gaussian)]
        return m


def synthesise(tools: str, component: Any, family: str, folder: str,
               dsp: bool = True) -> Mapping[str, int]:
    """Write top.json; return the cells by type."""
    top = Module()
    clock: Any = ClockDomain("sync", reset_less=True)
    top.domains.sync = clock
    top.submodules.inner = component
    ports = [clock.clk, *(value for _, value in inner_ports(component))]
    Path(folder, "top.il").write_text(rtlil.convert(top, name="top", ports=ports))
    run(tools, ["yosys", "-q", "-p", f"read_rtlil top.il; {SYNTHESIS[family]}{DSP[family][dsp]} "
                "-json top.json; tee -o stat.json stat -json"], folder)
    return json.loads(Path(folder, "stat.json").read_text())["design"]["num_cells_by_type"]


def area(tools: str, component: Any, family: str, *, dsp: bool) -> dict[str, int]:
    with tempfile.TemporaryDirectory() as folder:
        cells = synthesise(tools, Flat(component), family, folder, dsp)
    return {name: sum(weight * cells.get(cell, 0) for cell, weight in parts.items())
            for name, parts in CELLS[family].items()}


def fmax_mhz(tools: str, component: Any, family: str) -> float:
    with tempfile.TemporaryDirectory() as folder:
        synthesise(tools, Harness(Flat(component)), family, folder)
        return max(clock_rates(tools, family, folder, SEEDS).values())


def lane(physics: str, cells: int, reach: int, **formats: int) -> Lane:
    graph = grid(cells, cells, reach)
    return Lane(spec=ArraySpec(physics=PHYSICS[physics], nodes=graph.nodes, offsets=graph.offsets,
                               **formats))


SOURCES: dict[str, Callable[[], Any]] = {
    "256 triangles, as taken": NoiseSource,
    "256 triangles, loaded state": lambda: Source(LoadedXoshiro(), GaussianMapper()),
    "256 triangles, xoroshiro128+": lambda: Source(Xoroshiro(), GaussianMapper()),
    "64 triangles": lambda: Source(Xoshiro(), GaussianMapper(law=MIXTURES["64 triangles"])),
    "inversion": lambda: Source(Xoshiro(), InversionMapper()),
    "generator alone": Xoshiro,
    "mapper alone": GaussianMapper,
    "seeder, for all lanes": lambda: SeedBank(lanes=8),
}
LANES: dict[str, Callable[[], Any]] = {
    "lane, quartic 32x32, K = 24": lambda: lane("quartic", 32, 2),
    "lane, kuramoto 32x32, K = 24": lambda: lane("kuramoto", 32, 2),
    "lane, quartic 12x12, K = 8": lambda: lane("quartic", 12, 1),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tools", default="", help="folder to look in before PATH")
    parser.add_argument("--only", default="", help="only names that hold this text; the figures "
                                                   "of the others stay")
    args = parser.parse_args()
    tools = os.pathsep.join([args.tools, os.environ["PATH"]])
    figures: dict[str, Any] = kept("cost") if args.only else {}
    figures["yosys"] = run(tools, ["yosys", "--version"], ".").partition(" (")[0]
    for family in SYNTHESIS:
        for name, build in {**SOURCES, **LANES}.items():
            if args.only in name:
                row: dict[str, Any] = dict(area(tools, build(), family, dsp=True))
                if name in SOURCES:
                    row["fmax_mhz"] = fmax_mhz(tools, build(), family)
                figures[f"{family}: {name}"] = row
                print(family, name, row, flush=True)
                if name in LANES:
                    row = dict(area(tools, build(), family, dsp=False))
                    figures[f"{family}: {name}, without DSP"] = row
                    print(family, name, "without DSP", row, flush=True)
    keep("cost", figures)


if __name__ == "__main__":
    main()
