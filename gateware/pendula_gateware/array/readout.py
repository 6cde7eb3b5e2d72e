"""The readout: keeps what the final pass of a job returns, and sends it as bytes or sums it up."""

from itertools import pairwise

from amaranth import *
from amaranth.lib import data, memory, stream
from amaranth.lib.wiring import In, Out, connect, flipped

from pendula.contract import protocol, step
from pendula.contract.numbers import Overflow
from pendula.contract.registers import REGISTER_BITS
from pendula.contract.registers import Readout as ReadoutBits
from pendula.contract.spec import ArraySpec
from pendula_gateware.array.part import ArrayPart
from pendula_gateware.array.shapes import accumulator_shape, result_shape, state_shape
from pendula_gateware.array.statistics import Statistics
from pendula_gateware.fabric import GENERIC, UNCHECKED, Fabric
from pendula_gateware.interfaces import (
    Byte,
    MemoryBus,
    MemoryBusInterface,
    PacketStream,
    RegisterValues,
    lane_shape,
)
from pendula_gateware.numeric.delay import delayed, registered
from pendula_gateware.numeric.multiply import multiplied, product_latency

__all__ = ["PixelMapper", "Readout", "ResultStore", "Sender"]

_MEASURE = ReadoutBits.MEASURE.bit_length() - 1


class PixelMapper(ArrayPart):
    """Turn a state into an 8-bit pixel: fold a phase, affine, then clip.

    Parameters
    ----------
    spec : ArraySpec
        Array.
    fabric : Fabric
        What it is built for.

    Members
    -------
    registers : :py:`In(RegisterValues)`
        Gain and offset.
    en : :py:`In(1)`
        Move on; otherwise everything stays.
    x : :py:`In(state)`
        State.
    o : :py:`Out(8)`
        Pixel.

    Notes
    -----
    Latency `latency` cycles with `en`.
    """

    registers: data.View
    en: Signal
    x: Signal
    o: Signal

    def __init__(self, *, spec: ArraySpec, fabric: Fabric = GENERIC) -> None:
        self._phase = spec.physics.overflow is Overflow.WRAP
        self._fabric, self._stages = fabric, fabric.registers
        super().__init__({"registers": In(RegisterValues), "en": In(1),
                          "x": In(state_shape(spec)), "o": Out(8)}, spec=spec)

    @property
    def latency(self) -> int:
        """Cycles: to multiply, to add where registers abound, to clip."""
        gain_bits = len(self.registers.pixel_gain) + self._phase
        return product_latency(gain_bits, len(self.x), self._fabric) + self._stages + 1

    def model(self, gain: int, offset: int, x: int) -> int:
        """Compute the pixel."""
        return step.pixel(self._spec, gain, offset, x)

    def elaborate(self, platform):
        m = Module()
        gain, offset = self.registers.pixel_gain, self.registers.pixel_offset
        shift = step.pixel_shift(self._spec)
        aligned = (offset << (shift - step.PIXEL_OFFSET_F_BITS)) + (1 << (shift - 1))
        gain, aligned = (delayed(m, value, self._stages) for value in (gain, aligned))  # far away
        if self._phase:         # folded by its gain, which is narrower than the state
            gain = Mux(self.x < 0, -gain, gain)
        product = multiplied(m, "pixel", self.x, gain, self._fabric, self.en)
        value = delayed(m, (product + aligned) >> shift, self._stages, self.en)
        with m.If(self.en):
            m.d.sync += self.o.eq(
                Mux(value < 0, 0, Mux(value > step.PIXEL_HI, step.PIXEL_HI, value)))
        return m


