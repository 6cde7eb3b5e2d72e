"""Dividers of phase-locked loops: which clocks a board can make from its own, exactly."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from pendula.errors import ClockError

__all__ = ["ECP5_PLL", "GOWIN_PLL", "ICE40_PLL", "MHZ", "TOLERANCE", "PllLimits", "PllSetting",
           "megahertz"]

MHZ = 1_000_000

TOLERANCE = Fraction(5, 100)
"""A clock may be slower than what was asked for by this fraction; it is never faster."""

Range = tuple[Fraction, Fraction]


def megahertz(hz: Fraction | int) -> str:
    """Return a frequency as a person reads it."""
    return f"{float(hz) / MHZ:.6g} MHz"


def _mhz(lowest: float, highest: float) -> Range:
    return Fraction(lowest) * MHZ, Fraction(highest) * MHZ


def _within(value: Fraction, limits: Range) -> bool:
    return limits[0] <= value <= limits[1]


@dataclass(frozen=True, slots=True)
class PllSetting:
    """Dividers of a loop: ``output = input * multiply / divide``, or / ``divide * post``.

    Parameters
    ----------
    input_hz, output_hz : Fraction
        Frequencies, exact.
    divide, multiply, post : int
        Of the input, in the feedback, and after the oscillator. All are 1 where the loop is not
        needed.
    vco_hz : Fraction
        Frequency of the oscillator.
    """

    input_hz: Fraction
    output_hz: Fraction
    divide: int = 1
    multiply: int = 1
    post: int = 1
    vco_hz: Fraction = Fraction(0)

    @property
    def bypassed(self) -> bool:
        """Whether the input is the clock, without a loop."""
        return self.input_hz == self.output_hz

    @property
    def phase_hz(self) -> Fraction:
        """Frequency at the phase detector."""
        return self.input_hz / self.divide


@dataclass(frozen=True, slots=True, kw_only=True)
class PllLimits:
    """What a family's loop can do.

    Parameters
    ----------
    name : str
        Name of the primitive.
    input_hz, phase_hz, vco_hz, output_hz : pair of Fraction
        Ranges of the frequencies at the input, phase detector, oscillator and output.
    divides, multiplies : range
        Dividers of input and feedback.
    posts : sequence of int
        Dividers after the oscillator.
    post_in_loop : bool
        Whether the feedback comes from behind the last divider; otherwise from the oscillator.
    """

    name: str
    input_hz: Range
    phase_hz: Range
    vco_hz: Range
    output_hz: Range
    divides: range
    multiplies: range
    posts: tuple[int, ...] = field(repr=False)
    post_in_loop: bool

    def solve(self, input_hz: Fraction | int, wanted_hz: Fraction | int) -> PllSetting:
        """Return the setting with the fastest output that is not faster than `wanted_hz`.

        Where several have it, the one with the fastest phase detector, and then the one whose
        oscillator is farthest from its limits.

        Raises
        ------
        ClockError
            If there is none within :data:`TOLERANCE`; the message names the nearest ones.
        """
        source, wanted = Fraction(input_hz), Fraction(wanted_hz)
        if source == wanted:
            return PllSetting(source, source)
        settings = list(self._settings(source, wanted))
        middle = sum(self.vco_hz) / 2
        slower = max((s for s in settings if s.output_hz <= wanted), default=None,
                     key=lambda s: (s.output_hz, s.phase_hz, -abs(s.vco_hz - middle)))
        if slower is not None and slower.output_hz >= wanted * (1 - TOLERANCE):
            return slower
        faster = min((s.output_hz for s in settings if s.output_hz > wanted), default=None)
        near = [megahertz(hz) for hz in (slower and slower.output_hz, faster) if hz]
        raise ClockError(
            f"clock must be one that {self.name} can make from {megahertz(source)}, not "
            f"{megahertz(wanted)}; it is made from {megahertz(self.output_hz[0])} to "
            f"{megahertz(self.output_hz[1])}"
            + (f", the nearest: {' and '.join(near)}" if near else ""))

    def _settings(self, source: Fraction, wanted: Fraction) -> Iterator[PllSetting]:
        """Yield the valid settings next to a frequency, below and above."""
        if not _within(source, self.input_hz):
            return
        for divide in self.divides:
            phase_hz = source / divide
            if not _within(phase_hz, self.phase_hz):
                continue
            for post in self.posts:
                unit_hz = phase_hz if self.post_in_loop else phase_hz / post
                below = int(wanted / unit_hz)
                for multiply in (below, below + 1):
                    output_hz = unit_hz * multiply
                    if (multiply in self.multiplies and _within(output_hz, self.output_hz)
                            and _within(output_hz * post, self.vco_hz)):
                        yield PllSetting(source, output_hz, divide, multiply, post,
                                         output_hz * post)


ECP5_PLL = PllLimits(
    name="EHXPLLL", input_hz=_mhz(8, 400), phase_hz=_mhz(10, 400), vco_hz=_mhz(400, 800),
    output_hz=_mhz(3.125, 400), divides=range(1, 129), multiplies=range(1, 129),
    posts=tuple(range(1, 129)), post_in_loop=False)
"""ECP5; limits of its data sheet (FPGA-DS-02012). An output of its own closes the loop."""

ICE40_PLL = PllLimits(
    name="SB_PLL40", input_hz=_mhz(10, 133), phase_hz=_mhz(10, 133), vco_hz=_mhz(533, 1066),
    output_hz=_mhz(16, 275), divides=range(1, 17), multiplies=range(1, 129),
    posts=(2, 4, 8, 16, 32, 64), post_in_loop=False)
"""iCE40, feedback SIMPLE; limits of the PLL guide (FPGA-TN-02052)."""

GOWIN_PLL = PllLimits(
    name="rPLL", input_hz=_mhz(3, 400), phase_hz=_mhz(3, 400), vco_hz=_mhz(400, 1200),
    output_hz=_mhz(3.125, 600), divides=range(1, 65), multiplies=range(1, 65),
    posts=(2, 4, 8, 16, 32, 48, 64, 80, 96, 112, 128), post_in_loop=True)
"""GW1NR-9C of grade C6/I5; limits as in Apicula's gowin_pll."""

ICE40_FILTERS: Mapping[int, int] = {17: 1, 26: 2, 44: 3, 66: 4, 101: 5}
"""Loop filter of SB_PLL40 by the first bound, in MHz, above the phase detector's frequency."""


def ice40_filter(phase_hz: Fraction) -> int:
    """Return FILTER_RANGE of SB_PLL40."""
    return next((value for bound, value in ICE40_FILTERS.items() if phase_hz < bound * MHZ), 6)
