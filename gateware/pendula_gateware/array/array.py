"""The array: sequencer, shared memories, lanes and the readout."""

from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from pendula.contract.memory import Memory
from pendula.contract.protocol import LANES_HI
from pendula.contract.registers import REGISTER_BITS
from pendula.contract.spec import ArraySpec
from pendula_gateware.array.lane import Lane
from pendula_gateware.array.part import ArrayPart
from pendula_gateware.array.readout import Readout
from pendula_gateware.array.sequencer import Sequencer
from pendula_gateware.array.shapes import shared_shape, token_shape
from pendula_gateware.array.store import RowStore
from pendula_gateware.fabric import GENERIC, Fabric
from pendula_gateware.interfaces import (
    MemoryBus,
    MemoryBusInterface,
    PacketStream,
    RegisterValues,
    job_shape,
)
from pendula_gateware.noise.seeder import SeedBank
from pendula_gateware.numeric.delay import DelayLine, delayed

__all__ = ["OscillatorArray", "SharedRows"]


class SharedRows(ArrayPart):
    """Parameter, segment and node rows of a token, for all lanes.

    Parameters
    ----------
    spec : ArraySpec
        Array.
    latency : int
        Cycles from a token to its rows.

    Members
    -------
    bus : :py:`In(MemoryBus(spec))`
        Access to the three memories.
    token : :py:`In(token_shape(spec))`
        Token.
    o : :py:`Out(shared_shape(spec))`
        The token of `latency` cycles ago, with its rows.
    """

    bus: MemoryBusInterface
    token: data.View
    o: data.View

    def __init__(self, *, spec: ArraySpec, latency: int) -> None:
        self._latency = latency
        super().__init__({"bus": In(MemoryBus(spec)), "token": In(token_shape(spec)),
                          "o": Out(shared_shape(spec))}, spec=spec)

    @property
    def latency(self) -> int:
        """Cycles from a token to its rows."""
        return self._latency

    def elaborate(self, platform):
        m = Module()
        shape = token_shape(self._spec)
        m.submodules.early = early = DelayLine(shape=shape, depth=self._latency - RowStore.latency)
        m.submodules.late = late = DelayLine(shape=shape, depth=RowStore.latency)
        m.d.comb += [early.i.eq(self.token), late.i.eq(early.o), self.o.token.eq(late.o)]
        rows = {Memory.PARAMETER: (early.o.row, self.o.parameter),
                Memory.SEGMENT: (early.o.segment, self.o.segment),
                Memory.NODE: (early.o.node, self.o.node)}
        for number, (row, o) in rows.items():
            m.submodules[number.name.lower()] = store = RowStore(spec=self._spec, number=number)
            m.d.comb += [
                store.bus.memory.eq(self.bus.memory), store.bus.row.eq(self.bus.row),
                store.bus.write.eq(self.bus.write), store.bus.write_data.eq(self.bus.write_data),
                store.use.eq(early.o.valid), store.row.eq(row), o.eq(store.o),
            ]
            with m.If(self.bus.memory == number):
                m.d.comb += self.bus.read_data.eq(store.bus.read_data)
        return m


