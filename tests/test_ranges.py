"""Ranges: the observer is the twin, nothing leaves the worst case, and what is idle is named."""

import json
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pendula.contract import PHYSICS, ArraySpec, InitialState
from pendula.contract.noise import NoiseStream, gaussian
from pendula.contract.step import basis_values, run_sample
from pendula.contract.tables import table_index
from pendula.device import open_device
from pendula.errors import ProgramError
from pendula.program import random_program
from pendula.ranges import measure_ranges
from relaxing import relaxing_program
from strategies import programs

STARTS = (InitialState.ZERO, InitialState.UNIFORM, InitialState.GAUSSIAN)


@settings(max_examples=60)
@given(data=st.data(), initial=st.sampled_from(STARTS))
def test_observer_is_the_twin_and_stays_within_the_worst_case(data, initial):
    program = data.draw(programs(initial=initial))
    found = measure_ranges(program, count=5, seed=3)
    with open_device("twin://") as device:
        device.load(program)
        batch = device.sample(5, seed=3, hidden=True)
    assert np.array_equal(found.states, batch.values)
    assert found.saturations.sum() == batch.saturations
    for signal in found.signals:
        assert signal.worst_lo <= signal.lo <= signal.hi <= signal.worst_hi, signal
        assert signal.bits <= signal.worst_bits
        if signal.width:
            assert signal.worst_bits <= signal.width, signal


def test_every_signal_is_what_the_contract_computes():
    """Of one program, by the reference step, one node after the other."""
    spec = ArraySpec(physics=PHYSICS["kuramoto"], nodes=5, offsets=(-2, 1, 2), table_bits=5)
    program = random_program(spec, np.random.default_rng(2), segments=1, steps=1)
    seen = {}

    def see(name, value):
        lo, hi = seen.get(name, (value, value))
        seen[name] = min(lo, value), max(hi, value)

    for index in range(20):
        x = run_sample(program, 4, index, stop_step=0).x
        draws = list(islice(NoiseStream(4, index), 10))
        rows = [{name: int(table[table_index(spec, value)])
                 for name, table in program.tables.items()} for value in x]
        for node in range(5):
            sums = [0, 0]
            for k, offset in enumerate(spec.offsets):
                if 0 <= node + offset < 5:
                    for r in range(2):
                        product = int(program.codes[0, node, k]) * rows[node + offset][f"v{r}"]
                        see(f"w v{r}", product)
                        sums[r] += product
            coupling = sum(rows[node][f"u{r}"] * sums[r] for r in range(2))
            see("coupling", coupling)
            see("partial 1", sums[1])
            for r in range(2):
                see(f"u{r} partial {r}", rows[node][f"u{r}"] * sums[r])
            see("xi", gaussian(draws[5 + node]))       # after those of the initial states
            values = basis_values(spec, x[node], rows[node])
            for name, value in zip(spec.physics.basis, values, strict=True):
                see(f"h({name})", value)
            see("p h(sin2)", int(program.local_codes[0, node, 1]) * values[1])
            see("coupling term", coupling * int(program.coupling_gain[0])
                << spec.align_bits(spec.coupling_term))
    found = {one.name: (one.lo, one.hi)
             for one in measure_ranges(program, count=20, seed=4).signals}
    assert {name: found[name] for name in seen} == seen


def test_worst_case_is_reached_where_it_can_be():
    """A state clipped at its end, one full code, one neighbour: no bound is loose there."""
    base = relaxing_program(nodes=12)
    codes = np.zeros_like(base.codes)
    codes[:, 4, 3] = 7
    program = replace(base, codes=codes, noise_gain=base.noise_gain * 3,
                      local_gains=np.zeros_like(base.local_gains))      # a random walk
    found = {one.name: one for one in measure_ranges(program, count=200, seed=1).signals}
    for name in ("v0", "w v0", "partial 0", "coupling", "coupling term", "state", "p h(x)"):
        assert (found[name].lo, found[name].hi) == (found[name].worst_lo, found[name].worst_hi)
    assert found["coupling"].node == 4


def test_saturations_are_where_they_are():
    base = relaxing_program(nodes=12)
    local = base.local_codes.copy()
    local[1, 7, 2] = 127
    gains = base.local_gains.copy()
    gains[:, 2] = base.spec.gain.hi
    found = measure_ranges(replace(base, local_codes=local, local_gains=gains), count=50, seed=1)
    assert found.saturations[1, 7] > 0
    others = found.saturations.copy()
    others[1, 7] = 0
    assert not others.any()
    assert any("updates saturate" in text for text in found.suggestions)
    over = next(one for one in found.signals if one.name == "rounded").bits - 18
    assert any(text.startswith(f"state_bits = {18 + over} would keep the resolution of states "
                               f"scaled down by {1 << over}") for text in found.suggestions)


