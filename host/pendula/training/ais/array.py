"""The array as a differentiable function: from couplings and first states to end states.

Arrays hold one row a node and one column a sample, so that a neighbour is a static slice and the
innermost loop runs over samples. Noise is left out: the flow is deterministic.

The gradient is the adjoint of the step, written by hand. With lambda' the gradient at the states
after a step, a_r = lambda' u_r and c_r the couplings' sum over neighbours of v_r,

    lambda_i = lambda'_i (1 + sum_r u_r'(x_i) c_ri + sum_m p_im h_m'(x_i))
               + sum_r v_r'(x_i) sum_k w_{i-o_k,k} a_{r,i-o_k}
    dw_ik    = sum over samples and r of a_ri v_r(x_{i+o_k}),     dp_im = sum of lambda'_i h_m(x_i).

The sums of dw run with the nodes innermost, a few samples a pass, so that they need no sum across
a vector. States are stored, all else is computed again. Samples run through all steps a tile at a
time, so that what a step works on stays in a core's cache.
"""

import math
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jax import Array

from pendula.contract import ArraySpec
from pendula.contract.numbers import Overflow
from pendula.training.ais.functions import Response, Values, evaluate, respond

__all__ = ["Parameters", "Shape", "drift", "end_states", "fold", "measured_end",
           "states_after"]

_TILE = 32       # samples that run through all steps together; measured: benchmarks/gradient.py
_CHUNK = 16      # samples that one pass over the nodes adds up; measured: benchmarks/gradient.py


class Parameters(NamedTuple):
    """Real changes of x a step.

    Parameters
    ----------
    couplings : array of float, shape (S, K, N)
        Couplings, zero where there is no edge.
    local : array of float, shape (S, M, N)
        Coefficients of the local basis.
    """

    couplings: Array
    local: Array


class Shape(NamedTuple):
    """What is static about an array and its segments.

    Parameters
    ----------
    spec : ArraySpec
        Physics, nodes and offsets.
    steps : tuple of int
        Steps of each segment.
    response : Response, optional
        How a device answers; ideal functions where not given.
    growth : float
        Largest growth of a sample's gradient from the end states to those before any step; what is
        longer is cut to that length. Chaotic samples would outweigh all others otherwise.
    """

    spec: ArraySpec
    steps: tuple[int, ...]
    response: Response | None = None
    growth: float = math.inf

    @property
    def segment_of_step(self) -> npt.NDArray[np.int64]:
        """Segment of every step, shape (T,)."""
        return np.repeat(np.arange(len(self.steps)), self.steps)


def _shifted(values: Array, offset: int, reach: int, nodes: int) -> Array:
    """Return rows ``i + offset`` of values that are padded with `reach` rows at both ends."""
    return jax.lax.slice_in_dim(values, reach + offset, reach + offset + nodes)


def _padded(values: Array, reach: int) -> Array:
    return jnp.pad(values, ((reach, reach), (0, 0)))


def _neighbours(couplings: Array, values: Array, offsets: Sequence[int]) -> Array:
    """Return ``sum_k w_ik values_{i+o_k}``, shape (N, B)."""
    reach, nodes = max(map(abs, offsets)), len(values)
    padded = _padded(values, reach)
    total = jnp.zeros_like(values)
    for coupling, offset in zip(couplings, offsets):
        total += coupling[:, None] * _shifted(padded, offset, reach, nodes)
    return total


def _listeners(couplings: Array, values: Array, offsets: Sequence[int]) -> Array:
    """Return ``sum_k w_{i-o_k,k} values_{i-o_k}``: the transpose of :func:`_neighbours`."""
    reach, nodes = max(map(abs, offsets)), len(values)
    heard = _padded(couplings.T, reach)
    turned = [_shifted(heard[:, k:k + 1], -offset, reach, nodes)[:, 0]
              for k, offset in enumerate(offsets)]
    return _neighbours(jnp.stack(turned), values, [-offset for offset in offsets])


