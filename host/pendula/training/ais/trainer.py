"""Training against a critic, one update after the other, from any state that a file can hold."""

from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
import optax
from jax import Array

from pendula.contract import ArraySpec, OffsetGraph
from pendula.program import Program
from pendula.training.ais.array import (
    Parameters,
    Shape,
    end_states,
    fold,
    measured_end,
    states_after,
)
from pendula.training.ais.codes import (
    Latent,
    bounded,
    confine,
    first_latent,
    quantised,
    real,
    to_program,
)
from pendula.training.ais.critic import Weights, critic_loss, first_weights, judge
from pendula.training.ais.drifting import Look, pixels, random_filters, ways
from pendula.training.ais.functions import Response
from pendula.training.ais.presets import LOOSE_GROWTH, AisPreset
from pendula.training.data import Images

__all__ = ["Figures", "Sampler", "State", "Trainer"]

_MOMENTUM, _SQUARES = 0.5, 0.9          # of Adam, as usual for critics
_RATE_CODE = 7                          # largest of the codes that rates are stated in: 4 bits
_DATA = 4                               # images that a sample is drawn to in drifting, over batch
_PAIRS = 4                              # samples of a batch for each pair of near first states
_NEAR_VAL = 0.01                        # standard deviation of first states from near ones
_LEAST = 0.1                            # squared growth that is told from none


class State(NamedTuple):
    """All that a training depends on besides preset, seed and data.

    Parameters
    ----------
    iteration : array of int, shape ()
        Updates so far.
    latent, average : Latent
        What is trained, and its running average.
    optimiser, critic_optimiser : tree of arrays
        Adam's moments.
    critic : dict of str to array
        Weights of the critic.
    """

    iteration: Array
    latent: Latent
    average: Latent
    optimiser: Any
    critic: Weights
    critic_optimiser: Any


class Figures(NamedTuple):
    """What an update says about itself.

    Parameters
    ----------
    distance : float
        The critic's estimate of the Wasserstein distance, before the last update of the array; with
        drifting, the root mean square by which pixels would move.
    slope : float
        Norm of the gradient at the latent codes.
    """

    distance: float
    slope: float


class Sampler(Protocol):
    """Where states come from: the surrogate itself, or a device."""

    def draw(self, latent: Latent, key: Array, count: int) -> Array:
        """Return end states of whole codes, shape (N, B)."""
        ...

    def trace(self, latent: Latent, key: Array, count: int) -> tuple[Array, Array]:
        """Return the states before each step, shape (T, N, B), and the end states."""
        ...


