"""The device with a UART: two wires and a clock, for boards without a better link."""

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect

from pendula.contract.uart import DEFAULT_BAUD_HZ
from pendula_gateware.link.uart import UartReceiver, UartTransmitter, wire
from pendula_gateware.top import Top

__all__ = ["UartTop"]


class UartTop(wiring.Component):
    """A :class:`Top` whose bytes travel on two wires.

    Parameters
    ----------
    top : Top
        Array with its link.
    clock_hz : int
        Rate of the clock.
    baud_hz : int
        Bits a second, a quarter of the clock at most.

    Members
    -------
    rx : :py:`In(1)`
        Wire from the host; high while nothing is sent.
    tx : :py:`Out(1)`
        Wire to the host.
    busy : :py:`Out(1)`
        Whether the array, the link or the transmitter works.
    lost : :py:`Out(1)`
        The receiver has lost bytes; the frames that they belonged to are dropped by their CRC, and
        the host repeats the request.
    dropped : :py:`Out(1)`
        Whether frames have been dropped, as :class:`Top` says.

    Notes
    -----
    A request that comes while the one before is still worked on loses bytes: the host waits.
    """

    rx: Signal
    tx: Signal
    busy: Signal
    lost: Signal
    dropped: Signal

    def __init__(self, *, top: Top, clock_hz: int, baud_hz: int = DEFAULT_BAUD_HZ) -> None:
        self._top, self._clock_hz, self._baud_hz = top, clock_hz, baud_hz
        super().__init__({"rx": wire(In), "tx": wire(Out), "busy": Out(1),
                          "lost": Out(1), "dropped": Out(1)})

    @property
    def top(self) -> Top:
        """Array with its link."""
        return self._top

    @property
    def clock_hz(self) -> int:
        """Rate of the clock."""
        return self._clock_hz

    @property
    def baud_hz(self) -> int:
        """Bits a second."""
        return self._baud_hz

    def elaborate(self, platform):
        m = Module()
        rates = {"clock_hz": self._clock_hz, "baud_hz": self._baud_hz}
        m.submodules.receiver = receiver = UartReceiver(**rates)
        m.submodules.transmitter = transmitter = UartTransmitter(**rates)
        m.submodules.top = top = self._top
        connect(m, receiver.o, top.i)
        connect(m, top.o, transmitter.i)
        m.d.comb += [receiver.rx.eq(self.rx), self.tx.eq(transmitter.tx),
                     self.busy.eq(top.busy | transmitter.busy), self.dropped.eq(top.dropped)]
        m.d.sync += self.lost.eq(self.lost | receiver.lost)
        return m
