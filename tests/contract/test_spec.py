"""The array spec: its proofs, scales, description and digest."""

from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pendula.contract import PHYSICS, ArraySpec, Interval, noise
from pendula.contract.physics import FUNCTIONS, ONE, STATE
from pendula.errors import ContractError
from strategies import specs

every_physics = pytest.mark.parametrize("physics", list(PHYSICS))
OFFSETS = tuple(offset for offset in range(-12, 13) if offset)


def default_spec(physics: str = "kuramoto", **formats: int) -> ArraySpec:
    return ArraySpec(physics=PHYSICS[physics], nodes=64, offsets=OFFSETS, **formats)


def accumulate(spec: ArraySpec, x: int, xi: int, *, codes: list[int], u: list[int],
               v: list[list[int]], coupling_gain: int, local: list[tuple[int, int, int]],
               noise_gain: int) -> dict[str, list[int]]:
    """Return every value that each accumulator takes in one node's update."""
    partials = [sum(code * value for code, value in zip(codes, column, strict=True))
                for column in v]
    coupling = sum(a * b for a, b in zip(u, partials, strict=True))
    drift = coupling_gain * coupling << spec.align_bits(spec.coupling_term)
    drift += sum(gain * code * value << spec.align_bits(term)
                 for term, (gain, code, value) in zip(spec.local_terms, local, strict=True))
    total = (x << spec.drift_f_bits) + drift + (noise_gain * xi << spec.align_bits(spec.noise_term))
    total += (1 << spec.drift_f_bits) >> 1
    return {"partial": partials, "coupling": [coupling], "drift": [drift], "total": [total]}


@given(specs(), st.integers(0, 2**32 - 1))
def test_extreme_programs_never_leave_the_proven_intervals(spec: ArraySpec, seed: int) -> None:
    rng = np.random.default_rng(seed)

    def extreme(interval: Interval) -> int:
        return int(rng.choice([interval.lo, interval.hi]))

    x = extreme(spec.state.interval)
    basis = {STATE: x, ONE: 1}
    values = accumulate(
        spec, x, extreme(noise.GAUSSIAN), codes=[extreme(spec.code) for _ in spec.offsets],
        u=[extreme(spec.edge) if spec.physics.u else 1 for _ in spec.physics.v],
        v=[[extreme(spec.edge) for _ in spec.offsets] for _ in spec.physics.v],
        coupling_gain=extreme(spec.gain),
        local=[(extreme(spec.gain), extreme(spec.local_code),
                basis.get(name, extreme(spec.basis_value))) for name in spec.physics.basis],
        noise_gain=extreme(spec.gain))
    for name, interval in spec.accumulators.items():
        assert all(interval.lo <= value <= interval.hi for value in values[name]), name


@pytest.mark.parametrize("sign", [-1, 1])
@every_physics
def test_proofs_are_tight(physics: str, sign: int) -> None:
    """One program reaches the end of every interval, so no accumulator is wider than it must be."""
    spec = default_spec(physics)
    x = spec.state.lo if physics != "kuramoto" or sign < 0 else spec.state.hi
    code, edge, gain = spec.code.hi, spec.edge.hi, spec.gain.hi
    values = {STATE: -x, ONE: 1}        # an exact value takes the sign out of its code
    local = [(gain, sign * spec.local_code.hi * (-1 if name == STATE else 1),
              -values[name] if name == STATE else values.get(name, spec.basis_value.hi))
             for name in spec.physics.basis]
    reached = accumulate(
        spec, x, sign * noise.GAUSSIAN.hi, codes=[code] * len(OFFSETS),
        u=[edge if spec.physics.u else 1] * spec.physics.rank,
        v=[[sign * edge] * len(OFFSETS)] * spec.physics.rank,
        coupling_gain=gain, local=local, noise_gain=gain)
    ends = {name: interval.hi if sign > 0 else interval.lo
            for name, interval in spec.accumulators.items()}
    half = (1 << spec.drift_f_bits) >> 1
    for name in ("partial", "coupling", "drift"):
        assert reached[name][0] == ends[name], name
    slack = abs(ends["total"] - reached["total"][0])
    # the lowest state cannot push up as well; and the rounding constant is added on either side
    opposed = (spec.state.hi - spec.state.lo) << spec.drift_f_bits
    assert slack == {("kuramoto", 1): 0, ("kuramoto", -1): half}.get(
        (physics, sign), opposed if sign > 0 else half)