class ResultStore(ArrayPart):
    """Keep what the final pass of a job returns, lane by lane.

    Parameters
    ----------
    spec : ArraySpec
        Array.
    lanes : int
        Lanes of the array.
    fabric : Fabric
        What it is built for.

    Members
    -------
    readout : :py:`In(RegisterValues["readout"])`
        What is kept: visible nodes; all of them with ALL or MEASURE, and for forces.
    i : :py:`In(ArrayLayout(result_shape(spec), lanes))`
        Results of the lanes, all with the same token. Forces are those of lane 0.
    clear : :py:`In(1)`
        Forget what is kept.
    count : :py:`Out(range(nodes + 1))`
        Values kept of each lane.
    force : :py:`Out(1)`
        They are forces; from the end of a final pass on.
    done : :py:`Out(1)`
        End of a final pass.
    en : :py:`In(1)`
        Move on with reading.
    lane, place : :py:`In`
        Value to read.
    value : :py:`Out(drift)`
        Value that was named `latency` cycles with `en` ago.
    """

    readout: Signal
    i: data.View
    clear: Signal
    count: Signal
    force: Signal
    done: Signal
    en: Signal
    lane: Signal
    place: Signal
    value: Signal

    def __init__(self, *, spec: ArraySpec, lanes: int, fabric: Fabric = GENERIC) -> None:
        self._lanes = lanes
        self._registers = fabric.registers
        super().__init__({
            "readout": In(RegisterValues["readout"].shape),
            "i": In(data.ArrayLayout(result_shape(spec), lanes)), "clear": In(1),
            "count": Out(range(spec.nodes + 1)), "force": Out(1), "done": Out(1), "en": In(1),
            "lane": In(lane_shape(lanes)), "place": In(range(spec.nodes)),
            "value": Out(accumulator_shape(spec, "drift"))}, spec=spec)

    @property
    def latency(self) -> int:
        """Cycles from `place` to `value`: the memory, its registers, the choice of the lane."""
        return 1 + self._registers + (self._lanes > 1)

    def _keep(self, m: Module, number: int, append: Value) -> Value:
        """Build the memory of a lane; return what is read there."""
        x, result = self.i[number].x, self.i[0]
        shape = state_shape(self._spec) if number else self.value.shape()
        m.submodules[f"values_{number}"] = values = memory.Memory(
            shape=shape, depth=self._spec.nodes, init=[], attrs=UNCHECKED)
        write, read = values.write_port(), values.read_port()
        m.d.comb += [
            write.en.eq(append), write.addr.eq(self.count), read.addr.eq(self.place),
            read.en.eq(self.en),
            write.data.eq(x if number else Mux(result.token.force, result.force, x)),
        ]
        return delayed(m, read.data, self._registers, self.en)

    def elaborate(self, platform):
        m = Module()
        result = self.i[0]
        final = result.token.valid & result.token.final
        everything = (self.readout & (ReadoutBits.ALL | ReadoutBits.MEASURE)).any()
        append = final & (result.token.force | result.visible | everything)
        kept = [self._keep(m, number, append) for number in range(self._lanes)]
        value = kept[0]
        if self._lanes > 1:
            lane = delayed(m, self.lane, 1 + self._registers, self.en)
            value = delayed(m, Array(kept)[lane], 1, self.en)
        m.d.comb += [self.done.eq(final & (result.token.node == self._spec.nodes - 1)),
                     self.value.eq(value)]
        with m.If(final):
            m.d.sync += self.force.eq(result.token.force)
        with m.If(self.clear):
            m.d.sync += self.count.eq(0)
        with m.Elif(append):
            m.d.sync += self.count.eq(self.count + 1)
        return m


