"""Seeds from the jitter of ring oscillators: raw bits, health tests, conditioner, seeder."""

from collections.abc import Sequence

from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.cdc import FFSynchronizer  # pyright: ignore[reportMissingImports]
from amaranth.lib.wiring import In, Out, connect, flipped
from amaranth.utils import ceil_log2

from pendula.contract import jitter, noise
from pendula.contract.registers import REGISTER_BITS, JitterStatus
from pendula.errors import ContractError
from pendula_gateware.interfaces import JitterPort, JitterPortInterface
from pendula_gateware.noise.seeder import StateLayout, chaskey_round

__all__ = ["RINGS", "TECHNOLOGIES", "Conditioner", "HealthTests", "JitterSeeder", "ModelSource",
           "RingOscillator", "RingSampler", "RingSource"]

RINGS = (3, 5, 7, 11)
"""Inverters of each ring; no two share a factor, so that no two lock to a simple ratio easily."""

RawBits = stream.Signature(1, always_ready=True)
SourceMembers = {"run": In(1), "o": Out(RawBits)}

# Cell of a four-input table: its type, parameter, output and inputs.
TECHNOLOGIES = {"ecp5": ("LUT4", "INIT", "Z", "ABCD"),
                "ice40": ("SB_LUT4", "LUT_INIT", "O", ("I0", "I1", "I2", "I3"))}
"""Parts whose cells rings can be made of, by name."""

_NOT_TABLE, _NAND_TABLE = 0x5555, 0x7777      # of the first input, or the first two
_BLOCK_PLACES = ceil_log2(jitter.BLOCK_BITS)


def _check_ring(technology: str, inverters: int) -> None:
    if technology not in TECHNOLOGIES:
        raise ContractError(f"Technology must be one of {', '.join(TECHNOLOGIES)}, "
                            f"not {technology!r}")
    if inverters < 3 or inverters % 2 == 0:
        raise ContractError(f"Inverters of a ring must be odd and at least 3, not {inverters}")


class RingOscillator(wiring.Component):
    """Odd chain of inverters that closes on itself while `run` is high.

    Parameters
    ----------
    technology : str
        One of :data:`TECHNOLOGIES`. The chain is made of its cells, each marked `keep`, as
        synthesis would take any other chain for a constant or a fault.
    inverters : int
        Length, odd.

    Members
    -------
    run : :py:`In(1)`
        Oscillate; the output rests at one otherwise.
    o : :py:`Out(1)`
        Output, of no clock.

    Raises
    ------
    ContractError
        If there are no such cells, or the length is even or below 3.

    Notes
    -----
    One table an inverter. The first is a NAND with `run`, so that a start sends a single edge round
    the chain. Simulations cannot run it.
    """

    run: Signal
    o: Signal

    def __init__(self, *, technology: str, inverters: int) -> None:
        _check_ring(technology, inverters)
        self._technology, self._inverters = technology, inverters
        super().__init__({"run": In(1), "o": Out(1)})

    @property
    def technology(self) -> str:
        """Part whose cells the chain is made of."""
        return self._technology

    @property
    def inverters(self) -> int:
        """Length of the chain."""
        return self._inverters

    def elaborate(self, platform):
        m = Module()
        cell, table, output, inputs = TECHNOLOGIES[self._technology]
        chain = [Signal(name=f"ring_{k}", attrs={"keep": 1}) for k in range(self._inverters)]
        for k, wire in enumerate(chain):
            law, second = (_NOT_TABLE, C(0, 1)) if k else (_NAND_TABLE, self.run)
            values = (chain[k - 1], second, C(0, 1), C(0, 1))
            ports = {f"i_{name}": value for name, value in zip(inputs, values, strict=True)}
            m.submodules[f"ring_cell_{k}"] = Instance(
                cell, a_keep=1, **{f"p_{table}": C(law, 16), f"o_{output}": wire}, **ports)
        m.d.comb += self.o.eq(chain[-1])
        return m


