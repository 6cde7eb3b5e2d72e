"""The device's memories: which rows there are, and where each field stands in a row.

A row is a little-endian integer of whole bytes; the first field starts at bit 0.
"""

import enum
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pendula.contract.spec import ArraySpec
from pendula.contract.statistics import SUMS_HI, Kind, sum_bits
from pendula.errors import ContractError

__all__ = ["BUFFERED", "BUFFERS_HI", "BUFFER_BIT", "STEPS_BITS", "Field", "Memory", "RowLayout",
           "memory_layouts", "memory_number"]

STEPS_BITS = 16      # steps of one segment
BUFFERS_HI = 2       # programs that a device holds
BUFFER_BIT = 7       # of a memory's number on the link: which of the two buffers is meant


class Memory(enum.IntEnum):
    """Number of a memory on the link."""

    TABLE = 0        # one row a table index
    PARAMETER = 1    # one row a segment and node: row = segment * N + node
    SEGMENT = 2      # one row a segment
    NODE = 3         # one row a node
    MEASUREMENT = 4  # one row a measurement; missing where the device has no sums
    SUM = 5          # one row a sum; missing where the device has no sums


BUFFERED = (Memory.PARAMETER, Memory.SEGMENT, Memory.NODE)
"""Memories that a device with two buffers has twice."""


def memory_number(memory: Memory, buffer: int) -> int:
    """Return the number on the link of a memory, in one of the buffers if it is buffered."""
    return memory | (buffer << BUFFER_BIT if memory in BUFFERED else 0)


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a row.

    Parameters
    ----------
    name : str
        Name in gateware and in images.
    width : int
        Bits of one item.
    signed : bool
        Whether items are two's complement.
    count : int
        Number of items, the first at the lowest bits.
    """

    name: str
    width: int
    signed: bool = True
    count: int = 1

    def check(self, item: int) -> int:
        """Return `item` if the field can hold it."""
        lo = -(1 << (self.width - 1)) if self.signed else 0
        hi = lo + (1 << self.width) - 1
        if not lo <= item <= hi:
            raise ContractError(f"Field {self.name} must be within {lo}..{hi}, not {item}")
        return item


@dataclass(frozen=True, slots=True)
class RowLayout:
    """Layout of one memory.

    Parameters
    ----------
    fields : tuple of Field
        In ascending order of bits.
    rows : int
        Number of rows.
    """

    fields: tuple[Field, ...]
    rows: int

    @property
    def width(self) -> int:
        """Bits of a row in the device."""
        return sum(field.width * field.count for field in self.fields)

    @property
    def row_bytes(self) -> int:
        """Bytes of a row on the link."""
        return (self.width + 7) // 8

    def places(self) -> Iterator[tuple[Field, int]]:
        """Yield every field with its first bit."""
        position = 0
        for field in self.fields:
            yield field, position
            position += field.width * field.count

    def pack(self, values: Mapping[str, Sequence[int]]) -> bytes:
        """Return one row's bytes; every field is a sequence of its items.

        Raises
        ------
        ContractError
            If a field is missing, has the wrong number of items, or an item does not fit.
        """
        row = 0
        for field, position in self.places():
            items = values.get(field.name, ())
            if len(items) != field.count:
                raise ContractError(
                    f"Field {field.name} must have {field.count} items, not {len(items)}")
            for k, item in enumerate(items):
                bits = field.check(int(item)) & ((1 << field.width) - 1)
                row |= bits << (position + k * field.width)
        return row.to_bytes(self.row_bytes, "little")


def memory_layouts(spec: ArraySpec, sums: int = SUMS_HI) -> dict[Memory, RowLayout]:
    """Return the layout of every memory of an array.

    Parameters
    ----------
    spec : ArraySpec
        Array.
    sums : int
        Sums of its statistics; as many as there may be where not given.
    """
    basis = len(spec.physics.basis)
    layouts = {
        Memory.TABLE: RowLayout(
            tuple(Field(name, width) for name, (_, width) in spec.columns.items()),
            spec.table_rows),
        Memory.PARAMETER: RowLayout(
            (Field("codes", spec.code_bits, count=len(spec.offsets)),
             Field("local_codes", spec.local_code_bits, count=basis)),
            spec.segments * spec.nodes),
        Memory.SEGMENT: RowLayout(
            (Field("steps", STEPS_BITS, signed=False),
             Field("coupling_gain", spec.gain_bits),
             Field("local_gains", spec.gain_bits, count=basis),
             Field("noise_gain", spec.gain_bits)),
            spec.segments),
        Memory.NODE: RowLayout(
            (Field("uploaded", spec.state_bits),
             Field("clamped", 1, signed=False),
             Field("visible", 1, signed=False)),
            spec.nodes),
    }
    measuring = {
        Memory.MEASUREMENT: RowLayout(
            (Field("kind", max(Kind).bit_length(), signed=False),
             Field("node", (spec.nodes - 1).bit_length(), signed=False)),
            sums),
        Memory.SUM: RowLayout((Field("total", sum_bits(spec)),), sums),
    }
    return layouts | measuring if sums else layouts
