"""Bytes that attack a device, a model that says what it must answer, and the check of both.

Traffic is grammar based: legal requests of every kind, damaged in the ways of :class:`Attack`. The
reference is :class:`responder.Responder`; whatever the bytes, the device must answer exactly what
the reference answers, and a HELLO after a delimiter within :func:`answer_cycles`.
"""

import enum
import struct
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

import numpy as np
from cobs import cobs

from gateware.traffic import measuring, refused, session, small_spec
from pendula.contract import ArraySpec
from pendula.contract.memory import Memory, memory_layouts
from pendula.contract.protocol import (
    ARGUMENTS,
    HEADER_BYTES,
    MAX_REQUEST_BYTES,
    Hello,
    Opcode,
    decode_response,
    encode_request,
    seal,
)
from pendula.contract.registers import REGISTERS, RegisterName
from pendula.contract.statistics import default_sums
from pendula.images import node_image
from pendula_sim.verilator import VerilatorEngine
from responder import Responder
from wires import levels_of, read_misframed

__all__ = ["Attack", "Campaign", "answer_cycles", "attacked_spec"]

DELIMITER = b"\0"
FLOOD_BYTES = 1 << 14
WORD_HI = (1 << 32) - 1
TABLE_BITS = 7
CHUNK_CYCLES = 200_000
GIVE_UP_CYCLES = 2_000_000

# Beside bytes in and out: registers and buffers between the byte ports and the framer. Stages in
# order: input buffer 1, COBS decoder 1, end of a dropped frame 1, deframer 4, request buffers 2,
# parser 2, controller 1, responder 2, response buffer 1, CRC 4, COBS block 2, output buffer 1.
_PIPELINE_CYCLES = 22

# Registers that may hold anything without another program running, and what is written to them.
_FREE = {RegisterName.SEED_LO: WORD_HI, RegisterName.SEED_HI: WORD_HI, RegisterName.READOUT: 7,
         RegisterName.STOP_STEP: 5, RegisterName.INITIAL: 4, RegisterName.SEGMENTS: 2,
         RegisterName.MEASUREMENTS: 40, RegisterName.BIN_BITS: 10, RegisterName.THIN: 3,
         RegisterName.JITTER_COMMAND: WORD_HI}

# The reference knows no cycles, and frames that are dropped count as they come, not in turn.
UNKNOWN = (RegisterName.CYCLES, RegisterName.FRAMES_DROPPED)
_READ = [register.name for register in REGISTERS if register.name not in UNKNOWN]


def attacked_spec(physics: str) -> ArraySpec:
    """Return a small array with a memory that fills blocks of the encoding, and more."""
    return small_spec(physics, TABLE_BITS)


def answer_cycles(request_bytes: int, answer_bytes: int) -> int:
    """Return the most cycles from offering a request to an idle device to the end of its answer.

    A byte a cycle comes in, the content passes to the parser at a byte a cycle, and again through
    the encoder, which holds a block back until it is whole, and goes out.
    """
    return 2 * request_bytes + 2 * answer_bytes + _PIPELINE_CYCLES


class Attack(enum.Enum):
    """What happens to legal requests."""

    NONE = enum.auto()
    FLIP = enum.auto()          # a few bits anywhere
    DROP_BYTE = enum.auto()
    INSERT_BYTE = enum.auto()
    SWAP_BYTES = enum.auto()
    DROP_FRAME = enum.auto()
    DUPLICATE_FRAME = enum.auto()
    SWAP_FRAMES = enum.auto()
    CUT = enum.auto()           # delimiters are lost
    FLOOD = enum.auto()         # noise, with and without delimiters
    OVERSIZE = enum.auto()      # too long, its CRC right
    REPLAY = enum.auto()        # what was sent long ago, its sequence number as well
    BAUD = enum.auto()          # read at another rate than it was sent
    RESEAL = enum.auto()        # damaged content, its CRC right