class Sender(ArrayPart):
    """Send what is kept as packets, a lane after the other.

    Parameters
    ----------
    spec : ArraySpec
        Array.
    lanes : int
        Lanes of the array.
    store_latency : int
        Of reading what is kept.
    fabric : Fabric
        What it is built for.

    Members
    -------
    registers : :py:`In(RegisterValues)`
        What a sample returns.
    run : :py:`In(1)`
        Send; stays until `done`. From a cycle before, `first`, `last`, `force` and `count` must
        not change.
    first, last : :py:`In(lane_shape(lanes))`
        Lanes to send.
    force : :py:`In(1)`
        Values are forces.
    count : :py:`In(range(nodes + 1))`
        Values of each lane.
    en, lane, place, value
        Reads what is kept: see :class:`ResultStore`.
    o : :py:`Out(PacketStream)`
        Packets.
    done : :py:`Out(1)`
        The last byte is taken.

    Notes
    -----
    Latency `latency` cycles from `run` to the first byte, then one byte a cycle.
    """

    registers: data.View
    run: Signal
    first: Signal
    last: Signal
    force: Signal
    count: Signal
    en: Signal
    lane: Signal
    place: Signal
    value: Signal
    o: stream.Interface
    done: Signal

    def __init__(self, *, spec: ArraySpec, lanes: int, store_latency: int,
                 fabric: Fabric = GENERIC) -> None:
        self._store_latency, self._pixel = store_latency, PixelMapper(spec=spec, fabric=fabric)
        lane = lane_shape(lanes)
        super().__init__({
            "registers": In(RegisterValues), "run": In(1), "first": In(lane), "last": In(lane),
            "force": In(1), "count": In(range(spec.nodes + 1)), "en": Out(1), "lane": Out(lane),
            "place": Out(range(spec.nodes)), "value": In(accumulator_shape(spec, "drift")),
            "o": Out(PacketStream), "done": Out(1)}, spec=spec)

    @property
    def latency(self) -> int:
        """Most cycles from `run` to the first byte."""
        return self._store_latency + self._pixel.latency + 1

    def _fetch(self, m: Module) -> list[data.View]:
        """Read values one after another; return their marks, stage by stage."""
        marks = data.StructLayout({"valid": 1, "last": 1, "end": 1})
        last, empty = registered(m, self.count - 1), registered(m, self.count == 0)
        left = Signal()
        stages = [Signal(marks, name=f"marks_{k}")
                  for k in range(self.latency)]
        issued = stages[0]
        m.d.comb += [
            issued.valid.eq(left), issued.last.eq((self.place == last) | empty),
            issued.end.eq(issued.last & (self.lane == self.last)),
        ]
        with m.If(~self.run):
            m.d.sync += [self.place.eq(0), self.lane.eq(self.first), left.eq(1)]
            m.d.sync += [stage.valid.eq(0) for stage in stages[1:]]
        with m.Elif(self.en):
            m.d.sync += [later.eq(stage) for stage, later in pairwise(stages)]
            m.d.sync += [self.place.eq(Mux(issued.last, 0, self.place + 1)),
                         self.lane.eq(self.lane + issued.last),
                         left.eq(left & ~issued.end)]
        return stages

    def elaborate(self, platform):
        m = Module()
        m.submodules.pixel = pixel = self._pixel
        stages = self._fetch(m)
        pixels, item = Signal(), Signal.like(stages[0])
        wide = max(protocol.force_bytes(self._spec), protocol.state_bytes(self._spec))
        word, left = Signal(signed(wide * Byte.width), reset_less=True), Signal(range(wide + 1))
        size = Mux(self.force, protocol.force_bytes(self._spec), protocol.state_bytes(self._spec))
        marks = Signal.like(item)               # of the word
        m.d.comb += [
            pixel.registers.eq(self.registers), pixel.en.eq(self.en), pixel.x.eq(self.value),
            pixels.eq((self.registers.readout & ReadoutBits.PIXEL).any() & ~self.force),
            item.eq(Mux(pixels, stages[-1], stages[self._store_latency])),
            self.en.eq(self.run & ((left == 0) | ((left == 1) & self.o.ready))),
            self.o.valid.eq(left != 0), self.o.p.data.eq(word),
            self.o.p.last.eq(marks.last & (left == 1)),
            self.done.eq(self.o.valid & self.o.ready & self.o.p.last & marks.end),
        ]
        with m.If(self.en):
            m.d.sync += [word.eq(Mux(self.count == 0, 0, Mux(pixels, pixel.o, self.value))),
                         left.eq(Mux(item.valid, Mux(pixels | (self.count == 0), 1, size), 0)),
                         marks.eq(item)]
        with m.Elif(self.o.ready & (left != 0)):
            m.d.sync += [word.eq(word >> Byte.width), left.eq(left - 1)]
        return m


