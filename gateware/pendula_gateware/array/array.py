"""The array: sequencer, shared memories, one lane and the readout."""

from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from pendula.contract.memory import Memory
from pendula.contract.registers import REGISTER_BITS
from pendula.contract.spec import ArraySpec
from pendula_gateware.array.lane import Lane
from pendula_gateware.array.part import ArrayPart
from pendula_gateware.array.readout import Readout
from pendula_gateware.array.sequencer import Sequencer
from pendula_gateware.array.shapes import shared_shape, token_shape
from pendula_gateware.array.store import RowStore
from pendula_gateware.interfaces import (
    Job,
    MemoryBus,
    MemoryBusInterface,
    PacketStream,
    RegisterValues,
)
from pendula_gateware.noise.seeder import Seeder
from pendula_gateware.numeric.delay import DelayLine

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
    """Coupled oscillators, one sample at a time, one node a cycle.

    Parameters
    ----------
    spec : ArraySpec
        Array.

    Members
    -------
    job : :py:`In(stream.Signature(Job))`
        Draw a sample, or evaluate the forces of the uploaded state.
    o : :py:`Out(PacketStream)`
        One packet a job: see :class:`Readout`. The next job runs while it is sent.
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
    A pass over the nodes takes `period` cycles: N, or the lane's latency + 1 where that is more.
    """

    job: stream.Interface
    o: stream.Interface
    registers: data.View
    bus: MemoryBusInterface
    clear: Signal
    saturations: Signal
    cycles: Signal
    busy: Signal

    def __init__(self, *, spec: ArraySpec) -> None:
        self._lane = Lane(spec=spec)
        super().__init__({
            "job": In(stream.Signature(Job)), "o": Out(PacketStream),
            "registers": In(RegisterValues), "bus": In(MemoryBus(spec)), "clear": In(1),
            "saturations": Out(REGISTER_BITS), "cycles": Out(REGISTER_BITS), "busy": Out(1),
        }, spec=spec)

    @property
    def period(self) -> int:
        """Cycles of a pass."""
        return max(self._spec.nodes, self._lane.latency + 1)

    def _count(self, m: Module, saturated: Value) -> None:
        with m.If(self.clear):
            m.d.sync += [self.saturations.eq(0), self.cycles.eq(0)]
        with m.Else():
            m.d.sync += [
                self.saturations.eq(self.saturations + (saturated & ~self.saturations.all())),
                self.cycles.eq(self.cycles + self.busy),
            ]

    def _connect_bus(self, m: Module, sequencer: Sequencer, rows: SharedRows) -> None:
        for bus in (self._lane.bus, sequencer.bus, rows.bus):
            m.d.comb += [bus.memory.eq(self.bus.memory), bus.row.eq(self.bus.row),
                         bus.write.eq(self.bus.write), bus.write_data.eq(self.bus.write_data)]
        m.d.comb += self.bus.read_data.eq(Mux(self.bus.memory == Memory.TABLE,
                                              self._lane.bus.read_data, rows.bus.read_data))

    def elaborate(self, platform):
        m = Module()
        m.submodules.lane = lane = self._lane
        m.submodules.seeder = seeder = Seeder()
        m.submodules.sequencer = sequencer = Sequencer(
            spec=self._spec, period=self.period, drain=lane.latency)
        m.submodules.rows = rows = SharedRows(spec=self._spec, latency=lane.centre)
        m.submodules.readout = readout = Readout(spec=self._spec)
        self._connect_bus(m, sequencer, rows)
        self._count(m, lane.o.saturated)
        wiring.connect(m, wiring.flipped(self.job), sequencer.job)
        wiring.connect(m, readout.o, wiring.flipped(self.o))
        m.d.comb += [
            *(part.registers.eq(self.registers) for part in (sequencer, lane, readout)),
            seeder.i.valid.eq(sequencer.seeding),
            seeder.i.p.seed_lo.eq(self.registers.seed_lo),
            seeder.i.p.seed_hi.eq(self.registers.seed_hi),
            seeder.i.p.index.eq(sequencer.index),
            seeder.o.ready.eq(sequencer.load),
            sequencer.seeded.eq(seeder.o.valid),
            sequencer.hold.eq(readout.busy),
            lane.seeding.eq(sequencer.seeding),
            lane.seed.eq(seeder.o.p),
            lane.seeded.eq(sequencer.load),
            rows.token.eq(sequencer.token),
            lane.token.eq(sequencer.token),
            lane.shared.eq(rows.o),
            readout.i.eq(lane.o),
            self.busy.eq(~sequencer.job.ready | readout.busy),
        ]
        return m
