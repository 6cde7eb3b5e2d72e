"""Seeder: the Chaskey permutation of (seed, sample index), a round a cycle."""

from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from pendula.contract import noise

__all__ = ["Seeder", "StateLayout", "StreamName", "chaskey_round"]

StateLayout = data.ArrayLayout(noise.WORD_BITS, 4)


StreamName = data.StructLayout({"seed_lo": noise.WORD_BITS, "seed_hi": noise.WORD_BITS,
                                "index": noise.WORD_BITS})
"""Which noise stream."""


def chaskey_round(m: Module, v) -> list[Value]:
    """Build one round (:func:`pendula.contract.noise.chaskey_round`) as combinational logic."""
    def word(value):
        signal = Signal(noise.WORD_BITS)
        m.d.comb += signal.eq(value)
        return signal

    v0 = word(v[0] + v[1])
    v1 = word(v[1].rotate_left(5) ^ v0)
    v2 = word(v[2] + v[3])
    v3 = word(v[3].rotate_left(8) ^ v2)
    v0 = word(v0.rotate_left(16) + v3)
    v3 = word(v3.rotate_left(13) ^ v0)
    v2 = word(v2 + v1)
    v1 = word(v1.rotate_left(7) ^ v2)
    return [v0, v1, v2.rotate_left(16), v3]


class Seeder(wiring.Component):
    """Turn the name of a stream into the first state of its generator.

    Members
    -------
    i : :py:`In(stream.Signature(StreamName))`
        Seed and sample index.
    o : :py:`Out(stream.Signature(StateLayout))`
        First state, never all zeros; zeros while there is none.

    Notes
    -----
    Latency ``CHASKEY_ROUNDS + 1`` cycles; one name at a time.
    """

    i: stream.Interface
    o: stream.Interface
    latency = noise.CHASKEY_ROUNDS + 1

    def __init__(self) -> None:
        super().__init__({"i": In(stream.Signature(StreamName)),
                          "o": Out(stream.Signature(StateLayout))})

    @staticmethod
    def model(seed: int, index: int) -> noise.State:
        """Compute the first state."""
        return noise.seed_state(seed, index)

    def elaborate(self, platform):
        m = Module()
        v, following, first = Signal(StateLayout), Signal(StateLayout), Signal(StateLayout)
        m.d.comb += [following.eq(Cat(chaskey_round(m, v))), self.o.p.eq(first)]
        rounds = Signal(range(noise.CHASKEY_ROUNDS + 1))
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += self.i.ready.eq(1)
                with m.If(self.i.valid):
                    name = self.i.p
                    m.d.sync += [
                        v.eq(Cat(name.seed_lo, name.seed_hi, name.index,
                                 C(noise.SEED_TAG, noise.WORD_BITS))),
                        rounds.eq(noise.CHASKEY_ROUNDS),
                    ]
                    m.next = "MIX"
            with m.State("MIX"):
                m.d.sync += [v.eq(following), rounds.eq(rounds - 1)]
                with m.If(rounds == 1):
                    m.d.sync += first.eq(following)
                    m.next = "DONE"
            with m.State("DONE"):
                m.d.comb += self.o.valid.eq(1)
                with m.If(self.o.ready):
                    m.d.sync += first.eq(0)
                    m.next = "IDLE"
        return m
