"""Force matching in closed form: the force that runs diffusion backwards, by least squares.

A rule of the form of Boesch, Roeder, Serra-Garcia and Adams, "Local learning rules for
out-of-equilibrium physical generative models" (arXiv 2506.19136).

Data x_0 diffuse by dx = -k x dt + sqrt(2 D) dW to x_t = a x_0 + s z, with a = exp(-k t),
s^2 = (D / k)(1 - a^2) and z ~ N(0, 1). The array runs time backwards, from noise to data. Its step
from t to t' < t is that of the bridge between x_t and x_0, with the mean over the data in place of
x_0: the state moves by f(x_t) and takes noise of variance b^2 s'^2 / s^2, where
b^2 = (D / k)(1 - (a / a')^2) is what the forward step added. The force to match is

    y = E[x_t' | x_t, x_0] - x_t = (c - 1) x_t + (a' - c a) x_0,     c = (a / a') s'^2 / s^2,

which is (k x_t - 2 D (x_t - a x_0) / s^2) dt for short steps, where the noise is 2 D dt. The force
of the array is linear in its coefficients, f_i = sum_j w_ij v(x_j) + sum_m p_im h_m(x_i), so that
the best ones of a segment solve one small system of normal equations a node: of products that this
node and its neighbours can measure. The last step goes to t' = 0, where the bridge has no noise: it
shows the mean of x_0.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from pendula.contract import ArraySpec, OffsetGraph
from pendula.contract.physics import ONE
from pendula.program import IntArray
from pendula.training.data import FloatArray
from pendula.training.presets import Preset
from pendula.twin.float_device import real_function

__all__ = ["Fit", "Float32Array", "NormalEquations", "Stretch", "add_noise", "feature_columns",
           "features", "fit_stretch", "schedule"]

Float32Array = npt.NDArray[np.float32]

_BATCH = 4096        # noisy images at a time: bounds memory


@dataclass(frozen=True, eq=False)
class Stretch:
    """Diffusion time of one segment, cut into equal steps, in the order in which the array runs.

    Parameters
    ----------
    signal : array, shape (steps + 1,)
        The data's share a of the state before each step and after the last, ascending.
    variance : float
        D / k.
    """

    signal: FloatArray
    variance: float

    @property
    def steps(self) -> int:
        """Number of steps."""
        return len(self.signal) - 1

    @property
    def noise_variance(self) -> FloatArray:
        """Variance s^2 of the noise in the state before each step and after the last."""
        return self.variance * (1 - self.signal**2)

    @property
    def fresh_variance(self) -> FloatArray:
        """Variance b^2 s'^2 / s^2 of the noise that the array adds in each step."""
        before, after = self.noise_variance[:-1], self.noise_variance[1:]
        forward = self.variance * (1 - (self.signal[:-1] / self.signal[1:]) ** 2)
        return forward * after / before

    @property
    def sigma_val(self) -> float:
        """Standard deviation of the noise that the array adds, a step."""
        return float(np.sqrt(self.fresh_variance.mean()))

    def target_weights(self) -> tuple[FloatArray, FloatArray]:
        """Return the weights of x_t and x_0 in the target of each step."""
        noise, signal = self.noise_variance, self.signal
        kept = signal[:-1] / signal[1:] * noise[1:] / noise[:-1]
        return kept - 1, signal[1:] - kept * signal[:-1]


def schedule(preset: Preset) -> list[Stretch]:
    """Return the stretches of a preset: noise over signal falls geometrically, then to zero."""
    variance = preset.spread_val**2
    highest = preset.spread_val * np.sqrt(preset.signal_lo**-2 - 1)
    ratios = np.geomspace(highest, preset.noise_lo_val, preset.segments + 1)
    times = np.log1p(ratios**2 / variance) / 2          # k t
    spans = [*pairwise(times), (times[-1], 0.0)]
    steps = [preset.steps] * preset.segments + [1]
    return [Stretch(np.exp(-np.linspace(start, end, count + 1)), variance)
            for (start, end), count in zip(spans, steps, strict=True)]


# Features: what the codes of a node are multiplied with

