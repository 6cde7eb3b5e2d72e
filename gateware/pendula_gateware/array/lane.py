"""One lane: the state of one sample, streamed through a delay line with K taps."""

from typing import Any

from amaranth import *
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out

from pendula.contract.memory import Memory
from pendula.contract.spec import ArraySpec
from pendula_gateware.array.drift import Drift
from pendula_gateware.array.integrator import Integrator
from pendula_gateware.array.part import ArrayPart
from pendula_gateware.array.shapes import (
    accumulator_shape,
    codes_shape,
    edge_shape,
    neighbours_shape,
    own_shape,
    packs_edges,
    phase_shape,
    result_shape,
    shared_shape,
    state_shape,
    token_shape,
    update_shape,
)
from pendula_gateware.array.store import RowStore
from pendula_gateware.fabric import GENERIC, UNCHECKED, Fabric
from pendula_gateware.interfaces import MemoryBus, MemoryBusInterface, RegisterValues, share_bus
from pendula_gateware.noise.seeder import StateLayout
from pendula_gateware.noise.source import NoiseSource
from pendula_gateware.numeric.delay import DelayLine, delayed, paced
from pendula_gateware.numeric.packing import packed

__all__ = ["Lane", "StateReader", "TapLine"]


class TapLine(ArrayPart):
    """Delay line that shows a node's neighbours while the node is at its centre.

    Parameters
    ----------
    spec : ArraySpec
        Array.
    fabric : Fabric
        What it is built for.

    Members
    -------
    step : :py:`In(1)`
        Last of the `fold` cycles of a node; without `fold` there are no others.
    i : :py:`In(ArrayLayout(edge, rank))`
        Functions v of one node in `fold` cycles, in node order.
    o : :py:`Out(neighbours_shape(spec, fabric))`
        Functions of the K neighbours of the node that entered `latency` cycles ago. Where an edge
        leaves the line it shows another step's node; its code is zero.

    Notes
    -----
    Latency `latency`: `fold` times the largest offset, since that neighbour has to enter first.
    """

    step: Signal
    i: data.View
    o: data.View

    def __init__(self, *, spec: ArraySpec, fabric: Fabric = GENERIC) -> None:
        self._fabric = fabric
        super().__init__({"step": In(1), "i": In(edge_shape(spec)),
                          "o": Out(neighbours_shape(spec, fabric))}, spec=spec)

    @property
    def _ahead(self) -> int:
        """Nodes that enter between a node and its furthest neighbour, and that one."""
        return max(0, *self._spec.offsets)

    @property
    def latency(self) -> int:
        """Cycles from a node's entry to the centre."""
        return self._fabric.fold * self._ahead

    @property
    def _entry(self) -> Any:
        """What enters the line: the input, packed where that is its shape."""
        if not packs_edges(self._spec, self._fabric):
            return self.i
        return packed([*self.i], accumulator_shape(self._spec, "partial").width)

    def elaborate(self, platform):
        m = Module()
        shape = self.o.shape().elem_shape
        value, age = Signal(shape), 0
        m.d.comb += value.eq(self._entry)
        for k, offset in reversed(list(enumerate(self._spec.offsets))):
            if gap := self._ahead - offset - age:
                line = DelayLine(shape=shape, depth=gap, fabric=self._fabric)
                m.submodules[f"gap_{k}"] = paced(line, self.step, self._fabric.fold)
                m.d.comb += line.i.eq(value)
                value, age = line.o, age + gap
            m.d.comb += self.o[k].eq(value)
        return m


