"""A board's top: clock, reset, UART pins and lights around the device."""

from amaranth import *
from amaranth.lib import io

from pendula_boards.board import Board, Led
from pendula_boards.clocking import CountedReset, GlobalReset
from pendula_boards.pll import PllSetting
from pendula_gateware.top import Top
from pendula_gateware.uart_top import UartTop

__all__ = ["BoardTop"]


class BoardTop(Elaboratable):
    """A device on a board.

    Parameters
    ----------
    board : Board
        Board.
    top : Top
        Array with its link.
    setting : PllSetting
        Clock.
    baud_hz : int
        Bits a second of the UART.
    """

    def __init__(self, *, board: Board, top: Top, setting: PllSetting, baud_hz: int) -> None:
        self._board, self._top, self._setting, self._baud_hz = board, top, setting, baud_hz

    @property
    def board(self) -> Board:
        """Board."""
        return self._board

    @property
    def top(self) -> Top:
        """Array with its link."""
        return self._top

    @property
    def setting(self) -> PllSetting:
        """Clock."""
        return self._setting

    @property
    def baud_hz(self) -> int:
        """Bits a second of the UART."""
        return self._baud_hz

    @property
    def clock_hz(self) -> int:
        """Rate of the clock, to the nearest Hz."""
        return round(self._setting.output_hz)

    def _clock(self, m: Module) -> None:
        """Add domain ``sync``, with its reset."""
        m.submodules.clock = clock = self._board.part.clock_source(self._setting)
        m.domains.sync = ClockDomain(reset_less=clock.global_reset)
        m.d.comb += ClockSignal().eq(clock.clk)
        if clock.global_reset:
            m.submodules.reset = GlobalReset(locked=clock.locked)
        else:
            m.domains.raw = ClockDomain(reset_less=True, local=True)
            m.submodules.reset = reset = CountedReset(locked=clock.locked, clock_hz=self.clock_hz)
            m.d.comb += [ClockSignal("raw").eq(clock.clk), ResetSignal().eq(reset.rst)]

    def _lights(self, m: Module, platform, values: dict[Led, Value]) -> None:
        places = {(led.resource, led.number) for led in values}
        ports = {place: platform.request(*place, dir="-") for place in sorted(places)}
        for led, value in values.items():
            port = ports[led.resource, led.number]
            pin = getattr(port, led.colour) if led.colour else port
            name = f"light_{led.resource}_{led.number}{led.colour}"
            m.submodules[name] = light = io.Buffer(io.Direction.Output, pin)
            m.d.sync += light.o.eq(value)

    def elaborate(self, platform):
        m = Module()
        self._clock(m)
        m.submodules.device = device = UartTop(top=self._top, clock_hz=self.clock_hz,
                                               baud_hz=self._baud_hz)
        pins = platform.request("uart", 0, dir="-")
        m.submodules.rx = rx = io.Buffer(io.Direction.Input, pins.rx)
        m.submodules.tx = tx = io.Buffer(io.Direction.Output, pins.tx)
        m.d.comb += [device.rx.eq(rx.i), tx.o.eq(device.tx)]
        lights: dict[Led, Value] = {self._board.busy: device.busy}
        if self._board.error:
            lights[self._board.error] = device.lost | device.dropped
        self._lights(m, platform, lights)
        return m
