"""Tables hold the functions at the middle of each row."""

import math

import pytest
from hypothesis import given

from pendula.contract import PHYSICS, ArraySpec
from pendula.contract.numbers import signed_format
from pendula.contract.physics import FUNCTIONS
from pendula.contract.tables import build_tables, table_index
from strategies import specs

every_physics = pytest.mark.parametrize("physics", list(PHYSICS))


def small_spec(physics: str, state_bits: int = 10, table_bits: int = 6) -> ArraySpec:
    return ArraySpec(physics=PHYSICS[physics], nodes=2, offsets=(1,), state_bits=state_bits,
                     table_bits=table_bits)


@every_physics
def test_rows_follow_the_states_in_equal_shares(physics: str) -> None:
    """Row r is shared by 2**(state_bits - table_bits) states; the second half are the negatives."""
    spec = small_spec(physics)
    states = range(spec.state.lo, spec.state.hi + 1)
    rows = [table_index(spec, x) for x in states]
    share = len(states) // spec.table_rows
    half = spec.table_rows // 2
    in_order = [*range(half, spec.table_rows), *range(half)]
    assert rows == [row for row in in_order for _ in range(share)]


@given(specs())
def test_tables_have_one_symmetric_entry_for_each_row_and_column(spec: ArraySpec) -> None:
    tables = build_tables(spec)
    assert list(tables) == list(spec.columns)
    for name, (_, width) in spec.columns.items():
        assert len(tables[name]) == spec.table_rows
        assert max(abs(entry) for entry in tables[name]) <= signed_format(width).hi


@pytest.mark.parametrize("state_bits", [8, 18])
@every_physics
def test_entries_are_the_nearest_to_the_function_mid_row(physics: str, state_bits: int) -> None:
    spec = small_spec(physics, state_bits)
    step_val = 2.0**spec.physics.i_bits / spec.table_rows
    for column, (name, width) in spec.columns.items():
        function, hi = FUNCTIONS[name], signed_format(width).hi
        for x in range(spec.state.lo, spec.state.hi + 1, 1 << (state_bits - 6)):
            mid_val = x * 2.0**-spec.state.f_bits + step_val / 2
            exact = function.evaluate(mid_val) * float(function.scale(width))
            entry = build_tables(spec)[column][table_index(spec, x)]
            assert abs(entry - max(-hi, min(hi, exact))) <= 0.5, (column, x)


@every_physics
def test_odd_functions_have_odd_tables(physics: str) -> None:
    """Mirrored rows hold mirrored values: the tables themselves favour no sign."""
    spec = small_spec(physics)
    for column, (name, _) in spec.columns.items():
        table = build_tables(spec)[column]
        sign = 1 if name in ("cos", "-cos") else -1
        pairs = [(table[row], table[-1 - row]) for row in range(spec.table_rows)]
        odd = [(a, b) for a, b in pairs if a != sign * b]
        # half up breaks the symmetry only where the function falls exactly on half an entry
        assert all(a - sign * b == 1 or sign * b - a == 1 for a, b in odd)
        assert name in ("clip", "x3") or not odd


def test_neighbours_see_positions_clipped_at_their_reach() -> None:
    spec = small_spec("quartic")
    table = build_tables(spec)["v0"]
    limit = FUNCTIONS["clip"].reach
    for x in (spec.state.lo, spec.state.hi):
        assert table[table_index(spec, x)] == math.copysign(signed_format(8).hi, x)
    assert abs(table[table_index(spec, int(limit / 2 * 2**spec.state.f_bits))]) < 127
