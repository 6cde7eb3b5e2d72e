"""Seeder: the Chaskey permutation of (seed, sample index), a round a cycle, or half of one."""

from typing import Any

from amaranth import *
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from pendula.contract import noise
from pendula_gateware.fabric import GENERIC, Fabric
from pendula_gateware.interfaces import lane_shape
from pendula_gateware.numeric.delay import delayed, registered

__all__ = ["SeedBank", "Seeder", "SerialSeeder", "StateLayout", "StreamName", "chaskey_round"]

StateLayout = data.ArrayLayout(noise.WORD_BITS, 4)


StreamName = data.StructLayout({"seed_lo": noise.WORD_BITS, "seed_hi": noise.WORD_BITS,
                                "index": noise.WORD_BITS})
"""Which noise stream."""


def chaskey_round(m: Module, v, stages: int = 0) -> list[Value]:
    """Build one round (:func:`pendula.contract.noise.chaskey_round`) as combinational logic.

    There are `stages` registers between its halves, which are two sums, one after the other.
    """
    def word(value):
        signal = Signal(noise.WORD_BITS)
        m.d.comb += signal.eq(value)
        return signal

    v0 = word(v[0] + v[1])
    v1 = word(v[1].rotate_left(5) ^ v0)
    v2 = word(v[2] + v[3])
    v3 = word(v[3].rotate_left(8) ^ v2)
    v0, v1, v2, v3 = (delayed(m, value, stages) for value in (v0, v1, v2, v3))
    v0 = word(v0.rotate_left(16) + v3)
    v3 = word(v3.rotate_left(13) ^ v0)
    v2 = word(v2 + v1)
    v1 = word(v1.rotate_left(7) ^ v2)
    return [v0, v1, v2.rotate_left(16), v3]


class Seeder(wiring.Component):
    """Turn the name of a stream into the first state of its generator.

    Parameters
    ----------
    fabric : Fabric
        What it is built for.

    Members
    -------
    i : :py:`In(stream.Signature(StreamName))`
        Seed and sample index.
    o : :py:`Out(stream.Signature(StateLayout))`
        First state, never all zeros.

    Notes
    -----
    Latency `latency` cycles, 1 and one a round, or two where the fabric has registers; one name at
    a time.
    """

    i: stream.Interface
    o: stream.Interface

    def __init__(self, *, fabric: Fabric = GENERIC) -> None:
        self._stages = min(fabric.registers, 1)
        super().__init__({"i": In(stream.Signature(StreamName)),
                          "o": Out(stream.Signature(StateLayout))})

    @property
    def latency(self) -> int:
        """Cycles from a name to its state."""
        return (1 + self._stages) * noise.CHASKEY_ROUNDS + 1

    @staticmethod
    def model(seed: int, index: int) -> noise.State:
        """Compute the first state."""
        return noise.seed_state(seed, index)

    def elaborate(self, platform):
        m = Module()
        v = Signal(StateLayout)
        m.d.comb += self.o.p.eq(v)
        rounds, whole = Signal(range(noise.CHASKEY_ROUNDS + 1)), Signal()
        mixed = Cat(chaskey_round(m, v, self._stages))
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += self.i.ready.eq(1)
                with m.If(self.i.valid):
                    name = self.i.p
                    m.d.sync += [
                        v.eq(Cat(name.seed_lo, name.seed_hi, name.index,
                                 C(noise.SEED_TAG, noise.WORD_BITS))),
                        rounds.eq(noise.CHASKEY_ROUNDS), whole.eq(not self._stages),
                    ]
                    m.next = "MIX"
            with m.State("MIX"):
                m.d.sync += whole.eq(~whole | (not self._stages))
                with m.If(whole):
                    m.d.sync += [v.eq(mixed), rounds.eq(rounds - 1)]
                    with m.If(rounds == 1):
                        m.next = "DONE"
            with m.State("DONE"):
                m.d.comb += self.o.valid.eq(1)
                with m.If(self.o.ready):
                    m.next = "IDLE"
        return m


