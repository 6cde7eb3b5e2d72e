"""The readout: keeps what the final pass of a job returns, and sends it as bytes."""

from amaranth import *
from amaranth.lib import data, memory, stream
from amaranth.lib.wiring import In, Out

from pendula.contract import protocol, step
from pendula.contract.numbers import Overflow
from pendula.contract.registers import Readout as ReadoutBits
from pendula.contract.spec import ArraySpec
from pendula_gateware.array.part import ArrayPart
from pendula_gateware.array.shapes import accumulator_shape, result_shape, state_shape
from pendula_gateware.interfaces import PacketStream, RegisterValues, lane_shape

__all__ = ["PixelMapper", "Readout"]


class PixelMapper(ArrayPart):
    """Turn a state into an 8-bit pixel: fold a phase, then affine, then clip.

    Parameters
    ----------
    spec : ArraySpec
        Array.

    Members
    -------
    registers : :py:`In(RegisterValues)`
        Gain and offset.
    x : :py:`In(state)`
        State.
    o : :py:`Out(8)`
        Pixel.

    Notes
    -----
    Latency 3 cycles.
    """

    registers: data.View
    x: Signal
    o: Signal
    latency = 3

    def __init__(self, *, spec: ArraySpec) -> None:
        super().__init__({"registers": In(RegisterValues), "x": In(state_shape(spec)),
                          "o": Out(8)}, spec=spec)

    def model(self, gain: int, offset: int, x: int) -> int:
        """Compute the pixel."""
        return step.pixel(self._spec, gain, offset, x)

    def elaborate(self, platform):
        m = Module()
        phase = self._spec.physics.overflow is Overflow.WRAP
        folded = Signal(signed(self._spec.state_bits + 1), reset_less=True)
        gain, offset = self.registers.pixel_gain, self.registers.pixel_offset
        shift = step.pixel_shift(self._spec)
        aligned = (offset << (shift - step.PIXEL_OFFSET_F_BITS)) + (1 << (shift - 1))
        product = Signal((folded * gain).shape(), reset_less=True)
        value = (product + aligned) >> shift
        m.d.sync += [
            folded.eq(Mux(phase & (self.x < 0), -self.x, self.x)),
            product.eq(folded * gain),
            self.o.eq(Mux(value < 0, 0, Mux(value > step.PIXEL_HI, step.PIXEL_HI, value))),
        ]
        return m


class Readout(ArrayPart):
    """Collect the results of a final pass; send them as a packet a lane.

    Parameters
    ----------
    spec : ArraySpec
        Array.
    lanes : int
        Lanes of the array.

    Members
    -------
    registers : :py:`In(RegisterValues)`
        What a sample returns; constant until the packets are sent.
    i : :py:`In(ArrayLayout(result_shape(spec), lanes))`
        Results of the lanes, all with the same token. Forces are those of lane 0.
    first, last : :py:`In(lane_shape(lanes))`
        Lanes to send; constant until the end of a final pass.
    o : :py:`Out(PacketStream)`
        Values in node order, little-endian: pixels of 1 byte, states of ``state_bytes``, forces of
        ``force_bytes``. Where nothing is visible, one zero byte stands for the empty packet.
    busy : :py:`Out(1)`
        Packets are kept or being sent: no other final pass may start.

    Notes
    -----
    Sending begins after the last result; a value takes 6 cycles and one a byte.
    """

    registers: data.View
    i: data.View
    first: Signal
    last: Signal
    o: stream.Interface
    busy: Signal

    def __init__(self, *, spec: ArraySpec, lanes: int = 1) -> None:
        self._lanes = lanes
        super().__init__({
            "registers": In(RegisterValues), "i": In(data.ArrayLayout(result_shape(spec), lanes)),
            "first": In(lane_shape(lanes)), "last": In(lane_shape(lanes)), "o": Out(PacketStream),
            "busy": Out(1)}, spec=spec)

    @property
    def lanes(self) -> int:
        """Lanes of the array."""
        return self._lanes

    def _store(self, m: Module, count: Signal, place: Signal, lane: Signal) -> tuple[Value, Value]:
        """Append what is to be read out; return what is kept there, and the end of the pass."""
        result, readout = self.i[0], self.registers.readout
        final = result.token.valid & result.token.final
        wanted = result.token.force | result.visible | (readout & ReadoutBits.ALL).any()
        kept = []
        for number in range(self._lanes):
            shape = accumulator_shape(self._spec, "drift") if number == 0 else state_shape(
                self._spec)
            m.submodules[f"values_{number}"] = values = memory.Memory(
                shape=shape, depth=self._spec.nodes, init=[])
            write, read = values.write_port(), values.read_port()
            x = self.i[number].x
            m.d.comb += [
                write.en.eq(final & wanted), write.addr.eq(count), read.addr.eq(place),
                write.data.eq(x if number else Mux(result.token.force, result.force, x)),
            ]
            kept.append(read.data)
        with m.If(final & wanted):
            m.d.sync += count.eq(count + 1)
        return Array(kept)[lane], final & (result.token.node == self._spec.nodes - 1)

    def elaborate(self, platform):
        m = Module()
        m.submodules.pixel = pixel = PixelMapper(spec=self._spec)
        count, place = Signal(range(self._spec.nodes + 1)), Signal(range(self._spec.nodes + 1))
        lane, last = Signal.like(self.first), Signal.like(self.last)
        force, pixels = Signal(), Signal()
        kept, done = self._store(m, count, place, lane)
        value = Signal(accumulator_shape(self._spec, "drift"), reset_less=True)
        m.d.sync += value.eq(kept)
        force_bytes = protocol.force_bytes(self._spec)
        word, left = Signal(signed(8 * force_bytes)), Signal(range(force_bytes + 1))
        fetch = 2 + pixel.latency               # memory, choice of the lane, pixel
        delay = Signal(range(fetch + 1))
        m.d.comb += [pixel.registers.eq(self.registers), pixel.x.eq(value),
                     pixels.eq(self.registers.readout & ReadoutBits.PIXEL)]
        m.d.comb += self.busy.eq(1)
        with m.FSM():
            with m.State("COLLECT"):
                m.d.comb += self.busy.eq(count != 0)
                m.d.sync += [force.eq(self.i[0].token.force), place.eq(0), delay.eq(0),
                             lane.eq(self.first), last.eq(self.last)]
                with m.If(done):
                    m.next = "FETCH"
            with m.State("FETCH"):
                m.d.sync += delay.eq(delay + 1)
                with m.If(delay == fetch):
                    m.d.sync += [word.eq(value), left.eq(protocol.state_bytes(self._spec))]
                    with m.If(force):
                        m.d.sync += left.eq(force_bytes)
                    with m.Elif(pixels):
                        m.d.sync += [word.eq(pixel.o), left.eq(1)]
                    m.next = "SEND"
            with m.State("SEND"):
                m.d.comb += [
                    self.o.valid.eq(1),
                    self.o.p.data.eq(Mux(count == 0, 0, word)),
                    self.o.p.last.eq((left == 1) & (place + 1 >= count)),
                ]
                with m.If(self.o.ready):
                    m.d.sync += [word.eq(word >> 8), left.eq(left - 1)]
                    with m.If(left == 1):
                        m.d.sync += [place.eq(place + 1), delay.eq(0)]
                        m.next = "FETCH"
                    with m.If(self.o.p.last):
                        m.d.sync += [place.eq(0), lane.eq(lane + 1)]
                        with m.If(lane == last):
                            m.d.sync += count.eq(0)
                            m.next = "COLLECT"
        return m
