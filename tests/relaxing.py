"""A program whose samples have a smooth law: nodes relax to zero, pulled by their neighbours."""

from dataclasses import replace

import numpy as np

from pendula.contract import PHYSICS, ArraySpec, InitialState
from pendula.program import Program, random_program


def relaxing_program(physics: str = "quartic", nodes: int = 12, *, noise_val: float = 0.3,
                     initial: InitialState = InitialState.GAUSSIAN) -> Program:
    """Return a program of two segments of five steps; a step halves the distance from zero."""
    spec = ArraySpec(physics=PHYSICS[physics], nodes=nodes, offsets=(-3, -1, 1, 3))
    program = random_program(spec, np.random.default_rng(5), segments=2, steps=5, initial=initial)
    local_codes = np.zeros_like(program.local_codes)
    local_codes[:, :, 0] = -96
    local_gains = np.zeros_like(program.local_gains)
    local_gains[:, 0] = round(0.5 / (96 * spec.local_terms[0].unit_val))
    gain = round(0.02 / spec.coupling_term.unit_val)
    noise_gain = round(noise_val / spec.noise_term.unit_val)
    return replace(program, local_codes=local_codes, local_gains=local_gains,
                   coupling_gain=np.array([gain, -gain]), noise_gain=np.full(2, noise_gain),
                   initial_gain=noise_gain)
