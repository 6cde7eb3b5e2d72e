"""The drift of one node a cycle: K multiply-adds, the local terms, and their gains."""

from amaranth import *
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from pendula.contract import step
from pendula.contract.physics import ONE, STATE
from pendula.contract.spec import ArraySpec
from pendula_gateware.array.part import ArrayPart
from pendula_gateware.array.shapes import (
    accumulator_shape,
    interval_shape,
    own_shape,
    shared_shape,
)
from pendula_gateware.fabric import GENERIC, Fabric
from pendula_gateware.numeric.delay import delayed

__all__ = ["FAN_IN", "CouplingSum", "Drift", "LocalTerms", "adder_tree", "tree_latency"]

FAN_IN = 4
"""Terms that one register stage of an adder tree adds up."""


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
        sums = []
        for first in range(0, len(terms), FAN_IN):
            total = sum(terms[first + 1:first + FAN_IN], terms[first])
            register = Signal(total.shape(), reset_less=True)
            m.d.sync += register.eq(total)
            sums.append(register)
        terms = sums
    return terms[0]


class CouplingSum(ArrayPart):
    """Sum of the couplings of one node.

    Parameters
    ----------
    spec : ArraySpec
        Array.
    fabric : Fabric
        What it is built for.

    Members
    -------
    codes : :py:`In(ArrayLayout(code, K))`
        Coupling codes w.
    v : :py:`In(ArrayLayout(ArrayLayout(edge, rank), K))`
        Functions of the neighbours.
    u : :py:`In(ArrayLayout(edge, rank))`
        Functions of the node itself; not used where the physics has none.
    o : :py:`Out(coupling)`
        ``sum_k w_k * sum_r u_r * v_kr``.

    Notes
    -----
    Latency `latency`, throughput 1 node a cycle.
    """

    codes: data.View
    v: data.View
    u: data.View
    o: Signal

    def __init__(self, *, spec: ArraySpec, fabric: Fabric = GENERIC) -> None:
        self._recoded = fabric.recoded
        degree = len(spec.offsets)
        edge = data.ArrayLayout(signed(spec.edge_bits), spec.physics.rank)
        super().__init__({
            "codes": In(data.ArrayLayout(signed(spec.code_bits), degree)),
            "v": In(data.ArrayLayout(edge, degree)),
            "u": In(edge),
            "o": Out(accumulator_shape(spec, "coupling")),
        }, spec=spec)

    @property
    def latency(self) -> int:
        """Cycles from the inputs to the sum."""
        own = 1 + tree_latency(self._spec.physics.rank) if self._spec.physics.u else 0
        return 1 + tree_latency(len(self._spec.offsets)) + own

    @staticmethod
    def model(codes, v, u) -> int:
        """Compute the sum."""
        return step.coupling_sum(codes, u, v)

    def elaborate(self, platform):
        m = Module()
        shape, ranks = accumulator_shape(self._spec, "partial"), range(self._spec.physics.rank)
        partials = []
        for rank in ranks:
            products = []
            for k in range(len(self._spec.offsets)):
                product = Signal(signed(self._spec.code_bits + self._spec.edge_bits),
                                 reset_less=True)
                m.d.sync += product.eq(self.codes[k] * self.v[k][rank])
                products.append(product)
            partial = Signal(shape)
            m.d.comb += partial.eq(adder_tree(m, products))
            partials.append(partial)
        if self._spec.physics.u:
            u = delayed(m, self.u, 1 + tree_latency(len(self._spec.offsets)))
            partials = [delayed(m, Value.cast(u[rank] * partials[rank]), 1) for rank in ranks]
        m.d.comb += self.o.eq(adder_tree(m, partials))
        return m