class RingSampler(wiring.Component):
    """Sample several signals of no clock, each on its own, and take their sum modulo two.

    Parameters
    ----------
    rings : int
        Number of signals.

    Members
    -------
    i : :py:`In(rings)`
        Signals.
    run : :py:`In(1)`
        Deliver bits.
    o : :py:`Out(stream.Signature(1, always_ready=True))`
        Raw bits.

    Notes
    -----
    A bit every :data:`~pendula.contract.jitter.SAMPLE_CYCLES` cycles of `run`; it was sampled
    `latency` cycles before. Sampling before the sum keeps its gates from swallowing edges of the
    fast rings (Wold and Tan, "Analysis and enhancement of random number generator in FPGA based on
    oscillator rings", 2009).
    """

    i: Signal
    run: Signal
    o: stream.Interface
    latency = 2      # flip-flops in a row, against metastability

    def __init__(self, *, rings: int) -> None:
        self._rings = rings
        super().__init__({"i": In(rings), **SourceMembers})

    @property
    def rings(self) -> int:
        """Number of signals."""
        return self._rings

    def elaborate(self, platform):
        m = Module()
        sampled = Signal(self._rings)
        m.submodules.synchroniser = FFSynchronizer(self.i, sampled, stages=self.latency)
        cycle = Signal(range(jitter.SAMPLE_CYCLES))
        last = cycle == jitter.SAMPLE_CYCLES - 1
        with m.If(self.run):
            m.d.sync += cycle.eq(Mux(last, 0, cycle + 1))
        m.d.comb += [self.o.valid.eq(self.run & last), self.o.p.eq(sampled.xor())]
        return m


class RingSource(wiring.Component):
    """Raw bits of several rings.

    Parameters
    ----------
    technology : str
        One of :data:`TECHNOLOGIES`.
    inverters : sequence of int
        Length of each ring.

    Raises
    ------
    ContractError
        As of a :class:`RingOscillator`.

    Members
    -------
    run : :py:`In(1)`
        Let the rings run and deliver bits; the rings stand still otherwise.
    o : :py:`Out(stream.Signature(1, always_ready=True))`
        Raw bits, as of a :class:`RingSampler`.
    """

    run: Signal
    o: stream.Interface

    def __init__(self, *, technology: str, inverters: Sequence[int] = RINGS) -> None:
        for count in inverters:
            _check_ring(technology, count)
        self._technology, self._inverters = technology, tuple(inverters)
        super().__init__(SourceMembers)

    @property
    def technology(self) -> str:
        """Part whose cells the rings are made of."""
        return self._technology

    @property
    def inverters(self) -> tuple[int, ...]:
        """Length of each ring."""
        return self._inverters

    @property
    def rings(self) -> int:
        """Number of rings."""
        return len(self._inverters)

    def elaborate(self, platform):
        m = Module()
        m.submodules.sampler = sampler = RingSampler(rings=self.rings)
        for k, count in enumerate(self._inverters):
            ring = RingOscillator(technology=self._technology, inverters=count)
            m.submodules[f"ring_{k}"] = ring
            m.d.comb += [ring.run.eq(self.run), sampler.i[k].eq(ring.o)]
        m.d.comb += sampler.run.eq(self.run)
        connect(m, sampler.o, flipped(self.o))
        return m