class OscillatorArray(ArrayPart):
    """Coupled oscillators: a sample a lane at a time, a node a lane and cycle.

    Parameters
    ----------
    spec : ArraySpec
        Array.
    lanes : int
        Samples drawn side by side, in lockstep on one stream of parameters.
    fabric : Fabric
        What it is built for.

    Members
    -------
    job : :py:`In(stream.Signature(job_shape(lanes)))`
        Draw samples, or evaluate the forces of the uploaded state.
    o : :py:`Out(PacketStream)`
        A packet a sample or force, in order: see :class:`Readout`. The next job runs meanwhile.
    registers : :py:`In(RegisterValues)`
        Settings, constant while anything is under way.
    bus : :py:`In(MemoryBus(spec))`
        Access to the memories, while idle.
    clear : :py:`In(1)`
        Set the counters to zero.
    saturations : :py:`Out(32)`
        Clipped node updates; stays at all ones.
    cycles : :py:`Out(32)`
        Cycles with a job under way; wraps.
    busy : :py:`Out(1)`
        A job is under way or a packet unsent.

    Notes
    -----
    A pass over the nodes takes `period` cycles: N, or the lanes' latency + 1 where that is more.
    """

    job: stream.Interface
    o: stream.Interface
    registers: data.View
    bus: MemoryBusInterface
    clear: Signal
    saturations: Signal
    cycles: Signal
    busy: Signal

    def __init__(self, *, spec: ArraySpec, lanes: int = 1, fabric: Fabric = GENERIC) -> None:
        if not 1 <= lanes <= LANES_HI:
            raise ValueError(f"lanes must be within 1..{LANES_HI}, not {lanes}")
        self._lanes = [Lane(spec=spec, fabric=fabric) for _ in range(lanes)]
        super().__init__({
            "job": In(stream.Signature(job_shape(lanes))), "o": Out(PacketStream),
            "registers": In(RegisterValues), "bus": In(MemoryBus(spec)), "clear": In(1),
            "saturations": Out(REGISTER_BITS), "cycles": Out(REGISTER_BITS), "busy": Out(1),
        }, spec=spec)

    @property
    def lanes(self) -> int:
        """Samples drawn side by side."""
        return len(self._lanes)

    @property
    def period(self) -> int:
        """Cycles of a pass."""
        return max(self._spec.nodes, self._lanes[0].latency + 1)

    def _count(self, m: Module, sequencer: Sequencer) -> None:
        """Count cycles, and the clipped updates of the lanes that count."""
        counts, clipped = Signal(self.lanes), Signal(range(self.lanes + 1))
        total = Signal(REGISTER_BITS + 1)
        m.d.comb += [counts.eq((2 << sequencer.last) - (1 << sequencer.first)),
                     total.eq(self.saturations + clipped)]
        m.d.sync += clipped.eq(sum(bit & lane.o.saturated
                                   for bit, lane in zip(counts, self._lanes, strict=True)))
        with m.If(self.clear):
            m.d.sync += [self.saturations.eq(0), self.cycles.eq(0)]
        with m.Else():
            m.d.sync += [self.saturations.eq(Mux(total[-1], ~0, total)),
                         self.cycles.eq(self.cycles + self.busy)]

    def _connect_bus(self, m: Module, sequencer: Sequencer, rows: SharedRows) -> None:
        first = self._lanes[0].bus
        for bus in (*(lane.bus for lane in self._lanes), sequencer.bus, rows.bus):
            m.d.comb += [bus.memory.eq(self.bus.memory), bus.row.eq(self.bus.row),
                         bus.write.eq(self.bus.write), bus.write_data.eq(self.bus.write_data)]
        m.d.comb += self.bus.read_data.eq(Mux(self.bus.memory == Memory.TABLE,
                                              first.read_data, rows.bus.read_data))

    def _seed(self, m: Module, sequencer: Sequencer) -> None:
        """Prepare the streams of the next job; load them, a lane a cycle."""
        m.submodules.seeds = seeds = SeedBank(lanes=self.lanes)
        m.d.comb += [
            seeds.wanted.eq(self.job.valid & ~sequencer.load),
            seeds.name.seed_lo.eq(self.registers.seed_lo),
            seeds.name.seed_hi.eq(self.registers.seed_hi),
            seeds.name.index.eq(self.job.p.index), seeds.more.eq(self.job.p.more),
            sequencer.seeded.eq(seeds.ready),
            seeds.read.eq(sequencer.load), seeds.place.eq(sequencer.lane - sequencer.first),
            seeds.taken.eq(sequencer.load & (sequencer.lane == sequencer.last)),
        ]
        for number, lane in enumerate(self._lanes):
            chosen = sequencer.load & (sequencer.lane == number)
            m.d.comb += [lane.rest.eq(sequencer.rest), lane.seed.eq(seeds.o),
                         lane.seeded.eq(delayed(m, chosen, 1))]

    def _connect_lanes(self, m: Module, sequencer: Sequencer, rows: SharedRows,
                       readout: Readout) -> None:
        for number, lane in enumerate(self._lanes):
            m.submodules[f"lane_{number}"] = lane
            m.d.comb += [lane.registers.eq(self.registers), lane.token.eq(sequencer.token),
                         lane.shared.eq(rows.o), readout.i[number].eq(lane.o)]

    def elaborate(self, platform):
        m = Module()
        lane = self._lanes[0]
        m.submodules.sequencer = sequencer = Sequencer(
            spec=self._spec, period=self.period, drain=lane.latency, lanes=self.lanes)
        m.submodules.rows = rows = SharedRows(spec=self._spec, latency=lane.centre)
        m.submodules.readout = readout = Readout(spec=self._spec, lanes=self.lanes)
        self._connect_bus(m, sequencer, rows)
        self._connect_lanes(m, sequencer, rows, readout)
        self._seed(m, sequencer)
        self._count(m, sequencer)
        wiring.connect(m, wiring.flipped(self.job), sequencer.job)
        wiring.connect(m, readout.o, wiring.flipped(self.o))
        m.d.comb += [
            *(part.registers.eq(self.registers) for part in (sequencer, readout)),
            sequencer.hold.eq(readout.busy),
            readout.first.eq(sequencer.first),
            readout.last.eq(sequencer.last),
            rows.token.eq(sequencer.token),
            self.busy.eq(~sequencer.rest | self.job.valid | readout.busy),
        ]
        return m
