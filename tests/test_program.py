"""Programs: what does not fit is refused by name, and the digest covers all that counts."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pendula.contract import PHYSICS, ArraySpec, InitialState, Interval, OffsetGraph
from pendula.contract.physics import FUNCTIONS, ONE, STATE
from pendula.contract.registers import RegisterName, get_register
from pendula.contract.step import forces, pixel, run_sample
from pendula.contract.tables import build_tables, table_index
from pendula.errors import ProgramError
from pendula.program import Program, check_array, pixel_map, random_program
from rounding import unrounded
from strategies import programs

SPEC = ArraySpec(physics=PHYSICS["quartic"], nodes=6, offsets=(-2, 1), segments=4, table_bits=4)


@pytest.fixture
def program() -> Program:
    return random_program(SPEC, np.random.default_rng(3), segments=2)


# Arrays

def test_checked_array_is_a_read_only_copy_in_int64() -> None:
    source = np.array([1, 2], dtype=np.uint8)
    array = check_array("a", source, (2,), Interval(0, 3))
    source[0] = 0
    assert array.dtype == np.int64
    assert array.tolist() == [1, 2]
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 0


@pytest.mark.parametrize(("value", "message"), [
    ([1.0, 2.0], "a must hold integers, not float64"),
    (["1", "2"], "a must hold integers, not <U1"),
    ([2**70, 0], "a must hold integers, not object"),
    ([1, 2, 3], r"a must have shape \(2,\), not \(3,\)"),
    (1, r"a must have shape \(2,\), not \(\)"),
    ([[1], [1, 2]], r"a must have shape \(2,\), not ragged rows"),
    ([0, 8], r"a\[1\] must be within -7\.\.7, not 8"),
    ([-8, 8], r"a\[0\] must be within -7\.\.7, not -8"),
    (np.array([2**64 - 3, 0], dtype=np.uint64), rf"a\[0\] must be within .*, not {2**64 - 3}"),
])
def test_wrong_arrays_are_refused(value: Any, message: str) -> None:
    with pytest.raises(ProgramError, match=message):
        check_array("a", value, (2,), Interval(-7, 7))


# Checks against the spec

def with_item(array: np.ndarray, index: tuple[int, ...], value: int) -> np.ndarray:
    array = array.copy()
    array[index] = value
    return array


@pytest.mark.parametrize(("field", "index", "value", "message"), [
    ("codes", (1, 2, 0), 8, r"codes\[1, 2, 0\] must be within -7\.\.7, not 8"),
    ("codes", (0, 3, 1), -8, r"codes\[0, 3, 1\] must be within -7\.\.7, not -8"),
    ("codes", (1, 5, 1), 1, r"codes\[1, 5, 1\] must be 0, not 1: node 5 has no edge with offset 1"),
    ("codes", (0, 1, 0), -1, r"codes\[0, 1, 0\] must be 0, not -1: node 1 has no edge"),
    ("local_codes", (0, 0, 2), 128, r"local_codes\[0, 0, 2\] must be within -127\.\.127, not 128"),
    ("steps", (1,), 0, r"steps\[1\] must be within 1\.\.65535, not 0"),
    ("steps", (0,), 65536, r"steps\[0\] must be within 1\.\.65535, not 65536"),
    ("coupling_gain", (0,), -32768, r"coupling_gain\[0\] must be within -32767\.\.32767"),
    ("local_gains", (1, 1), 32768, r"local_gains\[1, 1\] must be within"),
    ("noise_gain", (1,), -1, r"noise_gain\[1\] must be within 0\.\.32767, not -1"),
])
def test_items_out_of_range_are_refused(program: Program, field: str, index: tuple[int, ...],
                                        value: int, message: str) -> None:
    with pytest.raises(ProgramError, match=message):
        replace(program, **{field: with_item(getattr(program, field), index, value)})


@pytest.mark.parametrize(("fields", "message"), [
    ({"graph": OffsetGraph.full(6, (-1, 1))}, "graph must have 6 nodes and the spec's offsets"),
    ({"graph": OffsetGraph.full(7, (-2, 1))}, "not 7 nodes"),
    ({"codes": np.zeros((2, 6, 3), int)}, r"codes must have shape \(2, 6, 2\), not \(2, 6, 3\)"),
    ({"steps": np.ones(5, int)}, r"segments must be within 1\.\.4, not 5"),
    ({"steps": np.ones(0, int)}, r"segments must be within 1\.\.4, not 0"),
    ({"steps": 3}, r"codes must have shape \(1, 6, 2\)"),
    ({"initial": 9}, "initial must be an InitialState, not 9"),
    ({"initial_gain": -1}, r"initial_gain must be within 0\.\.32767, not -1"),
    ({"pixel_gain": 1 << 15}, r"pixel_gain must be within -32768\.\.32767, not 32768"),
    ({"pixel_offset": 1 << 40}, "pixel_offset must be within"),
    ({"visible": np.ones(5, bool)}, r"visible must have shape \(6,\)"),
    ({"visible": [0, 1, 2, 0, 0, 0]}, r"visible\[2\] must be within 0\.\.1, not 2"),
    ({"visible": np.zeros(6, bool)}, "visible must hold at least one node"),
    ({"image_shape": (2, 2)}, r"image_shape must hold the 6 visible nodes, not \(2, 2\)"),
    ({"image_shape": (-2, -3)}, r"not \(-2, -3\)"),
    ({"image_shape": (6,)}, r"not \(6,\)"),
    ({"tables": {"v0": np.zeros(16, int)}}, r"tables must be \['v0', 'h1'\], not \['v0'\]"),
])
def test_fields_that_do_not_fit_are_refused(program: Program, fields: dict[str, Any],
                                            message: str) -> None:
    with pytest.raises(ProgramError, match=message):
        replace(program, **fields)


def test_tables_are_checked_against_their_width(program: Program) -> None:
    tables = dict(program.tables)
    with pytest.raises(ProgramError, match=r"tables\[v0\]\[3\] must be within .*, not -128"):
        replace(program, tables=tables | {"v0": with_item(tables["v0"], (3,), -128)})
    with pytest.raises(ProgramError, match=r"tables\[h1\] must have shape \(16,\)"):
        replace(program, tables=tables | {"h1": tables["h1"][1:]})


def test_program_brings_the_tables_of_the_contract(program: Program) -> None:
    assert {name: tuple(table) for name, table in program.tables.items()} == build_tables(SPEC)


def test_sizes(program: Program) -> None:
    assert (program.segments, program.total_steps) == (2, 6)


# Identity

CHANGES: dict[str, Any] = {
    "codes": lambda p: with_item(p.codes, (0, 2, 0), 7 if p.codes[0, 2, 0] != 7 else 6),
    "local_codes": lambda p: with_item(p.local_codes, (0, 0, 0), 1 - int(p.local_codes[0, 0, 0])),
    "steps": lambda p: p.steps + 1,
    "coupling_gain": lambda p: -p.coupling_gain,
    "local_gains": lambda p: -p.local_gains,
    "noise_gain": lambda p: p.noise_gain + 1,
    "visible": lambda p: with_item(p.visible, (3,), 0),
    "initial": lambda p: InitialState.ZERO,
    "initial_gain": lambda p: p.initial_gain + 1,
    "pixel_gain": lambda p: p.pixel_gain + 1,
    "pixel_offset": lambda p: p.pixel_offset + 1,
    "tables": lambda p: p.tables | {"v0": -p.tables["v0"]},
    "graph": lambda p: OffsetGraph(6, SPEC.offsets, ((True, True),) * 5 + ((False, True),)),
    "spec": lambda p: replace(SPEC, accumulator_bits=61, edge_bits=9),
}


@pytest.mark.parametrize("field", CHANGES)
def test_digest_follows_every_field_that_counts(program: Program, field: str) -> None:
    program = replace(program, codes=with_item(program.codes, (slice(None), 5, 0), 0))  # pyright: ignore[reportArgumentType]
    tables = {} if field == "spec" else program.tables
    base = replace(program, tables=tables)
    assert replace(base, **{field: CHANGES[field](base)}).digest != base.digest


def test_digest_ignores_provenance_and_capacity(program: Program) -> None:
    same = replace(program, provenance={"seed": 3}, image_shape=(2, 3),
                   spec=replace(SPEC, segments=9))
    assert same.digest == program.digest


# Real parameters

def test_unrounded_parameters_are_in_units_of_codes_and_gains(program: Program) -> None:
    held = unrounded(program, noise=1.25)
    assert held.digest == program.digest
    found, rounded = held.coefficients(real=True), held.coefficients()
    assert all(map(np.array_equal, rounded, program.coefficients()))
    gain_val = program.coupling_gain * SPEC.coupling_term.unit_val
    units = program.local_gains * [term.unit_val for term in SPEC.local_terms]
    coupling = (held.unrounded["codes"] - program.codes.astype(float)) * gain_val[:, None, None]
    local = (held.unrounded["local_codes"] - program.local_codes.astype(float)) * units[:, None]
    np.testing.assert_allclose(found.coupling_val - rounded.coupling_val, coupling, rtol=1e-9)
    np.testing.assert_allclose(found.local_val - rounded.local_val, local, rtol=1e-9, atol=1e-15)
    np.testing.assert_allclose(found.noise_val, 1.25 * rounded.noise_val, rtol=1e-6)
    assert np.abs(held.unrounded["codes"] - program.codes).max() > 0.2


def test_programs_of_codes_alone_have_no_real_parameters(program: Program) -> None:
    assert program.unrounded == {}
    with pytest.raises(ProgramError, match=r"must hold the real parameters .* train it again"):
        program.coefficients(real=True)


@pytest.mark.parametrize(("name", "value", "message"), [
    ("codes", np.zeros((2, 6, 3)), r"unrounded codes must have shape \(2, 6, 2\), not \(2, 6, 3\)"),
    ("codes", np.full((2, 6, 2), "1"), "unrounded codes must hold real numbers, not <U1"),
    ("codes", np.full((2, 6, 2), 1j), "unrounded codes must hold real numbers, not complex128"),
    ("codes", np.full((2, 6, 2), 0.5), r"unrounded codes\[0, 0, 0\] must be 0, not 0.5: node 0"),
    ("local_codes", np.full((2, 6, 3), np.nan), r"local_codes\[0, 0, 0\] must be finite .* nan"),
    ("local_codes", np.full((2, 6, 3), 1e6), "must be finite in float16, not 1000000.0"),
    ("noise_gain", [1.0, -2.0], "unrounded noise_gain must not be negative, not -2.0"),
    ("noise_gain", [1.0, np.inf], r"unrounded noise_gain\[1\] must be finite in float32, not inf"),
])
def test_wrong_unrounded_parameters_are_refused(program: Program, name: str, value: Any,
                                                message: str) -> None:
    held = unrounded(program)
    with pytest.raises(ProgramError, match=message):
        replace(held, unrounded={**held.unrounded, name: value})


def test_unrounded_parameters_are_whole_or_none(program: Program) -> None:
    held = unrounded(program)
    with pytest.raises(ProgramError, match=r"must be \['codes', .*\] or nothing, not \['codes'\]"):
        replace(held, unrounded={"codes": held.unrounded["codes"]})


# Real values

@given(programs(), st.data())
def test_real_values_are_what_the_integers_stand_for(program: Program, data: st.DataObject) -> None:
    """The force in integers equals the force in reals, with the tables' own functions."""
    spec = program.spec
    x = data.draw(st.lists(st.integers(spec.state.lo, spec.state.hi), min_size=spec.nodes,
                           max_size=spec.nodes))

    def table_val(name: str, column: str, width: int, state: int) -> float:
        return (int(program.tables[column][table_index(spec, state)])
                / float(FUNCTIONS[name].scale(width)))

    def basis_val(m: int, state: int) -> float:
        name = spec.physics.basis[m]
        exact = {STATE: float(program.states_val(state)), ONE: 1.0}
        return exact[name] if name in exact else table_val(name, f"h{m}", spec.basis_bits, state)

    def edge_val(i: int, j: int) -> float:
        u = [table_val(name, f"u{r}", spec.edge_bits, x[i])
             for r, name in enumerate(spec.physics.u)] or [1.0]
        v = [table_val(name, f"v{r}", spec.edge_bits, x[j])
             for r, name in enumerate(spec.physics.v)]
        return sum(a * b for a, b in zip(u, v, strict=True))

    for segment in range(program.segments):
        expected = [
            sum(program.coupling_val[segment, i, k] * edge_val(i, i + o)
                for k, o in enumerate(spec.offsets) if 0 <= i + o < spec.nodes)
            + sum(program.local_val[segment, i, m] * basis_val(m, x[i])
                  for m in range(len(spec.physics.basis)))
            for i in range(spec.nodes)]
        found = np.array(forces(program, segment, x)) * spec.force_unit_val
        assert found == pytest.approx(np.array(expected), rel=1e-9, abs=1e-9)


