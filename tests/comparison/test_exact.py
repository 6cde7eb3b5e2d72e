from dataclasses import replace

import numpy as np
import pytest

from altered import AlteredDevice, bump
from pendula.comparison import compare
from pendula.comparison.exact import Exact
from pendula.contract import PHYSICS, ArraySpec, InitialState
from pendula.contract.step import run_sample
from pendula.device import open_device
from pendula.program import random_program

SEED, COUNT = 11, 20


def make_program(physics="quartic", initial=InitialState.UNIFORM):
    spec = ArraySpec(physics=PHYSICS[physics], nodes=12, offsets=(-3, -1, 1, 3))
    program = random_program(spec, np.random.default_rng(5), segments=3, steps=4, initial=initial)
    visible = np.arange(12) % 3 > 0
    return replace(program, visible=visible)


def outcome_of(program, /, **alterations):
    with open_device("twin://") as twin:
        altered = AlteredDevice(twin, **alterations)
        result = compare(program, altered, "twin://", count=COUNT, seed=SEED)
    assert isinstance(result.outcome, Exact)
    return result.outcome


def by_field(outcome):
    return {difference.field: difference for difference in outcome.differences}


@pytest.mark.parametrize("initial", list(InitialState))
@pytest.mark.parametrize("physics", list(PHYSICS))
def test_equal_devices_are_equal(physics, initial):
    program = make_program(physics, initial)
    outcome = outcome_of(program)
    assert not outcome.different
    assert [(check.field, check.compared, check.different) for check in outcome.checks] == [
        ("state", COUNT * 12, 0), ("saturations", 1, 0), ("pixel", COUNT * 8, 0),
        ("force", 3 * 8 * 12, 0)]


def first_step_by_hand(program, altered, sample):
    """Return the first step, its lowest differing node, and both states, from the contract."""
    for step in range(program.total_steps + 1):
        one, other = (run_sample(p, SEED, sample, stop_step=step).x for p in (altered, program))
        if one != other:
            nodes = [i for i in range(12) if one[i] != other[i]]
            return step, nodes, one[nodes[0]], other[nodes[0]]
    return program.total_steps + 1, [], 0, 0


def test_one_code_changed_by_one_is_found_at_its_step_and_node():
    program = make_program("kuramoto")      # nothing saturates, so that no difference heals
    alter = bump("codes", 1, 6, 2)
    outcome = outcome_of(program, program=alter)
    state = by_field(outcome)["state"]
    assert state.sample is not None
    assert state.segment == 1
    step, nodes, device, against = first_step_by_hand(program, alter(program), state.sample)
    assert (state.step, state.node, state.nodes) == (step, 6, 1)
    assert nodes == [6]
    assert (state.device, state.against) == (device, against)
    for sample in range(state.sample):
        assert first_step_by_hand(program, alter(program), sample)[1] == []
    force = by_field(outcome)["force"]
    assert (force.segment, force.node) == (1, 6)
    assert str(state).startswith(f"state differs first at sample {state.sample}, step {step}, "
                                 f"segment 1, node 6: {device}, not {against}")


def test_gain_of_the_last_segment():
    outcome = outcome_of(make_program("kuramoto"), program=bump("coupling_gain", 2))
    state = by_field(outcome)["state"]
    assert state.segment == 2
    assert state.step in (9, 10, 11, 12)
    assert by_field(outcome)["force"].segment == 2


def test_noise_gain_is_seen_in_states_and_not_in_forces():
    fields = by_field(outcome_of(make_program("kuramoto"), program=bump("noise_gain", 0)))
    assert fields["state"].step == 1
    assert "force" not in fields


def test_initial_state_is_step_zero():
    def alter(program):
        return replace(program, initial=InitialState.ZERO)

    state = by_field(outcome_of(make_program(), program=alter))["state"]
    assert (state.sample, state.step, state.segment) == (0, 0, None)


