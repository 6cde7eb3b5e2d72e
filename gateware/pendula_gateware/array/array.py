"""The array: sequencer, shared memories, lanes and the readout."""

from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from pendula.contract.memory import BUFFERS_HI, Memory
from pendula.contract.protocol import LANES_HI
from pendula.contract.registers import REGISTER_BITS
from pendula.contract.spec import ArraySpec
from pendula_gateware.array.lane import Lane
from pendula_gateware.array.part import ArrayPart
from pendula_gateware.array.readout import Readout
from pendula_gateware.array.sequencer import Sequencer
from pendula_gateware.array.shapes import (
    codes_shape,
    phase_shape,
    shared_shape,
    token_shape,
    update_shape,
)
from pendula_gateware.array.store import RowStore
from pendula_gateware.fabric import GENERIC, Fabric
from pendula_gateware.interfaces import (
    MemoryBus,
    MemoryBusInterface,
    PacketStream,
    RegisterValues,
    job_shape,
    share_bus,
)
from pendula_gateware.noise.seeder import SeedBank
from pendula_gateware.numeric.delay import DelayLine, delayed, paced, registered

__all__ = ["OscillatorArray", "SharedRows"]


class SharedRows(ArrayPart):
    """What all lanes need of a token: codes, local codes times their gains, and the node row.

    Parameters
    ----------
    spec : ArraySpec
        Array.
    latency : int
        Cycles from a token to its codes.
    wait : int
        Cycles from the codes to weights and gain.
    own_latency : int
        Cycles from these to all else.
    fabric : Fabric
        What it is built for.

    Members
    -------
    bus : :py:`In(MemoryBus(spec))`
        Access to the three memories.
    buffer : :py:`In(range(2))`
        Buffer to read.
    rest : :py:`In(1)`
        No token is under way.
    token : :py:`In(token_shape(spec))`
        Token, for `fold` cycles.
    phase : :py:`In(range(fold))`
        Cycle of the token, counted up from 0.
    turn : :py:`Out(range(fold))`
        Cycle of the token of `latency` cycles ago.
    codes : :py:`Out(codes_shape(spec))`
        Its coupling codes, for `fold` cycles.
    shared : :py:`Out(shared_shape(spec))`
        Weights and gain of the token that came ``latency + wait`` cycles ago, in that cycle.
    update : :py:`Out(update_shape(spec))`
        The token that came ``latency + wait + own_latency`` cycles ago, with its noise gain and
        node row, in that cycle.
    """

    bus: MemoryBusInterface
    buffer: Signal
    rest: Signal
    token: data.View
    phase: Signal
    turn: Signal
    codes: data.View
    shared: data.View
    update: data.View

    def __init__(self, *, spec: ArraySpec, latency: int, wait: int, own_latency: int,
                 fabric: Fabric = GENERIC) -> None:
        self._latency, self._wait, self._own_latency = latency, wait, own_latency
        self._fabric, self._fold = fabric, fabric.fold
        self._stores = {number: RowStore(spec=spec, number=number, fabric=fabric)
                        for number in (Memory.PARAMETER, Memory.SEGMENT, Memory.NODE)}
        super().__init__({
            "bus": In(MemoryBus(spec)), "buffer": In(range(BUFFERS_HI)), "rest": In(1),
            "token": In(token_shape(spec)), "phase": In(phase_shape(fabric.fold)),
            "turn": Out(phase_shape(fabric.fold)),
            "codes": Out(codes_shape(spec)), "shared": Out(shared_shape(spec)),
            "update": Out(update_shape(spec)),
        }, spec=spec)

    @property
    def latency(self) -> int:
        """Cycles from a token to its codes."""
        return self._latency

    @property
    def wait(self) -> int:
        """Cycles from the codes to weights and gain."""
        return self._wait

    @property
    def own_latency(self) -> int:
        """Cycles from weights and gain to all else."""
        return self._own_latency

    def _at(self, cycle: int) -> Value:
        """Return whether a token came `cycle` cycles ago, modulo `fold`."""
        return self.phase == cycle % self._fold

    def _delay(self, m: Module, name: str, value: data.View, turns: int, came: int) -> data.View:
        """Return what came with a token `came` cycles ago, so many times `fold` cycles later."""
        if not turns:
            return value
        line = DelayLine(shape=value.shape(), depth=turns, fabric=self._fabric)
        m.submodules[name] = paced(line, self._at(came - 1), self._fold)
        m.d.comb += line.i.eq(value)
        return line.o

    def _once(self, m: Module, token: data.View, cycle: int) -> data.View:
        """Return a token that is there for `fold` cycles, valid in one of them alone."""
        if self._fold == 1:
            return token
        once = Signal.like(token)
        m.d.comb += [once.eq(token), once.valid.eq(token.valid & self._at(cycle))]
        return once

    def _read(self, m: Module, number: Memory, row: Value) -> data.View:
        """Return a row of a memory, while the array is at work; otherwise it is the bus's."""
        m.submodules[number.name.lower()] = store = self._stores[number]
        share_bus(m, self.bus, store.bus)
        m.d.comb += [store.use.eq(~self.rest), store.row.eq(row), store.buffer.eq(self.buffer)]
        with m.If(self.bus.memory == number):
            m.d.comb += self.bus.read_data.eq(store.bus.read_data)
        return delayed(m, store.o, self._read_latency - store.latency)

    @property
    def _read_latency(self) -> int:
        """Cycles that the slowest memory takes, and so all of them."""
        return max(store.latency for store in self._stores.values())

    def elaborate(self, platform):
        m = Module()
        came = self._latency - self._read_latency
        turns, rest = divmod(came, self._fold)
        early = delayed(m, self._delay(m, "early", self.token, turns, 0), rest)
        # What follows is there for `fold` cycles, and needed in one of them.
        waits = (self._wait - 1) // self._fold
        late = self._delay(m, "late", early, waits, came)
        latest = self._delay(
            m, "latest", late, (self._wait + self._own_latency) // self._fold - waits, came)
        late = self._once(m, late, came + self._wait - 1)
        latest = self._once(m, latest, came + self._wait + self._own_latency)
        parameter = self._read(m, Memory.PARAMETER, early.row)
        segment = self._read(m, Memory.SEGMENT, late.segment)
        node = self._read(m, Memory.NODE, latest.node)
        local_codes = self._delay(m, "local_codes", parameter.local_codes, waits, self._latency)
        m.d.comb += [
            self.turn.eq(delayed(m, self.phase, self._latency % self._fold)),
            Cat(self.codes).eq(Cat(parameter.codes)),
            self.shared.valid.eq(delayed(m, late.valid, self._read_latency + 1)),
            self.update.token.eq(delayed(m, latest, self._read_latency)),
            self.update.noise_gain.eq(delayed(m, segment.noise_gain, self._own_latency + 1)),
            self.update.node.eq(node),
        ]
        with m.If(self.rest):       # after a reset, memories hold tokens that were under way
            m.d.comb += self.update.token.valid.eq(0)
        m.d.sync += [
            self.shared.coupling_gain.eq(segment.coupling_gain),
            *(self.shared.weights[term].eq(local_codes[term] * segment.local_gains[term])
              for term in range(len(self._spec.physics.basis))),
        ]
        return m


def _lane_settings(registers: data.View, bus: MemoryBusInterface) -> tuple[Value, ...]:
    """Return what a lane needs of the registers and of the bus that writes its table."""
    return (registers.initial, registers.initial_gain, bus.memory, bus.row, bus.write,
            bus.write_data)


class OscillatorArray(ArrayPart):
    """Coupled oscillators: a sample a lane at a time, a node a lane in `fold` cycles.

    Parameters
    ----------
    spec : ArraySpec
        Array.
    lanes : int
        Samples drawn side by side, in lockstep on one stream of parameters.
    fabric : Fabric
        What it is built for, and how it is folded: at most K times.
    sums : int
        Sums of the statistics; there are none at 0.

    Members
    -------
    job : :py:`In(stream.Signature(job_shape(lanes)))`
        Draw samples, or evaluate the forces of the uploaded state.
    o : :py:`Out(PacketStream)`
        A packet a sample or force, in order: see :class:`Readout`. The next job runs meanwhile.
    registers : :py:`In(RegisterValues)`
        Settings, constant while anything is under way.
    bus : :py:`In(MemoryBus(spec))`
        Access to the memories, while idle; to the other buffer at any time.
    clear : :py:`In(1)`
        Set the counters to zero.
    saturations : :py:`Out(32)`
        Clipped node updates; stays at all ones.
    cycles : :py:`Out(32)`
        Cycles with a job under way; wraps.
    measured : :py:`Out(32)`
        Samples that count in the sums.
    busy : :py:`Out(1)`
        A job is under way or a packet unsent; a cycle longer.

    Notes
    -----
    A pass over the nodes takes `period` cycles: `fold` times N, or the lanes' latency + 1 where
    that is more, rounded up to a multiple of `fold`.
    """

    job: stream.Interface
    o: stream.Interface
    registers: data.View
    bus: MemoryBusInterface
    clear: Signal
    saturations: Signal
    cycles: Signal
    measured: Signal
    busy: Signal

    def __init__(self, *, spec: ArraySpec, lanes: int = 1, fabric: Fabric = GENERIC,
                 sums: int = 0) -> None:
        if not 1 <= lanes <= LANES_HI:
            raise ValueError(f"lanes must be within 1..{LANES_HI}, not {lanes}")
        degree = len(spec.offsets)
        if not 1 <= fabric.fold <= degree:
            raise ValueError(f"fold must be within 1..{degree}, as there are so many neighbours, "
                             f"not {fabric.fold}")
        self._fabric = fabric
        self._lanes = [Lane(spec=spec, fabric=fabric) for _ in range(lanes)]
        self._seeds = SeedBank(lanes=lanes, fabric=fabric)
        self._sums = sums
        super().__init__({
            "job": In(stream.Signature(job_shape(lanes))), "o": Out(PacketStream),
            "registers": In(RegisterValues), "bus": In(MemoryBus(spec)), "clear": In(1),
            "saturations": Out(REGISTER_BITS), "cycles": Out(REGISTER_BITS),
            "measured": Out(REGISTER_BITS), "busy": Out(1),
        }, spec=spec)

    @property
    def lanes(self) -> int:
        """Samples drawn side by side."""
        return len(self._lanes)

    @property
    def sums(self) -> int:
        """Sums of the statistics."""
        return self._sums

    @property
    def period(self) -> int:
        """Cycles of a pass."""
        fold = self._fabric.fold
        return fold * max(self._spec.nodes, -(-(self._lanes[0].latency + 1) // fold))

    @property
    def pause(self) -> int:
        """Cycles of a job for its noise streams alone; none where they are prepared meanwhile."""
        return self._seeds.stream_latency if self._seeds.rests else 0

    def _count(self, m: Module, sequencer: Sequencer, working: Signal) -> None:
        """Count cycles, and the clipped updates of the lanes that count."""
        counts, clipped = Signal(self.lanes), C(0)
        total = Signal(REGISTER_BITS + 1)
        m.d.comb += counts.eq((2 << sequencer.last) - (1 << sequencer.first))
        for number, lane in enumerate(self._lanes):     # each is a cycle behind the one before
            before, clipped = clipped, Signal(range(number + 2))
            m.d.sync += clipped.eq(before + (counts[number] & lane.o.saturated))
            counts = delayed(m, counts, 1)
        m.d.comb += total.eq(self.saturations + clipped)
        with m.If(self.clear):
            m.d.sync += [self.saturations.eq(0), self.cycles.eq(0)]
        with m.Else():
            m.d.sync += [self.saturations.eq(Mux(total[-1], ~0, total)),
                         self.cycles.eq(self.cycles + working)]

    def _connect_bus(self, m: Module, sequencer: Sequencer, rows: SharedRows,
                     readout: Readout) -> None:
        first = self._lanes[0].bus
        share_bus(m, self.bus, sequencer.bus, rows.bus, readout.bus)
        read_data = Signal.like(self.bus.read_data)
        m.d.comb += read_data.eq(Mux(self.bus.memory == Memory.TABLE, first.read_data,
                                     rows.bus.read_data | readout.bus.read_data))
        m.d.comb += self.bus.read_data.eq(delayed(m, read_data, self._fabric.registers))

    def _seed(self, m: Module, sequencer: Sequencer) -> None:
        """Prepare the streams of the next job; load them, a lane a cycle."""
        m.submodules.seeds = seeds = self._seeds
        may = sequencer.rest if seeds.rests else C(1)
        m.d.comb += [
            seeds.wanted.eq(self.job.valid & ~sequencer.load & may),
            seeds.name.seed_lo.eq(self.registers.seed_lo),
            seeds.name.seed_hi.eq(self.registers.seed_hi),
            seeds.name.index.eq(self.job.p.index), seeds.more.eq(self.job.p.more),
            sequencer.seeded.eq(seeds.ready),
            seeds.read.eq(sequencer.load), seeds.place.eq(sequencer.lane - sequencer.first),
            seeds.taken.eq(sequencer.load & (sequencer.lane == sequencer.last)),
        ]

    def _connect_lanes(self, m: Module, sequencer: Sequencer, rows: SharedRows,
                       readout: Readout) -> None:
        """Pass all that lanes need from lane to lane, a cycle each; let the results meet again."""
        loaded, load = sequencer.lane, sequencer.load           # a cycle before the seeds
        given = (sequencer.token, rows.turn, rows.codes, rows.shared, rows.update, rows.rest,
                 self._seeds.o, *_lane_settings(self.registers, self.bus))
        for number, lane in enumerate(self._lanes):
            m.submodules[f"lane_{number}"] = lane
            taken = (lane.token, lane.phase, lane.codes, lane.shared, lane.update, lane.rest,
                     lane.seed, *_lane_settings(lane.registers, lane.bus))
            m.d.comb += [
                lane.seeded.eq(registered(m, load & (loaded == number))),
                *(port.eq(value) for port, value in zip(taken, given, strict=True)),
                readout.i[number].eq(delayed(m, lane.o, self.lanes - 1 - number)),
            ]
            loaded, load = delayed(m, loaded, 1), delayed(m, load, 1)
            given = [delayed(m, value, 1) for value in given]

    def elaborate(self, platform):
        m = Module()
        lane = self._lanes[0]
        m.submodules.sequencer = sequencer = Sequencer(
            spec=self._spec, period=self.period, drain=lane.latency + self.lanes - 1,
            lanes=self.lanes, fold=self._fabric.fold, buffers=self._fabric.buffers)
        m.submodules.rows = rows = SharedRows(
            spec=self._spec, latency=lane.centre, wait=lane.wait, own_latency=lane.own_latency,
            fabric=self._fabric)
        m.submodules.readout = readout = Readout(
            spec=self._spec, lanes=self.lanes, sums=self._sums, fabric=self._fabric)
        self._connect_bus(m, sequencer, rows, readout)
        self._connect_lanes(m, sequencer, rows, readout)
        self._seed(m, sequencer)
        working, worked, rest = Signal(), Signal(), Signal(init=1)
        m.d.sync += [rest.eq(sequencer.rest), worked.eq(working)]   # lanes are far away
        self._count(m, sequencer, worked)
        wiring.connect(m, wiring.flipped(self.job), sequencer.job)
        wiring.connect(m, readout.o, wiring.flipped(self.o))
        m.d.comb += [
            *(part.registers.eq(self.registers) for part in (sequencer, readout)),
            sequencer.hold.eq(delayed(m, readout.busy, self._fabric.registers)),
            readout.first.eq(sequencer.first),
            readout.last.eq(sequencer.last),
            readout.clear.eq(self.clear),
            self.measured.eq(readout.measured),
            rows.rest.eq(rest),
            rows.buffer.eq(self.registers.buffer),
            rows.token.eq(sequencer.token),
            rows.phase.eq(sequencer.phase),
            working.eq(~sequencer.rest | self.job.valid | readout.busy),
            self.busy.eq(self.job.valid | worked),
        ]
        return m
