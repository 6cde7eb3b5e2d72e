"""Phases: the von Mises law of a pinned one, and two that pull each other.

Phases are in half turns, so that the circle is [-1, 1). A pinned phase follows
``dx = g sin(pi x) dt + s dW``; the difference d = x_i - x_j of two that pull each other follows
``dd = (W sin(pi d) + D) dt + sqrt(2) s dW`` with ``W = w_ij + w_ji`` and the detuning D: Adler's
equation, with noise (R. L. Stratonovich, *Topics in the Theory of Random Noise* II, 1967, ch. 9).
"""

from dataclasses import dataclass

import numpy as np

from pendula.contract.physics import KURAMOTO, ONE
from pendula.errors import ProgramError
from pendula.metrics.samples import FloatArray
from pendula.program import Program
from pendula.references.laws import Law, euler_law, gibbs_law
from pendula.references.programs import neighbour_matrix

__all__ = ["Phase", "phase_difference", "pinned_phase"]

_POINTS = 512
_TURN_POINTS = 4097     # of an integral over a turn that is smooth, but not periodic


@dataclass(frozen=True, slots=True)
class Phase:
    """A phase, or a difference of two, in a periodic potential and a constant pull.

    Parameters
    ----------
    sine : float
        g or W: coefficient of sin(pi x), a step. Negative ones pull towards 0.
    constant : float
        D: constant drift, half turns a step.
    noise_val : float
        Standard deviation of the noise a step.
    """

    sine: float
    constant: float
    noise_val: float

    def drift(self, x_val: FloatArray) -> FloatArray:
        """Return the drift a step."""
        return self.sine * np.sin(np.pi * x_val) + self.constant

    @property
    def concentration(self) -> float:
        """Kappa of the von Mises law, without a constant pull; negative where it sits at 1."""
        return -2 * self.sine / (np.pi * self.noise_val**2)

    def law(self) -> Law:
        """Return the law at rest in the limit of small steps.

        Notes
        -----
        von Mises, ``exp(kappa cos(pi x))``, without a constant pull. With one, Stratonovich's
        ``p(x) ~ exp(-U(x)) int_x^(x+2) exp(U(y)) dy`` with ``U = -2 int (drift) / s^2``.
        """
        grid = self._grid
        if not self.constant:
            return gibbs_law(grid, self.concentration * np.cos(np.pi * grid), periodic=True)
        tilt = -2 * self.constant / self.noise_val**2
        z = np.linspace(0, 2, _TURN_POINTS)
        exponent = tilt * z - self.concentration * (
            np.cos(np.pi * (grid[:, None] + z)) - np.cos(np.pi * grid[:, None]))
        inner = np.trapezoid(np.exp(exponent - exponent.max()), z, axis=1)
        density = np.asarray(inner / (inner.sum() * (grid[1] - grid[0])), np.float64)
        return Law(grid, density, periodic=True)

    def euler(self, steps: int | None = None) -> Law:
        """Return the law after the array's own steps from x = 0; at rest where not given."""
        return euler_law(self.drift, self.noise_val, self._grid, periodic=True, steps=steps)

    @property
    def locks(self) -> bool:
        """Whether, without noise, the phase comes to rest: ``|D| <= |W|``, at any step size."""
        return abs(self.constant) <= abs(self.sine)

    @property
    def beat_val(self) -> float:
        """Mean drift without noise, half turns a step: ``sqrt(D^2 - W^2)``, 0 if it locks."""
        return float(np.sign(self.constant)
                     * np.sqrt(max(0.0, self.constant**2 - self.sine**2)))

    @property
    def rest_val(self) -> float:
        """Where a locked phase comes to rest, within [-1, 1)."""
        ratio = -self.constant / self.sine
        return float(np.arcsin(ratio) / np.pi if self.sine < 0 else 1 - np.arcsin(ratio) / np.pi)

    @property
    def _grid(self) -> FloatArray:
        return np.linspace(-1, 1, _POINTS, endpoint=False)


def pinned_phase(program: Program, node: int = 0) -> Phase:
    """Return what a program holds of a node without neighbours.

    Raises
    ------
    ProgramError
        If it has neighbours, a second harmonic or several segments.
    """
    local = _local(program, node)
    if neighbour_matrix(program)[node].any():
        raise ProgramError(f"node {node} must have no neighbours to be a pinned phase")
    return Phase(local["sin"], local[ONE], float(program.noise_val[0]))


def phase_difference(program: Program, first: int, second: int) -> Phase:
    """Return the difference of the phases of two nodes that pull each other alone.

    Raises
    ------
    ProgramError
        If other nodes pull them, or a local term other than the detuning does.
    """
    matrix = neighbour_matrix(program)
    others = matrix[[first, second]]
    others[[0, 1], [second, first]] = 0
    locals_ = _local(program, first), _local(program, second)
    if others.any() or any(local["sin"] for local in locals_):
        raise ProgramError(f"nodes {first} and {second} must be pulled by each other alone")
    return Phase(float(matrix[first, second] + matrix[second, first]),
                 locals_[0][ONE] - locals_[1][ONE],
                 float(np.sqrt(2) * program.noise_val[0]))


def _local(program: Program, node: int) -> dict[str, float]:
    if program.segments != 1 or program.spec.physics != KURAMOTO:
        raise ProgramError("phase must be of one segment of kuramoto physics, not "
                           f"{program.segments} of {program.spec.physics.name}")
    local = dict(zip(program.spec.physics.basis, program.local_val[0, node].tolist(), strict=True))
    if local["sin2"]:
        raise ProgramError(f"node {node} must have no second harmonic, not {local['sin2']:g}")
    return local
