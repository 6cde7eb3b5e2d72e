"""Shapes of what moves through the link, in the order of its bytes."""

import struct

from amaranth import *
from amaranth.lib import data, enum

from pendula.contract.protocol import ARGUMENTS, HEADER_BYTES, Opcode
from pendula.contract.registers import REGISTER_BITS
from pendula_gateware.interfaces import Byte

__all__ = ["MAX_FIXED_BYTES", "VALUE_BYTES", "Request", "Response", "Tail", "fixed_bytes",
           "unpack"]

VALUE_BYTES = REGISTER_BITS // 8


def fixed_bytes(opcode: Opcode) -> int:
    """Return the bytes of a request in front of its tail: header and arguments."""
    return HEADER_BYTES + struct.calcsize(ARGUMENTS[opcode])


MAX_FIXED_BYTES = max(map(fixed_bytes, Opcode))

Request = data.StructLayout({
    "sequence": Byte, "opcode": Byte,
    "arguments": (MAX_FIXED_BYTES - HEADER_BYTES) * Byte.width, "bad_length": 1})
"""A request without its tail; `bad_length` where the opcode is known and the length is wrong."""


class Tail(enum.Enum, shape=2):
    """What ends a response."""

    NONE = 0
    HELLO = 1
    RESULT = 2
    ROWS = 3


Response = data.StructLayout({
    "sequence": Byte, "status": Byte, "value": VALUE_BYTES * Byte.width, "has_value": 1,
    "tail": Tail})
"""A response: header, then the bytes of `value` where `has_value`, then a packet as its tail."""


def unpack(opcode: Opcode, arguments: Value) -> list[Value]:
    """Return the arguments of a request, as :func:`struct.unpack` does for bytes."""
    values, position = [], 0
    for letter in ARGUMENTS[opcode].removeprefix("<"):
        width = struct.calcsize("<" + letter) * Byte.width
        values.append(arguments[position:position + width])
        position += width
    return values
