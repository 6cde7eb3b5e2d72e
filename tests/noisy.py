"""The compiled gateware behind links that damage, drop, repeat and reorder."""

from collections import Counter
from random import Random

from arrays import ARRAYS
from pendula.contract import ArraySpec
from pendula.link.client import Client
from pendula.link.link_device import LinkDevice
from pendula.link.transport import AbstractTransport
from pendula_sim.build import build_library
from pendula_sim.design import PLAIN, Options
from pendula_sim.engine import SimulatorTransport
from pendula_sim.verilator import VerilatorEngine

__all__ = ["SPEC", "MeddlingTransport", "NoisyDevice", "NoisyTransport", "RepeatingTransport"]

SPEC = ARRAYS["quartic"]


class NoisyTransport(AbstractTransport):
    """Link that flips, loses and invents bytes, each with the same probability a byte."""

    def __init__(self, inner: AbstractTransport, rng: Random, probability: float) -> None:
        self.inner, self.rng, self.probability = inner, rng, probability

    def _damage(self, data: bytes) -> bytes:
        return b"".join(map(self._damage_one, data))

    def _damage_one(self, byte: int) -> bytes:
        if self.rng.random() >= 3 * self.probability:
            return bytes([byte])
        flipped = byte ^ 1 << self.rng.randrange(8)
        return self.rng.choice([bytes([flipped]), b"", bytes([byte, self.rng.randrange(256)])])

    def write(self, data: bytes) -> None:
        self.inner.write(self._damage(data))

    def read(self, cycles: int) -> bytes:
        while data := self.inner.read(cycles):
            if damaged := self._damage(data):
                return damaged
        return b""

    def close(self) -> None:
        self.inner.close()


class MeddlingTransport(NoisyTransport):
    """Link that loses, repeats, reorders and cuts frames, floods, and sends old ones again.

    An old frame is an answer, whose sequence number is not awaited: it is at most 200 frames old.
    Requests that are sent again later are no accident, and no CRC defends against them.
    """

    def __init__(self, inner: AbstractTransport, rng: Random, probability: float) -> None:
        super().__init__(inner, rng, probability)
        self.old: list[bytes] = []
        self.done: Counter[str] = Counter()

    def write(self, data: bytes) -> None:
        self.inner.write(self._meddle(data, []))

    def _damage(self, data: bytes) -> bytes:
        *frames, rest = data.split(b"\0")
        frames = [frame + b"\0" for frame in frames]
        if self.rng.random() < self.probability:
            self.done["swap"] += len(frames) > 1
            self.rng.shuffle(frames)
        damaged = b"".join(self._meddle(frame, self.old[:-9]) for frame in frames) + rest
        self.old = (self.old + frames[:1])[-200:]
        return damaged

    def _meddle(self, frame: bytes, old: list[bytes]) -> bytes:
        if self.rng.random() >= self.probability:
            return frame
        attacks = {"lose": b"", "repeat": frame * 2, "cut": frame[:self.rng.randrange(len(frame))],
                   "flood": self.rng.randbytes(3000) + b"\0" + frame,
                   "old": b"".join(self.rng.sample(old, min(5, len(old)))) + frame}
        name = self.rng.choice([*attacks])
        self.done[name] += 1
        return attacks[name]


class RepeatingTransport(NoisyTransport):
    """Link that repeats frames to the device."""

    def write(self, data: bytes) -> None:
        self.inner.write(data * (1 + (self.rng.random() < self.probability)))

    def read(self, cycles: int) -> bytes:
        return self.inner.read(cycles)


class NoisyDevice(LinkDevice):
    """The Verilated gateware behind such a link."""

    def __init__(self, seed: int, probability: float,
                 link: type[NoisyTransport] = NoisyTransport, options: Options = PLAIN) -> None:
        super().__init__("noisy://")
        simulator = SimulatorTransport(VerilatorEngine(build_library(SPEC, options)))
        self.transport = link(simulator, Random(seed), probability)

    def _connect(self, spec: ArraySpec | None) -> Client:
        return self._client or Client(self.transport, self.health)
