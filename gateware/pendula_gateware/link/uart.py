"""UART: bytes on one wire each way, at any rate up to a quarter of the clock.

A bit is timed by a phase accumulator: its increment is the baud rate over the clock rate, in units
of 2**-PHASE_BITS, and a bit ends where it wraps. So bits differ by a clock cycle in length, and
their mean is right within :func:`baud_error`.
"""

from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.cdc import FFSynchronizer  # pyright: ignore[reportMissingImports]
from amaranth.lib.wiring import In, Out

from pendula.contract.uart import DATA_BITS, FRAME_BITS
from pendula.errors import ContractError
from pendula_gateware.interfaces import ByteStream

__all__ = ["MIN_CYCLES_A_BIT", "UartReceiver", "UartTransmitter", "baud_error", "baud_tolerance",
           "wire"]

PHASE_BITS = 24
HALF_A_BIT = 1 << (PHASE_BITS - 1)
MIN_CYCLES_A_BIT = 4


def _increment(clock_hz: int, baud_hz: int) -> int:
    """Return the phase of a clock cycle, in units of 2**-PHASE_BITS of a bit."""
    if baud_hz < 1 or baud_hz * MIN_CYCLES_A_BIT > clock_hz:
        raise ContractError(f"baud rate must be within 1..{clock_hz // MIN_CYCLES_A_BIT} at a "
                            f"clock of {clock_hz} Hz, not {baud_hz}")
    increment = round((baud_hz << PHASE_BITS) / clock_hz)
    if not increment:
        raise ContractError(f"baud rate must be at least {(clock_hz >> PHASE_BITS) + 1} at a clock "
                            f"of {clock_hz} Hz, not {baud_hz}")
    return increment


def baud_error(clock_hz: int, baud_hz: int) -> float:
    """Return by which fraction the generated baud rate is too high."""
    return _increment(clock_hz, baud_hz) * clock_hz / (baud_hz << PHASE_BITS) - 1


def baud_tolerance(clock_hz: int, baud_hz: int) -> float:
    """Return by which fraction the other end's bits may be too long or too short.

    The last look, at the stop bit, is 9.5 bits after the first edge, late or early by a clock
    cycle at most. It must fall between 9 and 10 bits of the other end.
    """
    last = FRAME_BITS - 0.5
    return (0.5 - baud_hz / clock_hz) / last - abs(baud_error(clock_hz, baud_hz))


def wire(flow: wiring.Flow) -> wiring.Member:
    """Return a port that is high while nothing is sent."""
    return wiring.Member(flow, 1, init=1)      # pyright: ignore[reportCallIssue]


class _Uart(wiring.Component):
    """What receiver and transmitter share: the parameters."""

    def __init__(self, signature: dict[str, wiring.Member], *, clock_hz: int,
                 baud_hz: int) -> None:
        self._clock_hz, self._baud_hz = clock_hz, baud_hz
        self._phase_increment = _increment(clock_hz, baud_hz)
        super().__init__(signature)

    @property
    def clock_hz(self) -> int:
        """Rate of the clock."""
        return self._clock_hz

    @property
    def baud_hz(self) -> int:
        """Bits a second."""
        return self._baud_hz