@pytest.mark.parametrize(("name", "physics", "formats"), [
    ("partial", "kuramoto", {}),
    ("coupling", "kuramoto", {}),
    ("drift", "kuramoto", {}),
    ("total", "quartic", {"state_bits": 24, "gain_bits": 4, "local_code_bits": 2}),
])
def test_accumulator_that_does_not_fit_is_named(name: str, physics: str,
                                                formats: dict[str, int]) -> None:
    spec = default_spec(physics, **formats)
    bits = spec.accumulator_width(name)
    others = {other: spec.accumulator_width(other) for other in spec.accumulators}
    assert all(width < bits for other, width in others.items()
               if list(others).index(other) < list(others).index(name)), others
    fits = replace(spec, accumulator_bits=max(others.values()))
    assert fits.accumulators == spec.accumulators
    with pytest.raises(ContractError, match=f"Accumulator '{name}' must fit accumulator_bits = "
                                            f"{bits - 1}, not need {bits} bits"):
        replace(spec, accumulator_bits=bits - 1)


@given(specs())
def test_every_accumulator_fits_a_64_bit_host(spec: ArraySpec) -> None:
    assert max(interval.signed_bits for interval in spec.accumulators.values()) <= 62


@pytest.mark.parametrize(("field", "bad"), [
    ("segments", 0), ("segments", 4097), ("state_bits", 7), ("state_bits", 25), ("edge_bits", 1),
    ("edge_bits", 13), ("code_bits", 1), ("code_bits", 9), ("local_code_bits", 1),
    ("local_code_bits", 9), ("basis_bits", 3), ("basis_bits", 19), ("gain_bits", 3),
    ("gain_bits", 19), ("table_bits", 2), ("table_bits", 13), ("accumulator_bits", 7),
    ("accumulator_bits", 63),
])
def test_widths_out_of_range_are_refused(field: str, bad: int) -> None:
    with pytest.raises(ContractError, match=rf"{field} must be within \d+\.\.\d+, not {bad}$"):
        replace(default_spec(), **{field: bad})


def test_tables_cannot_be_finer_than_the_state() -> None:
    with pytest.raises(ContractError, match="table_bits must not exceed state_bits 8, not 9"):
        default_spec(state_bits=8, table_bits=9)


def test_codes_and_table_entries_are_symmetric_so_that_negation_is_exact() -> None:
    spec = default_spec()
    assert spec.code == Interval(-7, 7)
    for interval in (spec.code, spec.local_code, spec.gain, spec.edge, spec.basis_value):
        assert interval.lo == -interval.hi


@given(specs())
def test_accumulators_share_one_binary_point(spec: ArraySpec) -> None:
    terms = (spec.coupling_term, *spec.local_terms, spec.noise_term)
    shifts = [spec.align_bits(term) for term in terms]
    assert min(shifts) == 0
    assert all(term.gain_f_bits + shift == spec.drift_f_bits
               for term, shift in zip(terms, shifts, strict=True))
    assert spec.force_unit_val == 2.0 ** -(spec.drift_f_bits + spec.state.f_bits)


def full_scales(spec: ArraySpec) -> list[tuple[Any, Fraction, int]]:
    """Return each term with the real change it should reach, and the code it reaches it with."""
    physics = spec.physics
    return [(spec.coupling_term, physics.coupling_full, 1),
            *((term, physics.local_full, spec.local_code.hi) for term in spec.local_terms),
            (spec.noise_term, physics.noise_full, 1)]