class StateReader(ArrayPart):
    """State memory with its write-back, and the table: what a node is to others and to itself.

    Parameters
    ----------
    spec : ArraySpec
        Array.
    wait : int
        Cycles from `v` to `own`, at least 1.
    fabric : Fabric
        What it is built for.

    Members
    -------
    bus : :py:`In(MemoryBus(spec))`
        Access to the table memory, at rest.
    rest : :py:`In(1)`
        No token is under way.
    phase : :py:`In(range(fold))`
        Cycle of the node whose `v` is shown, counted up from 0.
    token : :py:`In(token_shape(spec))`
        Node to read; it stays for `fold` cycles.
    result : :py:`In(result_shape(spec))`
        Node to write back.
    v : :py:`Out(ArrayLayout(edge, rank))`
        Functions v of the node read `latency` cycles ago, for `fold` cycles.
    own : :py:`Out(own_shape(spec))`
        State and table row of the node whose `v` was first shown `wait` cycles ago, in that cycle;
        v is not among it.

    Notes
    -----
    Latency `latency`, throughput 1 node in `fold` cycles. A result is seen by reads from the next
    cycle on; its node must not be read in that cycle.
    The table is kept in two parts, so that only a state has to wait, and not what it leads to.
    """

    bus: MemoryBusInterface
    rest: Signal
    phase: Signal
    token: data.View
    result: data.View
    v: data.View
    own: data.View

    def __init__(self, *, spec: ArraySpec, wait: int, fabric: Fabric = GENERIC) -> None:
        self._wait, self._fabric = wait, fabric
        names = {f"v{r}" for r in range(spec.physics.rank)}
        self._others, self._itself = (
            RowStore(spec=spec, number=Memory.TABLE, fields=fields, fabric=fabric)
            for fields in (names, spec.columns.keys() - names))
        super().__init__({
            "bus": In(MemoryBus(spec)), "rest": In(1), "phase": In(phase_shape(fabric.fold)),
            "token": In(token_shape(spec)), "result": In(result_shape(spec)),
            "v": Out(edge_shape(spec)),
            "own": Out(own_shape(spec)),
        }, spec=spec)

    @property
    def state_latency(self) -> int:
        """Cycles from a token to its state."""
        return 1 + self._fabric.registers

    @property
    def latency(self) -> int:
        """Cycles from a token to `v`."""
        return self.state_latency + self._others.latency

    @property
    def wait(self) -> int:
        """Cycles from `v` to `own`."""
        return self._wait

    def _look_up(self, m: Module, part: RowStore, x: Value) -> None:
        """Read a part of the table at the row of `x`."""
        share_bus(m, self.bus, part.bus)
        m.d.comb += [part.use.eq(~self.rest), part.row.eq(x[-self._spec.table_bits:])]

    def elaborate(self, platform):
        m = Module()
        m.submodules.states = states = memory.Memory(
            shape=state_shape(self._spec), depth=self._spec.nodes, init=[], attrs=UNCHECKED)
        m.submodules.others, m.submodules.itself = others, itself = self._others, self._itself
        write, read = states.write_port(), states.read_port()
        fold = self._fabric.fold
        waiting = DelayLine(
            shape=state_shape(self._spec), depth=self._wait // fold, fabric=self._fabric)
        last = self.phase == (-others.latency - 1) % fold      # cycle of a state that goes in
        m.submodules.waiting = paced(waiting, last, fold)
        early, late = delayed(m, read.data, self.state_latency - 1), waiting.o
        self._look_up(m, others, early)
        self._look_up(m, itself, late)
        m.d.comb += [
            waiting.i.eq(early),
            write.en.eq(self.result.token.valid), write.addr.eq(self.result.token.node),
            write.data.eq(self.result.x), read.addr.eq(self.token.node),
            self.own.x.eq(delayed(m, late, itself.latency)), self.own.row.eq(itself.o),
            *(self.v[r].eq(others.o[f"v{r}"]) for r in range(self._spec.physics.rank)),
            self.bus.read_data.eq(others.bus.read_data | itself.bus.read_data),
        ]
        return m


class Lane(ArrayPart):
    """One sample at a time, one node in `fold` cycles.

    Parameters
    ----------
    spec : ArraySpec
        Array.
    fabric : Fabric
        What it is built for.

    Members
    -------
    registers : :py:`In(RegisterValues)`
        Kind and gain of the initial state.
    bus : :py:`In(MemoryBus(spec))`
        Access to the table memory.
    rest : :py:`In(1)`
        Forget the noise stream; no token is under way, and the table belongs to the bus.
    seed : :py:`In(StateLayout)`
        First state of the next noise stream with `seeded`; zeros while there are tokens.
    seeded : :py:`In(1)`
        Take it over, after `rest`.
    token : :py:`In(token_shape(spec))`
        Node to update, for `fold` cycles; the N tokens of a pass come back to back.
    phase : :py:`In(range(fold))`
        Cycle of the node that `codes` belong to, counted up from 0.
    codes : :py:`In(codes_shape(spec))`
        Its coupling codes, `centre` cycles later, as long.
    shared : :py:`In(shared_shape(spec))`
        Its weights and gain, `wait` cycles later still; `valid` for one cycle.
    update : :py:`In(update_shape(spec))`
        All else that belongs to it, `own_latency` cycles later still; `valid` for one cycle.
    o : :py:`Out(result_shape(spec))`
        Result, `latency` cycles after the token; written back in that cycle.

    Notes
    -----
    Latency `latency`, throughput 1 node in `fold` cycles, counted from the first of a token. A
    pass may start as soon as the result of the pass before has been written, node by node: at
    least ``latency + 1`` cycles after its start.
    """

    registers: data.View
    bus: MemoryBusInterface
    rest: Signal
    seed: data.View
    seeded: Signal
    token: data.View
    phase: Signal
    codes: data.View
    shared: data.View
    update: data.View
    o: data.View

    def __init__(self, *, spec: ArraySpec, fabric: Fabric = GENERIC) -> None:
        self._fabric = fabric
        self._taps, self._noise = TapLine(spec=spec, fabric=fabric), NoiseSource(fabric=fabric)
        self._drift, self._integrator = Drift(spec=spec, fabric=fabric), Integrator(
            spec=spec, fabric=fabric)
        self._reader = StateReader(
            spec=spec, wait=self._taps.latency + self._drift.wait, fabric=fabric)
        super().__init__({
            "registers": In(RegisterValues), "bus": In(MemoryBus(spec)), "rest": In(1),
            "seed": In(StateLayout), "seeded": In(1), "token": In(token_shape(spec)),
            "phase": In(phase_shape(fabric.fold)), "codes": In(codes_shape(spec)),
            "shared": In(shared_shape(spec)),
            "update": In(update_shape(spec)), "o": Out(result_shape(spec)),
        }, spec=spec)

    @property
    def centre(self) -> int:
        """Cycles from a token to the centre of the tap line, and to its codes."""
        return self._reader.latency + self._taps.latency

    @property
    def wait(self) -> int:
        """Cycles from the codes of a token to its weights and gain."""
        return self._drift.wait

    @property
    def own_latency(self) -> int:
        """Cycles from the weights of a token to all else: what drift and noise take."""
        return max(self._drift.own_latency, self._noise.latency)

    @property
    def latency(self) -> int:
        """Cycles from a token to its result."""
        return self.centre + self.wait + self.own_latency + self._integrator.latency

    def elaborate(self, platform):
        m = Module()
        m.submodules.reader, m.submodules.taps = reader, taps = self._reader, self._taps
        m.submodules.drift, m.submodules.integrator = drift, integrator = (
            self._drift, self._integrator)
        m.submodules.noise = noise = self._noise
        m.submodules.waiting = waiting = DelayLine(
            shape=state_shape(self._spec), depth=self.own_latency, fabric=self._fabric)
        wiring.connect(m, wiring.flipped(self.bus), reader.bus)
        m.d.comb += [
            reader.rest.eq(self.rest),
            reader.phase.eq(self.phase),
            reader.token.eq(self.token),
            reader.result.eq(self.o),
            taps.i.eq(reader.v),
            taps.step.eq(self.phase == self._fabric.fold - 1),
            drift.phase.eq(self.phase),
            drift.codes.eq(self.codes),
            drift.v.eq(taps.o),
            drift.shared.eq(self.shared),
            drift.own.eq(reader.own),
            noise.clear.eq(self.rest),
            noise.seed.eq(self.seed),
            noise.advance.eq(self.seeded
                             | delayed(m, self.shared.valid, self.own_latency - noise.latency)),
            integrator.registers.eq(self.registers),
            integrator.update.eq(self.update),
            waiting.i.eq(reader.own.x),
            integrator.x.eq(waiting.o),
            integrator.drift.eq(delayed(m, drift.o, self.own_latency - drift.own_latency)),
            integrator.word.eq(noise.word),
            integrator.xi.eq(noise.gaussian),
            self.o.eq(integrator.o),
        ]
        return m
