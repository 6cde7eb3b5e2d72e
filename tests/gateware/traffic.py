"""Bytes that a host might send, good and bad, and what a device must answer."""

import struct
from collections.abc import Iterator
from random import Random

import numpy as np
from cobs import cobs

from pendula.contract import PHYSICS, ArraySpec, InitialState
from pendula.contract.memory import Memory, memory_layouts
from pendula.contract.protocol import ARGUMENTS, HEADER_BYTES, Opcode, encode_request, seal
from pendula.contract.registers import REGISTERS, Access, Readout, RegisterName
from pendula.contract.statistics import BIN_BITS_HI, RUN_SAMPLES_HI, Kind
from pendula.images import node_image, program_images
from pendula.program import Program, random_program
from responder import Responder

__all__ = ["BUILD_ID", "expected_answers", "garbage", "measuring", "refused", "request", "session",
           "small_spec", "unmeasurable"]

BUILD_ID = "00" * 8      # as the responder's
TOP_INDEX = (1 << 32) - 1


def small_spec(physics: str, table_bits: int = 3) -> ArraySpec:
    """Return an array that simulates fast."""
    return ArraySpec(physics=PHYSICS[physics], nodes=5, offsets=(-2, 1), segments=3,
                     table_bits=table_bits)


def expected_answers(spec: ArraySpec, data: bytes, raw_bits: Iterator[int] | None = None,
                     sums: int = 0) -> bytes:
    """Return all bytes that a device must answer, one with a jitter seeder if it has raw bits."""
    return b"".join(Responder(spec, raw_bits, sums).receive(data))


def _frame(content: bytes) -> bytes:
    return cobs.encode(seal(content)) + b"\0"


def request(rng: Random, opcode: Opcode, *arguments: int, tail: bytes = b"") -> bytes:
    """Return the bytes of a request with a random sequence number."""
    packet = encode_request(rng.randrange(256), opcode, *arguments, tail=tail)
    return cobs.encode(packet) + b"\0"


def _upload(rng: Random, program: Program, node_rows: np.ndarray) -> Iterator[bytes]:
    images = {**program_images(program), Memory.NODE: node_rows}
    for memory, image in images.items():
        cut = rng.randint(1, len(image) - 1)
        for first, rows in ((0, image[:cut]), (cut, image[cut:])):
            yield request(rng, Opcode.WRITE_MEMORY, memory, first, tail=rows.tobytes())
        yield request(rng, Opcode.CHECKSUM, memory, 0, len(image))
        yield request(rng, Opcode.CHECKSUM, memory, cut, 1)
        yield request(rng, Opcode.READ_MEMORY, memory, cut - 1, 2)


def session(rng: Random, physics: str, table_bits: int = 3) -> list[bytes]:
    """Return requests that load a random program, run it, and read what can be compared."""
    spec = small_spec(physics, table_bits)
    numbers = np.random.default_rng(rng.randrange(1 << 32))
    program = random_program(spec, numbers, segments=2, steps=2, initial=InitialState.GAUSSIAN)
    nodes = node_image(spec, numbers.integers(spec.state.lo, spec.state.hi, spec.nodes),
                       numbers.random(spec.nodes) < 0.3, np.arange(spec.nodes) != 1)
    settings = {RegisterName.SEED_LO: rng.randrange(1 << 32), RegisterName.SEGMENTS: 2,
                RegisterName.INITIAL: program.initial,
                RegisterName.INITIAL_GAIN: program.initial_gain,
                RegisterName.PIXEL_GAIN: program.pixel_gain & 0xFFFFFFFF,
                RegisterName.PIXEL_OFFSET: program.pixel_offset & 0xFFFFFFFF}
    reads = [register.name for register in REGISTERS if register.name != RegisterName.CYCLES]
    return [
        request(rng, Opcode.HELLO), *_upload(rng, program, nodes),
        *(request(rng, Opcode.WRITE_REGISTER, name, value) for name, value in settings.items()),
        request(rng, Opcode.RUN, rng.randrange(1 << 32), 1),
        request(rng, Opcode.WRITE_REGISTER, RegisterName.READOUT, 3),
        request(rng, Opcode.RUN, TOP_INDEX - 1, 2),
        request(rng, Opcode.FORCES, 1),
        *(request(rng, Opcode.READ_REGISTER, name) for name in reads),
    ]


def measuring(rng: Random, spec: ArraySpec, sums: int) -> list[bytes]:
    """Return requests that measure what a session has loaded, and read the sums.

    Some lists have more sums than there are, and more samples are drawn than count.
    """
    layout = memory_layouts(spec, sums)[Memory.MEASUREMENT]
    requests = []
    for count in (7, 1, 4):
        rows = [layout.pack({"kind": [rng.choice([*Kind])], "node": [rng.randrange(spec.nodes)]})
                for _ in range(sums)]
        settings = {RegisterName.READOUT: Readout.MEASURE | rng.randrange(4),
                    RegisterName.MEASUREMENTS: rng.randrange(sums + 1),
                    RegisterName.BIN_BITS: rng.randrange(BIN_BITS_HI + 1),
                    RegisterName.THIN: rng.randint(1, 3)}
        requests += [
            request(rng, Opcode.WRITE_MEMORY, Memory.MEASUREMENT, 0, tail=b"".join(rows)),
            *(request(rng, Opcode.WRITE_REGISTER, name, value) for name, value in settings.items()),
            *[request(rng, Opcode.RUN, rng.randrange(TOP_INDEX - 9), count)] * rng.randint(1, 2),
            request(rng, Opcode.READ_MEMORY, Memory.SUM, 0, sums), request(rng, Opcode.FORCES, 1),
            request(rng, Opcode.CHECKSUM, Memory.SUM, 1, sums - 1),
            *(request(rng, Opcode.READ_REGISTER, name)
              for name in (RegisterName.MEASURED, RegisterName.SATURATIONS)),
        ]
    return [*requests, request(rng, Opcode.WRITE_REGISTER, RegisterName.READOUT, 0),
            request(rng, Opcode.RUN, 4, 2), request(rng, Opcode.READ_MEMORY, Memory.SUM, 0, sums)]


