"""Drifting: samples move towards data near them and away from each other; no critic is trained.

Deng, Li, Li, Du and He, *Generative Modeling via Drifting* (2026): with kernels
k(x, y) = exp(-|x - y| / temperature), normalised over both of their arguments, the drift of a
sample is the mean of data less the mean of samples, each weighted by its kernel. It vanishes where
both laws are equal. Here distances are those of pixels, and of what random filters make of them, in
units of their mean.
"""

from collections.abc import Callable, Sequence
from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

__all__ = ["Look", "drift", "pixels", "random_filters", "ways"]

Look = Callable[[Array], Array]
"""What images, shape (B, V), look like: anything of shape (B, F), with a gradient."""

_FAR = 1e6          # distance of a sample to itself: nothing is pushed away by itself
_LEAST = 1e-37      # a column's sum that is told from 0
_FILTER_SEED = 0
_SIDE, _POOL = 5, 2     # pixels of a random filter, and of the squares that are averaged over


def _distances(left: Array, right: Array) -> Array:
    squares = (left**2).sum(1)[:, None] + (right**2).sum(1) - 2 * left @ right.T
    return jnp.sqrt(jnp.maximum(squares, 1e-8))


def drift(samples: Array, data: Array, temperatures: Sequence[float]) -> tuple[Array, Array]:
    """Return where samples are to move, and how far they would by the drift alone.

    Parameters
    ----------
    samples : array of float, shape (B, V)
        Pixels from 0 to 1.
    data : array of float, shape (D, V)
        Images of the data.
    temperatures : sequence of float
        Reach of the kernels, relative to the mean distance of samples and data.

    Returns
    -------
    array of float, shape (B, V)
        Sum of the drifts at all temperatures, each of root mean square 1 over samples and pixels.
    array of float, shape ()
        Mean over temperatures of that root mean square.
    """
    attracting, repelling = _distances(samples, data), _distances(samples, samples)
    unit = attracting.mean()
    repelling += _FAR * jnp.eye(len(samples))
    distances = jnp.concatenate([attracting, repelling], axis=1)
    total, lengths = jnp.zeros_like(samples), []
    for temperature in temperatures:
        near, crowd = jnp.split(_shares(distances / (temperature * unit)), [len(data)], axis=1)
        moved = (near @ data) * crowd.sum(1, keepdims=True) \
            - (crowd @ samples) * near.sum(1, keepdims=True)
        length = jnp.sqrt((moved**2).mean() + 1e-20)
        total += moved / length
        lengths.append(length)
    return total, jnp.stack(lengths).mean()


def _shares(distances: Array) -> Array:
    """Return the geometric mean of ``softmax(-distances)`` over rows and over columns."""
    nearest = distances.min(1, keepdims=True)
    kernel = jnp.exp(nearest - distances)               # the one exponential that both need
    weight = jnp.exp(nearest.min() - nearest)
    rows, columns = kernel.sum(1, keepdims=True), weight.T @ kernel
    return kernel * jnp.sqrt(weight / rows) * jax.lax.rsqrt(jnp.maximum(columns, _LEAST))


def pixels(images: Array) -> Array:
    """Return images as they are: a :data:`Look`."""
    return images


def random_filters(shape: tuple[int, int], count: int) -> Look:
    """Return a look through random filters of 5x5 pixels: rectified, and averaged over 2x2.

    The filters are always the same ones, whatever the seed of a training.

    Parameters
    ----------
    shape : tuple of int
        Rows and columns of an image.
    count : int
        Number of filters.
    """
    (rows, columns), margin = shape, _SIDE // 2
    drawn = np.random.default_rng(_FILTER_SEED).normal(size=(count, _SIDE**2))
    filters = (drawn / np.sqrt((drawn**2).sum(1, keepdims=True))).astype(np.float32)

    def look(images: Array) -> Array:
        padded = jnp.pad(images.reshape(-1, rows, columns),
                         ((0, 0), (margin, margin), (margin, margin)))
        shifted = jnp.stack([padded[:, down:down + rows, right:right + columns]
                             for down, right in product(range(_SIDE), repeat=2)])
        found = jax.nn.relu(jnp.tensordot(filters, shifted, 1))     # (filters, B, rows, columns)
        whole = found[:, :, :rows // _POOL * _POOL, :columns // _POOL * _POOL]
        squares = whole.reshape(count, -1, rows // _POOL, _POOL, columns // _POOL, _POOL)
        return jnp.moveaxis(squares.mean((3, 5)), 0, 1).reshape(len(images), -1)

    return look


def ways(samples: Array, data: Array, temperatures: Sequence[float], looks: Sequence[Look]
         ) -> tuple[Array, Array]:
    """Return where pixels are to move, so that all looks drift.

    Parameters
    ----------
    samples, data, temperatures
        As of :func:`drift`.
    looks : sequence of Look
        Where distances are taken.

    Returns
    -------
    array of float, shape (B, V)
        Sum over looks of the drift, led back to pixels and of root mean square 1.
    array of float, shape ()
        By how much the first look would move, as :func:`drift` says.
    """
    total, lengths = jnp.zeros_like(samples), []
    for look in looks:
        seen, lead_back = jax.vjp(look, samples)
        seen, known = jax.lax.optimization_barrier((seen, look(data)))      # looked at once
        drifted, length = drift(seen, known, temperatures)
        way, = lead_back(drifted)
        total += way / jnp.sqrt((way**2).mean() + 1e-20)
        lengths.append(length)
    return total, lengths[0]