class ModelSource(wiring.Component):
    """Model of a source for simulations: pseudo-random bits, no jitter and no entropy.

    Parameters
    ----------
    ones : float
        Share of ones.

    Members
    -------
    run : :py:`In(1)`
        Deliver bits.
    o : :py:`Out(stream.Signature(1, always_ready=True))`
        Bits of :func:`pendula.contract.jitter.model_bits`, from the first on after every reset.

    Notes
    -----
    Latency 0 cycles, throughput 1 bit a cycle. It counts as one ring.
    """

    run: Signal
    o: stream.Interface
    latency = 0
    rings = 1

    def __init__(self, *, ones: float = 0.5) -> None:
        self._ones, self._threshold = ones, jitter.model_threshold(ones)
        super().__init__(SourceMembers)

    @property
    def ones(self) -> float:
        """Share of ones."""
        return self._ones

    def elaborate(self, platform):
        m = Module()
        state = Signal(noise.WORD_BITS, init=jitter.MODEL_STATE)
        a, b = Signal.like(state), Signal.like(state)
        m.d.comb += [
            a.eq(state ^ (state << 13)), b.eq(a ^ (a >> 17)),
            self.o.valid.eq(self.run), self.o.p.eq(state < self._threshold)]
        with m.If(self.run):
            m.d.sync += state.eq(b ^ (b << 5))
        return m


class HealthTests(wiring.Component):
    """Repetition count and adaptive proportion test of raw bits (SP 800-90B, 4.4).

    Members
    -------
    clear : :py:`In(1)`
        Begin anew; wins over `i`.
    i : :py:`In(stream.Signature(1, always_ready=True))`
        Raw bits.
    repetition, proportion : :py:`Out(1)`
        Whether a test has failed since `clear`.

    Notes
    -----
    Latency 1 cycle, throughput 1 bit a cycle. The law is :func:`pendula.contract.jitter.health`.
    """

    clear: Signal
    i: stream.Interface
    repetition: Signal
    proportion: Signal
    latency = 1

    def __init__(self) -> None:
        super().__init__({"clear": In(1), "i": In(RawBits), "repetition": Out(1),
                          "proportion": Out(1)})

    def elaborate(self, platform):
        m = Module()
        bit = self.i.p
        last, reference = Signal(), Signal()
        run, count = (Signal(range(cutoff + 1)) for cutoff in (jitter.REPETITION_CUTOFF,
                                                               jitter.PROPORTION_CUTOFF))
        following_run, following_count = Signal.like(run), Signal.like(count)
        place = Signal(range(jitter.WINDOW_BITS))
        starts = place == 0
        m.d.comb += [
            following_run.eq(Mux((run != 0) & (bit == last), run + 1, 1)),
            following_count.eq(Mux(starts, 1, count + (bit == reference)))]
        with m.If(self.clear):
            m.d.sync += [run.eq(0), place.eq(0), self.repetition.eq(0), self.proportion.eq(0)]
        with m.Elif(self.i.valid):
            m.d.sync += [
                last.eq(bit), run.eq(following_run), count.eq(following_count),
                place.eq(Mux(place == jitter.WINDOW_BITS - 1, 0, place + 1))]
            with m.If(starts):
                m.d.sync += reference.eq(bit)
            with m.If(following_run == jitter.REPETITION_CUTOFF):
                m.d.sync += self.repetition.eq(1)
            with m.If(following_count == jitter.PROPORTION_CUTOFF):
                m.d.sync += self.proportion.eq(1)
        return m


class Conditioner(wiring.Component):
    """Sponge on the Chaskey permutation, a round a cycle.

    Members
    -------
    clear : :py:`In(1)`
        Begin anew; wins over `i`.
    i : :py:`In(stream.Signature(64))`
        Blocks of raw bits.
    seed : :py:`Out(64)`
        Seed of all blocks since `clear`, while `i` is ready.

    Notes
    -----
    Latency ``CHASKEY_ROUNDS + 1`` cycles; one block at a time.
    """

    clear: Signal
    i: stream.Interface
    seed: Signal
    latency = noise.CHASKEY_ROUNDS + 1

    def __init__(self) -> None:
        super().__init__({"clear": In(1), "i": In(stream.Signature(jitter.BLOCK_BITS)),
                          "seed": Out(jitter.SEED_BITS)})

    @staticmethod
    def model(bits: Sequence[int]) -> int:
        """Compute the seed of the blocks' bits."""
        return jitter.condition(bits)

    def elaborate(self, platform):
        m = Module()
        v, following = Signal(StateLayout), Signal(StateLayout)
        rounds = Signal(range(noise.CHASKEY_ROUNDS + 1))
        m.d.comb += [following.eq(Cat(chaskey_round(m, v))), self.i.ready.eq(rounds == 0),
                     self.seed.eq(Cat(v[0], v[1]))]
        with m.If(self.clear):
            m.d.sync += [v.eq(Cat(C(0, 3 * noise.WORD_BITS), C(jitter.TAG, noise.WORD_BITS))),
                         rounds.eq(0)]
        with m.Elif(~self.i.ready):
            m.d.sync += [v.eq(following), rounds.eq(rounds - 1)]
        with m.Elif(self.i.valid):
            m.d.sync += [v.eq(v.as_value() ^ self.i.p), rounds.eq(noise.CHASKEY_ROUNDS)]
        return m