TURNS = {1: (5, 7), 3: (8, 13)}
"""Bits by which a word is turned to the left in the first and in the second half of a round."""


class SerialSeeder(wiring.Component):
    """A :class:`Seeder` that works a bit of each word out in a cycle, in few logic cells.

    Members
    -------
    i : :py:`In(stream.Signature(StreamName))`
        Seed and sample index.
    o : :py:`Out(stream.Signature(StateLayout))`
        First state; it stays for a cycle after it is taken, then the payload is zeros until the
        next name.

    Notes
    -----
    Latency ``64 * CHASKEY_ROUNDS + 1`` cycles: each round has two halves, in which two words are
    added to two others, and these turned and added bit by bit to the sums. Words are rings; in
    rotations, bits that have left a ring are taken from its past. Words that are turned by half
    their length swap the halves by name alone.
    """

    i: stream.Interface
    o: stream.Interface
    latency = 2 * noise.WORD_BITS * noise.CHASKEY_ROUNDS + 1

    def __init__(self) -> None:
        super().__init__({"i": In(stream.Signature(StreamName)),
                          "o": Out(stream.Signature(StateLayout))})

    @staticmethod
    def model(seed: int, index: int) -> noise.State:
        """Compute the first state."""
        return noise.seed_state(seed, index)

    def _turn(self, m: Module, word: Value, turns: tuple[int, int], place: Value,
              second: Value) -> Value:
        """Return the bit at `place` of a ring before this half, turned to the left."""
        past = Signal(max(turns), reset_less=True)
        m.d.sync += past.eq(Cat(word[0], past))
        return Mux(second, *(Mux(place < turn, word[-turn], past[turn - 1])
                             for turn in reversed(turns)))

    def _add(self, m: Module, word: Value, other: Value, swapped: Value,
             place: Value) -> Value:
        """Add a bit of another word to one, whose halves may be swapped; return the sum."""
        middle, carry, total = noise.WORD_BITS // 2, Signal(), Signal(2)
        upper = place[-1] ^ swapped
        m.d.comb += total.eq(Mux(upper, word[middle], word[0]) + other + carry)
        m.d.sync += carry.eq(total[1] & ~place.all())
        for half, moves in ((word[:middle], ~upper), (word[middle:], upper)):
            with m.If(moves):
                m.d.sync += half.eq(Cat(half[1:], total[0]))
        return total[0]

    def _mix(self, m: Module, v: data.View, count: Signal) -> None:
        """Work out a bit of each word."""
        place, second, odd = count[:5], count[5], count[6]
        first_sum = self._add(m, v[0], Mux(second, v[3][0], v[1][0]), odd ^ second, place)
        second_sum = self._add(m, v[2], Mux(second, v[1][0], v[3][0]), odd, place)
        for word, sums in ((1, (first_sum, second_sum)), (3, (second_sum, first_sum))):
            turned = self._turn(m, v[word], TURNS[word], place, second)
            m.d.sync += v[word].eq(Cat(v[word][1:], turned ^ Mux(second, sums[1], sums[0])))

    def elaborate(self, platform):
        m = Module()
        v = Signal(StateLayout)
        count = Signal(range(2 * noise.WORD_BITS * noise.CHASKEY_ROUNDS))
        name = self.i.p
        m.d.comb += self.o.p.eq(v)
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += self.i.ready.eq(1)
                m.d.sync += [v.eq(0), count.eq(0)]
                with m.If(self.i.valid):
                    m.d.sync += v.eq(Cat(name.seed_lo, name.seed_hi, name.index,
                                         C(noise.SEED_TAG, noise.WORD_BITS)))
                    m.next = "MIX"
            with m.State("MIX"):
                self._mix(m, v, count)
                m.d.sync += count.eq(count + 1)
                with m.If(count == 2 * noise.WORD_BITS * noise.CHASKEY_ROUNDS - 1):
                    m.next = "DONE"
            with m.State("DONE"):
                m.d.comb += self.o.valid.eq(1)
                with m.If(self.o.ready):
                    m.next = "IDLE"
        return m