def test_what_is_idle_is_named():
    base = relaxing_program(nodes=12)
    codes = np.zeros_like(base.codes)
    codes[:, 5, 2] = 3                       # node 5 listens to node 6
    codes[0, 5, 1] = -1                      # and to node 4
    found = measure_ranges(replace(base, codes=codes), count=20, seed=1)
    idle = found.idle
    assert idle.codes == tuple(code for code in range(-7, 8) if code not in (-1, 0, 3))
    assert idle.nodes == (0, 1, 2, 3, 7, 8, 9, 10, 11)
    assert idle.offsets == (-3, 3)
    assert idle.terms == ("local x3", "local 1")
    assert 0 < idle.rows < base.spec.table_rows
    assert "code_bits = 3 would do instead of 4: the largest code is 3" in found.suggestions


def test_suggestions():
    base = relaxing_program(nodes=12, noise_val=0.05)
    quiet = measure_ranges(base, count=50, seed=1)
    assert any(text.startswith("scale the states up by 16: they reach -0.") and
               text.endswith("so that 4 of 18 bits tell nothing") for text in quiet.suggestions)
    assert any(text.startswith("accumulator total needs") for text in quiet.suggestions)
    assert "state_bits = 14 would do instead of 18 for states scaled up by 16" in quiet.suggestions
    assert not any("saturate" in text or "gain_bits should" in text for text in quiet.suggestions)
    loud = measure_ranges(relaxing_program(nodes=12, noise_val=0.9), count=50, seed=1)
    assert loud.clipped_neighbours > 0.001
    assert not any("_bits" in text for text in loud.suggestions if not text.startswith("gain"))
    assert any("seen by their neighbours clipped at 2" in text for text in loud.suggestions)
    coarse = measure_ranges(replace(base, noise_gain=np.array([1000, 5])), count=5, seed=1)
    assert any(text.startswith("gain_bits should be larger than 16: noise_gain is 5 in segment 1, "
                               "which rounding is 10 % of") for text in coarse.suggestions)


def suggested(program, start, count=50):
    """Return the suggestions that start so, without it."""
    found = measure_ranges(program, count=count, seed=1).suggestions
    return [text.removeprefix(start) for text in found if text.startswith(start)]


def with_x3(program, val):
    """Return a program with a term val * x^3."""
    codes, gains = program.local_codes.copy(), program.local_gains.copy()
    codes[:, :, 1] = 127 * (1 if val > 0 else -1)
    gains[:, 1] = round(abs(val) / (127 * program.spec.local_terms[1].unit_val))
    return replace(program, local_codes=codes, local_gains=gains)


def test_functions_that_stay_small_need_fewer_bits():
    quiet, loud = (relaxing_program(nodes=12, noise_val=noise) for noise in (0.05, 0.9))
    assert suggested(quiet, "edge_bits") == [
        " = 5 would do instead of 8 for states, or functions, scaled to it: u and v stay below 1/8 "
        "of their range"]
    assert not suggested(loud, "edge_bits")
    assert suggested(with_x3(quiet, -0.1), "basis_bits")[0].startswith(" = 4 would do instead")
    assert not suggested(quiet, "basis_bits")               # no node has the term
    assert not suggested(with_x3(loud, -0.01), "basis_bits")


def test_rows_that_are_equal_are_too_many():
    base = relaxing_program(nodes=12)
    v = base.tables["v0"]
    assert suggested(replace(base, tables={**base.tables, "v0": np.repeat(v[::4], 4)}),
                     "table_bits") == [" = 8 would do instead of 10: rows that 4 share then are "
                                       "equal wherever states were seen"]
    assert not suggested(base, "table_bits")


def test_a_staircase_above_the_noise_wants_more_rows():
    noisy = with_x3(relaxing_program(nodes=12), -0.2)
    calm = replace(noisy, noise_gain=noisy.noise_gain // 300)
    told, = suggested(calm, "table_bits should be larger than 10: ")
    assert told.startswith("from row to row, local term x3 of node ")
    assert not suggested(noisy, "table_bits")
    assert not suggested(replace(calm, noise_gain=np.zeros(2, np.int64)), "table_bits")


def test_the_smallest_gain_says_how_many_bits_gains_need():
    base = relaxing_program(nodes=12)
    gains = np.abs(np.concatenate([base.coupling_gain, base.noise_gain, base.local_gains[:, 0]]))
    spare = int(np.log2(gains.min() / 16))
    assert spare > 0
    assert suggested(base, "gain_bits")[0].startswith(
        f" = {16 - spare} would do instead of 16: the smallest gain is {gains.min()}")
    assert not any("would do" in text for text in suggested(
        replace(base, noise_gain=np.array([1000, 31])), "gain_bits"))


def test_result_is_plain_data():
    data = json.loads(json.dumps(measure_ranges(relaxing_program(), count=5, seed=1).to_dict()))
    assert data["updates"] == 5 * 10 * 12
    assert data["signals"][0]["name"] == "state"
    assert np.shape(data["saturations"]) == (2, 12)


@pytest.mark.parametrize(("count", "initial", "message"), [
    (0, InitialState.ZERO, "Number of samples must be positive, not 0"),
    (5, InitialState.KEEP, "not keep states"),
])
def test_arguments_are_checked(count, initial, message):
    with pytest.raises(ProgramError, match=message):
        measure_ranges(relaxing_program(initial=initial), count=count, seed=0)