def test_chain_is_followed_to_the_sample_that_parts():
    program = make_program("kuramoto", InitialState.KEEP)
    program = replace(program, local_codes=np.zeros_like(program.local_codes),
                      codes=np.zeros_like(program.codes))
    noisy = replace(program, noise_gain=program.noise_gain + 1)
    state = by_field(outcome_of(program, program=lambda _: noisy))["state"]
    assert (state.sample, state.step) == (0, 1)

    def from_sample_seven(batch):
        if batch.request.pixels or batch.request.first + batch.request.count <= 7:
            return batch
        values = batch.values.copy()
        values[7 - batch.request.first:, 4] ^= batch.request.stop_step >= 9
        return replace(batch, values=values)

    state = by_field(outcome_of(program, batch=from_sample_seven))["state"]
    assert (state.sample, state.step, state.node, state.segment) == (7, 9, 4, 2)


def test_chain_starts_at_zero_whatever_the_device_held():
    program = make_program("quartic", InitialState.KEEP)
    with open_device("twin://") as one, open_device("twin://") as other:
        one.load(program)
        one.forces(np.full((1, 12), 1000))
        first = compare(program, one, other, count=5, seed=1)
        again = compare(program, one, other, count=5, seed=1)
    assert first.equal
    np.testing.assert_array_equal(first.device.states_val, again.against.states_val)


@pytest.mark.parametrize(("step", "segment"), [(0, None), (1, 0), (7, 1), (8, 1), (9, 2), (12, 2)])
def test_saturation_of_one_step_of_one_sample(step, segment):
    def alter(batch):
        request = batch.request
        holds = request.first <= 5 < request.first + request.count and request.stop_step >= step
        return replace(batch, saturations=batch.saturations + holds)

    outcome = outcome_of(make_program(), batch=alter)
    fields = by_field(outcome)
    assert list(fields) == ["saturations"]
    saturations = fields["saturations"]
    assert (saturations.sample, saturations.step, saturations.segment) == (5, step, segment)
    assert saturations.device == saturations.against + 1


def test_pixel_is_named_by_sample_and_node():
    def alter(batch):
        if not batch.request.pixels:
            return batch
        values = batch.values.copy()
        values[9, 5] ^= 1
        return replace(batch, values=values)

    outcome = outcome_of(make_program(), batch=alter)
    pixel = by_field(outcome)["pixel"]
    assert (pixel.sample, pixel.node, pixel.nodes) == (9, 8, 1)    # visible nodes 1 2 4 5 7 8 ...
    assert pixel.device == pixel.against ^ 1
    assert outcome.checks[2].different == 1


@pytest.mark.parametrize("extreme", ["lo", "hi"])
def test_force_of_an_extreme_state_alone(extreme):
    program = make_program()

    def alter(forces, states, segment):
        at = (states[:, 3] == getattr(program.spec.state, extreme)) & (segment == 2)
        forces = forces.copy()
        forces[at, 3] += 1
        return forces

    fields = by_field(outcome_of(program, forces=alter))
    assert list(fields) == ["force"]
    assert (fields["force"].segment, fields["force"].node) == (2, 3)
    assert fields["force"].device == fields["force"].against + 1


def test_difference_that_does_not_come_back_is_said_to_be_gone():
    seen = []

    def alter(batch):
        seen.append(batch)
        if len(seen) > 1:
            return batch
        values = batch.values.copy()
        values[3, 2] += 1
        return replace(batch, values=values)

    state = by_field(outcome_of(make_program(), batch=alter))["state"]
    assert (state.sample, state.step, state.node) == (3, None, 2)
    assert state.device == state.against + 1
    assert str(state).endswith("(gone when the sample was repeated)")


def test_clamped_and_uploaded_nodes_reach_both_devices():
    program = make_program("quartic", InitialState.UPLOADED)
    uploaded, clamped = np.arange(12) * 1000, np.arange(12) % 4 == 0
    result = compare(program, "twin://", "twin://", count=5, seed=1, uploaded=uploaded,
                     clamped=clamped)
    assert result.equal
    np.testing.assert_array_equal(result.device.states_val[:, clamped],
                                  np.tile(program.states_val(uploaded[clamped]), (5, 1)))
