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
    own_shape,
    result_shape,
    shared_shape,
    state_shape,
    token_shape,
)
from pendula_gateware.array.store import RowStore
from pendula_gateware.fabric import GENERIC, Fabric
from pendula_gateware.interfaces import MemoryBus, MemoryBusInterface, RegisterValues
from pendula_gateware.noise.seeder import StateLayout
from pendula_gateware.noise.source import NoiseSource
from pendula_gateware.numeric.delay import DelayLine, delayed

__all__ = ["Lane", "StateReader", "TapLine"]


class TapLine(ArrayPart):
    """Shift register that shows a node's neighbours while the node is at its centre.

    Parameters
    ----------
    spec : ArraySpec
        Array.

    Members
    -------
    i : :py:`In(ArrayLayout(edge, rank))`
        Functions v of one node a cycle, in node order.
    o : :py:`Out(ArrayLayout(ArrayLayout(edge, rank), K))`
        Functions of the K neighbours of the node that entered `latency` cycles ago. Where an edge
        leaves the line it shows another step's node; its code is zero.

    Notes
    -----
    Latency `latency`: the largest offset, since that neighbour has to enter first.
    """

    i: data.View
    o: data.View

    def __init__(self, *, spec: ArraySpec) -> None:
        edge = data.ArrayLayout(signed(spec.edge_bits), spec.physics.rank)
        neighbours = data.ArrayLayout(edge, len(spec.offsets))
        super().__init__({"i": In(edge), "o": Out(neighbours)}, spec=spec)

    @property
    def latency(self) -> int:
        """Cycles from a node's entry to the centre."""
        return max(0, *self._spec.offsets)

    def elaborate(self, platform):
        m = Module()
        width = self.i.as_value().shape().width
        depth = self.latency - min(0, *self._spec.offsets)
        history = Signal(depth * width, reset_less=True)
        line = Cat(self.i, history)                 # one slice a cycle of age
        m.d.sync += history.eq(line)
        for k, offset in enumerate(self._spec.offsets):
            age = self.latency - offset
            m.d.comb += self.o[k].eq(line[age * width:(age + 1) * width])
        return m


class StateReader(ArrayPart):
    """State memory with its write-back, and the table row of what is read.

    Parameters
    ----------
    spec : ArraySpec
        Array.

    Members
    -------
    bus : :py:`In(MemoryBus(spec))`
        Access to the table memory.
    token : :py:`In(token_shape(spec))`
        Node to read.
    result : :py:`In(result_shape(spec))`
        Node to write back.
    o : :py:`Out(own_shape(spec))`
        State and table row of the node read.

    Notes
    -----
    Latency `latency`, throughput 1 node a cycle. A result is seen by reads from the next cycle on.
    """

    bus: MemoryBusInterface
    token: data.View
    result: data.View
    o: data.View
    state_latency = 2
    latency = state_latency + RowStore.latency

    def __init__(self, *, spec: ArraySpec) -> None:
        super().__init__({
            "bus": In(MemoryBus(spec)), "token": In(token_shape(spec)),
            "result": In(result_shape(spec)), "o": Out(own_shape(spec)),
        }, spec=spec)

    def elaborate(self, platform):
        m = Module()
        spec = self._spec
        m.submodules.states = states = memory.Memory(
            shape=state_shape(spec), depth=spec.nodes, init=[])
        m.submodules.table = table = RowStore(spec=spec, number=Memory.TABLE)
        write, read = states.write_port(), states.read_port()
        wiring.connect(m, wiring.flipped(self.bus), table.bus)
        x = delayed(m, read.data, self.state_latency - 1)
        m.d.comb += [
            write.en.eq(self.result.token.valid),
            write.addr.eq(self.result.token.node),
            write.data.eq(self.result.x),
            read.addr.eq(self.token.node),
            table.use.eq(delayed(m, self.token.valid, self.state_latency)),
            table.row.eq(x[-spec.table_bits:]),
            self.o.x.eq(delayed(m, x, table.latency)),
            self.o.row.eq(table.o),
        ]
        return m


class Lane(ArrayPart):
    """One sample at a time, one node a cycle.

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
        Forget the noise stream.
    seed : :py:`In(StateLayout)`
        First state of the next noise stream with `seeded`; zeros while there are tokens.
    seeded : :py:`In(1)`
        Take it over, after `rest`.
    token : :py:`In(token_shape(spec))`
        Node to update; the N tokens of a pass come back to back.
    shared : :py:`In(shared_shape(spec))`
        The same token with its rows, `centre` cycles later.
    o : :py:`Out(result_shape(spec))`
        Result, `latency` cycles after the token; written back in that cycle.

    Notes
    -----
    Latency `latency`, throughput 1 node a cycle. A pass may start as soon as the result of the
    pass before has been written, node by node: at least ``latency + 1`` cycles after its start.
    """

    registers: data.View
    bus: MemoryBusInterface
    rest: Signal
    seed: data.View
    seeded: Signal
    token: data.View
    shared: data.View
    o: data.View

    def __init__(self, *, spec: ArraySpec, fabric: Fabric = GENERIC) -> None:
        self._reader, self._taps = StateReader(spec=spec), TapLine(spec=spec)
        self._drift, self._integrator = Drift(spec=spec, fabric=fabric), Integrator(spec=spec)
        super().__init__({
            "registers": In(RegisterValues), "bus": In(MemoryBus(spec)), "rest": In(1),
            "seed": In(StateLayout), "seeded": In(1), "token": In(token_shape(spec)),
            "shared": In(shared_shape(spec)), "o": Out(result_shape(spec)),
        }, spec=spec)

    @property
    def centre(self) -> int:
        """Cycles from a token to the centre of the tap line."""
        return self._reader.latency + self._taps.latency

    @property
    def latency(self) -> int:
        """Cycles from a token to its result."""
        return self.centre + self._drift.latency + self._integrator.latency

    def elaborate(self, platform):
        m = Module()
        m.submodules.reader, m.submodules.taps = reader, taps = self._reader, self._taps
        m.submodules.drift, m.submodules.integrator = drift, integrator = (
            self._drift, self._integrator)
        m.submodules.noise = noise = NoiseSource()
        wiring.connect(m, wiring.flipped(self.bus), reader.bus)
        own = reader.o
        if taps.latency:
            m.submodules.wait = wait = DelayLine(shape=own.shape(), depth=taps.latency)
            m.d.comb += wait.i.eq(own)
            own = wait.o
        update: Any = Signal(integrator.update.shape())
        m.d.comb += [
            reader.token.eq(self.token),
            reader.result.eq(self.o),
            *(taps.i[r].eq(reader.o.row[f"v{r}"]) for r in range(self._spec.physics.rank)),
            drift.shared.eq(self.shared),
            drift.own.eq(own),
            drift.v.eq(taps.o),
            noise.clear.eq(self.rest),
            noise.seed.eq(self.seed),
            noise.advance.eq(self.seeded | delayed(m, self.shared.token.valid,
                                                   drift.latency - noise.latency)),
            update.token.eq(self.shared.token),
            update.noise_gain.eq(self.shared.segment.noise_gain),
            update.node.eq(self.shared.node),
            integrator.registers.eq(self.registers),
            integrator.update.eq(delayed(m, update, drift.latency)),
            integrator.x.eq(delayed(m, own.x, drift.latency)),
            integrator.drift.eq(drift.o),
            integrator.word.eq(noise.word),
            integrator.xi.eq(noise.gaussian),
            self.o.eq(integrator.o),
        ]
        return m
