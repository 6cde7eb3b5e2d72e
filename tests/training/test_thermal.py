"""Learnt couplings on the array: the forces, the heat and the rounding."""

from dataclasses import replace

import numpy as np
import pytest

from pendula.contract.graph import grid
from pendula.device import open_device
from pendula.training.reverse import Couplings, Thermodynamics, heat, learn
from pendula.training.thermal import bonded_pairs, couplings_of, thermal_program

CONSTANTS = Thermodynamics(step_val=0.01, steps=250)
GRAPH = grid(2, 3, 1, cell=2)
VISIBLE = np.arange(12) % 2 == 0


@pytest.fixture(scope="module")
def couplings() -> Couplings:
    pairs = bonded_pairs(GRAPH, VISIBLE)
    half = np.triu(np.random.default_rng(0).normal(0, 0.5, (12, 12)) * pairs, 1)
    return Couplings(half + half.T, np.random.default_rng(1).normal(0, 0.3, 12) * ~VISIBLE)


def test_bonds_are_the_edges_but_those_between_visible_nodes() -> None:
    pairs = bonded_pairs(GRAPH, VISIBLE)
    assert np.array_equal(pairs, pairs.T)
    assert not pairs[np.ix_(VISIBLE, VISIBLE)].any()
    assert pairs[0, 1]
    assert pairs[1, 3]
    assert not pairs[0, 5]      # two columns away


def test_forces_are_the_slope_of_the_potential(couplings: Couplings) -> None:
    program = thermal_program(couplings, GRAPH, VISIBLE, CONSTANTS, code_bits=8)
    held = couplings_of(program, CONSTANTS)
    assert np.abs(held.bonds - couplings.bonds).max() <= np.abs(couplings.bonds).max() / 127 / 1.9
    x = np.random.default_rng(2).normal(0, 0.5, (20, 12))
    raw = np.rint(x * 2**program.spec.state.f_bits).astype(np.int64)
    with open_device("float://?functions=exact") as device:
        device.load(program)
        found = [device.forces(raw, segment=segment) for segment in (0, 1)]
    at = program.states_val(raw)
    linear, cubic, none = program.local_val[0].T
    np.testing.assert_allclose(linear, -2 * CONSTANTS.step_val, rtol=1e-3)    # half a gain
    np.testing.assert_allclose(cubic, -4 * CONSTANTS.step_val, rtol=1e-3)
    assert not none.any()
    alone = linear * at + cubic * at**3
    coupled = alone - CONSTANTS.step_val * (at @ held.bonds + held.biases)
    np.testing.assert_allclose(found[0], alone, atol=1e-12)
    np.testing.assert_allclose(found[1], coupled, atol=1e-12)


def test_the_program_keeps_what_was_learnt(couplings: Couplings) -> None:
    program = thermal_program(couplings, GRAPH, VISIBLE, CONSTANTS, largest=0.5)
    rounded, real = program.coefficients(), program.coefficients(real=True)
    node, edge = np.nonzero(np.array(GRAPH.mask))
    bonds = -CONSTANTS.step_val * couplings.bonds[node, node + np.array(GRAPH.offsets)[edge]]
    np.testing.assert_allclose(real.coupling_val[1, node, edge], bonds, rtol=1e-3)
    assert not real.coupling_val[0].any()
    np.testing.assert_allclose(real.local_val[1, :, 2], -CONSTANTS.step_val * couplings.biases,
                               rtol=1e-3)
    np.testing.assert_allclose(real.local_val[:, :, 0], -2 * CONSTANTS.step_val, rtol=1e-3)
    np.testing.assert_allclose(real.noise_val, np.sqrt(2 * CONSTANTS.temperature_val
                                                       * CONSTANTS.step_val), rtol=1e-6)
    largest = np.abs(bonds).max()           # the codes end at half of it
    assert np.abs(rounded.coupling_val).max() < 0.51 * largest < np.abs(real.coupling_val).max()


@pytest.mark.parametrize("rounding", ["nearest", "stochastic"])
def test_both_directions_of_a_bond_are_rounded_alike(couplings, rounding) -> None:
    program = thermal_program(couplings, GRAPH, VISIBLE, CONSTANTS, rounding=rounding, seed=3)
    held = couplings_of(program, CONSTANTS).bonds
    assert np.array_equal(held, held.T)
    step = np.abs(couplings.bonds).max() / 7
    limit = step / 2 if rounding == "nearest" else step
    assert np.abs(held - couplings.bonds).max() <= limit * 1.01


def test_stochastic_rounding_keeps_the_mean(couplings: Couplings) -> None:
    drawn = [couplings_of(thermal_program(couplings, GRAPH, VISIBLE, CONSTANTS, seed=seed,
                                          rounding="stochastic"), CONSTANTS).bonds
             for seed in range(300)]
    step = np.abs(couplings.bonds).max() / 7
    inside = np.abs(couplings.bonds) < 6.5 * step
    off = (np.mean(drawn, axis=0) - couplings.bonds)[inside]
    assert np.abs(off).max() < 4.5 * step / 2 / np.sqrt(300) + 0.01 * step


def test_heat_on_the_twin_is_that_of_the_float_model() -> None:
    pattern = np.array([1, 1, -1, -1, 1, 1, -1, -1, -1, -1, 1, 1])
    learnt = learn((2 * pattern[None]).astype(np.float32), bonded_pairs(GRAPH, VISIBLE), ~VISIBLE,
                   40, seed=4, constants=replace(CONSTANTS, rate=2e-3))
    program = thermal_program(learnt, GRAPH, VISIBLE, CONSTANTS)
    held, found = couplings_of(program, CONSTANTS), []
    for url in ("twin://", "float://"):
        with open_device(url) as device:
            device.load(program)
            ends = [device.sample(1500, seed=5, hidden=True, stop_step=stop).values
                    for stop in (CONSTANTS.steps, 2 * CONSTANTS.steps)]
            start, end = (program.states_val(x) if device.exact else x for x in ends)
        found.append(heat(held, start, end, CONSTANTS.temperature_val))
    means, errors = zip(*((one.mean(), one.std() / np.sqrt(len(one))) for one in found))
    assert means[0] > 10 * errors[0]
    assert abs(means[0] - means[1]) < 4 * np.hypot(*errors)
