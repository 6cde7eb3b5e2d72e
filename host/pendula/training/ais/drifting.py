"""Drifting: samples move towards data near them and away from each other; no critic is trained.

Deng, Li, Li, Du and He, *Generative Modeling via Drifting* (2026): with kernels
k(x, y) = exp(-|x - y| / temperature), normalised over both of their arguments, the drift of a
sample is the mean of data less the mean of samples, each weighted by its kernel. It vanishes where
both laws are equal. Here distances are those of pixels, in units of their mean.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import Array

__all__ = ["drift"]

_FAR = 1e6          # distance of a sample to itself: nothing is pushed away by itself


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
