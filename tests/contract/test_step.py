"""The reference step against its equations in exact fractions, and against its symmetries."""

import itertools
import math
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pendula.contract import PHYSICS, ArraySpec, InitialState, OffsetGraph
from pendula.contract.noise import NoiseStream, gaussian
from pendula.contract.numbers import Overflow
from pendula.contract.physics import ONE, STATE
from pendula.contract.step import (
    PIXEL_HI,
    PIXEL_OFFSET_F_BITS,
    forces,
    integrate,
    node_force,
    pixel,
    pixel_shift,
    run_sample,
)
from pendula.program import Program, random_program
from strategies import programs, specs, states

seeds = st.integers(0, 2**64 - 1)
every_physics = pytest.mark.parametrize("physics", list(PHYSICS))


def program_of(physics: str, *, nodes: int = 6, offsets: tuple[int, ...] = (-2, -1, 1, 3),
               seed: int = 0, **arguments: Any) -> Program:
    spec = ArraySpec(physics=PHYSICS[physics], nodes=nodes, offsets=offsets, table_bits=6)
    return random_program(spec, np.random.default_rng(seed), **arguments)


def changed(program: Program, **fields: Any) -> Program:
    return replace(program, **fields)


# The equations, in exact fractions of one raw unit of the state

@dataclass
class Exact:
    """The update rule as it is written, with Fractions and without shifts."""

    program: Program

    def table(self, column: str, x: int) -> int:
        spec = self.program.spec
        share = 2 ** (spec.state_bits - spec.table_bits)
        return int(self.program.tables[column][x // share % spec.table_rows])

    def force(self, segment: int, node: int, x: list[int]) -> Fraction:
        program, spec = self.program, self.program.spec
        coupling = Fraction(0)
        for k, offset in enumerate(spec.offsets):
            if 0 <= node + offset < spec.nodes:
                pair = sum((self.table(f"u{r}", x[node]) if spec.physics.u else 1)
                           * self.table(f"v{r}", x[node + offset])
                           for r in range(spec.physics.rank))
                coupling += int(program.codes[segment, node, k]) * pair
        total = Fraction(int(program.coupling_gain[segment]),
                         2**spec.coupling_term.gain_f_bits) * coupling
        for m, (name, term) in enumerate(zip(spec.physics.basis, spec.local_terms, strict=True)):
            value = {STATE: x[node], ONE: 1}.get(name)
            value = self.table(f"h{m}", x[node]) if value is None else value
            total += (Fraction(int(program.local_gains[segment, m]), 2**term.gain_f_bits)
                      * int(program.local_codes[segment, node, m]) * value)
        return total

    def noise(self, gain: int, draw: int) -> Fraction:
        return Fraction(gain * gaussian(draw), 2**self.program.spec.noise_term.gain_f_bits)

    def fit(self, value: Fraction) -> tuple[int, int]:
        state = self.program.spec.state
        rounded = math.floor(value + Fraction(1, 2))
        if state.overflow is Overflow.WRAP:
            return (rounded - state.lo) % 2**state.width + state.lo, 0
        return min(max(rounded, state.lo), state.hi), int(not state.lo <= rounded <= state.hi)

    def start(self, draw: int, kept: int, uploaded: int) -> tuple[int, int]:
        match self.program.initial:
            case InitialState.ZERO:
                return 0, 0
            case InitialState.UNIFORM:
                size = 2**self.program.spec.state_bits
                return draw % 2**32 * size // 2**32 - size // 2, 0
            case InitialState.GAUSSIAN:
                return self.fit(self.noise(self.program.initial_gain, draw))
            case InitialState.KEEP:
                return kept, 0
            case InitialState.UPLOADED:
                return uploaded, 0

    def run(self, seed: int, index: int, kept: list[int] | None = None,
            uploaded: list[int] | None = None, clamped: list[bool] | None = None,
            stop_step: int | None = None) -> tuple[list[int], int]:
        program, nodes = self.program, self.program.spec.nodes
        kept, uploaded = kept or [0] * nodes, uploaded or [0] * nodes
        clamped = clamped or [False] * nodes
        stream = NoiseStream(seed, index)
        x, saturations = [0] * nodes, 0

        def store(node: int, update: tuple[int, int]) -> None:
            nonlocal saturations
            if not clamped[node]:
                x[node] = update[0]
                saturations += update[1]

        for node in range(nodes):
            store(node, self.start(next(stream), kept[node], uploaded[node]))
            if clamped[node]:
                x[node] = uploaded[node]
        for segment in np.repeat(range(program.segments), program.steps)[:stop_step]:
            before = list(x)
            for node in range(nodes):
                noise = self.noise(int(program.noise_gain[segment]), next(stream))
                store(node, self.fit(before[node] + self.force(segment, node, before) + noise))
        return x, saturations


@settings(max_examples=150)
@given(programs(), seeds, st.integers(0, 2**32 - 1), st.data())
def test_sample_follows_the_equations(program: Program, seed: int, index: int,
                                      data: st.DataObject) -> None:
    kept, uploaded = data.draw(states(program.spec)), data.draw(states(program.spec))
    clamped = data.draw(st.lists(st.booleans(), min_size=program.spec.nodes,
                                 max_size=program.spec.nodes))
    run = run_sample(program, seed, index, kept=kept, uploaded=uploaded, clamped=clamped)
    assert (run.x, run.saturations) == Exact(program).run(seed, index, kept, uploaded, clamped)


@settings(max_examples=50)
@given(programs(), st.data())
def test_forces_follow_the_equations(program: Program, data: st.DataObject) -> None:
    x = data.draw(states(program.spec))
    unit = 2**program.spec.drift_f_bits
    for segment in range(program.segments):
        expected = [Exact(program).force(segment, node, x) * unit
                    for node in range(program.spec.nodes)]
        assert forces(program, segment, x) == expected
        assert [node_force(program, segment, node, x) for node in range(len(x))] == expected


@settings(max_examples=50)
@given(programs(initial=InitialState.UPLOADED), st.data())
def test_a_step_without_noise_adds_the_force_and_rounds_once(program: Program,
                                                             data: st.DataObject) -> None:
    x = data.draw(states(program.spec))
    quiet = changed(program, noise_gain=0 * program.noise_gain)
    f_bits = program.spec.drift_f_bits
    run = run_sample(quiet, 1, 2, uploaded=x, stop_step=1)
    assert run.x == [program.spec.state.reduce((start << f_bits) + force, f_bits)[0]
                     for start, force in zip(x, forces(program, 0, x), strict=True)]


@given(specs(), st.integers(-(2**17), 2**17), st.integers(-1311, 1311))
def test_noise_is_added_before_the_only_rounding(spec: ArraySpec, drift: int, xi: int) -> None:
    gain = spec.gain.hi
    exact = Fraction(drift, 2**spec.drift_f_bits) + Fraction(gain * xi,
                                                             2**spec.noise_term.gain_f_bits)
    assert integrate(spec, 0, drift, gain, xi) == spec.state.fit(
        math.floor(exact + Fraction(1, 2)) if spec.drift_f_bits else int(exact))


# Symmetries

@settings(max_examples=50)
@given(programs("kuramoto", initial=InitialState.UPLOADED), seeds, st.data())
def test_oscillators_know_no_absolute_phase(program: Program, seed: int,
                                            data: st.DataObject) -> None:
    """Turning all phases by a quarter turns every later phase by a quarter, across the wrap.

    Injection at fixed phases (sin x, sin 2x) breaks the symmetry on purpose, so it is off.
    """
    gains = program.local_gains.copy()
    gains[:, :2] = 0
    free = changed(program, local_gains=gains)
    spec, x = program.spec, data.draw(states(program.spec))
    for quarters in (1, 2, 3):
        turn = quarters * 2 ** (spec.state_bits - 2)
        turned = [spec.state.fit(value + turn)[0] for value in x]
        plain, rotated = (run_sample(free, seed, 0, uploaded=start).x for start in (x, turned))
        assert rotated == [spec.state.fit(value + turn)[0] for value in plain]


@settings(max_examples=50)
@given(programs("kuramoto", initial=InitialState.UPLOADED), seeds, st.data())
def test_subharmonic_injection_knows_no_half_turn(program: Program, seed: int,
                                                  data: st.DataObject) -> None:
    gains = program.local_gains.copy()
    gains[:, 0] = 0
    shil, spec = changed(program, local_gains=gains), program.spec
    x = data.draw(states(spec))
    half = 2 ** (spec.state_bits - 1)
    turned = [spec.state.fit(value + half)[0] for value in x]
    plain, rotated = (run_sample(shil, seed, 0, uploaded=start).x for start in (x, turned))
    assert rotated == [spec.state.fit(value + half)[0] for value in plain]


@given(programs("kuramoto"), seeds)
def test_phases_never_saturate(program: Program, seed: int) -> None:
    assert run_sample(program, seed, 0).saturations == 0


# Couplings and edges

@every_physics
def test_uncoupled_nodes_do_not_feel_each_other(physics: str) -> None:
    program = program_of(physics, initial=InitialState.UPLOADED)
    alone = changed(program, codes=0 * program.codes)
    x = [1000 * node for node in range(6)]
    moved = [x[0] + 5000, *x[1:]]

    def others(used: Program, start: list[int]) -> list[int]:
        return run_sample(used, 3, 0, uploaded=start).x[1:]

    assert others(alone, x) == others(alone, moved)
    assert others(program, x) != others(program, moved)


@every_physics
def test_edges_that_leave_the_line_have_no_effect(physics: str) -> None:
    """The program itself refuses such codes; the step ignores them all the same."""
    program = program_of(physics)
    spec = program.spec
    inside = np.array(OffsetGraph.full(spec.nodes, spec.offsets).mask)
    stray = np.where(inside, program.codes, spec.code.hi)
    assert (stray != program.codes).any()

    class Stray:
        codes = stray

        def __getattr__(self, name: str) -> Any:
            return getattr(program, name)

    stranger: Any = Stray()
    assert run_sample(stranger, 5, 1).x == run_sample(program, 5, 1).x
    assert forces(stranger, 0, [9999] * 6) == forces(program, 0, [9999] * 6)


@every_physics
def test_an_edge_carries_its_code_to_one_node_alone(physics: str) -> None:
    program = program_of(physics)
    codes = 0 * program.codes
    codes[:, 2, 3] = 7                                      # node 2 listens to node 2 + 3
    program = changed(program, codes=codes, local_codes=0 * program.local_codes)
    x = [20_000, -30_000, 5_000, 40_000, -50_000, 33_000]
    force = forces(program, 0, x)
    assert force[2] != 0
    assert force[:2] + force[3:] == [0] * 5
    x[5] += 20_000
    assert forces(program, 0, x)[2] != force[2]


# Saturations

@pytest.mark.parametrize("physics", ["quartic", "ising"])
def test_every_clipped_update_is_counted_once(physics: str) -> None:
    """Drifts of half a unit a step from 0 to the ends at 4 and -4, up on node 0, down on node 1."""
    spec = ArraySpec(physics=PHYSICS[physics], nodes=3, offsets=(1,), table_bits=6)
    program = random_program(spec, np.random.default_rng(0), segments=1, steps=16, noisy=False,
                             initial=InitialState.ZERO)
    local = np.zeros_like(program.local_codes)
    local[0, :2, 2] = [64, -64]
    push = changed(program, codes=0 * program.codes, local_codes=local,
                   local_gains=np.full((1, 3), spec.gain.hi // 2 + 1))
    assert [spec.force_unit_val * force for force in forces(push, 0, [0, 0, 0])] == [0.5, -0.5, 0]
    run = run_sample(push, 0, 0)
    assert run.x == [spec.state.hi, spec.state.lo, 0]
    # step 8 passes the upper end by one raw unit and meets the lower end; later steps pass both
    assert run.saturations == 9 + 8
    assert run_sample(push, 0, 0, clamped=[True, False, False]).saturations == 8
    assert run_sample(push, 0, 0, stop_step=7).saturations == 0
    assert run_sample(push, 0, 0, stop_step=8).saturations == 1


def test_clipped_initial_states_count() -> None:
    """The range ends at four of the largest standard deviations: a few in 100,000 are clipped."""
    program = program_of("quartic", nodes=4000, initial=InitialState.GAUSSIAN)
    wide = changed(program, initial_gain=program.spec.gain.hi)
    clipped = [run_sample(wide, seed, 0, stop_step=0).saturations for seed in range(20)]
    assert sum(clipped) > 0
    assert clipped == [Exact(wide).run(seed, 0, stop_step=0)[1] for seed in range(20)]


# Initial states, clamping, stopping

def first_draws(seed: int, index: int, count: int) -> list[int]:
    return list(itertools.islice(NoiseStream(seed, index), count))


def test_uniform_states_are_the_top_bits_of_the_words() -> None:
    program = program_of("kuramoto", nodes=50, initial=InitialState.UNIFORM)
    bits = program.spec.state_bits
    assert run_sample(program, 9, 4, stop_step=0).x == [
        (draw % 2**32 >> (32 - bits)) - 2 ** (bits - 1) for draw in first_draws(9, 4, 50)]


@every_physics
def test_gaussian_states_have_the_standard_deviation_asked_for(physics: str) -> None:
    program = program_of(physics, nodes=4000, initial=InitialState.GAUSSIAN)
    gentle = changed(program, initial_gain=program.spec.gain.hi // 8)
    x_val = program.states_val(run_sample(gentle, 9, 4, stop_step=0).x)
    # the standard error of a standard deviation is sigma / sqrt(2 n): five of them
    assert np.std(x_val) == pytest.approx(gentle.initial_val, rel=5 / math.sqrt(8000))
    assert abs(np.mean(x_val)) < 5 * gentle.initial_val / math.sqrt(4000)


@pytest.mark.parametrize("initial", InitialState)
def test_initial_state_before_the_first_step(initial: InitialState) -> None:
    program = program_of("quartic", initial=initial)
    kept, uploaded = [1, 2, 3, 4, 5, 6], [-1, -2, -3, -4, -5, -6]
    x = run_sample(program, 9, 4, stop_step=0, kept=kept, uploaded=uploaded).x
    known = {InitialState.ZERO: [0] * 6, InitialState.KEEP: kept, InitialState.UPLOADED: uploaded}
    assert x == known.get(initial, x)
    assert initial in known or len(set(x)) == 6


def test_what_was_not_given_is_zero() -> None:
    for initial in (InitialState.KEEP, InitialState.UPLOADED):
        assert run_sample(program_of("quartic", initial=initial), 0, 0, stop_step=0).x == [0] * 6


@every_physics
def test_clamped_nodes_hold_their_state_and_still_use_their_draws(physics: str) -> None:
    program = program_of(physics)
    alone = changed(program, codes=0 * program.codes)
    clamped = [False, True, False, False, True, False]
    uploaded = [7, -8, 9, 10, 11, 12]
    held = run_sample(alone, 3, 0, uploaded=uploaded, clamped=clamped)
    free = run_sample(alone, 3, 0)
    assert held.x == [upload if clamp else x
                      for upload, clamp, x in zip(uploaded, clamped, free.x, strict=True)]


@settings(max_examples=30)
@given(programs(), seeds)
def test_stopping_early_gives_the_start_of_the_same_path(program: Program, seed: int) -> None:
    for stop_step in range(program.total_steps + 2):
        run = run_sample(program, seed, 1, stop_step=stop_step)
        assert (run.x, run.saturations) == Exact(program).run(seed, 1, stop_step=stop_step)


@every_physics
def test_sample_depends_on_seed_and_index_alone(physics: str) -> None:
    program = program_of(physics)
    samples = {(seed, index): tuple(run_sample(program, seed, index).x)
               for seed in (1, 2, 1 << 40) for index in (0, 1, 2)}
    assert len(set(samples.values())) == len(samples)
    assert samples[1, 2] == tuple(run_sample(program, 1, 2).x)


# Pixels

@every_physics
def test_pixels_are_affine_rounded_half_up_and_clipped(physics: str) -> None:
    spec = ArraySpec(physics=PHYSICS[physics], nodes=2, offsets=(1,), state_bits=8, table_bits=3)
    for gain, offset in itertools.product((-3000, 0, 1, 977, 2**15 - 1), (-(2**17), 0, 12_345)):
        for x in range(spec.state.lo, spec.state.hi + 1):
            folded = abs(x) if physics == "kuramoto" else x
            exact = (Fraction(gain * folded, 2 ** pixel_shift(spec))
                     + Fraction(offset, 2**PIXEL_OFFSET_F_BITS))
            value = max(0, min(PIXEL_HI, math.floor(exact + Fraction(1, 2))))
            assert pixel(spec, gain, offset, x) == value


def test_phases_fold_at_half_a_turn() -> None:
    program = program_of("kuramoto")
    spec = program.spec
    pixels = [pixel(spec, program.pixel_gain, program.pixel_offset, x)
              for x in range(spec.state.lo, spec.state.hi + 1)]
    half = len(pixels) // 2
    assert (pixels[0], pixels[half]) == (255, 0)            # half a turn, no turn
    assert pixels[1:half] == pixels[:half:-1]
    assert pixels[half:] == sorted(pixels[half:])


def test_the_whole_range_of_a_saturating_state_can_be_shown() -> None:
    program = program_of("quartic")
    spec = program.spec
    shown = [pixel(spec, program.pixel_gain, program.pixel_offset, x)
             for x in range(spec.state.lo, spec.state.hi + 1, 64)]
    assert (min(shown), max(shown)) == (0, PIXEL_HI)
    one = 2**spec.state.f_bits
    assert [pixel(spec, program.pixel_gain, program.pixel_offset, x)
            for x in (-one, 0, one)] == [0, 128, 255]
