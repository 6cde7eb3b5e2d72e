"""Laws on a grid, and the exact law of an Euler chain by quadrature.

One step of the array is ``x' = x + f(x) + s xi``. Its transition density is Gaussian, so the law
after any number of steps, and at rest, is a sequence of integrals over a smooth function. The sum
over a uniform grid converges faster than any power of the spacing for such functions.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pendula.errors import DataError
from pendula.metrics.samples import FloatArray

__all__ = ["Law", "PlaneLaw", "euler_law", "euler_plane_law", "gibbs_law"]

Drift = Callable[[FloatArray], FloatArray]
PlaneDrift = Callable[[FloatArray, FloatArray], FloatArray]

_IMAGES = np.arange(-3, 4)      # of a Gaussian on a circle; its sigma is at most a third of a turn
_EDGE_DENSITY = 1e-6            # of the largest density, that a grid on a line may end at
_RESOLVED = 1.0                 # grid spacings a sigma: the error of the sum is exp(-2 pi^2)
_NEGLIGIBLE = 1e-40
_SETTLED = 1e-13
_SQUARINGS = 40
_PLANE_SETTLED = 1e-10       # steps are taken one by one here
_PLANE_STEPS = 5_000


@dataclass(frozen=True, eq=False)
class Law:
    """A density on a uniform grid.

    Parameters
    ----------
    x_val : array, shape (G,)
        Grid.
    density : array, shape (G,)
        Density; its sum times the spacing is 1.
    periodic : bool
        Whether the grid is a circle, of which the last point is not the first one again.
    """

    x_val: FloatArray
    density: FloatArray
    periodic: bool = False

    @property
    def step_val(self) -> float:
        """Spacing of the grid."""
        return float(self.x_val[1] - self.x_val[0])

    def cdf(self, x_val: npt.ArrayLike) -> FloatArray:
        """Return the probability of values up to `x_val`; a circle is cut where its grid begins."""
        grid, density = self.x_val, self.density
        if self.periodic:
            grid = np.append(grid, grid[-1] + self.step_val)
            density = np.append(density, density[0])
        area = np.concatenate([[0], np.cumsum((density[1:] + density[:-1]) / 2) * self.step_val])
        return np.interp(np.asarray(x_val, np.float64), grid, area / area[-1])

    def moment(self, order: int) -> float:
        """Return the mean (order 1) or a central moment."""
        mean = float(self.x_val @ self.density) * self.step_val
        if order == 1:
            return mean
        return float((self.x_val - mean) ** order @ self.density) * self.step_val

    def draw(self, count: int, rng: np.random.Generator) -> FloatArray:
        """Return independent samples."""
        fine = np.linspace(self.x_val[0], self.x_val[-1] + self.step_val * self.periodic,
                           20 * len(self.x_val))
        return np.interp(rng.random(count), self.cdf(fine), fine)


@dataclass(frozen=True, eq=False)
class PlaneLaw:
    """A density of two variables on a uniform square grid.

    Parameters
    ----------
    x_val : array, shape (G,)
        Grid of either variable.
    density : array, shape (G, G)
        Density; its sum times the squared spacing is 1.
    """

    x_val: FloatArray
    density: FloatArray

    @property
    def step_val(self) -> float:
        """Spacing of the grid."""
        return float(self.x_val[1] - self.x_val[0])

    def marginal(self, axis: int = 0) -> Law:
        """Return the law of one of the variables."""
        return Law(self.x_val, self.density.sum(axis=1 - axis) * self.step_val)

    @property
    def covariance(self) -> FloatArray:
        """Covariance, shape (2, 2)."""
        p = self.density * self.step_val**2
        x = self.x_val
        means = p.sum(axis=1) @ x, p.sum(axis=0) @ x
        mixed = x @ p @ x - means[0] * means[1]
        squares = [p.sum(axis=1) @ (x - means[0]) ** 2, p.sum(axis=0) @ (x - means[1]) ** 2]
        return np.array([[squares[0], mixed], [mixed, squares[1]]])

    def cells(self, edges: FloatArray) -> FloatArray:
        """Return the probabilities of the squares that `edges`, shape (C,), cut the plane into.

        Returns
        -------
        array, shape (C + 1, C + 1)
            Outermost cells are open.
        """
        grid = np.append(self.x_val - self.step_val / 2, self.x_val[-1] + self.step_val / 2)
        table = np.pad(np.cumsum(np.cumsum(self.density, axis=0), axis=1), (1, 0))
        places = np.interp(edges, grid, np.arange(len(grid)))
        index = np.concatenate([[0.0], places, [len(grid) - 1.0]])
        low = np.minimum(index.astype(int), len(grid) - 2)
        share = index - low
        rows = table[low] * (1 - share)[:, None] + table[low + 1] * share[:, None]
        both = rows[:, low] * (1 - share) + rows[:, low + 1] * share
        p = np.diff(np.diff(both, axis=0), axis=1)
        return p / p.sum()


def gibbs_law(x_val: FloatArray, log_density: FloatArray, *, periodic: bool = False) -> Law:
    """Return the law with a density proportional to ``exp(log_density)`` on a grid."""
    density = np.exp(log_density - log_density.max())
    if not periodic:
        _check_edges(density)
    return Law(x_val, density / (density.sum() * (x_val[1] - x_val[0])), periodic)


def euler_law(drift: Drift, noise_val: float, grid: FloatArray, *, periodic: bool = False,
              steps: int | None = None, start: FloatArray | None = None) -> Law:
    """Return the exact law of ``x' = x + drift(x) + noise_val * xi`` with Gaussian xi.

    Parameters
    ----------
    drift : callable
        f, of an array.
    noise_val : float
        s; at least a spacing of the grid.
    grid : array, shape (G,)
        Uniform grid; a full turn, whose ends are one point, where `periodic`.
    periodic : bool
        Whether x lives on a circle.
    steps : int, optional
        Number of steps; the law at rest where not given.
    start : array, shape (G,), optional
        Density before the first step; x = 0 where not given.

    Raises
    ------
    DataError
        If the grid is too coarse for the noise, ends where there is still mass, or the law does not
        settle.
    """
    spacing = grid[1] - grid[0]
    _check_resolution(noise_val, spacing)
    target = grid + drift(grid)
    if start is None:
        first = _gaussian(grid - drift(np.zeros(1)), noise_val, len(grid) * spacing * periodic)
        left = None if steps is None else steps - 1
    else:
        first, left = start, steps
    operator = _gaussian(grid[:, None] - target, noise_val, len(grid) * spacing * periodic)
    operator *= spacing
    density = (_settle(operator, first) if left is None else
               np.linalg.matrix_power(operator, left) @ first)
    if not periodic:
        _check_edges(density)
    return Law(grid, density / (density.sum() * spacing), periodic)


def euler_plane_law(drift: tuple[PlaneDrift, PlaneDrift], noise_val: float,
                    start: PlaneLaw) -> PlaneLaw:
    """Return the exact law at rest of two coupled nodes with independent noise.

    Parameters
    ----------
    drift : tuple of callable
        Drift of either node, of arrays of both states.
    noise_val : float
        Standard deviation of the noise of a step.
    start : PlaneLaw
        A law nearby, whose grid is taken.

    Raises
    ------
    DataError
        As :func:`euler_law`.
    """
    grid, spacing = start.x_val, start.step_val
    _check_resolution(noise_val, spacing)
    x, y = (axis.ravel() for axis in np.meshgrid(grid, grid, indexing="ij"))
    factors = [_gaussian(grid[:, None] - (own + f(x, y)), noise_val, 0.0) * spacing
               for own, f in zip((x, y), drift, strict=True)]
    density = start.density.ravel() / start.density.sum()
    for _ in range(_PLANE_STEPS):
        before = density
        density = ((factors[0] * before) @ factors[1].T).ravel()
        density /= density.sum()
        if np.abs(density - before).max() < _PLANE_SETTLED * density.max():
            break
    else:
        raise DataError(f"Law of two nodes must settle within {_PLANE_STEPS} steps")
    square = density.reshape(len(grid), -1)
    _check_edges(square.sum(axis=0))
    return PlaneLaw(grid, square / spacing**2)


def _gaussian(distance: FloatArray, sigma: float, turn: float) -> FloatArray:
    """Return the normal density, on a circle if `turn` is not 0."""
    if turn:
        return sum((_gaussian(distance + image * turn, sigma, 0.0) for image in _IMAGES),
                   np.zeros(1))
    density = np.exp(-((distance / sigma) ** 2) / 2) / (sigma * np.sqrt(2 * np.pi))
    density[density < _NEGLIGIBLE] = 0.0        # processors are slow with the smallest numbers
    return density


def _settle(operator: FloatArray, density: FloatArray) -> FloatArray:
    """Return the fixed point of an operator that conserves mass, by squaring it."""
    for _ in range(_SQUARINGS):
        before = density / density.sum()
        density = operator @ before
        density /= density.sum()
        if np.abs(density - before).max() < _SETTLED * density.max():
            return density
        operator = operator @ operator
        operator /= operator.sum(axis=0).max()      # round-off would grow with every squaring
    raise DataError("Law must settle: is the drift stable?")


def _check_resolution(noise_val: float, spacing: float) -> None:
    if noise_val < _RESOLVED * spacing:
        raise DataError(f"Spacing of the grid must be at most {noise_val / _RESOLVED:g}, the noise "
                        f"of a step, not {spacing:g}")


def _check_edges(density: FloatArray) -> None:
    if max(density[0], density[-1]) > _EDGE_DENSITY * density.max():
        raise DataError("Grid must reach where there is no mass: density at its ends is "
                        f"{max(density[0], density[-1]) / density.max():.1e} of the largest")