class SeedBank(wiring.Component):
    """Prepare the first states of the next job's streams while the job before it runs.

    Parameters
    ----------
    lanes : int
        Streams that a job may have.
    fabric : Fabric
        What it is built for.

    Members
    -------
    wanted : :py:`In(1)`
        There is a next job; `name` and `more` are constant from now until `taken`. Where the bank
        `rests`, only while no lane draws.
    name : :py:`In(StreamName)`
        Its first stream.
    more : :py:`In(lane_shape(lanes))`
        Number of streams after that; their indices follow.
    ready : :py:`Out(1)`
        All first states are prepared.
    place : :py:`In(lane_shape(lanes))`
        Stream whose first state is read, counted from the first.
    read : :py:`In(1)`
        Show it on `o` in the next cycle.
    o : :py:`Out(StateLayout)`
        First state, zeros where none was read; where the bank `rests`, while no lane draws it may
        be anything else.
    taken : :py:`In(1)`
        All are read: prepare the next.

    Notes
    -----
    Preparing takes `stream_latency` cycles a stream.
    """

    wanted: Signal
    name: data.View
    more: Signal
    ready: Signal
    place: Signal
    read: Signal
    o: data.View
    taken: Signal

    def __init__(self, *, lanes: int, fabric: Fabric = GENERIC) -> None:
        self._lanes, self._fabric = lanes, fabric
        self._seeder = SerialSeeder() if fabric.compact else Seeder(fabric=fabric)
        super().__init__({
            "wanted": In(1), "name": In(StreamName), "more": In(lane_shape(lanes)),
            "ready": Out(1), "place": In(lane_shape(lanes)), "read": In(1), "o": Out(StateLayout),
            "taken": In(1)})

    @property
    def lanes(self) -> int:
        """Streams that a job may have."""
        return self._lanes

    @property
    def rests(self) -> bool:
        """Whether it prepares streams between jobs alone, and keeps them where they are made."""
        return self._fabric.compact and self._lanes == 1

    @property
    def stream_latency(self) -> int:
        """Cycles that a stream takes."""
        return self._seeder.latency + 1

    def _keep(self, m: Module, seeder: Any, done: Signal) -> Value:
        """Keep what is prepared; return the stream at `place`. One stream waits in the seeder."""
        if self._lanes == 1:
            m.d.comb += [seeder.o.ready.eq(self.taken), done.eq(seeder.o.valid)]
            return seeder.o.p.as_value()
        m.submodules.states = states = memory.Memory(
            shape=StateLayout, depth=self._lanes, init=[])
        write, read = states.write_port(), states.read_port(domain="comb")
        m.d.comb += [seeder.o.ready.eq(1), write.addr.eq(done), write.data.eq(seeder.o.p),
                     write.en.eq(seeder.o.valid), read.addr.eq(self.place)]
        m.d.sync += done.eq(Mux(self.taken, 0, done + seeder.o.valid))
        return read.data.as_value()

    def elaborate(self, platform):
        m = Module()
        m.submodules.seeder = seeder = self._seeder
        asked, done = Signal(range(self._lanes + 1)), Signal(range(self._lanes + 1))
        more = registered(m, self.more)         # the first stream is wanted in any case
        state = self._keep(m, seeder, done)
        m.d.comb += [
            seeder.i.p.eq(self.name), seeder.i.p.index.eq(self.name.index + asked),
            seeder.i.valid.eq(self.wanted & (asked <= more)),
            self.ready.eq(done > more),
        ]
        m.d.sync += asked.eq(Mux(self.taken, 0, asked + (seeder.i.valid & seeder.i.ready)))
        if self.rests:
            m.d.comb += self.o.eq(state)
        else:
            m.d.sync += self.o.eq(Mux(self.read, state, 0))
        return m
