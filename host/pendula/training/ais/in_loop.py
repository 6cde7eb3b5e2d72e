"""A device in the loop: it draws the samples, and the surrogate carries the gradient.

Wright et al., *Deep physical neural networks trained with backpropagation* (Nature 601, 2022), call
this physics-aware training: values come from the device, slopes from a model of it. The arrays that
are trained here are chaotic: after 20 steps a model from the same first states has forgotten where
the device is. So slopes are taken at the device's own states, step by step.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from pendula.calibration import calibrate
from pendula.contract.step import ALL_STEPS
from pendula.device import AbstractDevice
from pendula.program import Program
from pendula.training.ais.codes import Latent
from pendula.training.ais.functions import Response
from pendula.training.ais.trainer import Trainer

__all__ = ["DeviceSampler", "calibrated_response"]


def calibrated_response(device: AbstractDevice, program: Program) -> Response:
    """Measure a device, and return its response for the surrogate.

    Parameters
    ----------
    device : AbstractDevice
        Device; it holds another program afterwards.
    program : Program
        Any of the same array, with as many segments.
    """
    found = calibrate(device, program)
    return Response(
        tuple(tuple(tuple(map(float, row)) for row in matrix) for matrix in found.coupling),
        tuple(tuple((float(gain), float(offset)) for gain, offset in terms)
              for terms in found.local))


class DeviceSampler:
    """End states from a device.

    Parameters
    ----------
    trainer : Trainer
        Whose codes are loaded.
    device : AbstractDevice
        Exact or not, near or far.
    """

    def __init__(self, trainer: Trainer, device: AbstractDevice) -> None:
        self._trainer, self._device = trainer, device

    def draw(self, latent: Latent, key: Array, count: int) -> Array:
        """Load the codes of a latent, and return the device's end states."""
        self._load(latent)
        return self._states(key, count, ALL_STEPS)

    def trace(self, latent: Latent, key: Array, count: int) -> tuple[Array, Array]:
        """Load the codes of a latent; return the device's states before each step, and at the end.

        The flow is deterministic: the same samples are run anew to each step.
        """
        self._load(latent)
        steps = sum(self._trainer.shape.steps)
        states = jnp.stack([self._states(key, count, step) for step in range(steps)])
        return states, self._states(key, count, ALL_STEPS)

    def _load(self, latent: Latent) -> None:
        trainer = self._trainer
        self._device.load(trainer.program(latent))

    def _states(self, key: Array, count: int, stop_step: int) -> Array:
        high, low = (int(word) for word in np.asarray(jax.random.bits(key, (2,), jnp.uint32)))
        values = self._device.sample(count, seed=high << 32 | low, hidden=True,
                                     stop_step=stop_step).values
        unit_val = 2.0**-self._trainer.spec.state.f_bits if self._device.exact else 1.0
        return jnp.asarray(values.T * unit_val, jnp.float32)