class UartReceiver(_Uart):
    """Take bytes off a wire.

    The wire is synchronised, and a spike of one clock cycle is outvoted by its two neighbours. A
    bit is looked at in its middle, as counted from the edge that begins the byte.

    Parameters
    ----------
    clock_hz, baud_hz : int
        Rates of the clock and of the bits.

    Members
    -------
    rx : :py:`In(1)`
        The wire; high while nothing is sent.
    o : :py:`Out(ByteStream)`
        Bytes.
    lost : :py:`Out(1)`
        A byte was lost, for a cycle: one without a stop bit, or one that came while `o` still held
        the one before.

    Notes
    -----
    Latency `latency` cycles from the middle of the stop bit, more or less one. After a byte without
    a stop bit, the wire must be high before another one begins. Tolerance: :func:`baud_tolerance`.
    """

    rx: Signal
    o: stream.Interface
    lost: Signal
    latency = 5

    def __init__(self, *, clock_hz: int, baud_hz: int) -> None:
        super().__init__({"rx": wire(In), "o": Out(ByteStream), "lost": Out(1)},
                         clock_hz=clock_hz, baud_hz=baud_hz)

    def elaborate(self, platform):
        m = Module()
        line = self._filter(m)
        phase = Signal(PHASE_BITS + 1)
        middle = phase[-1]
        m.d.sync += phase.eq(phase[:-1] + self._phase_increment)

        bits = Signal(range(DATA_BITS))
        byte = Signal(DATA_BITS)
        m.d.sync += self.lost.eq(0)
        with m.If(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.FSM():
            with m.State("IDLE"):      # the first middle is half a bit after the edge
                m.d.sync += [phase.eq(HALF_A_BIT + 2 * self._phase_increment), bits.eq(0)]
                with m.If(~line):
                    m.next = "START"
            with m.State("START"), m.If(middle):
                m.next = "DATA"
                with m.If(line):       # too short for a start bit
                    m.next = "IDLE"
            with m.State("DATA"), m.If(middle):
                m.d.sync += [byte.eq(Cat(byte[1:], line)), bits.eq(bits + 1)]
                with m.If(bits == DATA_BITS - 1):
                    m.next = "STOP"
            with m.State("STOP"), m.If(middle):
                m.next = "IDLE"
                with m.If(~line):
                    m.next = "BREAK"
                with m.If(~line | (self.o.valid & ~self.o.ready)):
                    m.d.sync += self.lost.eq(1)
                with m.Else():
                    m.d.sync += [self.o.p.eq(byte), self.o.valid.eq(1)]
            with m.State("BREAK"), m.If(line):
                m.next = "IDLE"
        return m

    def _filter(self, m):
        """Return the wire, synchronised, by the vote of three cycles."""
        now = Signal(init=1)
        before, earlier = Signal(init=1), Signal(init=1)
        voted = Signal(init=1)
        m.submodules.synchroniser = FFSynchronizer(self.rx, now, init=1)
        m.d.sync += [before.eq(now), earlier.eq(before),
                     voted.eq((now & before) | (now & earlier) | (before & earlier))]
        return voted


class UartTransmitter(_Uart):
    """Put bytes on a wire.

    Parameters
    ----------
    clock_hz, baud_hz : int
        Rates of the clock and of the bits.

    Members
    -------
    i : :py:`In(ByteStream)`
        Bytes.
    tx : :py:`Out(1)`
        The wire; high while nothing is sent.
    busy : :py:`Out(1)`
        Whether a byte is on its way.

    Notes
    -----
    Latency 1 cycle to the start bit. Throughput: a byte in ten bits, without gaps.
    """

    i: stream.Interface
    tx: Signal
    busy: Signal
    latency = 1

    def __init__(self, *, clock_hz: int, baud_hz: int) -> None:
        super().__init__({"i": In(ByteStream), "tx": wire(Out), "busy": Out(1)},
                         clock_hz=clock_hz, baud_hz=baud_hz)

    def elaborate(self, platform):
        m = Module()
        remaining = Signal(range(FRAME_BITS + 1))      # bits, with the one on the wire
        rest = Signal(FRAME_BITS - 1)                  # the bits after it
        phase = Signal(PHASE_BITS + 1)
        end = phase[-1]                                # of the bit on the wire
        m.d.comb += [self.busy.eq(remaining.any()),
                     self.i.ready.eq(~self.busy | (end & (remaining == 1)))]
        m.d.sync += phase.eq(Mux(self.busy, phase[:-1], 0) + self._phase_increment)
        with m.If(end):
            m.d.sync += [Cat(self.tx, rest).eq(Cat(rest, 1)), remaining.eq(remaining - 1)]
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += [Cat(self.tx, rest).eq(Cat(0, self.i.p, 1)), remaining.eq(FRAME_BITS)]
        return m
