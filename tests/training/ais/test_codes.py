"""Latent codes: what is trained is what the program holds."""

import jax
import jax.numpy as jnp
import numpy as np

from pendula.contract import PHYSICS, ArraySpec, InitialState, cells
from pendula.contract.step import pixel
from pendula.device import open_device
from pendula.training.ais.array import Shape, end_states, fold
from pendula.training.ais.codes import (
    Latent,
    bounded,
    confine,
    first_latent,
    quantised,
    real,
    to_program,
)

GRAPH = cells(3, 5, 2, [(0, 0, 1), (0, 1, 0), (1, 0, 1)])
SPEC = ArraySpec(physics=PHYSICS["kuramoto"], nodes=GRAPH.nodes, offsets=GRAPH.offsets)
SHAPE = Shape(SPEC, (2, 3))
PRESENT = np.array(GRAPH.mask).T.astype(np.float32)
VISIBLE = np.arange(GRAPH.nodes) % 2 == 0


def latent() -> Latent:
    return first_latent(SHAPE, jax.random.key(0), coupling_val=0.1, local_val=0.05)


def test_first_couplings_have_the_spread_that_is_asked_for() -> None:
    couplings, local = real(SPEC, quantised(SPEC, latent()), np.ones_like(PRESENT))
    assert abs(float(couplings.std()) / 0.1 - 1) < 0.1
    np.testing.assert_allclose(local.std(axis=(0, 2)), 0.05, rtol=0.4)


def test_quantised_values_are_codes_and_gains() -> None:
    whole = quantised(SPEC, jax.tree.map(lambda x: 3 * x, latent()))
    for values, within in zip(whole, (SPEC.code, SPEC.local_code, SPEC.gain, SPEC.gain),
                              strict=True):
        array = np.asarray(values)
        np.testing.assert_array_equal(array, np.rint(array))
        assert within.lo <= array.min() <= array.max() <= within.hi
    assert float(abs(whole.codes).max()) == 7


def test_bounded_values_are_not_rounded_but_round_to_the_quantised() -> None:
    some = latent()._replace(codes=3 * latent().codes)
    free, whole = bounded(SPEC, some), quantised(SPEC, some)
    assert float(abs(free.codes).max()) == SPEC.code.hi
    assert all(abs(part - jnp.round(part)).max() > 0.4 for part in free[:2])
    for left, right in zip(free, whole, strict=True):
        np.testing.assert_array_equal(jnp.round(left), right)


def test_gradients_pass_the_rounding_but_not_the_limits() -> None:
    some = latent()._replace(codes=jnp.full((2, 6, GRAPH.nodes), 2.3).at[0, 0, 0].set(7.4))
    slopes = jax.grad(lambda one: quantised(SPEC, one).codes.sum())(some)
    assert slopes.codes[0, 0, 0] == 0
    assert (slopes.codes.ravel()[1:] == 1).all()


def test_confined_latents_still_round_to_legal_codes() -> None:
    far = confine(SPEC, jax.tree.map(lambda x: 100 * x, latent()))
    assert float(jnp.round(abs(far.codes)).max()) == 7
    assert float(jnp.round(abs(far.local_codes)).max()) == 127


def test_the_program_is_what_was_trained() -> None:
    program = to_program(SHAPE, GRAPH, latent(), visible=VISIBLE, image_shape=(3, 5), provenance={})
    given = real(SPEC, quantised(SPEC, latent()), PRESENT)
    np.testing.assert_allclose(program.coupling_val.transpose(0, 2, 1), given.couplings, rtol=1e-6)
    np.testing.assert_allclose(program.local_val.transpose(0, 2, 1), given.local, rtol=1e-6)
    assert program.initial is InitialState.UNIFORM
    assert not program.noise_gain.any()
    with open_device("float://?functions=exact") as device:
        device.load(program)
        first = device.sample(5, seed=1, stop_step=0, hidden=True).values
        ends = device.sample(5, seed=1).values
        pixels = device.sample(5, seed=1, pixels=True).values
    found = fold(end_states(SHAPE, given, jnp.asarray(first.T, jnp.float32)))[VISIBLE].T
    np.testing.assert_allclose(found, abs(ends), atol=1e-5)
    np.testing.assert_allclose(255 * found, pixels, atol=0.51)


def test_the_program_keeps_the_latent() -> None:
    some = latent()
    program = to_program(SHAPE, GRAPH, some, visible=VISIBLE, image_shape=(3, 5), provenance={})
    gains = some._replace(coupling_gain=jnp.exp(some.coupling_gain),
                          local_gains=jnp.exp(some.local_gains))
    given, kept = real(SPEC, gains, PRESENT), program.coefficients(real=True)
    np.testing.assert_allclose(kept.coupling_val.transpose(0, 2, 1), given.couplings, rtol=1e-3)
    np.testing.assert_allclose(kept.local_val.transpose(0, 2, 1), given.local, rtol=1e-3)
    assert not kept.noise_val.any()
    assert np.abs(program.unrounded["codes"] - program.codes).max() > 0.2


def test_black_is_phase_zero_and_white_half_a_turn() -> None:
    program = to_program(SHAPE, GRAPH, latent(), visible=VISIBLE,
                         image_shape=(3, 5), provenance={})
    half = 2**(SPEC.state_bits - 2)
    shown = [pixel(SPEC, program.pixel_gain, program.pixel_offset, x)
             for x in (0, half, -half, SPEC.state.lo)]
    assert shown == [0, 128, 128, 255]
