"""Dividers: exact, within the limits, and the nearest clock that is not faster."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pendula.errors import ClockError
from pendula_boards.catalogue import BOARDS
from pendula_boards.pll import (
    ECP5_PLL,
    GOWIN_PLL,
    ICE40_PLL,
    MHZ,
    TOLERANCE,
    PllLimits,
    ice40_filter,
)

FAMILIES = (ECP5_PLL, GOWIN_PLL, ICE40_PLL)


def inside(value, limits):
    return limits[0] <= value <= limits[1]


def outputs(limits: PllLimits, source: Fraction):
    """Yield all frequencies that a loop can make, by trying everything."""
    for divide in limits.divides:
        if inside(source / divide, limits.phase_hz):
            for multiply in limits.multiplies:
                for post in limits.posts:
                    looped = source / divide * multiply
                    hz, vco = (looped, looped * post) if limits.post_in_loop else (
                        looped / post, looped)
                    if inside(hz, limits.output_hz) and inside(vco, limits.vco_hz):
                        yield hz


@given(st.sampled_from(FAMILIES), st.integers(10, 133), st.integers(8_000, 400_000))
def test_a_setting_is_within_the_limits_and_gives_its_clock(limits, source_mhz, wanted_khz):
    source, wanted = source_mhz * MHZ, wanted_khz * 1000
    try:
        s = limits.solve(source, wanted)
    except ClockError:      # the next test says when it may be
        return
    assert wanted * (1 - TOLERANCE) <= s.output_hz <= wanted
    if s.bypassed:
        return
    looped = Fraction(source, s.divide) * s.multiply
    assert s.output_hz == (looped if limits.post_in_loop else looped / s.post)
    assert s.vco_hz == s.output_hz * s.post
    assert s.divide in limits.divides
    assert s.multiply in limits.multiplies
    assert s.post in limits.posts
    assert inside(s.phase_hz, limits.phase_hz)
    assert inside(s.vco_hz, limits.vco_hz)
    assert inside(s.output_hz, limits.output_hz)


@pytest.mark.parametrize(("limits", "source_mhz"), [(ICE40_PLL, 12), (GOWIN_PLL, 27),
                                                    (ECP5_PLL, 48)])
@pytest.mark.parametrize("wanted_mhz", [20, 33, 49, 71.7])
def test_no_clock_is_nearer(limits, source_mhz, wanted_mhz):
    source, wanted = Fraction(source_mhz * MHZ), Fraction(wanted_mhz) * MHZ
    best = max(hz for hz in outputs(limits, source) if hz <= wanted)
    if best >= wanted * (1 - TOLERANCE):
        assert limits.solve(source, wanted).output_hz == best
    else:
        with pytest.raises(ClockError, match=f"{float(best) / MHZ:.6g} MHz"):
            limits.solve(source, wanted)


def test_an_impossible_clock_names_the_range():
    with pytest.raises(ClockError, match=r"not 1000 MHz; it is made from 3.125 MHz to 400 MHz"):
        ECP5_PLL.solve(25 * MHZ, 1000 * MHZ)
    with pytest.raises(ClockError, match="SB_PLL40 can make from 5 MHz"):
        ICE40_PLL.solve(5 * MHZ, 48 * MHZ)


def test_the_boards_own_clock_needs_no_loop():
    assert ECP5_PLL.solve(25 * MHZ, 25 * MHZ).bypassed


@pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)
def test_every_listed_clock_is_exact(board):
    for mhz in board.clocks_mhz:
        wanted = Fraction(mhz) * MHZ
        assert board.part.pll.solve(board.input_hz, wanted).output_hz == wanted


@pytest.mark.parametrize(("phase_mhz", "expected"), [(12, 1), (17, 2), (43, 3), (66, 5), (120, 6)])
def test_filter_of_ice40(phase_mhz, expected):
    assert ice40_filter(Fraction(phase_mhz * MHZ)) == expected
