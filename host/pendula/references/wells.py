"""Quartic wells: the Boltzmann law of one, and of two that are coupled, by quadrature.

``dx = (a x + b x^3 + c) dt + s dW`` has the law ``p ~ exp(-V / T)`` with
``V = -a x^2 / 2 - b x^4 / 4 - c x`` and the temperature ``T = s^2 / 2``; two of them with the
coupling w add ``-w x y`` to V. The array's own steps are finite, and have laws of their own.
"""

from dataclasses import dataclass

import numpy as np

from pendula.contract.physics import ONE, QUARTIC, STATE
from pendula.errors import ProgramError
from pendula.metrics.samples import FloatArray
from pendula.program import Program
from pendula.references.laws import Law, PlaneLaw, euler_law, euler_plane_law, gibbs_law
from pendula.references.programs import neighbour_matrix

__all__ = ["CoupledWells", "QuarticWell"]

_POINTS = 401
_PLANE_POINTS = 41
_PLANE_REACH_VAL = 2.0      # neighbours see states clipped beyond it


@dataclass(frozen=True, slots=True)
class QuarticWell:
    """One node by itself.

    Parameters
    ----------
    linear, cubic, constant : float
        a, b and c of the drift, a step.
    noise_val : float
        s, a step.
    """

    linear: float
    cubic: float
    constant: float
    noise_val: float

    @classmethod
    def of(cls, program: Program, node: int = 0) -> "QuarticWell":
        """Return what a program of one segment holds of a node, whatever its couplings.

        Raises
        ------
        ProgramError
            If the program has several segments or another physics.
        """
        if program.segments != 1 or program.spec.physics != QUARTIC:
            raise ProgramError("quartic well must be one segment of quartic physics, not "
                               f"{program.segments} of {program.spec.physics.name}")
        local = dict(zip(program.spec.physics.basis, program.local_val[0, node].tolist(),
                         strict=True))
        return cls(local[STATE], local["x3"], local[ONE], float(program.noise_val[0]))

    def drift(self, x_val: FloatArray) -> FloatArray:
        """Return the drift a step."""
        return self.linear * x_val + self.cubic * x_val**3 + self.constant

    def potential(self, x_val: FloatArray) -> FloatArray:
        """Return V, whose negative gradient is the drift."""
        return -(self.linear * x_val**2 / 2 + self.cubic * x_val**4 / 4 + self.constant * x_val)

    @property
    def temperature(self) -> float:
        """T of the Boltzmann law."""
        return self.noise_val**2 / 2

    def boltzmann(self) -> Law:
        """Return the law at rest in the limit of small steps."""
        grid = self._grid
        return gibbs_law(grid, -self.potential(grid) / self.temperature)

    def euler(self, steps: int | None = None) -> Law:
        """Return the law after the array's own steps from x = 0; at rest where not given."""
        return euler_law(self.drift, self.noise_val, self._grid, steps=steps)

    @property
    def _grid(self) -> FloatArray:
        reach = -2.0 ** (QUARTIC.i_bits - 1)
        return np.linspace(reach, -reach, _POINTS)


@dataclass(frozen=True, slots=True)
class CoupledWells:
    """Two nodes that pull each other equally.

    Parameters
    ----------
    wells : tuple of QuarticWell
        Either node by itself.
    coupling : float
        w, a step.
    """

    wells: tuple[QuarticWell, QuarticWell]
    coupling: float

    @classmethod
    def of(cls, program: Program, first: int, second: int) -> "CoupledWells":
        """Return what a program holds of two nodes.

        Raises
        ------
        ProgramError
            If they do not pull each other equally (there is no Boltzmann law then), or other nodes
            pull them.
        """
        matrix = neighbour_matrix(program)
        pulls = matrix[first, second], matrix[second, first]
        others = matrix[[first, second]]
        others[[0, 1], [second, first]] = 0
        if pulls[0] != pulls[1] or others.any():
            raise ProgramError(f"nodes {first} and {second} must pull each other equally, and no "
                               f"other node them, not by {pulls[0]:g} and {pulls[1]:g}")
        return cls((QuarticWell.of(program, first), QuarticWell.of(program, second)),
                   float(pulls[0]))

    def boltzmann(self) -> PlaneLaw:
        """Return the law at rest in the limit of small steps."""
        grid = self._grid
        x, y = np.meshgrid(grid, grid, indexing="ij")
        energy = (self.wells[0].potential(x) + self.wells[1].potential(y) - self.coupling * x * y)
        density = np.exp(-(energy - energy.min()) / self.wells[0].temperature)
        return PlaneLaw(grid, density / (density.sum() * (grid[1] - grid[0]) ** 2))

    def euler(self) -> PlaneLaw:
        """Return the law at rest of the array's own steps."""
        first, second = self.wells
        return euler_plane_law((lambda x, y: first.drift(x) + self.coupling * y,
                                lambda x, y: second.drift(y) + self.coupling * x),
                               first.noise_val, self.boltzmann())

    @property
    def _grid(self) -> FloatArray:
        return np.linspace(-_PLANE_REACH_VAL, _PLANE_REACH_VAL, _PLANE_POINTS)