class LocalTerms(ArrayPart):
    """Local terms of one node, scaled by their gains and aligned.

    Parameters
    ----------
    spec : ArraySpec
        Array.

    Members
    -------
    own : :py:`In(own_shape(spec))`
        State and table row of the node.
    codes : :py:`In(ArrayLayout(local_code, M))`
        Local codes p.
    gains : :py:`In(ArrayLayout(gain, M))`
        Segment gains gl.
    o : :py:`Out(drift)`
        ``sum_m gl_m * p_m * h_m(x)`` at the accumulators' binary point.

    Notes
    -----
    Latency `latency`, throughput 1 node a cycle.
    """

    own: data.View
    codes: data.View
    gains: data.View
    o: Signal

    def __init__(self, *, spec: ArraySpec) -> None:
        terms = len(spec.physics.basis)
        super().__init__({
            "own": In(own_shape(spec)),
            "codes": In(data.ArrayLayout(signed(spec.local_code_bits), terms)),
            "gains": In(data.ArrayLayout(signed(spec.gain_bits), terms)),
            "o": Out(accumulator_shape(spec, "drift")),
        }, spec=spec)

    @property
    def latency(self) -> int:
        """Cycles from the inputs to the sum: code product, gain product, adder tree."""
        return 2 + tree_latency(len(self._spec.physics.basis))

    def model(self, x: int, row: dict[str, int], codes, gains) -> int:
        """Compute the sum from a state, its table row, the codes and the gains."""
        values = step.basis_values(self._spec, x, row)
        products = [code * value for code, value in zip(codes, values, strict=True)]
        return step.combine(self._spec, 0, 0, products, gains)

    def elaborate(self, platform):
        m = Module()
        gains = delayed(m, self.gains, 1)
        scaled = []
        for index, (name, term) in enumerate(
                zip(self._spec.physics.basis, self._spec.local_terms, strict=True)):
            exact = {STATE: self.own.x, ONE: C(1, signed(2))}
            value = exact[name] if name in exact else self.own.row[f"h{index}"]
            product = Signal(interval_shape(term.code * term.value), reset_less=True)
            m.d.sync += product.eq(self.codes[index] * value)
            scaled_term = Signal(interval_shape(self._spec.gain * term.code * term.value),
                                 reset_less=True)
            m.d.sync += scaled_term.eq(gains[index] * product)
            scaled.append(scaled_term << self._spec.align_bits(term))
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
    shared : :py:`In(shared_shape(spec))`
        Parameter and segment rows.
    own : :py:`In(own_shape(spec))`
        State and table row of the node.
    v : :py:`In(ArrayLayout(ArrayLayout(edge, rank), K))`
        Functions of the neighbours.
    o : :py:`Out(drift)`
        Drift, with ``spec.drift_f_bits`` fraction bits below one raw unit of the state.

    Notes
    -----
    Latency `latency`, throughput 1 node a cycle.
    """

    shared: data.View
    own: data.View
    v: data.View
    o: Signal

    def __init__(self, *, spec: ArraySpec, fabric: Fabric = GENERIC) -> None:
        self._coupling = CouplingSum(spec=spec, fabric=fabric)
        self._local = LocalTerms(spec=spec)
        super().__init__({
            "shared": In(shared_shape(spec)), "own": In(own_shape(spec)),
            "v": In(self._coupling.v.shape()), "o": Out(accumulator_shape(spec, "drift")),
        }, spec=spec)

    @property
    def latency(self) -> int:
        """Cycles from the inputs to the drift: couplings and their gain or local terms, a sum."""
        return max(self._coupling.latency + 1, self._local.latency) + 1

    def model(self, x: int, row: dict[str, int], v, codes, local_codes, coupling_gain: int,
              local_gains) -> int:
        """Compute the drift from a node's state and table row, its neighbours, codes and gains."""
        u = [row[f"u{r}"] if self._spec.physics.u else 1 for r in range(self._spec.physics.rank)]
        coupling = self._coupling.model(codes, v, u)
        local = self._local.model(x, row, local_codes, local_gains)
        nothing = [0] * len(local_gains)
        return step.combine(self._spec, coupling, coupling_gain, nothing, nothing) + local

    def elaborate(self, platform):
        m = Module()
        m.submodules.coupling, m.submodules.local = coupling, local = self._coupling, self._local
        spec, term = self._spec, self._spec.coupling_term
        m.d.comb += [
            coupling.codes.eq(self.shared.parameter.codes),
            coupling.v.eq(self.v),
            local.own.eq(self.own),
            local.codes.eq(self.shared.parameter.local_codes),
            local.gains.eq(self.shared.segment.local_gains),
        ]
        if spec.physics.u:
            m.d.comb += [coupling.u[r].eq(self.own.row[f"u{r}"]) for r in range(spec.physics.rank)]
        gain = delayed(m, self.shared.segment.coupling_gain, coupling.latency)
        scaled = Signal(interval_shape(spec.gain * spec.accumulators["coupling"]), reset_less=True)
        m.d.sync += scaled.eq(gain * coupling.o)
        ready = max(coupling.latency + 1, local.latency)
        m.d.sync += self.o.eq(
            delayed(m, scaled << spec.align_bits(term), ready - coupling.latency - 1)
            + delayed(m, local.o, ready - local.latency))
        return m
