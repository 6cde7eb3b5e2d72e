"""Noise source of one lane: xoshiro128++ words and the Gaussians made from them."""

from typing import Any

from amaranth import *
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out

from pendula.contract import noise
from pendula_gateware.noise.seeder import StateLayout
from pendula_gateware.numeric.delay import delayed

__all__ = ["GaussianMapper", "NoiseSource", "Xoshiro"]


class Xoshiro(wiring.Component):
    """Generator xoshiro128++.

    Members
    -------
    load : :py:`In(1)`
        Take over `state`; wins over `advance`.
    state : :py:`In(StateLayout)`
        State to take over.
    advance : :py:`In(1)`
        Put the next word on `word`, from the next cycle on.
    word : :py:`Out(32)`
        Latest word.

    Notes
    -----
    Latency 1 cycle, throughput 1 word a cycle.
    """

    load: Signal
    state: data.View
    advance: Signal
    word: Signal
    latency = 1

    def __init__(self) -> None:
        super().__init__({"load": In(1), "state": In(StateLayout), "advance": In(1),
                          "word": Out(noise.WORD_BITS)})

    @staticmethod
    def model(state: noise.State) -> tuple[int, noise.State]:
        """Compute the word of a state and the state after it."""
        return noise.xoshiro_next(state)

    def elaborate(self, platform):
        m = Module()
        s = Signal(StateLayout)
        total = Signal(noise.WORD_BITS)
        m.d.comb += total.eq(s[0] + s[3])
        with m.If(self.load):
            m.d.sync += s.eq(self.state)
        with m.Elif(self.advance):
            m.d.sync += [
                self.word.eq(total.rotate_left(7) + s[0]),
                s[0].eq(s[0] ^ s[3] ^ s[1]),
                s[1].eq(s[1] ^ s[2] ^ s[0]),
                s[2].eq(s[2] ^ s[0] ^ (s[1] << 9)),
                s[3].eq((s[3] ^ s[1]).rotate_left(11)),
            ]
        return m


class GaussianMapper(wiring.Component):
    """Map uniform words to Gaussians by the contract's alias table.

    Members
    -------
    word : :py:`In(32)`
        Uniform word, taken every cycle.
    gaussian : :py:`Out(signed(GAUSSIAN_BITS))`
        Its Gaussian, standard deviation `SIGMA_RAW`.

    Notes
    -----
    Latency 2 cycles, throughput 1 a cycle. One memory of 64 rows of 20 bits.
    """

    word: Signal
    gaussian: Signal
    latency = 2

    def __init__(self) -> None:
        super().__init__({"word": In(noise.WORD_BITS),
                          "gaussian": Out(signed(noise.GAUSSIAN_BITS))})

    @staticmethod
    def model(word: int) -> int:
        """Compute the Gaussian of a word."""
        return noise.gaussian(word)

    def elaborate(self, platform):
        m = Module()
        row_layout = data.StructLayout({"threshold": noise.THRESHOLD_BITS,
                                        "alias": noise.ALIAS_BITS})
        rows: list[Any] = [{"threshold": row.threshold, "alias": row.alias}
                           for row in noise.alias_table()]
        m.submodules.table = table = memory.Memory(shape=row_layout, depth=noise.CELLS, init=rows)
        read = table.read_port()
        fields: Any = data.View(data.StructLayout({
            "cell": noise.CELL_BITS, "threshold": noise.THRESHOLD_BITS,
            "first": noise.UNIFORM_BITS, "second": noise.UNIFORM_BITS}),
            delayed(m, self.word, 1))
        cell = Mux(fields.threshold >= read.data.threshold, read.data.alias, fields.cell)
        half_range = (noise.CELLS - 1) << (noise.UNIFORM_BITS - 1)
        span = (1 << noise.UNIFORM_BITS) - 1
        offset = half_range + span
        m.d.comb += read.addr.eq(self.word[:noise.CELL_BITS])
        m.d.sync += self.gaussian.eq((cell << noise.UNIFORM_BITS) + fields.first + fields.second
                                     - offset)
        return m


class NoiseSource(wiring.Component):
    """Words and Gaussians of one stream, side by side.

    Members
    -------
    load : :py:`In(1)`
        Start the stream whose first state is `state`.
    state : :py:`In(StateLayout)`
        From a :class:`Seeder`.
    advance : :py:`In(1)`
        Draw: the outputs change `latency` cycles later.
    word : :py:`Out(32)`
        Uniform word of the draw.
    gaussian : :py:`Out(signed(GAUSSIAN_BITS))`
        Gaussian of the same word.

    Notes
    -----
    Latency 3 cycles, throughput 1 draw a cycle. The law is
    :func:`pendula.contract.noise.gaussian_counts`.
    """

    load: Signal
    state: data.View
    advance: Signal
    word: Signal
    gaussian: Signal
    latency = Xoshiro.latency + GaussianMapper.latency

    def __init__(self) -> None:
        super().__init__({"load": In(1), "state": In(StateLayout), "advance": In(1),
                          "word": Out(noise.WORD_BITS),
                          "gaussian": Out(signed(noise.GAUSSIAN_BITS))})

    @staticmethod
    def model(seed: int, index: int) -> noise.NoiseStream:
        """Return the stream of words."""
        return noise.NoiseStream(seed, index)

    def elaborate(self, platform):
        m = Module()
        m.submodules.generator = generator = Xoshiro()
        m.submodules.mapper = mapper = GaussianMapper()
        m.d.comb += [
            generator.load.eq(self.load),
            generator.state.eq(self.state),
            generator.advance.eq(self.advance),
            mapper.word.eq(generator.word),
            self.gaussian.eq(mapper.gaussian),
            self.word.eq(delayed(m, generator.word, GaussianMapper.latency)),
        ]
        return m
