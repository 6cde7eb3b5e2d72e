"""Rows of the memories: what is packed can be read back, bit by bit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pendula.contract import PHYSICS, ArraySpec
from pendula.contract.memory import STEPS_BITS, Field, Memory, RowLayout, memory_layouts
from pendula.contract.statistics import SUMS_HI
from pendula.errors import ContractError
from strategies import specs

fields = st.builds(Field, name=st.sampled_from("abcdefgh"), width=st.integers(1, 40),
                   signed=st.booleans(), count=st.integers(1, 5))
layouts = st.builds(
    RowLayout, rows=st.just(1),
    fields=st.lists(fields, min_size=1, max_size=4, unique_by=lambda field: field.name).map(tuple))


def limits(field: Field) -> tuple[int, int]:
    if field.signed:
        return -(2 ** (field.width - 1)), 2 ** (field.width - 1) - 1
    return 0, 2**field.width - 1


def unpack(layout: RowLayout, row: bytes) -> dict[str, list[int]]:
    """Read a row from its lowest bit up, item by item."""
    bits = "".join(f"{byte:08b}"[::-1] for byte in row)
    values: dict[str, list[int]] = {}
    for field in layout.fields:
        values[field.name] = []
        for _ in range(field.count):
            item, bits = bits[:field.width], bits[field.width:]
            value = int(item[::-1], 2)
            negative = field.signed and item[-1] == "1"
            values[field.name].append(value - 2**field.width if negative else value)
    assert not bits.strip("0")
    return values


@given(layouts, st.data())
def test_packed_rows_can_be_read_back(layout: RowLayout, data: st.DataObject) -> None:
    values = {field.name: [data.draw(st.integers(*limits(field))) for _ in range(field.count)]
              for field in layout.fields}
    row = layout.pack(values)
    assert len(row) == layout.row_bytes == -(-layout.width // 8)
    assert unpack(layout, row) == values


def test_first_field_stands_in_the_lowest_bits() -> None:
    layout = RowLayout((Field("low", 4), Field("high", 4, signed=False, count=2)), 1)
    assert layout.pack({"low": [-1], "high": [2, 3]}) == bytes([0x2F, 0x03])


@given(fields, st.data())
def test_items_that_do_not_fit_are_refused(field: Field, data: st.DataObject) -> None:
    lo, hi = limits(field)
    assert (field.check(lo), field.check(hi)) == (lo, hi)
    for bad in (lo - data.draw(st.integers(1, 9)), hi + data.draw(st.integers(1, 9))):
        with pytest.raises(ContractError,
                           match=rf"Field {field.name} must be within {lo}\.\.{hi}, not {bad}"):
            field.check(bad)


@pytest.mark.parametrize("values", [{}, {"a": [1]}, {"a": [1, 2, 3]}])
def test_wrong_number_of_items_is_refused(values: dict[str, list[int]]) -> None:
    layout = RowLayout((Field("a", 4, count=2),), 1)
    with pytest.raises(ContractError, match="Field a must have 2 items, not"):
        layout.pack(values)


@given(specs())
def test_layouts_follow_the_spec(spec: ArraySpec) -> None:
    found = memory_layouts(spec)
    sizes = {(memory, field.name): (field.width, field.count, field.signed)
             for memory, layout in found.items() for field in layout.fields}
    K, M = len(spec.offsets), len(spec.physics.basis)
    assert sizes == {
        **{(Memory.TABLE, name): (width, 1, True) for name, (_, width) in spec.columns.items()},
        (Memory.PARAMETER, "codes"): (spec.code_bits, K, True),
        (Memory.PARAMETER, "local_codes"): (spec.local_code_bits, M, True),
        (Memory.SEGMENT, "steps"): (STEPS_BITS, 1, False),
        (Memory.SEGMENT, "coupling_gain"): (spec.gain_bits, 1, True),
        (Memory.SEGMENT, "local_gains"): (spec.gain_bits, M, True),
        (Memory.SEGMENT, "noise_gain"): (spec.gain_bits, 1, True),
        (Memory.NODE, "uploaded"): (spec.state_bits, 1, True),
        (Memory.NODE, "clamped"): (1, 1, False),
        (Memory.NODE, "visible"): (1, 1, False),
        (Memory.MEASUREMENT, "kind"): (2, 1, False),
        (Memory.MEASUREMENT, "node"): ((spec.nodes - 1).bit_length(), 1, False),
        (Memory.SUM, "total"): (2 * spec.state_bits + 16, 1, True),
    }
    assert {memory: layout.rows for memory, layout in found.items()} == {
        Memory.TABLE: 2**spec.table_bits, Memory.PARAMETER: spec.segments * spec.nodes,
        Memory.SEGMENT: spec.segments, Memory.NODE: spec.nodes,
        Memory.MEASUREMENT: SUMS_HI, Memory.SUM: SUMS_HI}


def test_parameters_of_one_node_take_fifteen_bytes_at_24_neighbours() -> None:
    spec = ArraySpec(physics=PHYSICS["quartic"], nodes=64,
                     offsets=tuple(offset for offset in range(-12, 13) if offset))
    assert memory_layouts(spec)[Memory.PARAMETER].row_bytes == 24 * 4 // 8 + 3
