"""Tables of u, v and the local basis. They are data: built once, shipped with the program."""

import math

from pendula.contract.numbers import signed_format
from pendula.contract.physics import FUNCTIONS
from pendula.contract.spec import ArraySpec

__all__ = ["build_tables", "table_index"]


def table_index(spec: ArraySpec, x_raw: int) -> int:
    """Return the table row of a state: its top bits, read as an unsigned number."""
    return (x_raw >> (spec.state_bits - spec.table_bits)) & (spec.table_rows - 1)


def _midpoint_val(spec: ArraySpec, row: int) -> float:
    """Return the real state in the middle of the interval that a row covers."""
    signed = row - spec.table_rows if row >= spec.table_rows // 2 else row
    return (signed + 0.5) * 2.0 ** (spec.state_bits - spec.table_bits - spec.state.f_bits)


def build_tables(spec: ArraySpec) -> dict[str, tuple[int, ...]]:
    """Return every column of the table memory: the function mid-row, rounded half up.

    Returns
    -------
    dict of str to tuple of int
        Column name to ``2**table_bits`` raw values.
    """
    tables = {}
    for column, (name, width) in spec.columns.items():
        function, hi = FUNCTIONS[name], signed_format(width).hi
        scale = function.scale(width)
        values = (math.floor(function.evaluate(_midpoint_val(spec, row)) * scale + 0.5)
                  for row in range(spec.table_rows))
        tables[column] = tuple(max(-hi, min(hi, value)) for value in values)
    return tables
