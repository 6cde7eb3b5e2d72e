"""A device in memory, built from the contract alone, and a link to it that can be faulty.

It is the other end for tests of the host's side of the link; the gateware is tested on its own.
"""

import enum
import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from types import SimpleNamespace
from typing import Any

from cobs import cobs

from pendula.contract import CONTRACT_ID, ArraySpec, InitialState, jitter
from pendula.contract.memory import STEPS_BITS, Memory, RowLayout, memory_layouts
from pendula.contract.protocol import (
    ARGUMENTS,
    INDEX_BYTES,
    MAX_REQUEST_BYTES,
    Hello,
    Opcode,
    Status,
    force_bytes,
    seal,
    state_bytes,
    unseal,
)
from pendula.contract.registers import (
    REGISTER_BITS,
    REGISTERS,
    Access,
    JitterCommand,
    JitterStatus,
    Readout,
    RegisterName,
    get_register,
)
from pendula.contract.statistics import (
    BIN_BITS_HI,
    RUN_SAMPLES_HI,
    Kind,
    Measurement,
    measure,
)
from pendula.contract.step import forces, pixel, run_sample
from pendula.link.client import Client
from pendula.link.link_device import LinkDevice
from pendula.link.transport import AbstractTransport

__all__ = ["Fault", "FaultKind", "FaultyTransport", "Responder", "ResponderDevice",
           "unpack_row"]

_WORD = (1 << 32) - 1


def unpack_row(layout: RowLayout, data: bytes | bytearray) -> dict[str, list[int]]:
    """Return the items of every field of a row: the inverse of RowLayout.pack."""
    row = int.from_bytes(data, "little")
    values = {}
    for part in layout.fields:
        items = []
        for _ in range(part.count):
            item = row & ((1 << part.width) - 1)
            row >>= part.width
            items.append(item - (part.signed and item >> (part.width - 1) << part.width))
        values[part.name] = items
    return values


def _kept(layout: RowLayout, rows: bytes) -> bytes:
    """Return rows as a memory keeps them: without the bits above the last field."""
    mask = (1 << layout.width) - 1
    return b"".join(
        (int.from_bytes(rows[k:k + layout.row_bytes], "little") & mask).to_bytes(
            layout.row_bytes, "little") for k in range(0, len(rows), layout.row_bytes))