@dataclass(frozen=True, eq=False)
class Trainer:
    """The updates of one preset on one data set.

    Parameters
    ----------
    preset : AisPreset
        What to train.
    images : Images
        What to learn.
    seed : int
        Of first codes, first states and batches; update i depends on (seed, i) and the state alone.
    response : Response, optional
        How the device answers that is in the loop; an ideal one where not given.
    """

    preset: AisPreset
    images: Images
    seed: int
    response: Response | None = None

    @cached_property
    def graph(self) -> OffsetGraph:
        """Graph of the array."""
        return self.preset.graph(self.images.shape)

    @cached_property
    def spec(self) -> ArraySpec:
        """Array that is trained."""
        return self.preset.spec(self.graph)

    @cached_property
    def shape(self) -> Shape:
        """Array and steps."""
        return Shape(self.spec, (self.preset.steps,) * self.preset.segments, self.response,
                     self.preset.growth)

    @cached_property
    def visible(self) -> npt.NDArray[np.bool_]:
        """Nodes that are read out: the first one of every cell."""
        return np.arange(self.spec.nodes) % (1 + self.preset.hidden) == 0

    @cached_property
    def _present(self) -> npt.NDArray[np.float32]:
        return np.array(self.graph.mask).T.astype(np.float32)

    @cached_property
    def _data(self) -> Array:
        return jnp.asarray(np.rint(255 * self.images.train), jnp.uint8)

    @cached_property
    def _looks(self) -> tuple[Look, ...]:
        """Where drifting takes distances: pixels, and random filters where the preset has some."""
        filters = self.preset.filters
        return (pixels, *([random_filters(self.images.shape, filters)] if filters else []))

    @cached_property
    def _optimisers(self) -> tuple[optax.GradientTransformation, optax.GradientTransformation]:
        preset = self.preset
        ramp = optax.linear_schedule(preset.rate, preset.last_rate * preset.rate,
                                     preset.iterations // 2, preset.iterations // 2)
        codes, local_codes = (interval.hi / _RATE_CODE
                              for interval in (self.spec.code, self.spec.local_code))
        scales = (codes, local_codes, preset.gain_rate, preset.gain_rate)

        def scaled(updates: Any, _: Any) -> Any:
            return Latent(*(scale * update for scale, update in zip(scales, updates, strict=True)))

        return (optax.chain(optax.adam(ramp, _MOMENTUM, _SQUARES), optax.stateless(scaled)),
                optax.adam(preset.critic_rate, _MOMENTUM, _SQUARES))

    def first_state(self, latent: Latent | None = None) -> State:
        """Return the state before any update, with random codes where none are given."""
        preset = self.preset
        keys = jax.random.split(jax.random.key(self.seed), 2)
        latent = latent or first_latent(self.shape, keys[0], coupling_val=preset.coupling_val,
                                        local_val=preset.local_val)
        critic = first_weights(keys[1], int(self.visible.sum()), preset.critic)
        optimiser, critic_optimiser = self._optimisers
        state = State(jnp.zeros((), jnp.int32), latent, latent, optimiser.init(latent), critic,
                      critic_optimiser.init(critic))
        return jax.tree.map(np.asarray, state)      # as from a file: nothing is compiled twice

    def program(self, latent: Latent, **provenance: Any) -> Program:
        """Return the program that a latent rounds to, without noise, from uniform states."""
        return to_program(self.shape, self.graph, latent, visible=self.visible,
                          image_shape=self.images.shape, provenance=provenance)

    def advance(self, state: State, sampler: Sampler) -> tuple[State, Figures]:
        """Update the critic a few times, then the array once."""
        update = self._update_alone if sampler is self else self._update
        state, figures = update(state, sampler, self._data, self._shape_after(state.iteration))
        return state, Figures(*map(float, figures))

    def _shape_after(self, updates: Array) -> Shape:
        """Return the array whose gradients the next update takes."""
        calm = (1 - self.preset.loose) * self.preset.iterations
        return self.shape if updates < calm else self.shape._replace(growth=LOOSE_GROWTH)

    @partial(jax.jit, static_argnums=(0, 2, 4))
    def _update_alone(self, state: State, sampler: Sampler, data: Array, shape: Shape
                      ) -> tuple[State, tuple[Array, Array]]:
        """Update as one program, where no device has to be asked."""
        return self._update(state, sampler, data, shape)

    def _update(self, state: State, sampler: Sampler, data: Array, shape: Shape
                ) -> tuple[State, tuple[Array, Array]]:
        preset = self.preset
        key = jax.random.fold_in(jax.random.key(self.seed), 1 + state.iteration)
        critic, moments, distance = state.critic, state.critic_optimiser, None
        for turn in range(preset.critic_steps if preset.loss == "critic" else 0):
            draw_key, step_key = jax.random.split(jax.random.fold_in(key, turn))
            ends = sampler.draw(state.latent, draw_key, preset.batch)
            critic, moments, distance = self._update_critic(critic, moments, ends, data, step_key)
        draw_key = jax.random.fold_in(key, preset.critic_steps)
        states, ends = sampler.trace(state.latent, draw_key, preset.batch)
        data_key = jax.random.fold_in(key, preset.critic_steps + 1)
        latent, average, optimiser, (slope, moved) = self._update_array(
            state[:4], critic, states, ends, data, data_key, shape)
        return (State(state.iteration + 1, latent, average, optimiser, critic, moments),
                (moved if distance is None else distance, slope))

    @partial(jax.jit, static_argnums=(0, 3))
    def draw(self, latent: Latent, key: Array, count: int) -> Array:
        """Return end states of the surrogate: a trainer is a :class:`Sampler`."""
        return states_after(self.shape, self._real(latent), self._first(key, count))[0]

    @partial(jax.jit, static_argnums=(0, 3))
    def trace(self, latent: Latent, key: Array, count: int) -> tuple[Array, Array]:
        """Return the surrogate's states before each step, and its end states."""
        ends, states = states_after(self.shape, self._real(latent), self._first(key, count))
        return states, ends

    def _first(self, key: Array, count: int) -> Array:
        return jax.random.uniform(key, (self.spec.nodes, count), minval=-1.0, maxval=1.0)

    def _real(self, latent: Latent) -> Parameters:
        held = quantised if self.preset.rounded else bounded
        return real(self.spec, held(self.spec, latent), self._present)

    def pixels(self, ends: Array) -> Array:
        """Return images from end states, shape (B, V), pixels from 0 to 1."""
        return fold(ends)[self.visible].T

    @partial(jax.jit, static_argnums=0)
    def _update_critic(self, critic: Weights, moments: Any, ends: Array, data: Array, key: Array
                       ) -> tuple[Weights, Any, Array]:
        pick_key, line_key = jax.random.split(key)
        fake = self.pixels(ends)
        slopes, distance = jax.grad(critic_loss, has_aux=True)(
            critic, fake, _picked(data, pick_key, len(fake)), line_key, self.preset.penalty)
        updates, moments = self._optimisers[1].update(slopes, moments)
        return optax.apply_updates(critic, updates), moments, distance      # type: ignore

    def _loss(self, images: Array, critic: Weights, data: Array, key: Array
              ) -> tuple[Array, Array]:
        """Return what images lack, and by how much pixels would move."""
        if self.preset.loss == "critic":
            return -judge(critic, images).mean(), jnp.zeros(())
        near = _picked(data, key, _DATA * len(images))
        way, moved = jax.lax.stop_gradient(
            ways(images, near, self.preset.temperatures, self._looks))
        return -(way * images).sum(1).mean(), moved

    def _lyapunov(self, shape: Shape, parameters: Parameters, key: Array) -> Array:
        """Return the mean logarithm of how far near first states end from each other, in pixels."""
        first_key, away_key = jax.random.split(key)
        pairs = -(-self.preset.batch // _PAIRS)
        first = self._first(first_key, pairs)
        away = _NEAR_VAL * jax.random.normal(away_key, first.shape)
        ends = end_states(shape, parameters, jnp.concatenate([first, first + away], axis=1))
        one, other = jnp.split(self.pixels(jnp.asarray(ends)), 2)
        growth = ((other - one)**2).sum(1) / (away**2).sum(0)
        return jnp.log(growth + _LEAST).mean() / 2

    @partial(jax.jit, static_argnums=(0, 7))
    def _update_array(self, state: tuple[Array, Latent, Latent, Any], critic: Weights,
                      states: Array, measured: Array, data: Array, key: Array, shape: Shape
                      ) -> tuple[Latent, Latent, Any, tuple[Array, Array]]:
        iteration, latent, average, optimiser = state

        data_key, pair_key = jax.random.split(key)

        def loss(latent: Latent) -> tuple[Array, Array]:
            parameters = self._real(latent)
            ends = jnp.asarray(measured_end(shape, parameters, states, measured))
            lack, moved = self._loss(self.pixels(ends), critic, data, data_key)
            if self.preset.lyapunov:
                lack += self.preset.lyapunov * self._lyapunov(shape, parameters, pair_key)
            return lack, moved

        slopes, moved = jax.grad(loss, has_aux=True)(latent)
        updates, optimiser = self._optimisers[0].update(slopes, optimiser)
        latent = confine(self.spec, jax.tree.map(jnp.add, latent, updates))
        share = jnp.minimum(self.preset.average, iteration / (iteration + 10.0))
        average = jax.tree.map(lambda old, new: share * old + (1 - share) * new, average, latent)
        squares = jax.tree.map(lambda slope: (slope**2).sum(), slopes)
        return latent, average, optimiser, (jnp.sqrt(sum(squares)), moved)


def _picked(data: Array, key: Array, count: int) -> Array:
    """Return images of the data at random, pixels from 0 to 1."""
    return data[jax.random.randint(key, (count,), 0, len(data))] / 255
