"""Attacks that coverage guides: bytes that reach new branches are kept, and changed further.

The gateware is built with a counter for each branch (:mod:`pendula_sim.coverage`). Half of the
batches are those of the grammar, the others are changed ones of the corpus: their bytes, or their
contents under a right CRC. Every answer is compared with the reference, as in :mod:`fuzzing`.
"""

import struct
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from cobs import cobs

from fuzzing import DELIMITER, UNKNOWN, WORD_HI, Campaign
from pendula.contract.memory import Memory, memory_layouts
from pendula.contract.protocol import (
    ARGUMENTS,
    CRC_BYTES,
    HEADER_BYTES,
    MAX_REQUEST_BYTES,
    Opcode,
    encode_request,
    seal,
    unseal,
)
from pendula.contract.registers import RegisterName
from pendula.contract.statistics import Kind
from pendula.contract.step import InitialState
from pendula_sim.coverage import CoverageEngine
from responder import unpack_row

__all__ = ["GuidedCampaign"]

BUCKETS = np.array([1, 2, 3, 4, 8, 16, 32, 128])      # counts that differ in kind, as AFL has them
BATCH_BYTES = 4096          # a longer one is cut before it is changed
RUN_COUNT_HI = 3
STEPS_HI = 3
EDGES = (0, 1, 2, 3, 0x7F, 0x80, 0xFE, 0xFF)