class Responder:
    """Answers requests as the contract says; `raw_bits` are those of its jitter seeder."""

    def __init__(self, spec: ArraySpec, raw_bits: Iterator[int] | None = None,
                 sums: int = 0) -> None:
        self.spec, self.sums = spec, sums
        self.layouts = memory_layouts(spec, sums)
        self.memories = {memory: bytearray(layout.rows * layout.row_bytes)
                         for memory, layout in self.layouts.items()}
        self.registers = {register.name: register.reset for register in REGISTERS}
        self.state = [0] * spec.nodes
        self.log: list[tuple[Opcode, tuple[int, ...]]] = []
        self.contract_id = CONTRACT_ID
        self.hello: Hello | None = None         # that of another device, in place of its own
        self.raw_bits = raw_bits
        self.jitter_seed = 0
        if raw_bits is not None:
            self.registers[RegisterName.JITTER_STATUS] = JitterStatus.PRESENT
        self._buffer = b""

    def receive(self, data: bytes) -> list[bytes]:
        """Take bytes of the link and return the frames that answer them."""
        *frames, self._buffer = (self._buffer + data).split(b"\0")
        return [answer for frame in frames for answer in self._answer(frame)]

    def _answer(self, frame: bytes) -> Iterator[bytes]:
        try:
            content = unseal(cobs.decode(frame))
        except cobs.DecodeError:
            content = None
        if content is None or len(content) > MAX_REQUEST_BYTES:
            self.registers[RegisterName.FRAMES_DROPPED] += bool(frame)
            return
        for status, body in self._execute(content[1], content[2:]):
            yield cobs.encode(seal(bytes((content[0], status)) + body)) + b"\0"

    def _execute(self, code: int, body: bytes) -> Iterator[tuple[int, bytes]]:
        if code not in tuple(Opcode):
            yield Status.BAD_OPCODE, b""
            return
        opcode = Opcode(code)
        size = struct.calcsize(ARGUMENTS[opcode])
        if len(body) < size or (len(body) > size and opcode is not Opcode.WRITE_MEMORY):
            yield Status.BAD_LENGTH, b""
            return
        arguments = struct.unpack(ARGUMENTS[opcode], body[:size])
        self.log.append((opcode, arguments))
        try:
            yield from getattr(self, f"_{opcode.name.lower()}")(*arguments, body[size:])
        except (KeyError, ValueError):
            yield Status.BAD_ADDRESS, b""

    def _hello(self, _: bytes) -> Iterator[tuple[int, bytes]]:
        hello = self.hello or Hello.of(
            self.spec, contract_id=self.contract_id, build_id="00" * 8, lanes=1, sums=self.sums,
            jitter_rings=int(self.raw_bits is not None))
        yield Status.OK, replace(hello, jitter_seed=self.jitter_seed).encode()

    def _read_register(self, name: int, _: bytes) -> Iterator[tuple[int, bytes]]:
        value = self.registers[RegisterName(name)]
        yield Status.OK, (value & _WORD).to_bytes(4, "little")

    def _write_register(self, name: int, value: int, _: bytes) -> Iterator[tuple[int, bytes]]:
        register = get_register(RegisterName(name))
        if register.access is Access.READ_ONLY:
            raise KeyError(name)
        kept = value & ((1 << register.width) - 1)
        negative = register.signed and kept >> (register.width - 1)
        self.registers[register.name] = kept - (negative << register.width)
        if register.name is RegisterName.JITTER_COMMAND and self.raw_bits is not None:
            self._obey(kept, self.raw_bits)
        yield Status.OK, b""

    def _obey(self, command: int, raw_bits: Iterator[int]) -> None:
        if command not in tuple(JitterCommand):
            return
        draws = command == JitterCommand.DRAW
        bits = [*islice(raw_bits, jitter.RAW_BITS if draws else REGISTER_BITS)]
        self.registers[RegisterName.JITTER_BITS] = sum(
            bit << k for k, bit in enumerate(bits[-REGISTER_BITS:]))
        if draws:
            status, self.jitter_seed = jitter.draw_seed(bits)
            self.registers[RegisterName.JITTER_STATUS] = status

    def _rows(self, memory: int, first: int, rows: int) -> slice:
        layout = self.layouts[Memory(memory)]
        if first + rows > layout.rows:
            raise KeyError(first)
        return slice(first * layout.row_bytes, (first + rows) * layout.row_bytes)

    def _write_memory(self, memory: int, first: int, tail: bytes) -> Iterator[tuple[int, bytes]]:
        if not tail:        # before the memory is looked at
            yield Status.BAD_LENGTH, b""
            return
        layout, image = self.layouts[Memory(memory)], self.memories[Memory(memory)]
        rows, rest = divmod(len(tail), layout.row_bytes)
        fitting = max(0, min(rows, layout.rows - first)) * layout.row_bytes
        start = min(first, layout.rows) * layout.row_bytes
        image[start:start + fitting] = _kept(layout, tail[:fitting])      # where refused, too
        yield (Status.BAD_LENGTH if rest or not rows
               else Status.OK if first + rows <= layout.rows else Status.BAD_ADDRESS), b""

    def _checksum(self, memory: int, first: int, rows: int,
                  _: bytes) -> Iterator[tuple[int, bytes]]:
        data = self.memories[Memory(memory)][self._rows(memory, first, rows)]
        yield Status.OK, zlib.crc32(data).to_bytes(4, "little")

    def _read_memory(self, memory: int, first: int, rows: int,
                     _: bytes) -> Iterator[tuple[int, bytes]]:
        if not rows:
            raise KeyError(first)
        yield Status.OK, bytes(self.memories[Memory(memory)][self._rows(memory, first, rows)])

    def _unpacked(self, memory: Memory) -> list[dict[str, list[int]]]:
        layout = self.layouts[memory]
        data = self.memories[memory]
        return [unpack_row(layout, data[k:k + layout.row_bytes])
                for k in range(0, len(data), layout.row_bytes)]

    def _program(self, used: int) -> Any:
        nodes = self.spec.nodes
        parameters = self._unpacked(Memory.PARAMETER)
        segments = self._unpacked(Memory.SEGMENT)[:used]
        table = self._unpacked(Memory.TABLE)

        def per_segment(name: str) -> list[list[list[int]]]:
            rows = [row[name] for row in parameters]
            return [rows[s * nodes:(s + 1) * nodes] for s in range(used)]

        return SimpleNamespace(
            spec=self.spec, codes=per_segment("codes"), local_codes=per_segment("local_codes"),
            local_gains=[row["local_gains"] for row in segments],
            steps=[row["steps"][0] or 1 << STEPS_BITS for row in segments],
            **{name: [row[name][0] for row in segments]
               for name in ("coupling_gain", "noise_gain")},
            tables={name: [row[name][0] for row in table] for name in self.spec.columns},
            initial=InitialState(self.registers[RegisterName.INITIAL]),
            initial_gain=self.registers[RegisterName.INITIAL_GAIN])

    def _node_column(self, name: str) -> list[int]:
        return [row[name][0] for row in self._unpacked(Memory.NODE)]

    def _show(self, x: list[int]) -> bytes:
        readout = Readout(self.registers[RegisterName.READOUT])
        chosen = [value for value, visible in zip(x, self._node_column("visible"), strict=True)
                  if visible or Readout.ALL in readout]
        if Readout.PIXEL in readout:
            gain, offset = (self.registers[name] for name in (RegisterName.PIXEL_GAIN,
                                                              RegisterName.PIXEL_OFFSET))
            return bytes(pixel(self.spec, gain, offset, value) for value in chosen)
        width = state_bytes(self.spec)
        return b"".join(value.to_bytes(width, "little", signed=True) for value in chosen)

    def _run(self, first: int, count: int, _: bytes) -> Iterator[tuple[int, bytes]]:
        measures = Readout.MEASURE in Readout(self.registers[RegisterName.READOUT])
        used = self.registers[RegisterName.SEGMENTS]
        if (not count or first + count > 1 << 32 or not 0 < used <= self.spec.segments
                or (measures and not self._measurable(count))):
            yield Status.BAD_VALUE, b""
            return
        seed = (self.registers[RegisterName.SEED_LO]
                | self.registers[RegisterName.SEED_HI] << 32)
        program = self._program(used)
        saturations, states = 0, []
        for index in range(first, first + count):
            run = run_sample(program, seed, index, kept=self.state,
                             stop_step=self.registers[RegisterName.STOP_STEP],
                             uploaded=self._node_column("uploaded"),
                             clamped=[bool(flag) for flag in self._node_column("clamped")])
            self.state = run.x
            saturations += run.saturations
            states.append(run.x)
            if not measures:
                yield Status.DATA, index.to_bytes(INDEX_BYTES, "little") + (
                    self._show(run.x) or b"\0")
        if measures:
            self._measure(states)
        self.registers[RegisterName.SATURATIONS] = saturations
        self.registers[RegisterName.CYCLES] = count * self.spec.nodes
        yield Status.OK, b""

    def _measurable(self, count: int) -> bool:
        used, bin_bits, thin = (self.registers[name] for name in (
            RegisterName.MEASUREMENTS, RegisterName.BIN_BITS, RegisterName.THIN))
        return (used <= self.sums > 0 and bin_bits <= BIN_BITS_HI and 1 <= thin <= RUN_SAMPLES_HI
                and count <= RUN_SAMPLES_HI)

    def _measure(self, states: list[list[int]]) -> None:
        chosen = [Measurement(Kind(row["kind"][0]), row["node"][0])
                  for row in self._unpacked(Memory.MEASUREMENT)]
        thin = self.registers[RegisterName.THIN]
        sums = measure(self.spec, chosen[:self.registers[RegisterName.MEASUREMENTS]],
                       self.registers[RegisterName.BIN_BITS], thin, states, self.sums)
        layout = self.layouts[Memory.SUM]
        self.memories[Memory.SUM][:] = b"".join(layout.pack({"total": [value]}) for value in sums)
        self.registers[RegisterName.MEASURED] = len(states) // thin

    def _forces(self, segment: int, _: bytes) -> Iterator[tuple[int, bytes]]:
        if segment >= self.spec.segments:
            yield Status.BAD_VALUE, b""
            return
        self.state = self._node_column("uploaded")
        width = force_bytes(self.spec)
        values = forces(self._program(self.spec.segments), segment, self.state)
        yield Status.DATA, segment.to_bytes(INDEX_BYTES, "little") + b"".join(
            value.to_bytes(width, "little", signed=True) for value in values)
        yield Status.OK, b""