@dataclass
class Campaign:
    """One device under attack.

    Parameters
    ----------
    engine : VerilatorEngine
        Device with the array of `physics`.
    seed : int
        Seed of the traffic.
    physics : str
        Physics of :func:`gateware.traffic.small_spec`.

    Notes
    -----
    `sent`, `answered` and `attacks` count bytes in, bytes out, and batches of each attack. Bytes
    count once they are answered as they should be.
    """

    engine: VerilatorEngine
    seed: int
    physics: str = "quartic"
    sent: int = 0
    answered: int = 0
    slowest: int = 0
    attacks: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.rng = Random(self.seed)
        self.spec = attacked_spec(self.physics)
        self.sums = default_sums(self.spec)
        self.reference = Responder(self.spec, sums=self.sums)
        self.reference.hello = self._greet()
        self._old: list[bytes] = []
        self._refused = refused(self.rng, self.spec, self.sums)
        self.check(b"".join(session(self.rng, self.physics, TABLE_BITS)))

    @property
    def dropped(self) -> int:
        """Frames that the device refused."""
        return self.reference.registers[RegisterName.FRAMES_DROPPED]

    def step(self) -> None:
        """Send one batch of one attack, then a delimiter and a legal request."""
        attack, data = self.batch()
        self.attacks[attack] += 1
        self.check_stalled(data)
        self.probe()

    def check_stalled(self, data: bytes) -> None:
        """Send bytes; whoever takes the answers takes half of the time, now and then."""
        self.engine.stalls = self.rng.choice((0, self.rng.getrandbits(63)))
        self.check(data)
        self.engine.stalls = 0

    def batch(self) -> tuple[str, bytes]:
        """Return the name of an attack, and what it makes of legal requests."""
        attack = self.rng.choice([*Attack])
        frames = [self.legal() for _ in range(self.rng.randint(1, 8))]
        self._old = (self._old + frames)[-500:]
        return attack.name, _DAMAGE[attack](self, frames)

    def check(self, data: bytes) -> None:
        """Send bytes; the device must answer as the reference, and come to rest."""
        found, _ = self._exchange(data)
        expected = b"".join(self.reference.receive(data))
        assert found == expected, f"campaign {self.seed}, byte {self.sent}: {data[-200:].hex()}"
        self.sent += len(data)
        self.answered += len(found)

    def probe(self) -> None:
        """Ask for HELLO after a delimiter: the answer must come in time, whatever was before."""
        answers = self.reference.receive(DELIMITER)
        if answers:         # noise ended in a whole request that lacked its delimiter
            found, _ = self._exchange(DELIMITER)
            assert found == b"".join(answers), f"campaign {self.seed}, byte {self.sent}"
        hello = self._frame(Opcode.HELLO)
        request = hello if answers else DELIMITER + hello
        found, cycles = self._exchange(request)
        assert found == b"".join(self.reference.receive(hello)), f"campaign {self.seed}"
        bound = answer_cycles(len(request), len(found))
        assert cycles <= bound, f"campaign {self.seed}: {cycles} cycles, not {bound}"
        self.slowest = max(self.slowest, cycles)
        self.sent += len(request)
        self.check(self._frame(Opcode.READ_REGISTER, RegisterName.FRAMES_DROPPED))

    def _exchange(self, data: bytes) -> tuple[bytes, int]:
        """Return what the device answers until it rests, and the cycles that it took."""
        output, cycles = [], 0
        while True:
            result = self.engine.exchange(data, CHUNK_CYCLES)
            data = data[result.consumed:]
            output.append(result.output)
            cycles += result.cycles
            if result.idle and not data:
                return b"".join(output), cycles
            assert cycles < GIVE_UP_CYCLES + len(data), f"campaign {self.seed} hangs"

    def _greet(self) -> Hello:
        request = cobs.encode(encode_request(0, Opcode.HELLO)) + DELIMITER
        answer = decode_response(cobs.decode(self._exchange(request)[0][:-1]))
        assert answer is not None
        return Hello.decode(answer[2])

    # Legal requests

    def _frame(self, opcode: Opcode, *arguments: int, tail: bytes = b"") -> bytes:
        packet = encode_request(self.rng.randrange(256), opcode, *arguments, tail=tail)
        return cobs.encode(packet) + DELIMITER

    def legal(self) -> bytes:
        """Return a request that arrives whole; one in ten must be refused."""
        rng = self.rng
        layouts = memory_layouts(self.spec, self.sums)
        kind = rng.randrange(10)
        if kind == 0:
            return rng.choice(self._refused)
        if kind == 1:
            return self._frame(Opcode.RUN, rng.randrange(WORD_HI), rng.randint(1, 2))
        if kind == 2:
            return self._frame(Opcode.FORCES, rng.randrange(3))
        if kind == 3:
            return rng.choice([self._write_nodes, self._write_table])()
        if kind == 4:
            return rng.choice(measuring(rng, self.spec, self.sums)[:5])
        if kind in (5, 6):
            memory = rng.choice([*layouts])
            first = rng.randrange(layouts[memory].rows)
            rows = rng.randint(1, layouts[memory].rows - first)
            opcode = rng.choice([Opcode.CHECKSUM, Opcode.READ_MEMORY])
            return self._frame(opcode, memory, first, rows)
        if kind == 7:
            name = rng.choice([*_FREE])
            return self._frame(Opcode.WRITE_REGISTER, name, rng.randint(
                name == RegisterName.SEGMENTS, _FREE[name]))
        if kind == 8:
            return self._frame(Opcode.READ_REGISTER, rng.choice(_READ))
        return self._frame(Opcode.HELLO)

    def _write_table(self) -> bytes:
        """Write rows of a table that any program might have; few of their bytes are zero."""
        layout = memory_layouts(self.spec, self.sums)[Memory.TABLE]
        room = MAX_REQUEST_BYTES - HEADER_BYTES - struct.calcsize(ARGUMENTS[Opcode.WRITE_MEMORY])
        rows = self.rng.randint(1, min(layout.rows, room // layout.row_bytes))
        values = range(1, self.rng.choice((2, 0x80)))
        return self._frame(Opcode.WRITE_MEMORY, Memory.TABLE, layout.rows - rows,
                           tail=bytes(self.rng.choices(values, k=rows * layout.row_bytes)))

    def _write_nodes(self) -> bytes:
        state = self.spec.state
        states = [self.rng.randint(state.lo, state.hi) for _ in range(self.spec.nodes)]
        flags = np.array([[self.rng.random() < 0.4 for _ in states] for _ in range(2)])
        return self._frame(Opcode.WRITE_MEMORY, Memory.NODE, 0, tail=node_image(
            self.spec, np.array(states), flags[0], flags[1]).tobytes())

    # Attacks

    def none(self, frames: list[bytes]) -> bytes:
        return b"".join(frames)

    def flip(self, frames: list[bytes]) -> bytes:
        data = bytearray(b"".join(frames))
        for _ in range(self.rng.randint(1, 8)):
            data[self.rng.randrange(len(data))] ^= 1 << self.rng.randrange(8)
        return bytes(data)

    def drop_byte(self, frames: list[bytes]) -> bytes:
        data = bytearray(b"".join(frames))
        for _ in range(self.rng.randint(1, 4)):
            del data[self.rng.randrange(len(data))]
        return bytes(data)

    def insert_byte(self, frames: list[bytes]) -> bytes:
        data = bytearray(b"".join(frames))
        for _ in range(self.rng.randint(1, 4)):
            data.insert(self.rng.randrange(len(data)), self.rng.choice((0, 1, 255, data[0])))
        return bytes(data)

    def swap_bytes(self, frames: list[bytes]) -> bytes:
        data = bytearray(b"".join(frames))
        a, b = (self.rng.randrange(len(data)) for _ in range(2))
        data[a], data[b] = data[b], data[a]
        return bytes(data)

    def drop_frame(self, frames: list[bytes]) -> bytes:
        return b"".join(frame for frame in frames if self.rng.random() < 0.5)

    def duplicate_frame(self, frames: list[bytes]) -> bytes:
        return b"".join(frame * self.rng.randint(1, 3) for frame in frames)

    def swap_frames(self, frames: list[bytes]) -> bytes:
        return b"".join(self.rng.sample(frames, len(frames)))

    def cut(self, frames: list[bytes]) -> bytes:
        return b"".join(frame[:self.rng.randint(0, len(frame) - 1)] for frame in frames)

    def flood(self, frames: list[bytes]) -> bytes:
        noise = self.rng.randbytes(self.rng.randint(1, FLOOD_BYTES))
        kind = self.rng.randrange(3)
        if kind == 0:
            noise = noise.replace(DELIMITER, b"\1")
        elif kind == 1:
            noise = noise.translate(b"\0\1\2\xff" * 64)
        return b"".join(frames[:1]) + noise + DELIMITER + b"".join(frames[1:])

    def oversize(self, frames: list[bytes]) -> bytes:
        size = MAX_REQUEST_BYTES + self.rng.choice((1, 2, 3, 4, 5, 100, 3000))
        content = bytes((1, self.rng.choice([*Opcode]))) + self.rng.randbytes(size - 2)
        return frames[0] + cobs.encode(seal(content)) + DELIMITER + b"".join(frames[1:])

    def replay(self, frames: list[bytes]) -> bytes:
        return b"".join([*frames, *self.rng.choices(self._old, k=8)])

    def baud(self, frames: list[bytes]) -> bytes:
        ratio = self.rng.choice((0.5, 0.9, 0.95, 1.05, 1.1, 2.0, 3.0)) * 16
        return read_misframed(levels_of(b"".join(frames[:3]), 16), ratio) + DELIMITER

    def reseal(self, frames: list[bytes]) -> bytes:
        """Change a byte of some contents, and seal them again; what changes programs stays out."""
        out = []
        for frame in frames:
            content = bytearray(cobs.decode(frame[:-1])[:-4])
            if content[1] not in (Opcode.WRITE_MEMORY, Opcode.WRITE_REGISTER, Opcode.RUN):
                content[self.rng.randrange(len(content))] = self.rng.choice((0, 1, 7, 255))
            if content[1] in (Opcode.WRITE_MEMORY, Opcode.WRITE_REGISTER, Opcode.RUN):
                size = struct.calcsize(ARGUMENTS[Opcode(content[1])])
                content = content[:self.rng.randint(2, 1 + size)]
            if content[1] != Opcode.READ_REGISTER or content[-1] not in UNKNOWN:
                out.append(cobs.encode(seal(bytes(content))) + DELIMITER)
        return b"".join(out)


_DAMAGE: dict[Attack, Callable[[Campaign, list[bytes]], bytes]] = {
    attack: getattr(Campaign, attack.name.lower()) for attack in Attack}
