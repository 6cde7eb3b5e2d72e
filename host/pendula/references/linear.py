"""The linear network: an Ornstein-Uhlenbeck process, whose covariance is known at any time.

    dx = B x dt + s dW,      dC/dt = B C + C B' + s^2 1             continuous time
    x' = (1 + B) x + s xi,   C'    = (1 + B) C (1 + B)' + s^2 1     the array's own steps

Time is counted in steps (C. W. Gardiner, *Stochastic Methods*, 4th ed., 4.5.6).
"""

from dataclasses import dataclass

import numpy as np

from pendula.contract.physics import STATE
from pendula.errors import DataError, ProgramError
from pendula.extras import import_extra
from pendula.metrics.samples import FloatArray
from pendula.program import Program
from pendula.references.programs import neighbour_matrix

__all__ = ["LinearNetwork"]


@dataclass(frozen=True, eq=False)
class LinearNetwork:
    """Nodes with linear drift.

    Parameters
    ----------
    drift : array, shape (N, N)
        B, a step.
    noise_val : float
        s, a step.
    """

    drift: FloatArray
    noise_val: float

    @classmethod
    def of(cls, program: Program) -> "LinearNetwork":
        """Return what a program of one segment holds, where neighbours are not clipped.

        Raises
        ------
        ProgramError
            If the program has several segments, or anything in it is not linear.
        """
        basis = program.spec.physics.basis
        if program.segments != 1 or program.spec.physics.v != ("clip",):
            raise ProgramError("linear network must be one segment of quartic physics, not "
                               f"{program.segments} of {program.spec.physics.name}")
        local = program.local_val[0]
        if any(local[:, m].any() for m, name in enumerate(basis) if name != STATE):
            raise ProgramError(f"linear network must have the local term {STATE} alone, "
                               f"not {', '.join(basis)}")
        return cls(neighbour_matrix(program) + np.diag(local[:, basis.index(STATE)]),
                   float(program.noise_val[0]))

    @property
    def nodes(self) -> int:
        """Number of nodes N."""
        return len(self.drift)

    def covariance(self, time: float | None = None,
                   start: FloatArray | None = None) -> FloatArray:
        """Return the covariance in continuous time, shape (N, N).

        Parameters
        ----------
        time : float, optional
            In steps; at rest where not given.
        start : array, shape (N, N), optional
            Covariance at time 0; zero where not given.

        Raises
        ------
        DataError
            If there is no state of rest.

        Notes
        -----
        ``C(t) = rest + exp(B t) (start - rest) exp(B' t)``, with rest from Lyapunov's equation.
        """
        linalg = import_extra("scipy.linalg", "report")
        if np.linalg.eigvals(self.drift).real.max() >= 0:
            raise DataError("drift must have eigenvalues with negative real parts alone")
        rest = linalg.solve_continuous_lyapunov(self.drift, -self._noise)
        if time is None:
            return rest
        flow = linalg.expm(self.drift * time)
        return rest + flow @ (self._zero(start) - rest) @ flow.T

    def euler_covariance(self, steps: int | None = None,
                         start: FloatArray | None = None) -> FloatArray:
        """Return the covariance after the array's own steps; the arguments are as for time.

        Raises
        ------
        DataError
            If there is no state of rest.
        """
        linalg = import_extra("scipy.linalg", "report")
        step = np.eye(self.nodes) + self.drift
        if np.abs(np.linalg.eigvals(step)).max() >= 1:
            raise DataError("1 + drift must have eigenvalues within the unit circle alone")
        rest = linalg.solve_discrete_lyapunov(step, self._noise)
        if steps is None:
            return rest
        flow = np.linalg.matrix_power(step, steps)
        return rest + flow @ (self._zero(start) - rest) @ flow.T

    @property
    def _noise(self) -> FloatArray:
        return self.noise_val**2 * np.eye(self.nodes)

    def _zero(self, start: FloatArray | None) -> FloatArray:
        return np.zeros((self.nodes, self.nodes)) if start is None else start