class Readout(ArrayPart):
    """Collect the results of a final pass; send them as a packet a lane, or add them to sums.

    Parameters
    ----------
    spec : ArraySpec
        Array.
    lanes : int
        Lanes of the array.
    sums : int
        Sums of the statistics; there are none at 0.
    fabric : Fabric
        What it is built for.

    Members
    -------
    registers : :py:`In(RegisterValues)`
        What a sample returns; constant until `busy` falls.
    bus : :py:`In(MemoryBus(spec))`
        Access to measurements and sums.
    i : :py:`In(ArrayLayout(result_shape(spec), lanes))`
        Results of the lanes, all with the same token. Forces are those of lane 0.
    first, last : :py:`In(lane_shape(lanes))`
        Lanes to read out; constant until the end of a final pass.
    clear : :py:`In(1)`
        A RUN begins: where it measures, sums and `measured` return to zero.
    o : :py:`Out(PacketStream)`
        Values in node order, little-endian: pixels of 1 byte, states of ``state_bytes``, forces of
        ``force_bytes``. Where nothing is visible, one zero byte stands for the empty packet.
    measured : :py:`Out(32)`
        Samples that count in the sums.
    busy : :py:`Out(1)`
        Results are not read out, or sums not yet zero: no other final pass may start.

    Notes
    -----
    Reading out begins after the last result: one byte a cycle, or a measurement a cycle.
    """

    registers: data.View
    bus: MemoryBusInterface
    i: data.View
    first: Signal
    last: Signal
    clear: Signal
    o: stream.Interface
    measured: Signal
    busy: Signal

    def __init__(self, *, spec: ArraySpec, lanes: int = 1, sums: int = 0,
                 fabric: Fabric = GENERIC) -> None:
        self._lanes, self._sums, self._fabric = lanes, sums, fabric
        super().__init__({
            "registers": In(RegisterValues), "bus": In(MemoryBus(spec)),
            "i": In(data.ArrayLayout(result_shape(spec), lanes)),
            "first": In(lane_shape(lanes)), "last": In(lane_shape(lanes)), "clear": In(1),
            "o": Out(PacketStream), "measured": Out(REGISTER_BITS), "busy": Out(1)}, spec=spec)

    @property
    def lanes(self) -> int:
        """Lanes of the array."""
        return self._lanes

    @property
    def sums(self) -> int:
        """Sums of the statistics."""
        return self._sums

    def _measure(self, m: Module, store: ResultStore, statistics: Statistics, run: Value) -> None:
        """Let the statistics read what is kept."""
        connect(m, flipped(self.bus), statistics.bus)
        m.d.comb += [
            statistics.registers.eq(self.registers),
            statistics.clear.eq(self.clear & self.registers.readout[_MEASURE]),
            statistics.run.eq(run), statistics.x.eq(store.value),
            self.measured.eq(statistics.measured),
        ]
        with m.If(run):
            m.d.comb += [store.en.eq(1), store.lane.eq(statistics.lane),
                         store.place.eq(statistics.place)]

    def elaborate(self, platform):
        m = Module()
        m.submodules.store = store = ResultStore(
            spec=self._spec, lanes=self._lanes, fabric=self._fabric)
        m.submodules.sender = sender = Sender(
            spec=self._spec, lanes=self._lanes, store_latency=store.latency, fabric=self._fabric)
        connect(m, sender.o, flipped(self.o))
        full, measures, taken = Signal(), Signal(), Signal()
        steady = full & delayed(m, full, 1)         # the count has been so for a cycle
        first, last = Signal.like(self.first), Signal.like(self.last)
        m.d.comb += [
            store.readout.eq(self.registers.readout), store.i.eq(self.i), store.clear.eq(taken),
            measures.eq(self.registers.readout[_MEASURE] & ~store.force),
            sender.registers.eq(self.registers), sender.first.eq(first), sender.last.eq(last),
            sender.force.eq(store.force), sender.count.eq(store.count),
            sender.run.eq(steady & ~(measures if self._sums else 0)), sender.value.eq(store.value),
            store.en.eq(sender.en), store.lane.eq(sender.lane), store.place.eq(sender.place),
            taken.eq(sender.done), self.busy.eq(full | (store.count != 0)),
        ]
        if self._sums:
            m.submodules.statistics = statistics = Statistics(
                spec=self._spec, lanes=self._lanes, sums=self._sums, store_latency=store.latency)
            self._measure(m, store, statistics, full & measures)
            m.d.comb += [
                statistics.first.eq(first), statistics.last.eq(last),
                taken.eq(sender.done | statistics.done),
                self.busy.eq(full | (store.count != 0) | statistics.busy)]
        with m.If(~full):
            m.d.sync += [first.eq(self.first), last.eq(self.last), full.eq(store.done)]
        with m.Elif(taken):
            m.d.sync += full.eq(0)
        return m
