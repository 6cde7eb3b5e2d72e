"""The drift of one node every `fold` cycles: K multiply-adds, the local terms, and their gains."""

from itertools import zip_longest
from typing import NamedTuple

from amaranth import *
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from pendula.contract import step
from pendula.contract.physics import ONE, STATE
from pendula.contract.spec import ArraySpec
from pendula_gateware.array.part import ArrayPart
from pendula_gateware.array.shapes import (
    accumulator_shape,
    codes_shape,
    interval_shape,
    neighbours_shape,
    own_shape,
    packs_edges,
    phase_shape,
    shared_shape,
    weights_shape,
)
from pendula_gateware.fabric import GENERIC, Fabric
from pendula_gateware.numeric.delay import delayed, registered
from pendula_gateware.numeric.multiply import multiplied, product_latency
from pendula_gateware.numeric.packing import unpacked

__all__ = ["FAN_IN", "Digit", "Drift", "LocalTerms", "NeighbourSum", "adder_tree", "choose",
           "recode", "tree_latency"]

ONE_BITS = 2
"""Bits of the constant one, with its sign."""
FAN_IN = 2
"""Terms that one register stage of an adder tree adds up."""


class Digit(NamedTuple):
    """A radix-4 digit from -2 to 2: `one`, `two` or nothing, and a sign."""

    one: Value
    two: Value
    negative: Value

    def times(self, m: Module, value: Value) -> Value:
        """Return the multiple of `value`, less one where the digit is `negative`, a cycle later.

        Zero is a choice like the others. As the reset of its register it would take a tenth of the
        sum's look-up tables less, but the placer finds no room for so many resets.
        """
        multiple = Mux(self.one, value, Mux(self.two, value << 1, 0)).as_unsigned()
        return registered(m, (multiple ^ self.negative.replicate(len(multiple))).as_signed())


def recode(code: Value) -> list[Digit]:
    """Return the digits of a two's-complement code, lowest first (Booth, radix 4)."""
    bits = [C(0, 1), *code, *[code[-1]] * (len(code) % 2)]
    return [Digit(one=middle ^ low, two=(middle == low) & (high ^ middle), negative=high)
            for low, middle, high in zip(bits[0::2], bits[1::2], bits[2::2], strict=False)]


def digit_count(bits: int) -> int:
    """Return the radix-4 digits of a two's-complement code."""
    return (bits + 1) // 2


