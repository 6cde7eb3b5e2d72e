"""Intervals are sound and tight; rounding and overflow follow the exact rule, exhaustively."""

import itertools
import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pendula.contract.numbers import Interval, NumberFormat, Overflow, signed_format
from pendula.errors import ContractError

SMALL = [Interval(lo, hi) for lo in range(-5, 5) for hi in range(lo, 5)]
FORMATS = [NumberFormat(i, f, overflow)
           for i in (1, 2, 3) for f in (0, 1, 2) for overflow in Overflow]
intervals = st.tuples(st.integers(), st.integers()).map(lambda ends: Interval(min(ends), max(ends)))


def members(interval: Interval) -> range:
    return range(interval.lo, interval.hi + 1)


def hull(values: set[int]) -> Interval:
    return Interval(min(values), max(values))


@pytest.mark.parametrize("a", SMALL)
def test_sums_and_products_are_the_smallest_intervals_that_hold_every_result(a: Interval) -> None:
    for b in SMALL:
        pairs = list(itertools.product(members(a), members(b)))
        assert a + b == hull({x + y for x, y in pairs})
        assert a * b == hull({x * y for x, y in pairs})


@pytest.mark.parametrize("a", SMALL)
def test_shifts_and_repeated_sums_are_the_smallest_intervals(a: Interval) -> None:
    assert a << 3 == hull({x << 3 for x in members(a)})
    assert a.times(3) == hull({sum(xs) for xs in itertools.product(members(a), repeat=3)})


@pytest.mark.parametrize("a", SMALL)
def test_signed_bits_is_the_narrowest_width_that_holds_every_member(a: Interval) -> None:
    def holds(width: int) -> bool:
        return -(1 << (width - 1)) <= a.lo and a.hi < 1 << (width - 1)

    assert holds(a.signed_bits)
    assert a.signed_bits == 1 or not holds(a.signed_bits - 1)


@given(intervals, intervals, st.data())
def test_results_of_large_members_stay_inside(a: Interval, b: Interval,
                                              data: st.DataObject) -> None:
    x = data.draw(st.integers(a.lo, a.hi))
    y = data.draw(st.integers(b.lo, b.hi))
    assert x * y in members(a * b)
    assert x + y in members(a + b)


def test_symmetric_interval() -> None:
    assert Interval.symmetric(7) == Interval(-7, 7)


def test_empty_interval_is_refused() -> None:
    with pytest.raises(ContractError, match="Interval must have lo <= hi, not 3 > 2"):
        Interval(3, 2)


@pytest.mark.parametrize("form", FORMATS, ids=str)
def test_fit_keeps_what_is_inside_and_applies_the_rule_outside(form: NumberFormat) -> None:
    size = 1 << form.width
    for raw in range(-3 * size, 3 * size):
        value, saturated = form.fit(raw)
        assert form.lo <= value <= form.hi
        if form.lo <= raw <= form.hi:
            assert (value, saturated) == (raw, False)
        elif form.overflow is Overflow.WRAP:
            assert (value - raw) % size == 0
            assert not saturated
        else:
            assert (value, saturated) == (form.hi if raw > 0 else form.lo, True)


@pytest.mark.parametrize("f_bits", range(4))
@pytest.mark.parametrize("form", FORMATS, ids=str)
def test_reduce_rounds_half_up_once_and_then_fits(form: NumberFormat, f_bits: int) -> None:
    size = 1 << (form.width + f_bits)
    for raw in range(-2 * size, 2 * size):
        nearest = math.floor(Fraction(raw, 1 << f_bits) + Fraction(1, 2)) if f_bits else raw
        assert form.reduce(raw, f_bits) == form.fit(nearest)


def test_half_a_unit_goes_up_on_both_sides_of_zero() -> None:
    form = signed_format(4)
    assert [form.reduce(raw, 1)[0] for raw in (-5, -4, -3, -2, -1, 0, 1, 2, 3)] == [
        -2, -2, -1, -1, 0, 0, 1, 1, 2]


@pytest.mark.parametrize(("i_bits", "f_bits"), [(0, 3), (1, -1)])
def test_formats_without_a_sign_or_with_negative_fractions_are_refused(i_bits: int,
                                                                       f_bits: int) -> None:
    with pytest.raises(ContractError, match=f"not {i_bits}, {f_bits}"):
        NumberFormat(i_bits, f_bits, Overflow.WRAP)


def test_signed_format_saturates_and_names_itself() -> None:
    form = signed_format(6, 4)
    assert str(form) == "SQ2.4-saturate"
    assert (form.width, form.lo, form.hi, form.interval) == (6, -32, 31, Interval(-32, 31))
