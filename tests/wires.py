"""Bytes as levels on a wire, one level a clock cycle, and back."""

from collections.abc import Sequence
from random import Random

from pendula.contract.uart import DATA_BITS, FRAME_BITS

__all__ = ["levels_of", "read_misframed", "read_wire"]


def levels_of(data: bytes, cycles_a_bit: float, rng: Random | None = None) -> list[int]:
    """Return the levels of bytes, as a sender with bits of any length gives them.

    With `rng`, the wire rests for 0 to 3 bits before every byte, in any phase to the clock.
    """
    levels: list[int] = []
    end = 0.0                            # of the last bit, in cycles
    for byte in data:
        if rng:
            end += rng.random() * 3 * cycles_a_bit
            levels += [1] * (round(end) - len(levels))
        for bit in (0, *(byte >> k & 1 for k in range(DATA_BITS)), 1):
            end += cycles_a_bit
            levels += [bit] * (round(end) - len(levels))
    return levels


def read_wire(levels: Sequence[int], cycles_a_bit: float) -> list[int]:
    """Return the bytes on a wire; every bit must have its level in its first and last quarter."""
    data = []
    place = 0
    while 0 in levels[place:]:
        start = levels.index(0, place)
        def look(bit: float, start: int = start) -> int:
            return levels[min(len(levels) - 1, start + int(bit * cycles_a_bit))]
        bits = [look(k + 0.5) for k in range(FRAME_BITS)]
        early = [look(k + 0.3) for k in range(FRAME_BITS)]
        assert early == bits, "an edge is late"
        assert (bits[0], bits[-1]) == (0, 1), "a byte has no start or stop bit"
        data.append(sum(bit << k for k, bit in enumerate(bits[1:-1])))
        place = start + int((FRAME_BITS - 0.5) * cycles_a_bit)
    return data


def read_misframed(levels: Sequence[int], cycles_a_bit: float) -> bytes:
    """Return the bytes that a receiver of another rate takes from a wire, stop bits unchecked."""
    data = bytearray()
    place = 0
    while place < len(levels):
        if levels[place]:
            place += 1
            continue
        bits = [levels[min(len(levels) - 1, place + int((k + 0.5) * cycles_a_bit))]
                for k in range(1, DATA_BITS + 1)]
        data.append(sum(bit << k for k, bit in enumerate(bits)))
        place += int((FRAME_BITS - 0.5) * cycles_a_bit)
    return bytes(data)
