"""Force matching in closed form: each time segment is one least-squares problem a node.

A rule of the form of Boesch et al., arXiv 2506.19136. Images x_0 are noised by an
Ornstein-Uhlenbeck process of unit variance, x_t = a x_0 + s xi with s^2 = 1 - a^2. The reverse
process should take a step of mean E[x_(t-1) - x_t | x_t]; the device offers a force that is linear
in its couplings and local codes. The target for one noised image,

    y = al (s'^2 / s^2) x_t + a' (b^2 / s^2) x_0 - x_t,     al = a / a', b^2 = 1 - al^2,

with a', s' one step earlier, has that mean, so least squares on (x_t, y) matches the force. For
small steps y / dt is the drift of the continuous reverse process; this form is exact for any step
where the data are Gaussian. Every node sees only its neighbours: the normal equations are local.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pendula.contract.graph import OffsetGraph
from pendula.contract.physics import FUNCTIONS, QUARTIC
from pendula.extras import import_extra
from pendula.training.presets import Preset

__all__ = ["Moments", "SegmentFit", "Times", "fit_segment", "solve_node", "time_grid"]

FloatArray = npt.NDArray[np.float64]
Float32Array = npt.NDArray[np.float32]

_REACH = float(FUNCTIONS[QUARTIC.v[0]].reach)      # where a neighbour's state is clipped
_JITTER = 1e-9


@dataclass(frozen=True, eq=False)
class Times:
    """Steps of one segment, in the order of the reverse process.

    Parameters
    ----------
    a : array, shape (n + 1,)
        Share of the image before each step and after the last.
    """

    a: FloatArray

    @property
    def variance(self) -> FloatArray:
        """Variance s^2 of the noise; shape (n + 1,)."""
        return 1 - self.a**2

    @property
    def posterior_variance(self) -> float:
        """Mean variance of x_(t-1) given x_t and the image."""
        forward = 1 - (self.a[:-1] / self.a[1:])**2
        return float(np.mean(forward * self.variance[1:] / self.variance[:-1]))

    def draw(self, images: FloatArray, rng: np.random.Generator) -> tuple[Float32Array, Float32Array]:
        """Return noised images, each at a random step, and their targets; both shape (n, N)."""
        step = rng.integers(0, len(self.a) - 1, (len(images), 1))
        a, a_next = self.a[step], self.a[step + 1]
        s2, s2_next = self.variance[step], self.variance[step + 1]
        ratio = a / a_next
        x = a * images + np.sqrt(s2) * rng.standard_normal(images.shape)
        mean = ratio * s2_next / s2 * x + a_next * (1 - ratio**2) / s2 * images
        return x.astype(np.float32), (mean - x).astype(np.float32)


def time_grid(preset: Preset) -> Iterator[Times]:
    """Yield the segments: noise-to-image ratios fall geometrically, then one step to the image."""
    first = np.sqrt(1 / preset.first_a**2 - 1)
    ratios = np.geomspace(first, preset.last_ratio, preset.segments + 1)
    log_a = -0.5 * np.log1p(ratios**2)
    for start, stop in zip(log_a[:-1], log_a[1:], strict=True):
        yield Times(np.exp(np.linspace(start, stop, preset.steps + 1)))
    yield Times(np.array([np.exp(log_a[-1]), 1.0]))


class Moments:
    """Streaming second moments of features and targets of all nodes.

    The features are v(x_j) of every node, then x and x^3 of every node, then 1.

    Parameters
    ----------
    nodes : int
        Number of nodes N.
    """

    def __init__(self, nodes: int) -> None:
        self.nodes = nodes
        self.features = np.zeros((3 * nodes + 1, 3 * nodes + 1))
        self.targets = np.zeros((3 * nodes + 1, nodes))
        self.power = np.zeros(nodes)
        self.count = 0

    def add(self, x: Float32Array, y: Float32Array) -> None:
        """Add noised images and their targets; both shape (n, N)."""
        rows = np.concatenate([np.clip(x, -_REACH, _REACH), x, x**3, np.ones_like(x[:, :1])], axis=1)
        self.features += rows.T @ rows
        self.targets += rows.T @ y
        self.power += np.einsum("ij,ij->j", y, y, dtype=np.float64)
        self.count += len(x)

    def places(self, neighbours: npt.NDArray[np.intp], node: int) -> npt.NDArray[np.intp]:
        """Return the features of a node: its neighbours, then its own local terms."""
        own = [self.nodes + node, 2 * self.nodes + node, 3 * self.nodes]
        return np.concatenate([neighbours, own])


@dataclass(frozen=True, eq=False, kw_only=True)
class SegmentFit:
    """Least-squares coefficients of one segment, a step.

    Parameters
    ----------
    couplings : array, shape (N, K)
        Zero where the graph has no edge.
    local : array, shape (N, M)
        Coefficients of x, x^3 and 1.
    sigma : float
        Standard deviation of the noise: posterior variance plus what the force leaves unexplained.
    steps : int
        Steps of the segment.
    residual, power : float
        Mean square of what the force misses, and of the target.
    moments : Moments
        Normal equations, for quantisation.
    """

    couplings: FloatArray
    local: FloatArray
    sigma: float
    steps: int
    residual: float
    power: float
    moments: Moments


def solve_node(moments: Moments, places: npt.NDArray[np.intp], node: int,
               ridge: float) -> tuple[FloatArray, float]:
    """Return the ridge solution for one node, and its mean square error on the data."""
    linalg = import_extra("scipy.linalg", "train")
    matrix = moments.features[np.ix_(places, places)] / moments.count
    target = moments.targets[places, node] / moments.count
    penalty = ridge * np.diag(matrix) + _JITTER
    penalty[-1] = _JITTER                                   # the constant is not penalised
    theta = linalg.cho_solve(linalg.cho_factor(matrix + np.diag(penalty)), target)
    error = moments.power[node] / moments.count - 2 * theta @ target + theta @ matrix @ theta
    return theta, max(float(error), 0.0)


def fit_segment(images: FloatArray, times: Times, graph: OffsetGraph, preset: Preset,
                rng: np.random.Generator) -> SegmentFit:
    """Fit one segment to noised copies of `images`, shape (n, N), in units of x."""
    nodes, degree = graph.nodes, len(graph.offsets)
    moments = Moments(nodes)
    for _ in range(preset.draws):
        moments.add(*times.draw(images, rng))
    mask, offsets = np.array(graph.mask), np.array(graph.offsets)
    couplings, local, errors = np.zeros((nodes, degree)), np.zeros((nodes, 3)), np.zeros(nodes)
    for node in range(nodes):
        places = moments.places(node + offsets[mask[node]], node)
        theta, errors[node] = solve_node(moments, places, node, preset.ridge)
        couplings[node, mask[node]], local[node] = theta[:-3], theta[-3:]
    residual = float(errors.mean())
    last = times.a[-1] == 1.0
    sigma = 0.0 if last else float(np.sqrt(times.posterior_variance + residual))
    return SegmentFit(couplings=couplings, local=local, sigma=sigma, steps=len(times.a) - 1,
                      residual=residual, power=float(moments.power.mean() / moments.count),
                      moments=moments)
