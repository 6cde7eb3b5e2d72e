"""Drifting: samples move towards data near them and away from each other; no critic is trained.

Deng, Li, Li, Du and He, *Generative Modeling via Drifting* (2026): with kernels
k(x, y) = exp(-|x - y| / temperature), normalised over both of their arguments, the drift of a
sample is the mean of data less the mean of samples, each weighted by its kernel. It vanishes where
both laws are equal. Here distances are those of pixels, and of what random filters make of them, in
units of their mean.
"""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

__all__ = ["Look", "drift", "pixels", "random_filters", "ways"]

Look = Callable[[Array], Array]
"""What images, shape (B, V), look like: anything of shape (B, F), with a gradient."""

_FAR = 1e6          # distance of a sample to itself: nothing is pushed away by itself
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
    total, lengths = jnp.zeros_like(samples), []
    for temperature in temperatures:
        logits = -jnp.concatenate([attracting, repelling], axis=1) / (temperature * unit)
        shares = jnp.sqrt(jax.nn.softmax(logits, axis=0) * jax.nn.softmax(logits, axis=1))
        near, crowd = shares[:, :len(data)], shares[:, len(data):]
        moved = (near * crowd.sum(1, keepdims=True)) @ data \
            - (crowd * near.sum(1, keepdims=True)) @ samples
        length = jnp.sqrt((moved**2).mean() + 1e-20)
        total += moved / length
        lengths.append(length)
    return total, jnp.stack(lengths).mean()


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
    drawn = np.random.default_rng(_FILTER_SEED).normal(size=(count, 1, _SIDE, _SIDE))
    filters = jnp.asarray(drawn / np.sqrt((drawn**2).sum((1, 2, 3), keepdims=True)), jnp.float32)
    square = (1, 1, _POOL, _POOL)

    def look(images: Array) -> Array:
        found = jax.nn.relu(jax.lax.conv_general_dilated(
            images.reshape(-1, 1, *shape), filters, (1, 1), "SAME"))
        pooled = jax.lax.reduce_window(found, 0.0, jax.lax.add, square, square, "VALID")
        return pooled.reshape(len(images), -1) / _POOL**2

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
        drifted, length = drift(seen, look(data), temperatures)
        way, = lead_back(drifted)
        total += way / jnp.sqrt((way**2).mean() + 1e-20)
        lengths.append(length)
    return total, lengths[0]
