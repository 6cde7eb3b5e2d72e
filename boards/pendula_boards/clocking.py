"""Clock and reset: a phase-locked loop, and nothing runs before it has locked."""

from math import ceil

from amaranth import *
from amaranth.lib import io, wiring
from amaranth.lib.cdc import FFSynchronizer  # pyright: ignore[reportMissingImports]
from amaranth.lib.wiring import Out

from pendula_boards.pll import MHZ, PllSetting, ice40_filter

__all__ = ["ClockSource", "CountedReset", "Ecp5Clock", "GlobalReset", "GowinClock", "Ice40Clock"]

POWER_UP_S = 15e-6
"""How long block memories of iCE40 may read as zeros after configuration, five times over."""


class ClockSource(wiring.Component):
    """The clock of the design, from the board's clock.

    Parameters
    ----------
    setting : PllSetting
        Dividers.

    Members
    -------
    clk : :py:`Out(1)`
        Clock.
    locked : :py:`Out(1)`
        Whether it is steady; not synchronous to anything.
    """

    clk: Signal
    locked: Signal
    global_reset = False

    def __init__(self, setting: PllSetting) -> None:
        self._setting = setting
        super().__init__({"clk": Out(1), "locked": Out(1)})

    @property
    def setting(self) -> PllSetting:
        """Dividers."""
        return self._setting

    def elaborate(self, platform):
        m = Module()
        port = platform.request(platform.default_clk, dir="-")
        if self._setting.bypassed:
            m.d.comb += [self.clk.eq(self._buffered(m, port)), self.locked.eq(1)]
        else:
            self._loop(m, port)
        return m

    def _loop(self, m, port):
        """Add the loop's primitive."""
        raise NotImplementedError

    def _buffered(self, m, port):
        m.submodules.buffer = buffer = io.Buffer(io.Direction.Input, port)
        return buffer.i


class Ecp5Clock(ClockSource):
    """Clock by EHXPLLL; parameters and members as of :class:`ClockSource`.

    One output closes the loop and another is the clock, so that the clock may be any whole share of
    the oscillator.
    """

    global_reset = True

    def _loop(self, m, port):
        s, feedback = self._setting, Signal()
        m.submodules.pll = Instance(
            "EHXPLLL",
            a_FREQUENCY_PIN_CLKI=f"{float(s.input_hz) / MHZ:.6f}",
            a_FREQUENCY_PIN_CLKOP=f"{float(s.phase_hz) / MHZ:.6f}",
            a_FREQUENCY_PIN_CLKOS=f"{float(s.output_hz) / MHZ:.6f}",
            a_ICP_CURRENT="12", a_LPF_RESISTOR="8", a_MFG_ENABLE_FILTEROPAMP="1",
            a_MFG_GMCREF_SEL="2",
            p_CLKI_DIV=s.divide, p_CLKFB_DIV=1, p_CLKOP_DIV=s.multiply,
            p_CLKOP_CPHASE=s.multiply - 1, p_CLKOP_FPHASE=0, p_CLKOP_ENABLE="ENABLED",
            p_CLKOS_DIV=s.post, p_CLKOS_CPHASE=s.post - 1, p_CLKOS_FPHASE=0,
            p_CLKOS_ENABLE="ENABLED", p_FEEDBK_PATH="CLKOP", p_OUTDIVIDER_MUXA="DIVA",
            p_OUTDIVIDER_MUXB="DIVB", p_DPHASE_SOURCE="DISABLED",
            p_PLLRST_ENA="DISABLED", p_INTFB_WAKE="DISABLED", p_STDBY_ENABLE="DISABLED",
            i_CLKI=self._buffered(m, port), i_CLKFB=feedback, i_RST=Const(0), i_STDBY=Const(0),
            i_PHASESEL0=Const(0), i_PHASESEL1=Const(0), i_PHASEDIR=Const(1),
            i_PHASESTEP=Const(1), i_PHASELOADREG=Const(1), i_PLLWAKESYNC=Const(0),
            i_ENCLKOP=Const(0), i_ENCLKOS=Const(0), o_CLKOP=feedback, o_CLKOS=self.clk,
            o_LOCK=self.locked)


