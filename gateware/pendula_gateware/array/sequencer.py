"""The sequencer: jobs become passes over the nodes, a token in `fold` cycles, without a bubble."""

from amaranth import *
from amaranth.lib import data, enum, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from pendula.contract.memory import STEPS_BITS, Memory
from pendula.contract.spec import ArraySpec
from pendula.contract.step import InitialState
from pendula_gateware.array.part import ArrayPart
from pendula_gateware.array.shapes import memory_shape, phase_shape, token_shape
from pendula_gateware.fabric import UNCHECKED
from pendula_gateware.interfaces import (
    MemoryBus,
    MemoryBusInterface,
    RegisterValues,
    job_shape,
    lane_shape,
)
from pendula_gateware.numeric.delay import registered

__all__ = ["PassKind", "Planner", "Sequencer", "pass_shape"]


class PassKind(enum.Enum, shape=2):
    """What one pass over the nodes does."""

    INITIAL = 0
    STEP = 1
    FORCE = 2


def pass_shape(spec: ArraySpec) -> data.StructLayout:
    """Return the description of a pass; `remaining` steps of the segment come after it."""
    return data.StructLayout({
        "kind": PassKind, "final": 1, "segment": range(spec.segments), "remaining": STEPS_BITS,
        "done": range((spec.segments << STEPS_BITS) + 1),
    })


class Planner(ArrayPart):
    """Work out the pass that follows another one.

    Parameters
    ----------
    spec : ArraySpec
        Array.
    buffers : int
        Programs that it holds.

    Members
    -------
    bus : :py:`In(MemoryBus(spec))`
        Keeps a copy of the steps of every segment.
    registers : :py:`In(RegisterValues)`
        Segments, stop step and buffer.
    force : :py:`In(1)`
        The job evaluates forces.
    current : :py:`In(pass_shape(spec))`
        Pass.
    following : :py:`Out(pass_shape(spec))`
        Pass after it; meaningless after a final one.

    Notes
    -----
    Latency `latency` cycles, in which `current` stays the same: every sum and every comparison has
    a cycle to itself.
    """

    bus: MemoryBusInterface
    registers: data.View
    force: Signal
    current: data.View
    following: data.View
    latency = 5

    def __init__(self, *, spec: ArraySpec, buffers: int = 1) -> None:
        self._buffers = buffers
        super().__init__({
            "bus": In(MemoryBus(spec)), "registers": In(RegisterValues), "force": In(1),
            "current": In(pass_shape(spec)), "following": Out(pass_shape(spec)),
        }, spec=spec)

    def _place(self, buffer: Value, segment: Value) -> Value:
        """Return where the steps of a segment are kept."""
        return segment + Mux(buffer, self._spec.segments, 0) if self._buffers > 1 else segment

    def _read_steps(self, m: Module, segment: Value) -> Value:
        """Return the steps of a segment, a cycle later."""
        m.submodules.steps = steps = memory.Memory(
            shape=STEPS_BITS, depth=self._buffers * self._spec.segments, init=[], attrs=UNCHECKED)
        write, read = steps.write_port(), steps.read_port()
        shape = memory_shape(self._spec, Memory.SEGMENT)
        row = data.View(shape, self.bus.write_data[:shape.size])
        m.d.comb += [
            write.en.eq(self.bus.write & (self.bus.memory == Memory.SEGMENT)),
            write.addr.eq(self._place(self.bus.buffer, self.bus.row)),
            write.data.eq(row.steps),
            read.addr.eq(self._place(self.registers.buffer, segment)),
        ]
        return read.data

    def elaborate(self, platform):
        m = Module()
        current, after = self.current, self.following
        initial = current.kind == PassKind.INITIAL
        enters = registered(m, initial | (current.remaining == 0))      # a new segment
        coming = Signal.like(current.segment)
        steps = self._read_steps(m, coming)
        done = registered(m, (current.done + 1)[:len(current.done)])
        stops = registered(m, done == self.registers.stop_step)
        last = registered(m, self.registers.segments - 1)
        ends = registered(m, (after.remaining == 0) & (after.segment == last))
        m.d.sync += [
            coming.eq(Mux(initial, current.segment, current.segment + 1)),
            after.kind.eq(Mux(self.force, PassKind.FORCE, PassKind.STEP)),
            after.segment.eq(Mux(enters, coming, current.segment)),
            after.remaining.eq(Mux(enters, steps, current.remaining) - 1),
            after.done.eq(done),
            after.final.eq(self.force | ends | stops),
        ]
        return m


