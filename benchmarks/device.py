"""Speed of the Verilated device through its link, and of its start.

    python benchmarks/device.py

Times are seconds of one core, so that other work on the machine does not count, but for the start
of the command, which is wall-clock time. Simulators are built first where the cache lacks them.
"""

import resource
import subprocess
import sys
import time
from dataclasses import dataclass

import numpy as np

import pendula
from pendula.contract import ArraySpec, get_physics, grid
from pendula.program import Program, random_program

SEGMENTS, STEPS = 20, 10
STARTS = 5


@dataclass(frozen=True)
class Case:
    """A square grid and the number of samples to draw."""

    side: int
    samples: int

    def program(self, physics: str) -> Program:
        graph = grid(self.side, self.side, radius=2)
        spec = ArraySpec(physics=get_physics(physics), nodes=graph.nodes, offsets=graph.offsets,
                         segments=SEGMENTS)
        return random_program(spec, np.random.default_rng(0), segments=SEGMENTS, steps=STEPS)


def measure(case: Case, physics: str, lanes: int = 1) -> None:
    program = case.program(physics)
    spec = program.spec
    with pendula.open(f"verilator://?lanes={lanes}") as device:
        device.load(program)
        start = time.process_time()
        batch = device.sample(case.samples, seed=1, pixels=True)
        seconds = time.process_time() - start
    updates = case.samples * spec.nodes * program.total_steps
    cycles = batch.cycles or 0
    passes = case.samples * spec.nodes * (program.total_steps + 1)    # and the initial states
    print(f"{physics:9} {case.side:2}x{case.side:<2} K={len(spec.offsets)} P={lanes}  "
          f"{updates / seconds / 1e6:5.2f} M node-updates/s  "
          f"{cycles / seconds / 1e6:5.2f} M cycles/s  "
          f"{updates / cycles / lanes:.4f} node-updates a lane and cycle  "
          f"{passes / cycles / lanes:.4f} with the initial states")


def start_seconds(command: list[str]) -> tuple[float, float]:
    """Return wall-clock and processor seconds of a command."""
    def used() -> float:
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime
    wall, core = time.perf_counter(), used()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - wall, used() - core


def main() -> None:
    for physics in ("quartic", "kuramoto", "ising"):
        measure(Case(8, 300), physics)
        measure(Case(16, 80), physics)
    for lanes in (2, 8):
        for physics in ("quartic", "kuramoto"):
            measure(Case(16, 320), physics, lanes)
    command = [sys.executable, "-m", "pendula", "info", "verilator://", "--json"]
    start_seconds(command)      # builds where it must
    walls, cores = zip(*map(start_seconds, [command] * STARTS), strict=True)
    print(f"pendula info verilator://  median {np.median(walls):.2f} s, "
          f"of which processor {np.median(cores):.2f} s")


if __name__ == "__main__":
    main()
