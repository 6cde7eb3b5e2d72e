"""The functions of the three physics, and the scales of their tables."""

import math
from fractions import Fraction

import pytest

from pendula.contract.numbers import Overflow, signed_format
from pendula.contract.physics import (
    FUNCTIONS,
    ISING,
    KURAMOTO,
    ONE,
    PHYSICS,
    QUARTIC,
    STATE,
    Physics,
    get_physics,
)
from pendula.errors import ContractError

every_physics = pytest.mark.parametrize("physics", PHYSICS.values(), ids=list(PHYSICS))
PHASES = [k / 8 for k in range(-8, 8)]


def edge_val(physics: Physics, x: float, y: float) -> float:
    u = [FUNCTIONS[name].evaluate(x) for name in physics.u] or [1.0] * physics.rank
    v = [FUNCTIONS[name].evaluate(y) for name in physics.v]
    return sum(a * b for a, b in zip(u, v, strict=True))


@pytest.mark.parametrize("x", PHASES)
def test_oscillators_couple_through_the_sine_of_their_phase_difference(x: float) -> None:
    for y in PHASES:
        assert edge_val(KURAMOTO, x, y) == pytest.approx(math.sin(math.pi * (x - y)), abs=1e-12)


def test_other_physics_couple_through_the_neighbour_alone() -> None:
    assert edge_val(QUARTIC, 0.3, -1.5) == -1.5
    assert edge_val(ISING, 0.3, -1.5) == math.tanh(-1.5)


def test_local_basis_of_each_physics() -> None:
    assert KURAMOTO.basis == ("sin", "sin2", ONE)
    assert QUARTIC.basis == ISING.basis == (STATE, "x3", ONE)
    assert FUNCTIONS["sin2"].evaluate(0.125) == pytest.approx(math.sin(2 * math.pi * 0.125))
    assert FUNCTIONS["x3"].evaluate(-1.5) == -3.375


def test_phases_wrap_on_the_full_turn_and_positions_saturate() -> None:
    assert (KURAMOTO.overflow, KURAMOTO.i_bits) == (Overflow.WRAP, 1)
    assert QUARTIC.overflow is ISING.overflow is Overflow.SATURATE


@every_physics
def test_both_factors_of_a_coupling_have_one_scale(physics: Physics) -> None:
    """Only then do the ranks add up without a shift."""
    assert not physics.u or len(physics.u) == physics.rank
    for names in (physics.u, physics.v):
        assert len({FUNCTIONS[name].reach for name in names}) <= 1


@every_physics
def test_bounded_functions_stay_within_reach(physics: Physics) -> None:
    edge = 2.0 ** (physics.i_bits - 1)
    names = {*physics.u, *physics.v, *physics.basis} - {STATE, ONE, "clip"}
    for name in names:
        function = FUNCTIONS[name]
        assert max(abs(function.evaluate(edge * x)) for x in PHASES) <= function.reach


def test_scale_maps_the_reach_to_the_largest_entry() -> None:
    for function in FUNCTIONS.values():
        for bits in (2, 8, 16):
            assert function.scale(bits) * function.reach == signed_format(bits).hi
    assert FUNCTIONS["clip"].scale(8) == Fraction(127, 2)


def test_codes_on_the_link_are_unique_bytes() -> None:
    codes = [physics.code for physics in PHYSICS.values()]
    assert len(set(codes)) == len(codes)
    assert all(0 < code < 256 for code in codes)


def test_physics_is_found_by_name() -> None:
    assert get_physics("ising") is ISING


@pytest.mark.parametrize("name", ["xy", "", "Ising"])
def test_unknown_physics_is_refused(name: str) -> None:
    message = f"Physics must be one of kuramoto, quartic, ising, not {name!r}"
    with pytest.raises(ContractError, match=message):
        get_physics(name)
