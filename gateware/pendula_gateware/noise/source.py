"""Noise source of one lane: the draws of a stream and the Gaussians made from them."""

from typing import Any

from amaranth import *
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out

from pendula.contract import noise
from pendula.contract.gaussian import GAUSSIAN_LAW, TriangleMixture
from pendula_gateware.fabric import GENERIC, Fabric
from pendula_gateware.noise.seeder import StateLayout
from pendula_gateware.numeric.delay import delayed

__all__ = ["Draw", "GaussianMapper", "NoiseSource", "Xoshiro"]

Draw = data.StructLayout({"word": noise.WORD_BITS, "side": noise.SIDE_BITS})
"""Uniform bits of one draw."""


class Xoshiro(wiring.Component):
    """Generator of draws.

    Members
    -------
    clear : :py:`In(1)`
        Set the state to zeros; wins over `advance`.
    seed : :py:`In(StateLayout)`
        Added, bit by bit, to every next state: a first state after `clear`, else zeros.
    advance : :py:`In(1)`
        Put the next draw on `draw`, from the next cycle on.
    draw : :py:`Out(Draw)`
        Latest draw.

    Notes
    -----
    Latency 1 cycle, throughput 1 draw a cycle. Seeding through the feedback keeps every state bit
    within one four-input table.
    """

    clear: Signal
    seed: data.View
    advance: Signal
    draw: data.View
    latency = 1

    def __init__(self) -> None:
        super().__init__({"clear": In(1), "seed": In(StateLayout), "advance": In(1),
                          "draw": Out(Draw)})

    @staticmethod
    def model(state: noise.State) -> tuple[int, noise.State]:
        """Compute the draw of a state and the state after it."""
        return noise.draw_of(state), noise.xoshiro_next(state)

    def elaborate(self, platform):
        m = Module()
        s = Signal(StateLayout)
        total, side = Signal(noise.WORD_BITS), Signal(noise.WORD_BITS)
        m.d.comb += [total.eq(s[0] + s[3]), side.eq(s[1] + s[2])]
        following = [s[0] ^ s[3] ^ s[1], s[1] ^ s[2] ^ s[0], s[2] ^ s[0] ^ (s[1] << 9),
                     (s[3] ^ s[1]).rotate_left(11)]
        with m.If(self.clear):
            m.d.sync += s.eq(0)
        with m.Elif(self.advance):
            m.d.sync += [
                self.draw.word.eq(total.rotate_left(7) + s[0]),
                self.draw.side.eq(side[-noise.SIDE_BITS:]),
                *(s[i].eq(word ^ self.seed[i]) for i, word in enumerate(following)),
            ]
        return m


class GaussianMapper(wiring.Component):
    """Map uniform bits to Gaussians by an alias table.

    Parameters
    ----------
    law : TriangleMixture
        Law.
    fabric : Fabric
        What it is built for.

    Members
    -------
    draw : :py:`In(law.draw_bits)`
        Uniform bits, taken every cycle.
    gaussian : :py:`Out(signed)`
        Their Gaussian.

    Notes
    -----
    Latency `latency` cycles, throughput 1 a cycle. One memory, a row a cell; the contract's law
    takes 256 rows of 36 bits.
    """

    draw: Signal
    gaussian: Signal

    def __init__(self, *, law: TriangleMixture = GAUSSIAN_LAW,
                 fabric: Fabric = GENERIC) -> None:
        self._law, self._registers = law, fabric.registers
        super().__init__({"draw": In(law.draw_bits),
                          "gaussian": Out(signed(law.reach.signed_bits))})

    @property
    def latency(self) -> int:
        """Cycles: the table, the registers behind it and behind the choice, the sum."""
        return 2 + 2 * self._registers

    def model(self, draw: int) -> int:
        """Compute the Gaussian of a draw."""
        return self._law.gaussian(draw)

    def elaborate(self, platform):
        m = Module()
        law = self._law
        row_layout = data.StructLayout({"threshold": law.threshold_bits, "alias": law.cell_bits})
        rows: list[Any] = [{"threshold": row.threshold, "alias": row.alias} for row in law.table]
        m.submodules.table = table = memory.Memory(shape=row_layout, depth=law.cells, init=rows)
        read = table.read_port()
        fields = data.StructLayout({"first": law.uniform_bits, "threshold": law.threshold_bits,
                                    "second": law.uniform_bits, "cell": law.cell_bits})
        early = data.View(fields, self.draw)
        late: Any = delayed(m, early, 1 + self._registers)
        row: Any = delayed(m, read.data, self._registers)
        cell = Mux(late.threshold >= row.threshold, row.alias, late.cell)
        # centre(cell) + first - 2**uniform_bits / 2 is a concatenation, its sign bit turned over
        base = Cat(late.first, cell) ^ (1 << (law.uniform_bits + law.cell_bits - 1))
        base, second = (delayed(m, part, self._registers) for part in (base, late.second))
        m.d.comb += read.addr.eq(early.cell)
        m.d.sync += self.gaussian.eq(
            base.as_signed() + (second - ((1 << law.uniform_bits) // 2 - 1)))
        return m


class NoiseSource(wiring.Component):
    """Words and Gaussians of one stream, side by side.

    Parameters
    ----------
    fabric : Fabric
        What it is built for.

    Members
    -------
    clear : :py:`In(1)`
        Forget the stream.
    seed : :py:`In(StateLayout)`
        From a :class:`Seeder`: the first `advance` after `clear` takes a first state, and
        later ones must find zeros.
    advance : :py:`In(1)`
        Draw: the outputs change `latency` cycles later.
    word : :py:`Out(32)`
        Uniform word of the draw.
    gaussian : :py:`Out(signed(GAUSSIAN_BITS))`
        Gaussian of the same draw.

    Notes
    -----
    Latency `latency` cycles, throughput 1 draw a cycle. The law is
    :meth:`pendula.contract.gaussian.TriangleMixture.counts`.
    """

    clear: Signal
    seed: data.View
    advance: Signal
    word: Signal
    gaussian: Signal

    def __init__(self, *, fabric: Fabric = GENERIC) -> None:
        self._mapper = GaussianMapper(fabric=fabric)
        super().__init__({"clear": In(1), "seed": In(StateLayout), "advance": In(1),
                          "word": Out(noise.WORD_BITS),
                          "gaussian": Out(signed(noise.GAUSSIAN_BITS))})

    @property
    def latency(self) -> int:
        """Cycles from `advance` to the outputs."""
        return Xoshiro.latency + self._mapper.latency

    @staticmethod
    def model(seed: int, index: int) -> noise.NoiseStream:
        """Return the stream of draws."""
        return noise.NoiseStream(seed, index)

    def elaborate(self, platform):
        m = Module()
        m.submodules.generator = generator = Xoshiro()
        m.submodules.mapper = mapper = self._mapper
        m.d.comb += [
            generator.clear.eq(self.clear),
            generator.seed.eq(self.seed),
            generator.advance.eq(self.advance),
            mapper.draw.eq(generator.draw),
            self.gaussian.eq(mapper.gaussian),
            self.word.eq(delayed(m, generator.draw.word, mapper.latency)),
        ]
        return m