def features(spec: ArraySpec, states: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return v and the local basis of every node, one column each, for states of shape (n, N).

    The physics must not make couplings depend on the node's own state (u = 1).
    """
    columns = [real_function(spec.physics.v[0])(states)]
    columns += [real_function(name)(states) for name in spec.physics.basis if name != ONE]
    return np.concatenate([*columns, np.ones((len(states), 1), states.dtype)], axis=1)


def feature_columns(spec: ArraySpec, graph: OffsetGraph) -> IntArray:
    """Return the columns of :func:`features` that each node uses; -1 where it has no edge.

    Returns
    -------
    array of int, shape (N, K + M)
        Neighbours in the order of the offsets, then the local basis.
    """
    nodes = np.arange(spec.nodes)[:, None]
    edges = np.where(np.array(graph.mask), nodes + np.array(spec.offsets), -1)
    own = [name for name in spec.physics.basis if name != ONE]
    local = [(1 + own.index(name)) * spec.nodes + nodes if name in own
             else np.full_like(nodes, (1 + len(own)) * spec.nodes) for name in spec.physics.basis]
    return np.concatenate([edges, *local], axis=1)


@dataclass(frozen=True, eq=False)
class Fit:
    """Coefficients of one segment, with the quadratic form that they minimise.

    Parameters
    ----------
    coefficients : array, shape (N, F)
        Zero where a node has no edge.
    gram : array, shape (N, F, F)
        Second moments of each node's features, ridge included.
    power, loss : array, shape (N,)
        Mean square of the target, and of what the force leaves of it.
    """

    coefficients: FloatArray
    gram: FloatArray
    power: FloatArray
    loss: FloatArray

    def excess(self, coefficients: FloatArray) -> FloatArray:
        """Return by how much the loss of each node grows with other coefficients, shape (N,)."""
        off = coefficients - self.coefficients
        return np.einsum("if,ifg,ig->i", off, self.gram, off)


class NormalEquations:
    """Second moments of features and targets, added up batch by batch.

    Parameters
    ----------
    columns : array of int, shape (N, F)
        From :func:`feature_columns`.
    """

    def __init__(self, columns: IntArray) -> None:
        size = columns.max() + 2            # the last row and column stand for absent edges: zeros
        self._columns = columns
        self._gram = np.zeros((size, size))
        self._cross = np.zeros((size, len(columns)))
        self._power = np.zeros(len(columns))
        self._count = 0

    def add(self, values: npt.NDArray[Any], targets: npt.NDArray[Any]) -> None:
        """Add a batch: features of shape (n, columns) and targets of shape (n, N)."""
        self._gram[:-1, :-1] += values.T @ values
        self._cross[:-1] += values.T @ targets
        self._power += np.einsum("ni,ni->i", targets, targets, dtype=np.float64)
        self._count += len(values)

    def solve(self, ridge: float) -> Fit:
        """Return every node's best coefficients with a relative ridge."""
        columns, nodes = self._columns, np.arange(len(self._columns))
        gram = self._gram[columns[:, :, None], columns[:, None, :]] / self._count
        cross = self._cross[columns, nodes[:, None]] / self._count
        power = self._power / self._count
        square = np.einsum("iff->if", gram).copy()
        raised = gram + np.eye(columns.shape[1]) * np.where(square, ridge * square, 1)[:, None, :]
        found: FloatArray = np.linalg.solve(raised, cross[:, :, None])[:, :, 0].astype(np.float64)
        loss = power - 2 * np.einsum("if,if->i", cross, found)
        loss += np.einsum("if,ifg,ig->i", found, gram, found)
        return Fit(found, raised, power, loss)


def fit_stretch(spec: ArraySpec, columns: IntArray, states: Float32Array,
                stretch: Stretch, *, draws: int, ridge: float, rng: np.random.Generator) -> Fit:
    """Match the force of one segment.

    Parameters
    ----------
    spec : ArraySpec
        Array.
    columns : array of int
        From :func:`feature_columns`.
    states : array of float32, shape (n, N)
        Training data x_0, as states.
    stretch : Stretch
        Diffusion time of the segment.
    draws : int
        Noisy copies of every image, each before a random step of the segment.
    ridge : float
        Relative ridge.
    rng : numpy.random.Generator
        Source of the noise.
    """
    equations = NormalEquations(columns)
    of_state, of_data = (weights.astype(np.float32) for weights in stretch.target_weights())
    for batch, step, noisy in _noisy(states, stretch, draws, rng):
        target = of_state[step] * noisy + of_data[step] * batch
        equations.add(features(spec, noisy), target)
    return equations.solve(ridge)


def _noisy(states: Float32Array, stretch: Stretch, draws: int,
           rng: np.random.Generator) -> Iterator[tuple[Float32Array, IntArray, Float32Array]]:
    """Yield batches of data, the step that each is before, and the data with noise."""
    for _ in range(draws):
        for start in range(0, len(states), _BATCH):
            batch = states[start:start + _BATCH]
            step = rng.integers(stretch.steps, size=(len(batch), 1))
            yield batch, step, add_noise(batch, stretch, step, rng)


def add_noise(states: Float32Array, stretch: Stretch, step: IntArray,
              rng: np.random.Generator) -> Float32Array:
    """Return the diffused data before the given steps of a stretch.

    Parameters
    ----------
    states : array of float32, shape (n, N)
        Data x_0.
    stretch : Stretch
        Diffusion times.
    step : array of int, shape (n, 1)
        Step of each row.
    rng : numpy.random.Generator
        Source of the noise.
    """
    signal = stretch.signal.astype(np.float32)
    deviation = np.sqrt(stretch.noise_variance).astype(np.float32)
    noise = rng.standard_normal(states.shape, dtype=np.float32)
    return (signal[step] * states + deviation[step] * noise).astype(np.float32, copy=False)