class Sequencer(ArrayPart):
    """Run jobs: an initial pass, then steps or one force pass, a token in `fold` cycles.

    Parameters
    ----------
    spec : ArraySpec
        Array.
    period : int
        Cycles from the start of a pass to the start of the next one: a multiple of `fold`, at
        least N times.
    drain : int
        Cycles from the last token to its result.
    lanes : int
        Samples that a job may have.
    fold : int
        Cycles of a token.
    buffers : int
        Programs that the array holds.

    Members
    -------
    job : :py:`In(stream.Signature(job_shape(lanes)))`
        What to do next; `index` must name a segment where `force`.
    registers : :py:`In(RegisterValues)`
        Segments, stop step and buffer, constant while a job runs.
    bus : :py:`In(MemoryBus(spec))`
        Keeps a copy of the steps of every segment.
    seeded : :py:`In(1)`
        The noise streams of the next job are ready.
    rest : :py:`Out(1)`
        No job is under way: the lanes forget their streams.
    load : :py:`Out(1)`
        Lane `lane` takes over its stream; after `rest`, one lane a cycle.
    lane : :py:`Out(lane_shape(lanes))`
        Lane to load.
    first, last : :py:`Out(lane_shape(lanes))`
        Lanes whose results count, until the next job is taken. A sample that starts from the one
        before is drawn by the lane that has it.
    hold : :py:`In(1)`
        The readout is full: do not start a final pass.
    token : :py:`Out(token_shape(spec))`
        Node to update; it stays for `fold` cycles.
    phase : :py:`Out(range(fold))`
        Cycle of the token, counted up from 0, whether it is valid or not.

    Notes
    -----
    Throughput N nodes in `period` cycles within a job; between jobs the lane drains.
    """

    job: stream.Interface
    registers: data.View
    bus: MemoryBusInterface
    seeded: Signal
    rest: Signal
    load: Signal
    lane: Signal
    first: Signal
    last: Signal
    hold: Signal
    token: data.View
    phase: Signal

    def __init__(self, *, spec: ArraySpec, period: int, drain: int, lanes: int = 1,
                 fold: int = 1, buffers: int = 1) -> None:
        least = max(fold * spec.nodes, Planner.latency + 2)     # the next row base takes one more
        if period < least or period % fold:
            raise ValueError(f"period must be a multiple of {fold}, at least {least}, "
                             f"not {period}")
        self._period, self._drain, self._fold, self._buffers = period, drain, fold, buffers
        lane = Out(lane_shape(lanes))
        super().__init__({
            "job": In(stream.Signature(job_shape(lanes))), "registers": In(RegisterValues),
            "bus": In(MemoryBus(spec)), "seeded": In(1), "rest": Out(1), "load": Out(1),
            "lane": lane, "first": lane, "last": lane, "hold": In(1),
            "token": Out(token_shape(spec)), "phase": Out(phase_shape(fold)),
        }, spec=spec)

    @property
    def period(self) -> int:
        """Cycles of a pass."""
        return self._period

    def _drive_token(self, m: Module, place: Signal, current: data.View, base: Signal) -> None:
        m.d.comb += [
            self.token.initial.eq(current.kind == PassKind.INITIAL),
            self.token.final.eq(current.final),
            self.token.segment.eq(current.segment),
            self.token.node.eq(place),
            self.token.row.eq(base + place),
        ]

    def _choose_lanes(self, m: Module) -> None:
        """Note which lanes the job that is taken counts on."""
        with m.If((self.registers.initial == InitialState.KEEP) & ~self.job.p.force):
            m.d.sync += [self.first.eq(self.last), self.lane.eq(self.last)]
        with m.Else():
            m.d.sync += [self.first.eq(0), self.lane.eq(0), self.last.eq(self.job.p.more)]

    def elaborate(self, platform):
        m = Module()
        m.submodules.planner = planner = Planner(spec=self._spec, buffers=self._buffers)
        wiring.connect(m, wiring.flipped(self.bus), planner.bus)
        current, force = Signal(pass_shape(self._spec)), Signal()
        turns, ends = self._period // self._fold, self.phase == self._fold - 1
        place = Signal(range(max(turns, self._drain + 1)))
        base, following_base = Signal.like(self.token.row), Signal.like(self.token.row)
        m.d.sync += following_base.eq(planner.following.segment * self._spec.nodes)
        m.d.comb += [planner.registers.eq(self.registers), planner.force.eq(force),
                     planner.current.eq(current), self.token.force.eq(force)]
        m.d.sync += self.phase.eq(Mux(ends, 0, self.phase + 1))
        self._drive_token(m, place, current, base)
        follow = [place.eq(0), current.eq(planner.following), base.eq(following_base)]
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += [self.job.ready.eq(self.seeded), self.rest.eq(1)]
                m.d.sync += [
                    force.eq(self.job.p.force), place.eq(0), base.eq(0), current.eq(0),
                    current.segment.eq(Mux(self.job.p.force, self.job.p.index, 0)),
                    current.final.eq(~self.job.p.force & (self.registers.stop_step == 0)),
                ]
                with m.If(self.job.valid & self.job.ready):
                    self._choose_lanes(m)
                    m.next = "SEED"
            with m.State("SEED"):
                m.d.comb += self.load.eq(1)
                m.d.sync += self.lane.eq(self.lane + 1)
                with m.If(self.lane == self.last):
                    m.next = "START"
            with m.State("START"):
                m.d.sync += self.phase.eq(0)
                with m.If(~(current.final & self.hold)):
                    m.next = "PASS"
            with m.State("PASS"):
                m.d.comb += self.token.valid.eq(place < self._spec.nodes)
                with m.If(~ends | (place != turns - 1)):
                    m.d.sync += place.eq(place + ends)
                with m.Elif(current.final):
                    m.d.sync += place.eq(0)
                    m.next = "DRAIN"
                with m.Elif(planner.following.final & self.hold):
                    m.next = "HOLD"
                with m.Else():
                    m.d.sync += follow
            with m.State("HOLD"), m.If(ends & ~self.hold):
                m.d.sync += follow
                m.next = "PASS"
            with m.State("DRAIN"):
                m.d.sync += place.eq(place + 1)
                with m.If(place == self._drain):
                    m.next = "IDLE"
        return m