@dataclass
class GuidedCampaign(Campaign):
    """One device with counters, a CoverageEngine, under attack.

    Notes
    -----
    `corpus` holds batches that reached something new; `reached` tells which branches were taken,
    shape (branches,).
    """

    corpus_share: float = 0.5       # of the batches; without any, coverage is only watched
    corpus: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        assert isinstance(self.engine, CoverageEngine)
        self._counts = self.engine.counts
        self._seen = np.zeros((len(BUCKETS), len(self._counts)), bool)
        super().__post_init__()
        self.check(self._frame(     # no segment is without steps, which would be 2**16 of them
            Opcode.WRITE_MEMORY, Memory.SEGMENT, 0, tail=self._legal_rows(
                Memory.SEGMENT, 0, bytes(self.reference.memories[Memory.SEGMENT]))))
        self._learn(b"")

    @property
    def reached(self) -> npt.NDArray[np.bool_]:
        """Whether each branch was taken."""
        return np.any(self._seen, axis=0)

    def step(self) -> None:
        """Send one batch, then a delimiter and a legal request; keep what reached new branches."""
        if not self.corpus or self.rng.random() >= self.corpus_share:
            attack, data = self.batch()
        else:
            attack, data = "CORPUS", self._changed(self.rng.choice(self.corpus))
        self.attacks[attack] += 1
        self.check_stalled(data)
        self.probe()
        self._learn(data)

    def _learn(self, data: bytes) -> None:
        """Note which branches were taken how often, and keep the batch if that is new."""
        bucket = np.searchsorted(BUCKETS, self._counts, side="right")
        self._counts[:] = 0
        taken = np.flatnonzero(bucket)
        new = ~self._seen[bucket[taken] - 1, taken]
        self._seen[bucket[taken] - 1, taken] = True
        if new.any() and data:
            self.corpus.append(data[:BATCH_BYTES])

    # Changes

    def _changed(self, data: bytes) -> bytes:
        rng = self.rng
        frames = [frame + DELIMITER for frame in data.split(DELIMITER)]
        for _ in range(rng.choice((1, 2, 4, 8))):
            place = rng.randrange(len(frames))
            kind = rng.randrange(8)
            if kind == 0:
                frames.insert(place, self.legal())
            elif kind == 1:
                frames[place:] = [frame + DELIMITER
                                  for frame in rng.choice(self.corpus).split(DELIMITER)]
            elif kind == 2:
                frames.insert(place, rng.choice(frames))
            elif kind == 3 and len(frames) > 1:
                del frames[place]
            elif kind == 4:
                frames[place] = self._damaged(frames[place])
            else:
                frames[place] = self._resealed(frames[place])
        return b"".join(frames)[:4 * BATCH_BYTES]

    def _damaged(self, data: bytes) -> bytes:
        """Flip, set, insert, delete or copy bytes."""
        rng, out = self.rng, bytearray(data)
        for _ in range(rng.choice((1, 1, 2, 4))):
            place = rng.randrange(len(out) + 1)
            kind = rng.randrange(5)
            if kind == 0 and place < len(out):
                out[place] ^= 1 << rng.randrange(8)
            elif kind == 1:
                out[place:place + 1] = bytes((rng.choice(EDGES),))
            elif kind == 2:
                out[place:place] = bytes((rng.choice(EDGES),)) * rng.choice((1, 1, 4, 32, 256))
            elif kind == 3:
                del out[place:place + rng.choice((1, 1, 2, 4, 32))]
            else:
                start = rng.randrange(len(out) + 1)
                out[place:place] = out[start:start + rng.choice((1, 4, 32, 256))]
        return bytes(out)

    def _resealed(self, frame: bytes) -> bytes:
        """Change the content of a sound frame under a right CRC, or damage one that is not."""
        try:
            content = unseal(cobs.decode(frame[:-1]))
        except cobs.DecodeError:
            content = None
        if content is None:
            return self._damaged(frame)
        changed = self._tamed(self._damaged(content)[:MAX_REQUEST_BYTES + CRC_BYTES])
        return b"" if changed is None else cobs.encode(seal(changed)) + DELIMITER

    def _tamed(self, content: bytes) -> bytes | None:
        """Return content that ends soon and can be compared, or None.

        Runs are short, programs have few steps, and no register is read that the reference does
        not know.
        """
        try:
            opcode = Opcode(content[1])
            size = HEADER_BYTES + struct.calcsize(ARGUMENTS[opcode])
            arguments = struct.unpack(ARGUMENTS[opcode], content[HEADER_BYTES:size])
        except (IndexError, ValueError, struct.error):
            return content if len(content) >= HEADER_BYTES else None
        tail = content[size:]
        if opcode is Opcode.READ_REGISTER and not tail and arguments[0] in UNKNOWN:
            return None
        if opcode is Opcode.WRITE_REGISTER and arguments[0] == RegisterName.INITIAL:
            arguments = arguments[0], arguments[1] % len(InitialState)
        if opcode is Opcode.RUN and arguments[0] + arguments[1] <= WORD_HI + 1:
            arguments = arguments[0], arguments[1] % (RUN_COUNT_HI + 1)
        if opcode is Opcode.WRITE_MEMORY and arguments[0] in tuple(Memory):
            tail = self._legal_rows(arguments[0], arguments[1], tail)
        return encode_request(content[0], opcode, *arguments, tail=tail)[:-CRC_BYTES]

    def _legal_rows(self, memory: int, first: int, tail: bytes) -> bytes:
        """Return rows of a program that may be, each near one that may not; the last may be cut."""
        layout = memory_layouts(self.spec, self.sums).get(Memory(memory))
        if layout is None:
            return tail
        size, whole = layout.row_bytes, len(tail) - len(tail) % layout.row_bytes
        rows = [unpack_row(layout, tail[k:k + size]) for k in range(0, whole, size)]
        for k, row in enumerate(rows):
            for part in layout.fields:
                lo = -(1 << (part.width - 1)) * part.signed
                row[part.name] = [max(item, lo + part.signed) for item in row[part.name]]
            if memory == Memory.SEGMENT:
                row["steps"] = [1 + row["steps"][0] % STEPS_HI]
            if memory == Memory.PARAMETER:
                node = (first + k) % self.spec.nodes
                row["codes"] = [code * (0 <= node + offset < self.spec.nodes) for code, offset in
                                zip(row["codes"], self.spec.offsets, strict=True)]
            if memory == Memory.MEASUREMENT:
                row["kind"] = [row["kind"][0] % len(Kind)]
                row["node"] = [row["node"][0] % self.spec.nodes]
        return b"".join(map(layout.pack, rows)) + tail[whole:]
