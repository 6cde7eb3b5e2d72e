"""The critic of the Wasserstein distance: a small perceptron, with gradient penalty.

Gulrajani et al., *Improved training of Wasserstein GANs* (2017): the critic f maximises
E f(data) - E f(samples) - penalty * E (|grad f| - 1)^2 on lines between the two.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import Array

__all__ = ["Weights", "critic_loss", "first_weights", "judge"]

Weights = list[dict[str, Array]]

_LEAK = 0.2


def first_weights(key: Array, pixels: int, widths: Sequence[int]) -> Weights:
    """Return random weights for images of `pixels` pixels; the last layer has one output."""
    sizes = (pixels, *widths, 1)
    keys = jax.random.split(key, len(sizes) - 1)
    return [{"w": jax.random.normal(key, (before, after)) * jnp.sqrt(2 / before),
             "b": jnp.zeros(after)} for key, before, after in zip(keys, sizes, sizes[1:])]


def judge(weights: Weights, images: Array) -> Array:
    """Return how real the critic takes images to be, shape (B,).

    Parameters
    ----------
    images : array of float, shape (B, V)
        Pixels from 0 to 1.
    """
    values = 2 * images - 1
    for layer in weights[:-1]:
        values = jax.nn.leaky_relu(values @ layer["w"] + layer["b"], _LEAK)
    return (values @ weights[-1]["w"] + weights[-1]["b"])[:, 0]


def critic_loss(weights: Weights, fake: Array, real: Array, key: Array, penalty: float
                ) -> tuple[Array, Array]:
    """Return the critic's loss, and its estimate of the Wasserstein distance."""
    share = jax.random.uniform(key, (len(fake), 1))
    between = share * fake + (1 - share) * real
    slope = jax.grad(lambda images: judge(weights, images).sum())(between)
    length = jnp.sqrt((slope**2).sum(1) + 1e-12)
    distance = judge(weights, real).mean() - judge(weights, fake).mean()
    return penalty * ((length - 1)**2).mean() - distance, distance
