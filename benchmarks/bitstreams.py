"""Bitstreams of all boards, and how fast their clocks are: the figures of docs/reference/boards.md.

Run: python benchmarks/bitstreams.py [--seeds N] [--lanes P] [BOARD ...]

Each board gets the array and the lanes of BUILDS, at its own clock or that of BUILDS, or where that
is missed at the fastest of its slower ones that is not. The result goes to docs/figures/boards.json
board by board, bitstreams and reports to build/BOARD. A full 85F takes 35 minutes of one core for
each seed.
"""

import argparse
import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pendula import modelfile
from pendula.contract import PHYSICS, ArraySpec, grid
from pendula.errors import BuildError, TimingError
from pendula.program import Program, random_program
from pendula_boards.build import build, deliver
from pendula_boards.catalogue import BOARDS, find_board
from pendula_boards.design import Design
from pendula_boards.pll import MHZ
from pendula_boards.rates import Rates

ROOT = Path(__file__).parents[1]
FIGURES = ROOT / "docs" / "figures" / "boards.json"
KEPT = ("model", "nodes", "degree", "segments", "lanes", "resources", "clock_hz", "fmax_hz",
        "critical_path", "seeds", "cycles_per_sample", "samples_per_s", "link_samples_per_s",
        "node_updates_per_s", "edge_updates_per_s", "baud_error", "versions")
LARGE_STEPS = 20
SMALL_GRID = grid(12, 12, 1)
SMALL = ArraySpec(physics=PHYSICS["quartic"], nodes=SMALL_GRID.nodes, offsets=SMALL_GRID.offsets,
                  segments=20, state_bits=16, gain_bits=12, local_code_bits=4)
"""What fits an iCE40 UltraPlus and a GW1NR-9C: eight multipliers suffice."""
SMALL_STEPS = 100


@dataclass(frozen=True)
class Build:
    """Model and lanes of a board, and its clock if that is not its first."""

    model: str
    lanes: int
    clock_mhz: float | None = None


BUILDS = {
    "icebreaker": Build("quartic 12x12", 1),
    "tang-nano-9k": Build("quartic 12x12", 1),
    "ulx3s-12f": Build("digits", 2),
    "ulx3s-25f": Build("kuramoto 28x28x2, 1 segment", 3),
    "ulx3s-45f": Build("digits", 4),
    "ulx3s-85f": Build("kuramoto 28x28x2, 4 segments", 12, clock_mhz=102.1),
    "colorlight-i5": Build("digits", 4),
    "orangecrab-85f": Build("digits", 4),
    "ecpix5-45": Build("digits", 4),
    "ecpix5-85": Build("digits", 4),
}
"""Where lanes are fewer than fit, because placing all of them takes too long to repeat."""


def large_program(segments: int) -> Program:
    """Return a random program on two oscillators a pixel of 28x28."""
    graph = grid(56, 28, 2)
    spec = ArraySpec(physics=PHYSICS["kuramoto"], nodes=graph.nodes, offsets=graph.offsets,
                     segments=segments)
    return random_program(spec, np.random.default_rng(0), segments=segments,
                          steps=LARGE_STEPS // segments)


def small_program() -> Program:
    """Return a random program on :data:`SMALL`."""
    return random_program(SMALL, np.random.default_rng(0), segments=SMALL.segments,
                          steps=SMALL_STEPS // SMALL.segments)


MODELS = {
    "quartic 12x12": small_program,
    "kuramoto 28x28x2, 1 segment": lambda: large_program(1),
    "kuramoto 28x28x2, 4 segments": lambda: large_program(4),
}
"""What makes the models that are not shipped."""


def say(what: str) -> None:
    sys.stderr.write(f"   {what}\n")


def make(name: str, lanes: int, seeds: int) -> dict[str, Any]:
    """Build a bitstream at the fastest clock of a board that is met; return its figures."""
    board, wanted = find_board(name), BUILDS[name]
    make_program = MODELS.get(wanted.model, lambda: modelfile.load(wanted.model))
    program, clocks = make_program(), list(board.clocks_mhz)
    if wanted.clock_mhz:
        clocks.insert(0, wanted.clock_mhz)
    missed: dict[str, float] = {}
    while clocks:
        design = Design.of(board, program.spec, lanes=lanes, clock_hz=int(clocks[0] * MHZ))
        try:
            kept = build(design, seeds=seeds, say=say)
        except TimingError as error:
            say(str(error))
            missed[f"{clocks[0]:g}"] = round(error.fmax_hz)
            clocks = [mhz for mhz in sorted(clocks, reverse=True) if mhz * MHZ <= error.fmax_hz]
            continue
        except BuildError as error:
            return {"refused": str(error)}
        rates = Rates.of(design, steps=program.total_steps, visible=int(program.visible.sum()))
        report = deliver(kept, ROOT / "build" / name, {"model": wanted.model, **asdict(rates)})
        return {key: report[key] for key in KEPT} | ({"missed": missed} if missed else {})
    return {"refused": f"no clock of {name} was met: {missed}"}


def main() -> None:
    """Build the boards that are named, all by default, and keep their figures."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("boards", nargs="*", choices=[[], *BOARDS], metavar="BOARD")
    parser.add_argument("--seeds", type=int, default=2, help="placements of each [2]")
    parser.add_argument("--lanes", type=int, help="lanes instead of those of BUILDS")
    chosen = parser.parse_args()
    for name in chosen.boards or BOARDS:
        sys.stderr.write(f"== {name}\n")
        result = make(name, chosen.lanes or BUILDS[name].lanes, chosen.seeds)
        known = (json.loads(FIGURES.read_text()) if FIGURES.exists() else {}) | {name: result}
        ordered = {name: known[name] for name in BOARDS if name in known}
        FIGURES.write_text(json.dumps(ordered, indent=1) + "\n")


if __name__ == "__main__":
    main()