@given(specs())
def test_gains_reach_full_scale_with_as_many_fraction_bits_as_that_allows(spec: ArraySpec) -> None:
    for term, full, code in full_scales(spec):
        reach = Fraction(term.unit_val) * code * (spec.gain.hi + 1)
        if term.gain_f_bits:
            assert full <= reach < 2 * full, term.name


@every_physics
def test_unit_of_a_term_is_the_real_coefficient_of_gain_and_code_one(physics: str) -> None:
    """A table entry of f stands for f / scale, a state for x / 2**f_bits."""
    spec = default_spec(physics)
    raw_val = 2.0**-spec.state.f_bits
    scales = {STATE: 1 / raw_val, ONE: 1.0}
    for term, name in zip(spec.local_terms, spec.physics.basis, strict=True):
        scale = scales.get(name) or float(FUNCTIONS[name].scale(spec.basis_bits))
        assert term.unit_val == pytest.approx(scale * raw_val / 2**term.gain_f_bits, rel=1e-14)
    assert spec.noise_term.unit_val == noise.SIGMA_RAW * raw_val / 2**spec.noise_term.gain_f_bits


@given(specs())
def test_description_round_trip(spec: ArraySpec) -> None:
    again = ArraySpec.from_description(spec.describe())
    assert again == spec
    assert hash(again) == hash(spec)
    assert again.digest == spec.digest


@pytest.mark.parametrize(("change", "message"), [
    ({"nodes": None}, "nodes must be an integer, not None"),
    ({"nodes": True}, "nodes must be an integer, not True"),
    ({"nodes": 1}, r"nodes must be within 2\.\.\d+, not 1"),
    ({"state_bits": 18.0}, "state_bits must be an integer, not 18.0"),
    ({"state_bits": "18"}, "state_bits must be an integer, not '18'"),
    ({"gain_bits": 99}, "gain_bits must be within 4..18, not 99"),
    ({"physics": "xy"}, "Physics must be one of"),
    ({"physics": ["ising"]}, "physics must be a name"),
    ({"offsets": "12"}, "offsets must be a list of integers, not '12'"),
    ({"offsets": [1.0]}, "offsets must be a list of integers"),
    ({"offsets": [0]}, "Offset must be non-zero"),
    ({"extra": 1}, "must have exactly the fields"),
])
def test_damaged_description_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ContractError, match=message):
        ArraySpec.from_description(default_spec().describe() | change)


@pytest.mark.parametrize("missing", list(default_spec().describe()))
def test_description_without_a_field_is_refused(missing: str) -> None:
    description = default_spec().describe()
    del description[missing]
    with pytest.raises(ContractError, match="must have exactly the fields"):
        ArraySpec.from_description(description)


def test_description_that_is_no_mapping_is_refused() -> None:
    with pytest.raises(ContractError, match="must have exactly the fields"):
        ArraySpec.from_description(["physics"])  # pyright: ignore[reportArgumentType]


def test_digest_covers_what_a_program_depends_on_and_nothing_else() -> None:
    spec = default_spec()
    assert replace(spec, segments=7, accumulator_bits=60).digest == spec.digest
    changes: list[dict[str, Any]] = [
        {"physics": PHYSICS["ising"]}, {"nodes": 65}, {"offsets": OFFSETS[1:]}, {"state_bits": 17},
        {"edge_bits": 9}, {"code_bits": 5}, {"local_code_bits": 4}, {"basis_bits": 15},
        {"gain_bits": 15}, {"table_bits": 9}]
    digests = {replace(spec, **change).digest for change in changes}
    assert len(digests | {spec.digest}) == len(changes) + 1


@every_physics
def test_columns_name_the_tabled_functions(physics: str) -> None:
    spec = default_spec(physics)
    assert spec.columns == {
        "kuramoto": {"u0": ("sin", 8), "u1": ("-cos", 8), "v0": ("cos", 8), "v1": ("sin", 8),
                     "h0": ("sin", 16), "h1": ("sin2", 16)},
        "quartic": {"v0": ("clip", 8), "h1": ("x3", 16)},
        "ising": {"v0": ("tanh", 8), "h1": ("x3", 16)},
    }[physics]
    assert spec.table_rows == 1024
