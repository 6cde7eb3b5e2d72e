"""Lanes, area and clock of large arrays on boards: 1,568 oscillators with K = 24, 20 steps.

Run: python benchmarks/boards.py FOLDER

Writes a model file for each number of segments into FOLDER, and prints the commands that build the
figures of docs/adr/0012. A build of a 85F takes half an hour of one core.
"""

import sys
from pathlib import Path

import numpy as np

from pendula import modelfile
from pendula.contract import PHYSICS, ArraySpec, grid
from pendula.program import random_program

STEPS = 20
BUILDS = (("ulx3s-85f", 12, 4), ("ulx3s-25f", 3, 1))
"""Board, lanes and segments."""


def write_model(folder: Path, segments: int) -> Path:
    """Write a random program on two oscillators a pixel of 28x28, and return its file."""
    graph = grid(56, 28, 2)
    spec = ArraySpec(physics=PHYSICS["kuramoto"], nodes=graph.nodes, offsets=graph.offsets,
                     segments=segments)
    path = folder / f"kuramoto-{segments}.pendula"
    modelfile.save(random_program(spec, np.random.default_rng(0), segments=segments,
                                  steps=STEPS // segments), path)
    return path


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for board, lanes, segments in BUILDS:
        model = write_model(folder, segments)
        print(f"pendula build {board} --model {model} --lanes {lanes} --seeds 2 "
              f"-o {folder / board}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