def test_noise_val_is_the_standard_deviation_of_a_step() -> None:
    spec = replace(SPEC, nodes=4000)
    program = random_program(spec, np.random.default_rng(0), segments=1, steps=1,
                             initial=InitialState.ZERO)
    pure = replace(program, codes=0 * program.codes, local_codes=0 * program.local_codes)
    x_val = pure.states_val(run_sample(pure, 5, 0).x)
    assert np.std(x_val) == pytest.approx(pure.noise_val[0], rel=5 / np.sqrt(8000))


# Pixels and random programs

@pytest.mark.parametrize("physics", list(PHYSICS))
@pytest.mark.parametrize(("black", "white"), [(0.0, 1.0), (0.25, 0.75), (0.9, 0.2)])
def test_pixel_map_shows_black_and_white_where_it_says(physics: str, black: float,
                                                       white: float) -> None:
    spec = ArraySpec(physics=PHYSICS[physics], nodes=2, offsets=(1,))
    found = pixel_map(spec, black, white)
    one = 2**spec.state.f_bits
    levels = [pixel(spec, found["pixel_gain"], found["pixel_offset"], round(level * one))
              for level in (black, (black + white) / 2, white)]
    assert levels[0] == 0
    assert levels[1] in (127, 128)
    assert levels[2] == 255


def test_pixel_map_too_steep_for_its_register_is_refused() -> None:
    assert get_register(RegisterName.PIXEL_GAIN).width == 16
    with pytest.raises(ProgramError, match=r"white_val - black_val must be larger, not 0\.001"):
        pixel_map(SPEC, 0.0, 0.001)


@given(programs())
def test_random_programs_use_their_codes(program: Program) -> None:
    inside = np.array(program.graph.mask)
    assert (program.codes[:, ~inside] == 0).all()
    assert program.visible.all()
    assert program.provenance == {"rule": "random"}


def test_random_programs_are_a_function_of_the_generator() -> None:
    first, again, other = (random_program(SPEC, np.random.default_rng(seed)).digest
                           for seed in (1, 1, 2))
    assert first == again != other
    quiet = random_program(SPEC, np.random.default_rng(1), noisy=False)
    assert not quiet.noise_gain.any()
