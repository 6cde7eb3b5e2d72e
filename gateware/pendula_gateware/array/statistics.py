"""Statistics: exact sums over samples, so that samples need not cross the link."""

from collections.abc import Sequence

from amaranth import *
from amaranth.lib import data, memory
from amaranth.lib.wiring import In, Out

from pendula.contract.memory import Memory
from pendula.contract.registers import REGISTER_BITS
from pendula.contract.spec import ArraySpec
from pendula.contract.statistics import BIN_BITS_HI, SUMS_HI, Kind, Measurement, measure
from pendula_gateware.array.part import ArrayPart
from pendula_gateware.array.shapes import memory_shape, state_shape
from pendula_gateware.fabric import UNCHECKED
from pendula_gateware.interfaces import (
    MemoryBus,
    MemoryBusInterface,
    RegisterValues,
    lane_shape,
)
from pendula_gateware.numeric.delay import delayed

__all__ = ["Statistics"]


class Statistics(ArrayPart):
    """Go through a list of measurements for every sample that counts; add each to its sums.

    Parameters
    ----------
    spec : ArraySpec
        Array.
    lanes : int
        Lanes of the array.
    sums : int
        Sums, and measurements at most.
    store_latency : int
        Cycles from a place to its state.

    Members
    -------
    registers : :py:`In(RegisterValues)`
        Number of measurements, bits of a bin, thinning; constant from `clear` to the last `done`.
    bus : :py:`In(MemoryBus(spec))`
        Access to the measurements and the sums, while idle.
    clear : :py:`In(1)`
        Set the sums and `measured` to zero; while idle.
    run : :py:`In(1)`
        A job's samples are kept; stays until `done`.
    first, last : :py:`In(lane_shape(lanes))`
        Lanes of the samples.
    lane, place : :py:`Out`
        Lane and node whose state is needed.
    x : :py:`In(state)`
        State that was named `store_latency` cycles ago.
    measured : :py:`Out(32)`
        Samples that count in the sums.
    done : :py:`Out(1)`
        All samples are in the sums.
    busy : :py:`Out(1)`
        The sums are not yet zero.

    Notes
    -----
    A measurement a cycle, and `latency` + 2 cycles more for a sample that counts; one cycle for one
    that does not. Setting the sums to zero takes a cycle each. `latency` is what a measurement
    takes from its row to its sum.
    """

    registers: data.View
    bus: MemoryBusInterface
    clear: Signal
    run: Signal
    first: Signal
    last: Signal
    lane: Signal
    place: Signal
    x: Signal
    measured: Signal
    done: Signal
    busy: Signal
    row_latency = 2
    sum_latency = 5

    def __init__(self, *, spec: ArraySpec, lanes: int, sums: int, store_latency: int) -> None:
        if not 2 <= sums <= SUMS_HI:
            raise ValueError(f"sums must be within 2..{SUMS_HI}, not {sums}")
        self._sums, self._store_latency = sums, store_latency
        lane = lane_shape(lanes)
        super().__init__({
            "registers": In(RegisterValues), "bus": In(MemoryBus(spec)), "clear": In(1),
            "run": In(1), "first": In(lane), "last": In(lane), "lane": Out(lane),
            "place": Out(range(spec.nodes)), "x": In(state_shape(spec)),
            "measured": Out(REGISTER_BITS), "done": Out(1), "busy": Out(1)}, spec=spec)

    @property
    def latency(self) -> int:
        """Cycles from the row of a measurement to its sum."""
        return self.row_latency + self._store_latency + self.sum_latency

    def model(self, measurements: Sequence[Measurement], bin_bits: int, thin: int,
              states: Sequence[Sequence[int]]) -> list[int]:
        """Compute the sums over the samples of a RUN."""
        return measure(self._spec, measurements, bin_bits, thin, states, self._sums)

    def _read_list(self, m: Module, row: Signal) -> data.View:
        """Keep the measurements; return that of a row, `row_latency` cycles later."""
        m.submodules.measurements = rows = memory.Memory(
            shape=memory_shape(self._spec, Memory.MEASUREMENT), depth=self._sums, init=[],
            attrs=UNCHECKED)
        write, read = rows.write_port(), rows.read_port()
        addressed = self.bus.memory == Memory.MEASUREMENT
        entry = delayed(m, read.data, self.row_latency - 1)
        m.d.comb += [
            write.en.eq(self.bus.write & addressed), write.addr.eq(self.bus.row),
            write.data.eq(self.bus.write_data), read.addr.eq(Mux(self.run, row, self.bus.row))]
        with m.If(addressed):
            m.d.comb += self.bus.read_data.eq(entry)
        return entry

    def _locate(self, m: Module, entry: data.View, walks: Signal, starts: Signal) -> data.View:
        """Find the first sum of each measurement; return it when the state is there."""
        base = Signal(range(self._sums + (1 << BIN_BITS_HI)))
        item = Signal(data.StructLayout({"valid": 1, "kind": 2, "base": base.shape()}))
        spans = Mux(entry.kind == Kind.HISTOGRAM, 1 << self.registers.bin_bits, 1)
        m.d.comb += [item.valid.eq(delayed(m, walks, self.row_latency) & (base < self._sums)),
                     item.kind.eq(entry.kind), item.base.eq(base), self.place.eq(entry.node)]
        with m.If(starts):
            m.d.sync += base.eq(0)
        with m.Elif(item.valid):
            m.d.sync += base.eq(base + spans)
        return delayed(m, item, self._store_latency)

    def _choose(self, m: Module, item: data.View, starts: Signal) -> tuple[Signal, Value, Value]:
        """Return, a cycle later, which sum a measurement goes to, whether it does, and what."""
        noted = Signal(state_shape(self._spec))
        counts = item.kind == Kind.HISTOGRAM
        offset = Cat(self.x[-BIN_BITS_HI:-1], ~self.x[-1])      # top bits, from the smallest state
        place = offset >> (BIN_BITS_HI - self.registers.bin_bits)[:BIN_BITS_HI.bit_length()]
        target = Signal(range(2 * self._sums + (1 << BIN_BITS_HI)))
        first, second, valid = Signal.like(noted), Signal.like(noted), Signal()
        with m.If(starts):
            m.d.sync += noted.eq(0)
        with m.Elif(item.valid & (item.kind == Kind.SUM)):
            m.d.sync += noted.eq(self.x)
        m.d.sync += [
            target.eq(item.base + Mux(counts, place, 0)), valid.eq(item.valid),
            first.eq(Mux(counts, 1, self.x)), second.eq(1)]
        with m.Switch(item.kind):
            with m.Case(Kind.SQUARE):
                m.d.sync += second.eq(self.x)
            with m.Case(Kind.PRODUCT):
                m.d.sync += second.eq(noted)
        return target, valid & (target < self._sums), first * second

    def _add(self, m: Module, target: Signal, valid: Value, term: Value) -> None:
        """Keep the sums; add terms to them, or set them to zero."""
        shape = memory_shape(self._spec, Memory.SUM)
        m.submodules.sums = sums = memory.Memory(
            shape=shape, depth=self._sums, init=[], attrs=UNCHECKED)    # no two terms share a sum
        write, read = sums.write_port(), sums.read_port()
        addressed, owned = self.bus.memory == Memory.SUM, self.run | self.busy
        place, total = Signal(range(self._sums)), Signal(shape)
        before = delayed(m, read.data.total, 1)     # block RAM is slow, and the sum is long
        m.d.sync += [place.eq(delayed(m, target, 2)), total.total.eq(before + delayed(m, term, 2))]
        m.d.comb += [
            read.addr.eq(Mux(self.run, target, self.bus.row)),
            write.en.eq(self.busy | delayed(m, valid, 3) | (self.bus.write & addressed)),
            write.addr.eq(Mux(owned, place, self.bus.row)),
            write.data.eq(Mux(owned, total.as_value(), self.bus.write_data))]
        with m.If(self.clear):
            m.d.sync += [self.busy.eq(1), place.eq(0), total.eq(0)]
        with m.Elif(self.busy):
            m.d.sync += [self.busy.eq(place != self._sums - 1), place.eq(place + 1), total.eq(0)]
        row = delayed(m, read.data, 1)
        with m.If(addressed):
            m.d.comb += self.bus.read_data.eq(row)

    def elaborate(self, platform):
        m = Module()
        row, phase = Signal(range(self._sums)), Signal.like(self.registers.thin)
        walks, starts, ends = Signal(), Signal(), Signal()
        wait = Signal(range(self.latency + 1))
        entry = self._read_list(m, row)
        item = self._locate(m, entry, walks, starts)
        self._add(m, *self._choose(m, item, starts))
        counts = phase == self.registers.thin - 1
        m.d.comb += self.done.eq(ends & (self.lane == self.last))
        with m.If(ends):
            m.d.sync += self.lane.eq(self.lane + 1)
        with m.FSM():
            with m.State("IDLE"):
                m.d.sync += self.lane.eq(self.first)
                with m.If(self.run & ~self.busy):
                    m.next = "SAMPLE"
            with m.State("SAMPLE"):
                m.d.comb += [starts.eq(1), ends.eq(~counts | (self.registers.measurements == 0))]
                m.d.sync += [row.eq(0), wait.eq(0), phase.eq(Mux(counts, 0, phase + 1)),
                             self.measured.eq(self.measured + counts)]
                with m.If(~ends):
                    m.next = "WALK"
                with m.Elif(self.done):
                    m.next = "IDLE"
            with m.State("WALK"):
                m.d.comb += walks.eq(1)
                m.d.sync += row.eq(row + 1)
                with m.If(row == self.registers.measurements - 1):
                    m.next = "DRAIN"
            with m.State("DRAIN"):
                m.d.sync += wait.eq(wait + 1)
                m.d.comb += ends.eq(wait == self.latency)
                with m.If(ends):
                    m.next = "SAMPLE"
                with m.If(self.done):
                    m.next = "IDLE"
        with m.If(self.clear):
            m.d.sync += [phase.eq(0), self.measured.eq(0)]
        return m
