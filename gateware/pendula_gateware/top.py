"""The device without a platform: bytes of the link in, bytes of the link out."""

from functools import partial
from typing import Any

from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from pendula.contract import CONTRACT_ID
from pendula.contract.protocol import Hello
from pendula.contract.spec import ArraySpec
from pendula_gateware.array.array import OscillatorArray
from pendula_gateware.fabric import GENERIC, Fabric
from pendula_gateware.interfaces import ByteStream
from pendula_gateware.link.controller import Controller
from pendula_gateware.link.deframer import Deframer
from pendula_gateware.link.framer import Framer
from pendula_gateware.noise.jitter import JitterSeeder, ModelSource, RingSource
from pendula_gateware.numeric.buffer import pass_on

__all__ = ["Flat", "Top"]


class Top(wiring.Component):
    """Array with its link.

    Parameters
    ----------
    spec : ArraySpec
        Array to build.
    build_id : str
        Hexadecimal digest that HELLO reports, of at least 8 bytes.
    lanes : int
        Samples drawn side by side.
    jitter : RingSource or ModelSource, optional
        Source of a jitter seeder; there is none without it. Its seeds are only offered: noise
        comes from the SEED registers alone.
    fabric : Fabric
        What it is built for.
    sums : int
        Sums of the statistics; there are none at 0.

    Members
    -------
    i : :py:`In(ByteStream)`
        Requests: COBS frames, each ended by a zero byte.
    o : :py:`Out(ByteStream)`
        Responses, likewise.
    busy : :py:`Out(1)`
        Whether something is left to do before the next byte of input. While this is low and
        `i.valid` is low, the clock may stop.
    dropped : :py:`Out(1)`
        Whether the register FRAMES_DROPPED is not 0.
    """

    i: stream.Interface
    o: stream.Interface
    busy: Signal
    dropped: Signal

    def __init__(self, *, spec: ArraySpec, build_id: str, lanes: int = 1,
                 jitter: RingSource | ModelSource | None = None, fabric: Fabric = GENERIC,
                 sums: int = 0) -> None:
        self._spec, self._build_id, self._jitter = spec, build_id, jitter
        self._lanes, self._fabric, self._sums = lanes, fabric, sums
        super().__init__({"i": In(ByteStream), "o": Out(ByteStream), "busy": Out(1),
                          "dropped": Out(1)})

    @property
    def spec(self) -> ArraySpec:
        """Array that is built."""
        return self._spec

    @property
    def build_id(self) -> str:
        """Digest that HELLO reports."""
        return self._build_id

    @property
    def lanes(self) -> int:
        """Samples drawn side by side."""
        return self._lanes

    @property
    def jitter(self) -> RingSource | ModelSource | None:
        """Source of the jitter seeder."""
        return self._jitter

    @property
    def fabric(self) -> Fabric:
        """What it is built for."""
        return self._fabric

    @property
    def sums(self) -> int:
        """Sums of the statistics."""
        return self._sums

    def elaborate(self, platform):
        m = Module()
        hello = Hello.of(self._spec, contract_id=CONTRACT_ID, build_id=self._build_id,
                         lanes=self._lanes, sums=self._sums, buffers=self._fabric.buffers,
                         jitter_rings=self._jitter.rings if self._jitter else 0)
        m.submodules.deframer = deframer = Deframer(fabric=self._fabric)
        m.submodules.controller = controller = Controller(
            spec=self._spec, hello=hello, fabric=self._fabric)
        m.submodules.array = array = OscillatorArray(
            spec=self._spec, lanes=self._lanes, fabric=self._fabric, sums=self._sums)
        m.submodules.framer = framer = Framer(fabric=self._fabric)
        link = partial(pass_on, m, fabric=self._fabric)
        waiting = [
            link("requests", flipped(self.i), deframer.i),
            link("commands", deframer.o, controller.i),
            link("jobs", controller.job, array.job),
            link("results", array.o, controller.result),
            link("responses", controller.o, framer.i),
            link("answers", framer.o, flipped(self.o))]
        connect(m, controller.bus, array.bus)
        m.d.comb += [
            array.registers.eq(controller.registers), array.clear.eq(controller.clear),
            controller.saturations.eq(array.saturations), controller.cycles.eq(array.cycles),
            controller.measured.eq(array.measured),
            controller.frames_dropped.eq(deframer.dropped), controller.array_busy.eq(array.busy),
            self.dropped.eq(deframer.dropped.any()),
            self.busy.eq(deframer.busy | controller.busy | array.busy | framer.busy
                         | Cat(waiting).any()),
        ]
        if self._jitter is not None:
            m.submodules.seeder = seeder = JitterSeeder(source=self._jitter)
            connect(m, controller.jitter, seeder.port)
        return m


class Flat(wiring.Component):
    """Component whose ports are plain signals, for tools that dislike double underscores.

    :class:`Top` gets the Verilog ports ``clk``, ``rst``, ``i_payload[7:0]``, ``i_valid``,
    ``i_ready``, ``o_payload[7:0]``, ``o_valid``, ``o_ready``, ``busy`` and ``dropped``.

    Parameters
    ----------
    inner : wiring.Component
        Component to wrap.

    Members
    -------
    One signal for each port of `inner`: the parts of its path joined by single underscores.
    """

    def __init__(self, inner: wiring.Component) -> None:
        self._inner: Any = inner
        self._ports = {"_".join(map(str, path)): (member, value)
                       for path, member, value in inner.signature.flatten(inner)}
        super().__init__({name: member for name, (member, _) in self._ports.items()})

    @property
    def inner(self) -> wiring.Component:
        """Component that is wrapped."""
        return self._inner

    def elaborate(self, platform):
        m = Module()
        m.submodules.inner = self._inner
        for name, (member, value) in self._ports.items():
            outer = getattr(self, name)
            m.d.comb += value.eq(outer) if member.flow is In else outer.eq(value)
        return m