class Ice40Clock(ClockSource):
    """Clock by SB_PLL40_PAD; parameters and members as of :class:`ClockSource`.

    The loop sits at the clock's pin and takes the whole pin, so there is no buffer.
    """

    def _loop(self, m, port):
        s = self._setting
        m.submodules.pll = Instance(
            "SB_PLL40_PAD",
            p_FEEDBACK_PATH="SIMPLE", p_PLLOUT_SELECT="GENCLK",
            p_DIVR=Const(s.divide - 1, 4), p_DIVF=Const(s.multiply - 1, 7),
            p_DIVQ=Const(s.post.bit_length() - 1, 3),
            p_FILTER_RANGE=Const(ice40_filter(s.phase_hz), 3),
            i_PACKAGEPIN=port.io, i_RESETB=Const(1), i_BYPASS=Const(0),
            o_PLLOUTGLOBAL=self.clk, o_LOCK=self.locked)


class GowinClock(ClockSource):
    """Clock by rPLL; parameters and members as of :class:`ClockSource`."""

    def _loop(self, m, port):
        s = self._setting
        m.submodules.pll = Instance(
            "rPLL",
            p_FCLKIN=f"{float(s.input_hz) / MHZ:.6g}", p_DEVICE="GW1NR-9C",
            p_IDIV_SEL=s.divide - 1, p_FBDIV_SEL=s.multiply - 1, p_ODIV_SEL=s.post,
            p_DYN_IDIV_SEL="false", p_DYN_FBDIV_SEL="false", p_DYN_ODIV_SEL="false",
            p_CLKFB_SEL="internal",
            i_CLKIN=self._buffered(m, port), i_CLKFB=Const(0), i_RESET=Const(0),
            i_RESET_P=Const(0), i_FBDSEL=Const(0, 6), i_IDSEL=Const(0, 6), i_ODSEL=Const(0, 6),
            i_PSDA=Const(0, 4), i_DUTYDA=Const(0, 4), i_FDLY=Const(0, 4),
            o_CLKOUT=self.clk, o_LOCK=self.locked)


class GlobalReset(Elaboratable):
    """Reset of an ECP5: its global set/reset net, which costs no routing.

    Parameters
    ----------
    locked : Signal
        Whether the clock of domain ``sync``, which needs no reset of its own, is steady.
    """

    def __init__(self, *, locked: Signal) -> None:
        self._locked = locked

    @property
    def locked(self) -> Signal:
        """Whether the clock is steady."""
        return self._locked

    def elaborate(self, platform):
        m = Module()
        clk, early, late = ClockSignal(), Signal(), Signal()
        for name, d, q in (("first", self._locked, early), ("second", early, late)):
            m.submodules[name] = Instance(      # FD1S3AX may clear at once, on which ABC9 stumbles
                "TRELLIS_FF", p_GSR="DISABLED", p_CEMUX="1", p_CLKMUX="CLK", p_LSRMUX="LSR",
                p_SRMODE="LSR_OVER_CE", p_REGSET="RESET", i_CLK=clk, i_LSR=Const(0), i_DI=d,
                o_Q=q)
        m.submodules.net = Instance("SGSR", i_CLK=clk, i_GSR=late)
        return m


class CountedReset(wiring.Component):
    """Reset until the clock was steady for a while.

    Parameters
    ----------
    locked : Signal
        Whether the clock of domain ``raw``, which has no reset, is steady.
    clock_hz : int
        Its rate.

    Members
    -------
    rst : :py:`Out(1)`
        Reset, synchronous to that clock.
    """

    rst: Signal

    def __init__(self, *, locked: Signal, clock_hz: int) -> None:
        self._locked, self._clock_hz = locked, clock_hz
        super().__init__({"rst": Out(1, init=1)})   # pyright: ignore[reportCallIssue]

    @property
    def locked(self) -> Signal:
        """Whether the clock is steady."""
        return self._locked

    @property
    def clock_hz(self) -> int:
        """Rate of the clock."""
        return self._clock_hz

    @property
    def cycles(self) -> int:
        """Clock cycles for which the clock must be steady."""
        return ceil(POWER_UP_S * self._clock_hz)

    def elaborate(self, platform):
        m = Module()
        steady = Signal()
        count = Signal(range(self.cycles + 1))
        m.submodules.synchroniser = FFSynchronizer(self._locked, steady, o_domain="raw")
        m.d.raw += self.rst.eq(count != self.cycles)
        with m.If(~steady):
            m.d.raw += count.eq(0)
        with m.Elif(count != self.cycles):
            m.d.raw += count.eq(count + 1)
        return m