class FaultKind(enum.Enum):
    """What happens to a frame on its way."""

    NONE = enum.auto()
    DROP = enum.auto()
    FLIP = enum.auto()         # one bit
    CUT = enum.auto()          # the rest of the frame is lost, its end too
    DUPLICATE = enum.auto()
    GARBAGE = enum.auto()      # foreign bytes in front
    LATE = enum.auto()         # this and all after it arrive after the host's next request


@dataclass(frozen=True)
class Fault:
    """A fault and where in the frame it strikes."""

    kind: FaultKind
    position: int = 0

    def apply(self, frame: bytes) -> bytes:
        place = self.position % len(frame)
        flipped = bytearray(frame)
        flipped[place] ^= 1 << (self.position & 7)
        return {
            FaultKind.DROP: b"",
            FaultKind.FLIP: bytes(flipped),
            FaultKind.CUT: frame[:place],
            FaultKind.DUPLICATE: frame + frame,
            FaultKind.GARBAGE: bytes((self.position + k) & 0xFF for k in range(40)) + frame,
        }.get(self.kind, frame)


@dataclass
class FaultyTransport(AbstractTransport):
    """Link to a responder; each frame, in either direction, meets the next of the faults."""

    responder: Responder
    faults: Iterable[Fault] = ()
    reply_faults: Iterable[Fault] = ()
    piece_bytes: int = 50
    closed: bool = False
    _output: bytes = field(default=b"", init=False)
    _late: bytes = field(default=b"", init=False)
    _holding: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self.faults, self.reply_faults = iter(self.faults), iter(self.reply_faults)

    def write(self, data: bytes) -> None:
        self._output += self._late
        self._late, self._holding = b"", False
        for answer in self.responder.receive(_next(self.faults).apply(data)):
            fault = _next(self.reply_faults)
            self._holding |= fault.kind is FaultKind.LATE
            if self._holding:
                self._late += answer
            else:
                self._output += fault.apply(answer)

    def read(self, cycles: int) -> bytes:
        piece, self._output = self._output[:self.piece_bytes], self._output[self.piece_bytes:]
        return piece

    def close(self) -> None:
        self.closed = True


def _next(faults: Iterable[Fault]) -> Fault:
    return next(iter(faults), Fault(FaultKind.NONE))


class ResponderDevice(LinkDevice):
    """A device whose other end is a responder."""

    def __init__(self, transport: FaultyTransport) -> None:
        super().__init__("test://")
        self.transport = transport

    def _connect(self, spec: ArraySpec | None) -> Client:
        return self._client or Client(self.transport, self.health)
