"""The device without a platform: bytes of the link in, bytes of the link out."""

from typing import Any

from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from pendula.contract.spec import ArraySpec
from pendula_gateware.interfaces import ByteStream

__all__ = ["Flat", "Top"]


class Top(wiring.Component):
    """Array with its link.

    Parameters
    ----------
    spec : ArraySpec
        Array to build.
    build_id : str
        Hexadecimal digest that HELLO reports, of at least 8 bytes.

    Members
    -------
    i : :py:`In(ByteStream)`
        Requests: COBS frames, each ended by a zero byte.
    o : :py:`Out(ByteStream)`
        Responses, likewise.
    busy : :py:`Out(1)`
        Whether something is left to do before the next byte of input. While this is low and
        `i.valid` is low, the clock may stop.
    """

    i: stream.Interface
    o: stream.Interface
    busy: Signal

    def __init__(self, *, spec: ArraySpec, build_id: str) -> None:
        self._spec, self._build_id = spec, build_id
        super().__init__({"i": In(ByteStream), "o": Out(ByteStream), "busy": Out(1)})

    @property
    def spec(self) -> ArraySpec:
        """Array that is built."""
        return self._spec

    @property
    def build_id(self) -> str:
        """Digest that HELLO reports."""
        return self._build_id

    def elaborate(self, platform: Any) -> Module:
        raise NotImplementedError


class Flat(wiring.Component):
    """Component whose ports are plain signals, for tools that dislike double underscores.

    :class:`Top` gets the Verilog ports ``clk``, ``rst``, ``i_payload[7:0]``, ``i_valid``,
    ``i_ready``, ``o_payload[7:0]``, ``o_valid``, ``o_ready`` and ``busy``.

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

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.inner = self._inner
        for name, (member, value) in self._ports.items():
            outer = getattr(self, name)
            m.d.comb += value.eq(outer) if member.flow is In else outer.eq(value)
        return m
