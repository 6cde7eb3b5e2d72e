"""Small systems with known laws, as programs for two arrays, each of which is compiled once."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from pendula.contract import ArraySpec, InitialState, get_physics
from pendula.metrics.samples import FloatArray
from pendula.program import Program
from pendula.references import (
    CoupledWells,
    Law,
    QuarticWell,
    autonomous_program,
    phase_difference,
    pinned_phase,
)

__all__ = ["NODES", "PHASES", "SYSTEMS", "WELLS", "System", "coupled_wells", "linear_network",
           "louder", "phase_pairs", "well"]

NODES = 32
WELLS = ArraySpec(physics=get_physics("quartic"), nodes=NODES, offsets=(-1, 1), segments=1)
PHASES = ArraySpec(physics=get_physics("kuramoto"), nodes=NODES, offsets=(-1, 1), segments=1)


@dataclass(frozen=True)
class System:
    """Independent copies of a small system.

    Parameters
    ----------
    program : Program
        It fills the array.
    law : callable
        Law of what is observed of one copy, of any such program.
    observe : callable
        Observed variables of states of shape (n, N), shape (n, copies).
    louder : float
        Factor of the noise whose law is far enough off to be found.
    """

    program: Program
    law: Callable[[Program], Law]
    observe: Callable[[FloatArray], FloatArray]
    louder: float


def pairs(first: float, second: float) -> FloatArray:
    """Return couplings of nodes 0 and 1, 2 and 3, and so on, either way."""
    matrix = np.zeros((NODES, NODES))
    even = np.arange(0, NODES, 2)
    matrix[even, even + 1], matrix[even + 1, even] = first, second
    return matrix


def well(linear: float, cubic: float, constant: float, noise_val: float, steps: int) -> Program:
    """Return wells that do not see each other."""
    return autonomous_program(WELLS, local_val=(linear, cubic, constant), noise_val=noise_val,
                              steps=steps)


def coupled_wells() -> Program:
    """Return pairs of wells."""
    return autonomous_program(WELLS, local_val=(-0.2, -0.1, 0), coupling_val=pairs(0.08, 0.08),
                              noise_val=0.2, steps=60)


def linear_network(steps: int, initial_val: float = 0.0) -> Program:
    """Return a chain whose couplings are another in either direction, from node to node."""
    ahead = 0.01 * (np.arange(NODES - 1) % 7 - 2)
    matrix = np.diag(ahead, 1) + np.diag(0.04 - ahead[::-1], -1)
    return autonomous_program(WELLS, local_val=(-0.2, 0, 0), coupling_val=matrix, noise_val=0.2,
                              steps=steps, initial=InitialState.GAUSSIAN, initial_val=initial_val)


def phase_pairs(detuning_val: FloatArray, pull_val: float, noise_val: float,
                steps: int) -> Program:
    """Return pairs of phases that pull each other; the first of each runs ahead of the second."""
    local = np.zeros((NODES, 3))
    local[::2, 2], local[1::2, 2] = detuning_val / 2, -detuning_val / 2
    return autonomous_program(PHASES, local_val=local, noise_val=noise_val, steps=steps,
                              coupling_val=pairs(-pull_val / 2, -pull_val / 2))


def differences(x: FloatArray) -> FloatArray:
    """Return the differences of pairs of phases."""
    return (x[:, ::2] - x[:, 1::2] + 1) % 2 - 1


def louder(program: Program, factor: float) -> Program:
    """Return a program with more noise."""
    return replace(program, noise_gain=np.rint(program.noise_gain * factor).astype(np.int64))


def _coupled(program: Program) -> Law:
    return CoupledWells.of(program, 0, 1).euler().marginal()


SYSTEMS = {
    "double well": System(well(0.1, -0.1, 0, 0.2236, 80), lambda p: QuarticWell.of(p).euler(80),
                          lambda x: x, 1.25),
    "tilted well, under way": System(well(-0.05, -0.05, 0.05, 0.2, 10),
                                     lambda p: QuarticWell.of(p).euler(10), lambda x: x, 1.03),
    "two coupled wells": System(coupled_wells(), _coupled, lambda x: x[:, ::2], 1.05),
    "pinned phase": System(
        autonomous_program(PHASES, local_val=(-0.1, 0, 0), noise_val=0.18, steps=40),
        lambda p: pinned_phase(p).euler(), lambda x: x, 1.03),
    "difference of two phases": System(
        phase_pairs(np.full(NODES // 2, 0.06), 0.1, 0.1, 80),
        lambda p: phase_difference(p, 0, 1).euler(), differences, 1.08),
}
