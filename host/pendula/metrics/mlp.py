"""A cheap control: a multilayer perceptron with as many parameters as the array has."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from pendula.errors import DataError
from pendula.metrics.samples import FloatArray

__all__ = ["LATENT", "hidden_units", "mlp_generator"]

LATENT = 16         # Gaussians that an image is made from
_STEPS = 1000
_BATCH = 128
_RATE = 2e-3        # of Adam, falling linearly to zero

Float32Array = npt.NDArray[Any]      # of float32, which NumPy's types do not follow


@dataclass(eq=False)
class _Weights:
    """A tensor with Adam's moments (D. Kingma and J. Ba, arXiv 1412.6980)."""

    value: Float32Array
    first: Float32Array = field(init=False)
    second: Float32Array = field(init=False)

    def __post_init__(self) -> None:
        self.first, self.second = np.zeros_like(self.value), np.zeros_like(self.value)

    def move(self, slope: Float32Array, step: int) -> None:
        self.first += 0.1 * (slope - self.first)
        self.second += 0.001 * (slope**2 - self.second)
        rate = _RATE * (1 - step / _STEPS)
        ahead = self.first / (1 - 0.9 ** (step + 1))
        self.value -= rate * ahead / (np.sqrt(self.second / (1 - 0.999 ** (step + 1))) + 1e-8)


def hidden_units(pixels: int, parameters: int) -> int:
    """Return the width of the hidden layer for about as many parameters.

    Raises
    ------
    DataError
        If not even one unit fits.
    """
    units = (parameters - pixels) // (LATENT + 1 + pixels)
    if units < 1:
        raise DataError(f"parameters must be at least {LATENT + 1 + 2 * pixels}, not {parameters}")
    return units


def mlp_generator(train: FloatArray, count: int, *, parameters: int,
                  rng: np.random.Generator) -> FloatArray:
    """Train a perceptron from Gaussians to images, and draw `count` images from it.

    One hidden layer of rectifiers, a logistic output; the loss is the energy distance between its
    images and training images, in batches of 128.

    Parameters
    ----------
    train : array, shape (n, V)
        Training images, pixels from 0 to 1.
    count : int
        Images to draw.
    parameters : int
        Weights and biases that it may have.
    rng : numpy.random.Generator
        Source of first weights, batches and Gaussians.
    """
    pixels = train.shape[1]
    units, data = hidden_units(pixels, parameters), train.astype(np.float32)
    layers = [_Weights((rng.standard_normal(shape) / np.sqrt(shape[0])).astype(np.float32))
              for shape in ((LATENT + 1, units), (units + 1, pixels))]
    with threadpool_limits(1):      # small matrices: threads would wait for each other
        for step in range(_STEPS):
            _learn(layers, data, step, rng)
        return _forward(layers, count, rng)[2].astype(np.float64)


def _learn(layers: list[_Weights], data: Float32Array, step: int,
           rng: np.random.Generator) -> None:
    """Descend along the energy distance of one batch."""
    batch = min(_BATCH, len(data))
    inputs, hidden, images = _forward(layers, batch, rng)
    real = data[rng.choice(len(data), batch, replace=False)]
    slope = _energy_slope(images, real) * images * (1 - images)
    behind = (slope @ layers[1].value[:-1].T) * (hidden[:, :-1] > 0)
    layers[1].move(hidden.T @ slope, step)
    layers[0].move(inputs.T @ behind, step)


def _forward(layers: list[_Weights], count: int,
             rng: np.random.Generator) -> tuple[Float32Array, Float32Array, Float32Array]:
    """Return inputs and hidden layer, each with a column of ones, and images."""
    inputs = _with_ones(rng.standard_normal((count, LATENT), dtype=np.float32))
    hidden = _with_ones(np.maximum(inputs @ layers[0].value, 0))
    return inputs, hidden, 1 / (1 + np.exp(-hidden @ layers[1].value))


def _with_ones(values: Float32Array) -> Float32Array:
    return np.concatenate([values, np.ones_like(values[:, :1])], axis=1)


def _energy_slope(images: Float32Array, real: Float32Array) -> Float32Array:
    """Return the gradient of the energy distance with respect to the images."""
    n = len(images)
    towards = 2 / (n * len(real)) * _pull(images, real)
    return towards - 2 / (n * (n - 1)) * _pull(images, images)


def _pull(images: Float32Array, others: Float32Array) -> Float32Array:
    """Return the sum of the unit vectors from all others to each image."""
    squares = (images**2).sum(axis=1)[:, None] + (others**2).sum(axis=1) - 2 * images @ others.T
    inverse = np.where(squares > 1e-6, 1 / np.sqrt(np.maximum(squares, 1e-6)), 0)
    return images * inverse.sum(axis=1, keepdims=True) - inverse @ others
