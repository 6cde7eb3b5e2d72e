"""Fixtures of the command-line tests."""

from pathlib import Path

import numpy as np
import pytest

from pendula.contract import ArraySpec, get_physics
from pendula.modelfile import save
from pendula.program import Program, random_program


@pytest.fixture
def model(tmp_path: Path) -> tuple[Path, Program]:
    """A small model file and its program."""
    spec = ArraySpec(physics=get_physics("quartic"), nodes=6, offsets=(-2, 1), segments=2,
                     table_bits=4)
    program = random_program(spec, np.random.default_rng(0), steps=20)
    path = tmp_path / "small.pendula"
    save(program, path)
    return path, program