def _products(left: Array, right: Array, offsets: Sequence[int]) -> Array:
    """Return ``sum_b left_ib right_{i+o_k,b}``, shape (K, N)."""
    reach, (nodes, samples) = max(map(abs, offsets)), left.shape
    chunks = -(-samples // _CHUNK)

    def turned(values: Array, margin: int) -> Array:
        padded = jnp.pad(values, ((margin, margin), (0, chunks * _CHUNK - samples)))
        return padded.T.reshape(chunks, _CHUNK, -1)

    def add(total: Array, pair: tuple[Array, Array]) -> tuple[Array, None]:
        rows = [sum(a * jax.lax.slice_in_dim(b, reach + offset, reach + offset + nodes)
                    for a, b in zip(*pair)) for offset in offsets]
        return total + jnp.stack(rows), None            # type: ignore[arg-type]

    return jax.lax.scan(add, jnp.zeros((len(offsets), nodes)),
                        (turned(left, 0), turned(right, reach)))[0]


def _functions(shape: Shape, segment: Array | int, x: Array) -> Values:
    values = evaluate(shape.spec.physics, x)
    if shape.response is None:
        return values
    coupling, local = (jnp.asarray(part, x.dtype)[segment] for part in shape.response)
    return respond(values, coupling, local)


def drift(shape: Shape, parameters: Parameters, segment: Array | int, x: Array) -> Array:
    """Return the change of every node in one step of a segment.

    Parameters
    ----------
    parameters : Parameters
        Of all segments.
    segment : int
        Segment.
    x : array of float, shape (N, B)
        States.
    """
    values = _functions(shape, segment, x)
    total = jnp.zeros_like(x)
    for u, v in zip(values.u, values.v):
        total += u.value * _neighbours(parameters.couplings[segment], v.value, shape.spec.offsets)
    for coefficient, h in zip(parameters.local[segment], values.h):
        total += coefficient[:, None] * h.value
    return total


def _fits(spec: ArraySpec, x: Array) -> Array:
    """Apply the overflow rule; phases stay unwrapped, since all functions are periodic."""
    if spec.physics.overflow is Overflow.WRAP:
        return x
    state = spec.state.interval
    unit_val = 2.0**-spec.state.f_bits
    return jnp.clip(x, state.lo * unit_val, state.hi * unit_val)


def _tiled(values: Array) -> Array:
    """Return values, shape (..., B), as tiles of samples, shape (tiles, ..., C); zeros fill up."""
    *sizes, samples = values.shape
    tile = min(samples, _TILE)
    tiles = -(-samples // tile)
    filled = jnp.pad(values, [(0, 0)] * len(sizes) + [(0, tiles * tile - samples)])
    return jnp.moveaxis(filled.reshape(*sizes, tiles, tile), -2, 0)


def _joined(tiles: Array, samples: int) -> Array:
    """Return what :func:`_tiled` was given."""
    apart = jnp.moveaxis(tiles, 0, -2)
    return apart.reshape(*apart.shape[:-2], -1)[..., :samples]


def states_after(shape: Shape, parameters: Parameters, x: Array) -> tuple[Array, Array]:
    """Return the end states, shape (N, B), and the states before each step, shape (T, N, B)."""
    def step(x: Array, s: Array) -> tuple[Array, Array]:
        return _fits(shape.spec, x + drift(shape, parameters, s, x)), x

    def steps(x: Array) -> tuple[Array, Array]:
        return jax.lax.scan(step, x, jnp.asarray(shape.segment_of_step))

    end, states = jax.lax.map(steps, _tiled(x))
    return _joined(end, x.shape[1]), _joined(states, x.shape[1])


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def end_states(shape: Shape, parameters: Parameters, x: Array) -> Array:
    """Return the states after all segments.

    Parameters
    ----------
    shape : Shape
        Array and steps.
    parameters : Parameters
        Real changes a step.
    x : array of float, shape (N, B)
        First states.

    Returns
    -------
    array of float, shape (N, B)
        Phases are not wrapped: :func:`fold` takes any.
    """
    return states_after(shape, parameters, x)[0]


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def measured_end(shape: Shape, parameters: Parameters, states: Array, end: Array) -> Array:
    """Return `end`, with the gradient of the steps that led there, taken at the states on the way.

    Parameters
    ----------
    states : array of float, shape (T, N, B)
        States before each step, of this array or of a device.
    end : array of float, shape (N, B)
        States after all of them.
    """
    return end


def _forward(shape: Shape, parameters: Parameters, x: Array
             ) -> tuple[Array, tuple[Parameters, Array]]:
    end, states = states_after(shape, parameters, x)
    return end, (parameters, states)


def _backward(shape: Shape, kept: tuple[Parameters, Array], gradient: Array
              ) -> tuple[Parameters, Array]:
    parameters, states = kept

    def add(total: Parameters, tile: tuple[Array, Array]) -> tuple[Parameters, Array]:
        slopes, first = _backward_tile(shape, parameters, *tile)
        return jax.tree.map(jnp.add, total, slopes), first

    zero = jax.tree.map(jnp.zeros_like, parameters)
    slopes, first = jax.lax.scan(add, zero, (_tiled(states), _tiled(gradient)))
    return slopes, _joined(first, gradient.shape[1])


def _backward_tile(shape: Shape, parameters: Parameters, states: Array, gradient: Array
                   ) -> tuple[Parameters, Array]:
    segments = jnp.asarray(shape.segment_of_step)
    longest = shape.growth * jnp.linalg.norm(gradient, axis=0)

    def lead_back(after: Array, step: tuple[Array, Array]) -> tuple[Array, Parameters]:
        before, slopes = _adjoint(shape, parameters, *step, after)
        if math.isinf(shape.growth):
            return before, slopes
        length = jnp.linalg.norm(before, axis=0)
        return before * (longest / jnp.maximum(jnp.maximum(length, longest), 1e-30)), slopes

    first, slopes = jax.lax.scan(lead_back, gradient, (segments, states), reverse=True)
    total = [jax.ops.segment_sum(slope, segments, len(shape.steps)) for slope in slopes]
    return Parameters(*total), first


def _adjoint(shape: Shape, parameters: Parameters, segment: Array, x: Array, after: Array
             ) -> tuple[Array, Parameters]:
    """Lead the gradient after a step to before it; also return that of the segment's parameters."""
    values, offsets = _functions(shape, segment, x), shape.spec.offsets
    couplings, local = (part[segment] for part in parameters)
    if shape.spec.physics.overflow is Overflow.SATURATE:
        moved = x + drift(shape, parameters, segment, x)
        after = jnp.where(_fits(shape.spec, moved) == moved, after, 0.0)
    own, before, pairs = jnp.ones_like(x), jnp.zeros_like(x), []
    for u, v in zip(values.u, values.v):
        heard = after * u.value
        own += u.slope * _neighbours(couplings, v.value, offsets)
        before += v.slope * _listeners(couplings, heard, offsets)
        pairs.append((heard, v.value))
    for coefficient, h in zip(local, values.h):
        own += coefficient[:, None] * h.slope
    left, right = (jnp.concatenate(side, axis=1) for side in zip(*pairs))
    slopes = jnp.stack([(after * h.value) @ jnp.ones(x.shape[1]) for h in values.h])
    return before + own * after, Parameters(_products(left, right, offsets), slopes)


def _measured_forward(shape: Shape, parameters: Parameters, states: Array, end: Array
                      ) -> tuple[Array, tuple[Parameters, Array]]:
    return end, (parameters, states)


def _measured_backward(shape: Shape, kept: tuple[Parameters, Array], gradient: Array
                       ) -> tuple[Parameters, Array, Array]:
    slopes, _ = _backward(shape, kept, gradient)
    return slopes, jnp.zeros_like(kept[1]), jnp.zeros_like(gradient)


end_states.defvjp(_forward, _backward)
measured_end.defvjp(_measured_forward, _measured_backward)


def fold(x: Array) -> Array:
    """Return pixels from phases: their distance to phase 0, from 0 to 1, in half turns."""
    return jnp.abs(x - 2 * jnp.round(x / 2))
