"""Single updates: what the forward pass runs on, and how far codes move."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pendula.training.ais.array import states_after
from pendula.training.ais.codes import bounded, quantised, real
from pendula.training.ais.presets import AIS_PRESETS, LOOSE_GROWTH
from pendula.training.ais.trainer import Trainer
from pendula.training.data import Images

TINY = replace(AIS_PRESETS["ais-digits-critic"], degree=4, segments=2, steps=2, iterations=4,
               batch=16, critic=(16,), critic_steps=1)


@pytest.fixture(scope="module")
def images() -> Images:
    return TINY.load()


@pytest.mark.parametrize("rounded", [True, False])
def test_the_forward_pass_rounds_only_where_asked_to(images: Images, rounded: bool) -> None:
    trainer = Trainer(replace(TINY, rounded=rounded), images, 0)
    latent, present = trainer.first_state().latent, np.array(trainer.graph.mask).T
    states, ends = trainer.trace(latent, jax.random.key(0), 8)
    runs = {held: states_after(trainer.shape, real(trainer.spec, held(trainer.spec, latent),
                                                   present.astype(np.float32)), states[0])[0]
            for held in (quantised, bounded)}
    followed, other = (runs[held] for held in
                       ((quantised, bounded) if rounded else (bounded, quantised)))
    np.testing.assert_allclose(ends, followed, atol=1e-5)
    assert float(abs(ends - other).max()) > 0.01


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_codes_of_all_widths_move_by_the_same_share_of_their_range(images: Images,
                                                                   bits: int) -> None:
    trainer = Trainer(replace(TINY, code_bits=bits), images, 0)
    state = trainer.first_state()
    moved, _ = trainer._optimisers[0].update(jax.tree.map(np.ones_like, state.latent),
                                             state.optimiser)
    codes, local_codes, *_ = jax.tree.leaves(moved)
    for part, interval in ((codes, trainer.spec.code), (local_codes, trainer.spec.local_code)):
        np.testing.assert_allclose(part / interval.hi, -TINY.rate / 7, rtol=1e-4)


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_gains_move_by_their_share_of_the_rate(images: Images, share: float) -> None:
    trainer = Trainer(replace(TINY, gain_rate=share), images, 0)
    state = trainer.first_state()
    moved, _ = trainer._optimisers[0].update(jax.tree.map(np.ones_like, state.latent),
                                             state.optimiser)
    for part in jax.tree.leaves(moved)[2:]:
        np.testing.assert_allclose(part, -TINY.rate * share, rtol=1e-4)


@pytest.mark.parametrize("last", [0.0, 0.5])
def test_the_rate_falls_over_the_second_half(images: Images, last: float) -> None:
    """Slopes that stay the same move codes by the rate of the moment."""
    trainer = Trainer(replace(TINY, iterations=8, last_rate=last), images, 0)
    latent, moments = trainer.first_state().latent, trainer.first_state().optimiser
    shares = []
    for _ in range(9):
        moved, moments = trainer._optimisers[0].update(jax.tree.map(np.ones_like, latent), moments)
        shares.append(-float(jax.tree.leaves(moved)[0].mean()) / TINY.rate)
    np.testing.assert_allclose(shares, [1] * 5 + [1 - (1 - last) * part / 4
                                                  for part in range(1, 5)], atol=1e-4)


def test_an_array_that_does_nothing_keeps_near_states_as_near_as_they_were(images: Images) -> None:
    """Half of its nodes are pixels, and those hold half of a change."""
    trainer = Trainer(replace(TINY, batch=400), images, 0)
    still = jax.tree.map(jnp.zeros_like, trainer._real(trainer.first_state().latent))
    grown = trainer._lyapunov(trainer.shape, still, jax.random.key(0))
    np.testing.assert_allclose(grown, np.log(0.5 + 0.1) / 2, atol=0.02)


def test_a_weight_on_chaos_keeps_it_down(images: Images) -> None:
    grown = {}
    for weight in (0.0, 6.0):
        trainer = Trainer(replace(TINY, loss="drifting", rate=0.1, coupling_val=0.05, segments=8,
                                  steps=1, iterations=40, batch=64, lyapunov=weight), images, 0)
        state = trainer.first_state()
        for _ in range(trainer.preset.iterations):
            state, _ = trainer.advance(state, trainer)
        grown[weight] = float(trainer._lyapunov(trainer.shape, trainer._real(state.latent),
                                                jax.random.key(1)))
    assert grown[6.0] < grown[0.0] - 0.5


def test_gradients_may_grow_further_in_the_last_updates(images: Images) -> None:
    trainer = Trainer(replace(TINY, iterations=16, loose=1 / 8), images, 0)
    growths = [trainer._shape_after(jnp.array(update)).growth for update in range(16)]
    assert growths == [TINY.growth] * 14 + [LOOSE_GROWTH] * 2


@pytest.mark.parametrize("weight", [0.0, 1e3], ids=["samples", "pairs"])
def test_loose_updates_differ_from_the_others(images: Images, weight: float) -> None:
    wild = replace(TINY, loss="drifting", coupling_val=0.5, segments=16, steps=1, lyapunov=weight)
    tight, loose = (Trainer(replace(wild, loose=share), images, 0) for share in (0.0, 1.0))
    state = tight.first_state()
    slopes = [trainer.advance(state, trainer)[1].slope for trainer in (tight, loose)]
    assert slopes[1] > 2 * slopes[0]


@pytest.mark.parametrize(("hidden", "degree"), [(0, 24), (1, 48), (2, 48)])
def test_small_images_have_room_for_all_neighbours(hidden: int, degree: int) -> None:
    """Links that a short row cannot hold make place for those that it can."""
    preset = replace(TINY, hidden=hidden, degree=degree)
    assert len(preset.graph((8, 8)).offsets) == len(preset.graph((28, 28)).offsets) == degree