def tree_latency(terms: int) -> int:
    """Return the register stages of :func:`adder_tree`."""
    stages = 0
    while terms > 1:
        terms = -(-terms // FAN_IN)
        stages += 1
    return stages


def adder_tree(m: Module, terms: list[Value]) -> Value:
    """Add `terms` up in :func:`tree_latency` register stages; Amaranth's widths never overflow."""
    while len(terms) > 1:
        terms = [registered(m, sum(terms[first + 1:first + FAN_IN], terms[first]))
                 for first in range(0, len(terms), FAN_IN)]
    return terms[0]


def choose(values: list[Value], number: Value) -> Value:
    """Return the value with a number, or 0 where there is none, from a tree of choices of two.

    An Amaranth array compares the number with each, and takes three times the look-up tables.
    """
    for bit in number:
        pairs = zip_longest(values[::2], values[1::2], fillvalue=C(0, signed(1)))
        values = [Mux(bit, odd, even) for even, odd in pairs]
    return values[0]


def digit_product_latency(code_bits: int) -> int:
    """Return the cycles that :func:`digit_product` takes."""
    return 1 + tree_latency(digit_count(code_bits) + 1)


def digit_product(m: Module, code: Value, value: Value) -> Value:
    """Return the product of two signed values, from multiples of one by the digits of the other."""
    digits = recode(code)
    multiples = [digit.times(m, value) << 2 * place for place, digit in enumerate(digits)]
    correction = Cat(*(Cat(digit.negative, C(0, 1)) for digit in digits))
    return adder_tree(m, [*multiples, registered(m, correction)])


class NeighbourSum(ArrayPart):
    """Sum of the neighbours of one node, each times its coupling code.

    Parameters
    ----------
    spec : ArraySpec
        Array.
    fabric : Fabric
        What it is built for.

    Members
    -------
    phase : :py:`In(range(fold))`
        Cycle of the node, counted up from 0; the two inputs below stay meanwhile.
    codes : :py:`In(codes_shape(spec))`
        Coupling codes w.
    v : :py:`In(neighbours_shape(spec, fabric))`
        Functions of the neighbours.
    o : :py:`Out(ArrayLayout(partial, rank))`
        ``sum_k w_k * v_kr`` for each rank r.

    Notes
    -----
    Latency `latency` from cycle 0 of a node, throughput 1 node in `fold` cycles. There are
    ``ceil(K / fold)`` products a rank, or of all ranks where v is packed, or multiples by each
    digit: each serves `fold` neighbours.
    """

    phase: Signal
    codes: data.View
    v: data.View
    o: data.View

    def __init__(self, *, spec: ArraySpec, fabric: Fabric = GENERIC) -> None:
        self._recoded, self._fold = fabric.recoded, fabric.fold
        self._packed = packs_edges(spec, fabric)
        partial = accumulator_shape(spec, "partial")
        super().__init__({
            "phase": In(phase_shape(fabric.fold)), "codes": In(codes_shape(spec)),
            "v": In(neighbours_shape(spec, fabric)),
            "o": Out(data.ArrayLayout(partial, spec.physics.rank)),
        }, spec=spec)

    @property
    def products(self) -> int:
        """Products of a rank that are worked out side by side."""
        return -(-len(self._spec.offsets) // self._fold)

    @property
    def latency(self) -> int:
        """Cycles from the inputs to the sums of all turns."""
        return self._turn_latency + (self._fold if self._fold > 1 else 0)

    @property
    def _turn_latency(self) -> int:
        """Cycles from the inputs to a turn's sums: choice, then multiples, tree and digits."""
        digits = digit_count(self._spec.code_bits) + 1
        trees = tree_latency(self.products) + tree_latency(digits) if self._recoded else 0
        return (self._fold > 1) + 1 + trees

    def model(self, codes, v) -> list[int]:
        """Compute the sums."""
        ranks = range(self._spec.physics.rank)
        return [step.coupling_sum(codes, [r == rank for r in ranks], v) for rank in ranks]

    def _take_turns(self, m: Module, values: list[Value]) -> list[Value]:
        """Return one of each `fold` values, chosen by the phase, a cycle later; zero after K."""
        if self._fold == 1:
            return values
        return [registered(m, choose(values[first:first + self._fold], self.phase))
                for first in range(0, len(values), self._fold)]

    def _sum_products(self, m: Module, codes: list[Value], v: list[list[Value]]) -> list[Value]:
        """Return the sums of products, by rank."""
        return [registered(m, sum(code * value for code, value in zip(codes, values, strict=True)))
                for values in v]

    def _sum_packed(self, m: Module, codes: list[Value], words: list[Value]) -> list[Value]:
        """Return the sums of products, by rank, from one sum of words that never grows."""
        total: Value = C(0, 1)
        for code, word in zip(codes, words, strict=True):
            product = code * word
            total = (total + product.as_unsigned())[:len(product)]
        return unpacked(registered(m, total), len(self.o[0]), self._spec.physics.rank)

    def _sum_digits(self, m: Module, codes: list[Value], v: list[list[Value]]) -> list[Value]:
        """Return the sums of multiples by the digits of the codes, digit by digit, by rank."""
        places = range(digit_count(self._spec.code_bits))
        digits = [recode(code) for code in codes]
        correction = registered(m, sum(
            adder_tree(m, [code[place].negative for code in digits]) << 2 * place
            for place in places))
        sums = []
        for values in v:
            planes = [adder_tree(m, [code[place].times(m, value)
                                     for code, value in zip(digits, values, strict=True)])
                      << 2 * place for place in places]
            sums.append(adder_tree(m, [*planes, correction]))
        return sums

    def _add_turns(self, m: Module, total: Value) -> Value:
        """Return the sum over the turns of a node, from the cycle after its last one on."""
        if self._fold == 1:
            return total
        node = Signal(self.o[0].shape(), reset_less=True)
        first = self.phase == self._turn_latency % self._fold
        m.d.sync += node.eq(Mux(first, 0, node) + total)
        return node

    def elaborate(self, platform):
        m = Module()
        neighbours = range(len(self._spec.offsets))
        codes = self._take_turns(m, [self.codes[k] for k in neighbours])
        if self._packed:
            words = self._take_turns(m, [self.v[k] for k in neighbours])
            sums = self._sum_packed(m, codes, words)
        else:
            v = [self._take_turns(m, [self.v[k][rank] for k in neighbours])
                 for rank in range(self._spec.physics.rank)]
            sums = (self._sum_digits if self._recoded else self._sum_products)(m, codes, v)
        m.d.comb += [self.o[rank].eq(self._add_turns(m, total)) for rank, total in enumerate(sums)]
        return m


class LocalTerms(ArrayPart):
    """Local terms of one node, scaled by their gains and aligned.

    Parameters
    ----------
    spec : ArraySpec
        Array.
    fabric : Fabric
        What it is built for.

    Members
    -------
    own : :py:`In(own_shape(spec))`
        State and table row of the node.
    weights : :py:`In(weights_shape(spec))`
        Local codes times segment gains, ``gl_m * p_m``.
    o : :py:`Out(drift)`
        ``sum_m gl_m * p_m * h_m(x)`` at the accumulators' binary point.

    Notes
    -----
    Latency `latency`, throughput 1 node a cycle.
    """

    own: data.View
    weights: data.View
    o: Signal

    def __init__(self, *, spec: ArraySpec, fabric: Fabric = GENERIC) -> None:
        self._fabric = fabric
        super().__init__({
            "own": In(own_shape(spec)), "weights": In(weights_shape(spec)),
            "o": Out(accumulator_shape(spec, "drift")),
        }, spec=spec)

    @property
    def latency(self) -> int:
        """Cycles from the inputs to the sum: product, adder tree."""
        return max(self._product_latencies) + tree_latency(len(self._spec.physics.basis))

    @property
    def _product_latencies(self) -> list[int]:
        bits = {STATE: self._spec.state_bits, ONE: ONE_BITS}
        return [product_latency((self._spec.gain * self._spec.local_code).signed_bits,
                                bits.get(name, self._spec.basis_bits), self._fabric)
                for name in self._spec.physics.basis]

    def model(self, x: int, row: dict[str, int], weights) -> int:
        """Compute the sum from a state, its table row, and the weights."""
        values = step.basis_values(self._spec, x, row)
        return step.combine(self._spec, 0, 0, values, weights)

    def elaborate(self, platform):
        m = Module()
        exact = {STATE: self.own.x, ONE: C(1, signed(ONE_BITS))}
        latencies, scaled = self._product_latencies, []
        for index, (name, term) in enumerate(
                zip(self._spec.physics.basis, self._spec.local_terms, strict=True)):
            value = exact[name] if name in exact else self.own.row[f"h{index}"]
            product = Signal(interval_shape(self._spec.gain * term.code * term.value))
            m.d.comb += product.eq(multiplied(
                m, f"product_{index}", self.weights[index], value, self._fabric))
            aligned = product << self._spec.align_bits(term)
            scaled.append(delayed(m, aligned, max(latencies) - latencies[index]))
        m.d.comb += self.o.eq(adder_tree(m, scaled))
        return m


class Drift(ArrayPart):
    """Drift of one node: couplings and local terms.

    Parameters
    ----------
    spec : ArraySpec
        Array.
    fabric : Fabric
        What it is built for.

    Members
    -------
    phase : :py:`In(range(fold))`
        Cycle of the node, counted up from 0; codes and neighbours stay meanwhile.
    codes : :py:`In(codes_shape(spec))`
        Coupling codes.
    v : :py:`In(neighbours_shape(spec, fabric))`
        Functions of the neighbours.
    shared : :py:`In(shared_shape(spec))`
        Weights and gains of the node, `wait` cycles after its codes.
    own : :py:`In(own_shape(spec))`
        State and table row of the node, `wait` cycles after its codes.
    o : :py:`Out(drift)`
        Drift, with ``spec.drift_f_bits`` fraction bits below one raw unit of the state.

    Notes
    -----
    Latency `latency` from cycle 0 of the codes, throughput 1 node in `fold` cycles. `shared` and
    `own` are needed in one cycle alone.
    """

    phase: Signal
    codes: data.View
    v: data.View
    shared: data.View
    own: data.View
    o: Signal

    def __init__(self, *, spec: ArraySpec, fabric: Fabric = GENERIC) -> None:
        self._fabric = fabric
        self._neighbours = NeighbourSum(spec=spec, fabric=fabric)
        self._local = LocalTerms(spec=spec, fabric=fabric)
        super().__init__({
            "phase": In(phase_shape(fabric.fold)), "codes": In(codes_shape(spec)),
            "v": In(neighbours_shape(spec, fabric)),
            "shared": In(shared_shape(spec)), "own": In(own_shape(spec)),
            "o": Out(accumulator_shape(spec, "drift")),
        }, spec=spec)

    @property
    def wait(self) -> int:
        """Cycles from the codes of a node to what belongs to itself."""
        return self._neighbours.latency

    @property
    def own_latency(self) -> int:
        """Cycles from what belongs to the node itself to the drift."""
        return max(self._coupling_latency + self._gain_latency, self._local.latency) + 1

    @property
    def latency(self) -> int:
        """Cycles from the codes to the drift."""
        return self.wait + self.own_latency

    @property
    def _coupling_latency(self) -> int:
        """Cycles from the sums over the neighbours to the coupling."""
        if not self._spec.physics.u:
            return 0
        product = digit_product_latency(self._spec.edge_bits) if self._fabric.recoded else 1
        return product + tree_latency(self._spec.physics.rank)

    @property
    def _gain_latency(self) -> int:
        """Cycles from the coupling to its product with the gain."""
        return product_latency(self._spec.gain_bits, self._spec.accumulator_width("coupling"),
                               self._fabric)

    def model(self, x: int, row: dict[str, int], v, codes, weights, coupling_gain: int) -> int:
        """Compute the drift from a node's state, table row, neighbours, codes, weights and gain."""
        u = [row[f"u{r}"] if self._spec.physics.u else 1 for r in range(self._spec.physics.rank)]
        coupling, nothing = step.coupling_sum(codes, u, v), [0] * len(weights)
        return (step.combine(self._spec, coupling, coupling_gain, nothing, nothing)
                + self._local.model(x, row, weights))

    def _scale(self, m: Module, partials: list[Value]) -> Value:
        """Return the coupling times its gain, aligned."""
        if self._spec.physics.u:
            u = [self.own.row[f"u{r}"] for r in range(self._spec.physics.rank)]
            partials = [digit_product(m, own, partial) if self._fabric.recoded
                        else registered(m, own * partial)
                        for own, partial in zip(u, partials, strict=True)]
        coupling = Signal(accumulator_shape(self._spec, "coupling"))
        gain = delayed(m, self.shared.coupling_gain, self._coupling_latency)
        scaled = Signal(interval_shape(self._spec.gain * self._spec.accumulators["coupling"]))
        m.d.comb += [
            coupling.eq(adder_tree(m, partials)),
            scaled.eq(multiplied(m, "coupling", gain, coupling, self._fabric)),
        ]
        return scaled << self._spec.align_bits(self._spec.coupling_term)

    def elaborate(self, platform):
        m = Module()
        m.submodules.neighbours, m.submodules.local = neighbours, local = (
            self._neighbours, self._local)
        m.d.comb += [
            neighbours.phase.eq(self.phase), neighbours.codes.eq(self.codes),
            neighbours.v.eq(self.v),
            local.own.eq(self.own), local.weights.eq(self.shared.weights),
        ]
        scaled = self._scale(m, [neighbours.o[r] for r in range(self._spec.physics.rank)])
        ready = self.own_latency - 1
        m.d.sync += self.o.eq(
            delayed(m, scaled, ready - self._coupling_latency - self._gain_latency)
            + delayed(m, local.o, ready - local.latency))
        return m