class JitterSeeder(wiring.Component):
    """Draw a tested and conditioned seed when asked, or gather raw bits.

    Parameters
    ----------
    source : RingSource or ModelSource
        Source of raw bits.

    Members
    -------
    port : :py:`In(JitterPort())`
        Commands, and what came of them.

    Notes
    -----
    A draw takes ``RAW_BITS`` raw bits, a gathering 32. The source runs meanwhile and not a cycle
    longer. It must not deliver 64 bits within ``CHASKEY_ROUNDS + 1`` cycles.
    """

    port: JitterPortInterface

    def __init__(self, *, source: RingSource | ModelSource) -> None:
        self._source = source
        super().__init__({"port": In(JitterPort())})

    @property
    def source(self) -> RingSource | ModelSource:
        """Source of raw bits."""
        return self._source

    @staticmethod
    def model(bits: Sequence[int]) -> tuple[JitterStatus, int]:
        """Compute status and seed after a draw of raw bits."""
        return jitter.draw_seed(bits)

    def elaborate(self, platform):
        m = Module()
        port = self.port
        m.submodules.source = source = self._source
        m.submodules.health = health = HealthTests()
        m.submodules.conditioner = conditioner = Conditioner()
        history, following = Signal(jitter.BLOCK_BITS), Signal(jitter.BLOCK_BITS)
        left = Signal(range(jitter.RAW_BITS + 1))
        drawing, healthy = Signal(), Signal()
        takes = drawing & source.o.valid
        m.d.comb += [
            following.eq(Cat(history[1:], source.o.p)), port.bits.eq(history[-REGISTER_BITS:]),
            port.seed.eq(Mux(healthy, conditioner.seed, 0)),
            port.status.eq(Cat(C(1), healthy, health.repetition, health.proportion)),
            health.i.p.eq(source.o.p), health.i.valid.eq(takes), conditioner.i.p.eq(following),
            conditioner.i.valid.eq(takes & (left[:_BLOCK_PLACES] == 1))]
        with m.If(source.o.valid):
            m.d.sync += [history.eq(following), left.eq(left - 1)]
        with m.FSM() as fsm:
            with m.State("IDLE"), m.If(port.draw | port.gather):
                m.d.sync += [drawing.eq(port.draw),
                             left.eq(Mux(port.draw, jitter.RAW_BITS, REGISTER_BITS))]
                m.d.comb += [health.clear.eq(port.draw), conditioner.clear.eq(port.draw)]
                with m.If(port.draw):
                    m.d.sync += healthy.eq(0)
                m.next = "GATHER"
            with m.State("GATHER"):
                m.d.comb += source.run.eq(1)
                with m.If(source.o.valid & (left == 1)):
                    m.next = "MIX"
            with m.State("MIX"), m.If(conditioner.i.ready):
                with m.If(drawing):
                    m.d.sync += healthy.eq(~(health.repetition | health.proportion))
                m.next = "IDLE"
        m.d.comb += port.busy.eq(~fsm.ongoing("IDLE"))
        return m
