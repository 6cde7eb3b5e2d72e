"""Reverse-trajectory likelihood: learn to run a noising process backwards, at constant parameters.

The system and rule of Whitelam, "Generative thermodynamic computing" (arXiv 2506.15121): potential

    V = sum_i (x_i^2 + x_i^4) + sum_i b_i x_i + sum_(ij) J_ij x_i x_j,

overdamped Langevin dynamics x' = x - mu dV/dx dt + sqrt(2 mu kT dt) N(0, 1) with mu = 1. Data are
noised by the uncoupled system (J = b = 0) under a field that holds it at an image and then fades.
As nothing is coupled, noising does not depend on what is learnt, and all steps of a trajectory
count at once. The negative log-likelihood that the coupled system makes the reverse of x -> x' is

    sum_i (-dx_i + dt d_iV(x'))^2 / (4 kT dt),      dx = x' - x,

with the force at the *new* state x', from where the reverse step starts; its gradient is
r_i x'_j + r_j x'_i for a bond and r_i for a bias, r_i = (-dx_i + dt d_iV(x')) / (2 kT).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pendula.errors import DataError

__all__ = ["Couplings", "Thermodynamics", "generate", "heat", "learn", "noised", "potential",
           "reverse_gradient"]

Float32Array = npt.NDArray[Any]      # of float32, which NumPy's types do not follow


@dataclass(frozen=True, kw_only=True)
class Thermodynamics:
    """Constants of dynamics and learning; those of the paper's own program.

    Parameters
    ----------
    temperature_val : float
        kT.
    step_val, steps : float, int
        Time step dt, and steps of each of the two parts of a trajectory.
    field_val : float
        Field on a node, for each unit of its pixel.
    fade : float
        Share of the trajectory after which the field is gone.
    rate : float
        Length of the update that follows each trajectory.
    """

    temperature_val: float = 0.1
    step_val: float = 1e-3
    steps: int = 2500
    field_val: float = 2.0
    fade: float = 0.75
    rate: float = 4e-4


@dataclass(eq=False)
class Couplings:
    """What is learnt.

    Parameters
    ----------
    bonds : array of float32, shape (N, N)
        J, symmetric, zero on the diagonal.
    biases : array of float32, shape (N,)
        b.
    """

    bonds: Float32Array
    biases: Float32Array


def noised(field: Float32Array, constants: Thermodynamics,
           rng: np.random.Generator) -> Float32Array:
    """Return one noising trajectory, shape (steps + 1, N): from an image to uncoupled noise.

    Parameters
    ----------
    field : array, shape (N,)
        Pulls the nodes towards the image; in full while the system equilibrates from 0.
    constants : Thermodynamics
        Constants.
    rng : numpy.random.Generator
        Source of the noise.
    """
    steps, x = constants.steps, np.zeros_like(field)
    for _ in range(steps):
        x = _step(x, -field, constants, rng)
    trajectory = [x]
    for step in range(steps):
        left = max(0.0, 1 - step / (constants.fade * steps))
        trajectory.append(_step(trajectory[-1], -np.float32(left) * field, constants, rng))
    return np.stack(trajectory)


def _step(x: Float32Array, slope: Float32Array, constants: Thermodynamics,
          rng: np.random.Generator) -> Float32Array:
    """Return states after one step; `slope` is that of all of V but the on-site x^2 + x^4."""
    dt = np.float32(constants.step_val)
    sigma = np.float32(np.sqrt(2 * constants.temperature_val * constants.step_val))
    noise = rng.standard_normal(x.shape, dtype=np.float32)
    moved: Float32Array = x - dt * (2 * x + 4 * x**3 + slope) + sigma * noise
    return moved


def reverse_gradient(trajectory: Float32Array, couplings: Couplings, constants: Thermodynamics
                     ) -> tuple[Couplings, float]:
    """Return gradient and value of the negative log-likelihood of a reversed trajectory.

    Parameters
    ----------
    trajectory : array, shape (steps + 1, N)
        From :func:`noised`.
    """
    after, dt = trajectory[1:], np.float32(constants.step_val)
    slope = 2 * after + 4 * after**3 + after @ couplings.bonds + couplings.biases
    off = dt * slope - (after - trajectory[:-1])
    r = off / np.float32(2 * constants.temperature_val)
    products = r.T @ after
    loss = float((off.astype(np.float64)**2).sum())
    return (Couplings(products + products.T, r.sum(axis=0)),
            loss / (4 * constants.temperature_val * constants.step_val))


def learn(fields: Float32Array, bonded: npt.NDArray[np.bool_], biased: npt.NDArray[np.bool_],
          cycles: int, *, seed: int, constants: Thermodynamics | None = None,
          progress: Callable[[float], None] | None = None) -> Couplings:
    """Learn from images, one noising trajectory and one update each, in turn.

    Parameters
    ----------
    fields : array, shape (n, N)
        Field of each image.
    bonded : array of bool, shape (N, N)
        Pairs that have a bond; symmetric, and not on the diagonal.
    biased : array of bool, shape (N,)
        Nodes that have a bias.
    cycles : int
        Times that all images are shown.
    seed : int
        Of the noise.
    constants : Thermodynamics, optional
        The paper's where not given.
    progress : callable, optional
        Called with the loss after each trajectory.

    Raises
    ------
    DataError
        If the bonds are not symmetric, or the loss is no number any more.
    """
    if not np.array_equal(bonded, bonded.T) or bonded.diagonal().any():
        raise DataError("bonded must be symmetric, without bonds of a node to itself")
    constants, rng = constants or Thermodynamics(), np.random.default_rng(seed)
    nodes = fields.shape[1]
    couplings = Couplings(np.zeros((nodes, nodes), np.float32), np.zeros(nodes, np.float32))
    rate = np.float32(constants.rate)
    for cycle in range(cycles):
        for image, field in enumerate(fields):
            slope, loss = reverse_gradient(noised(field, constants, rng), couplings, constants)
            if not np.isfinite(loss):
                raise DataError(f"loss must be a number, not {loss} in cycle {cycle}, image "
                                f"{image}: take a smaller rate or time step")
            couplings.bonds -= rate * slope.bonds * bonded
            couplings.biases -= rate * slope.biases * biased
            if progress:
                progress(loss)
    return couplings


def generate(couplings: Couplings, count: int, *, seed: int,
             constants: Thermodynamics | None = None) -> tuple[Float32Array, Float32Array]:
    """Run trajectories: equilibrate uncoupled, then switch the couplings on.

    Returns
    -------
    array of float32, shape (count, N), twice
        States when the couplings are switched on, and at the end.
    """
    constants, rng = constants or Thermodynamics(), np.random.default_rng(seed)
    x = np.zeros((count, len(couplings.biases)), np.float32)
    for _ in range(constants.steps):
        x = _step(x, np.zeros(1, np.float32), constants, rng)
    start = x
    for _ in range(constants.steps):
        x = _step(x, x @ couplings.bonds + couplings.biases, constants, rng)
    return start, x


def potential(couplings: Couplings, states: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Return V of each state, shape (n,), for states of shape (n, N)."""
    x = np.asarray(states, np.float64)
    bonds, biases = couplings.bonds.astype(np.float64), couplings.biases.astype(np.float64)
    return (x**2 + x**4).sum(axis=1) + x @ biases + ((x @ bonds) * x).sum(axis=1) / 2


def heat(couplings: Couplings, start: npt.NDArray[np.floating], end: npt.NDArray[np.floating],
         temperature_val: float) -> npt.NDArray[np.float64]:
    """Return the heat that each trajectory gives off, (V(start) - V(end)) / kT, shape (n,)."""
    return (potential(couplings, start) - potential(couplings, end)) / temperature_val