def unmeasurable(rng: Random, sums: int) -> list[bytes]:
    """Return settings, each with a RUN that must be refused, and one that must not."""
    good = {RegisterName.READOUT: Readout.MEASURE, RegisterName.MEASUREMENTS: min(1, sums),
            RegisterName.THIN: 1, RegisterName.BIN_BITS: BIN_BITS_HI}
    bad = [(RegisterName.MEASUREMENTS, sums + 1), (RegisterName.THIN, 0),
           (RegisterName.THIN, RUN_SAMPLES_HI + 1), (RegisterName.BIN_BITS, BIN_BITS_HI + 1)]
    requests = [request(rng, Opcode.WRITE_REGISTER, name, value) for name, value in good.items()]
    for name, value in bad:
        requests += [request(rng, Opcode.WRITE_REGISTER, name, value),
                     request(rng, Opcode.RUN, 0, 1),
                     request(rng, Opcode.WRITE_REGISTER, name, good[name])]
    return [*requests, request(rng, Opcode.RUN, 0, RUN_SAMPLES_HI + 1),
            request(rng, Opcode.RUN, 0, 1), request(rng, Opcode.READ_REGISTER,
                                                    RegisterName.MEASURED)]


def _wrong_lengths(rng: Random) -> Iterator[bytes]:
    for opcode in Opcode:
        size = struct.calcsize(ARGUMENTS[opcode])
        extra = [] if opcode is Opcode.WRITE_MEMORY else [1, 20]
        for length in (*range(size), *(size + more for more in extra)):
            yield _frame(bytes((rng.randrange(256), opcode)) + rng.randbytes(length))
    yield request(rng, Opcode.WRITE_MEMORY, Memory.NODE, 0)


def _wrong_values(rng: Random, spec: ArraySpec, sums: int) -> Iterator[bytes]:
    layouts = memory_layouts(spec, sums)
    for memory, layout in layouts.items():
        row = rng.randbytes(layout.row_bytes)
        yield request(rng, Opcode.WRITE_MEMORY, memory, layout.rows, tail=row)
        yield request(rng, Opcode.WRITE_MEMORY, memory, TOP_INDEX, tail=2 * row)
        yield request(rng, Opcode.WRITE_MEMORY, memory, layout.rows, tail=row + b"\0")
        yield request(rng, Opcode.CHECKSUM, memory, layout.rows - 1, 2)
        yield request(rng, Opcode.CHECKSUM, memory, TOP_INDEX, TOP_INDEX)
        for first, rows in ((0, 0), (layout.rows, 0), (layout.rows, 1), (0, layout.rows + 1),
                            (layout.rows - 1, 2), (TOP_INDEX, 1), (1, TOP_INDEX)):
            yield request(rng, Opcode.READ_MEMORY, memory, first, rows)
    for memory in (*({*Memory} - {*layouts}), max(Memory) + 1, 255):
        yield request(rng, Opcode.WRITE_MEMORY, memory, 0, tail=bytes(40))
        yield request(rng, Opcode.CHECKSUM, memory, 0, 1)
        yield request(rng, Opcode.READ_MEMORY, memory, 0, 1)
    for register in REGISTERS:
        if register.access is Access.READ_ONLY:
            yield request(rng, Opcode.WRITE_REGISTER, register.name, 1)
    for address in {*range(256)} - {*RegisterName}:
        if address % 9 == 0 or address < 20:
            yield request(rng, Opcode.READ_REGISTER, address)
            yield request(rng, Opcode.WRITE_REGISTER, address, 1)
    for first, count in ((0, 0), (7, 0), (TOP_INDEX, 2), (2, TOP_INDEX), (TOP_INDEX, TOP_INDEX)):
        yield request(rng, Opcode.RUN, first, count)
    for segment in (spec.segments, spec.segments + 1, 1 << 20, TOP_INDEX):
        yield request(rng, Opcode.FORCES, segment)
    for opcode in (0, max(Opcode) + 1, 128, 255):
        yield _frame(bytes((rng.randrange(256), opcode)) + rng.randbytes(rng.randint(0, 30)))


def refused(rng: Random, spec: ArraySpec, sums: int = 0) -> list[bytes]:
    """Return requests that arrive whole and must be refused, in random order."""
    requests = [*_wrong_lengths(rng), *_wrong_values(rng, spec, sums)]
    rng.shuffle(requests)
    return requests


def garbage(rng: Random) -> bytes:
    """Return damage of one kind: noise, or a request that lost bytes or has a bit flipped."""
    good = bytearray(request(rng, Opcode.WRITE_REGISTER, RegisterName.SEED_HI, rng.randrange(99)))
    kind = rng.randrange(4)
    if kind == 0:
        return rng.randbytes(rng.randint(1, 60)) + b"\0"
    if kind == 1:
        return bytes(rng.choices((0, 1, 2, 255), k=rng.randint(1, 30))) + b"\0"
    if kind == 2:
        return bytes(good[:rng.randint(1, len(good) - 2)]) + b"\0"
    good[rng.randrange(HEADER_BYTES, len(good) - 1)] ^= 1 << rng.randrange(8)
    return bytes(good)
