"""Sums by brute force, and widths that hold every sum."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pendula.contract import PHYSICS, ArraySpec
from pendula.contract.memory import Memory, memory_layouts
from pendula.contract.registers import RegisterName, get_register
from pendula.contract.statistics import (
    BIN_BITS_HI,
    RUN_SAMPLES_HI,
    SUMS_HI,
    Kind,
    Measurement,
    bin_of,
    default_sums,
    measure,
    span,
    sum_bits,
)
from strategies import specs, states


@st.composite
def cases(draw: st.DrawFn) -> tuple[ArraySpec, list[Measurement], list[list[int]]]:
    """Draw an array, what is measured, and samples."""
    spec = draw(specs(nodes_hi=5))
    chosen = st.builds(Measurement, st.sampled_from(Kind), st.integers(0, spec.nodes - 1))
    return (spec, draw(st.lists(chosen, max_size=12)),
            draw(st.lists(states(spec), min_size=1, max_size=6)))


@given(cases(), st.integers(0, BIN_BITS_HI), st.integers(1, 4))
def test_sums_by_brute_force(case, bin_bits: int, thin: int) -> None:
    spec, chosen, samples = case
    expected: list[int] = []
    counted = [x for k, x in enumerate(samples) if k % thin == thin - 1]
    noted = None
    for kind, node in chosen:
        if kind is Kind.SUM:
            noted = node
        if kind is Kind.HISTOGRAM:
            width = 2 ** (spec.state_bits - bin_bits)
            bins = Counter((x[node] - spec.state.lo) // width for x in counted)
            expected += [bins[k] for k in range(2**bin_bits)]
        else:
            factor = {Kind.SUM: lambda x, _: 1, Kind.SQUARE: lambda x, node: x[node],
                      Kind.PRODUCT: lambda x, _, noted=noted: 0 if noted is None else x[noted]}
            expected.append(sum(x[node] * factor[kind](x, node) for x in counted))
    for spare in (0, 3):
        assert measure(spec, chosen, bin_bits, thin, samples,
                       len(expected) + spare) == expected + [0] * spare
    fewer = len(expected) // 2
    assert measure(spec, chosen, bin_bits, thin, samples, fewer) == expected[:fewer]


@given(specs(), st.integers(0, BIN_BITS_HI))
def test_bins_cover_all_states_evenly(spec: ArraySpec, bin_bits: int) -> None:
    assert bin_of(spec, bin_bits, spec.state.lo) == 0
    assert bin_of(spec, bin_bits, spec.state.hi) == 2**bin_bits - 1
    first = spec.state.lo + 2 ** (spec.state_bits - bin_bits)
    if bin_bits:
        assert (bin_of(spec, bin_bits, first - 1), bin_of(spec, bin_bits, first)) == (0, 1)


@given(specs())
def test_no_sum_overflows(spec: ArraySpec) -> None:
    """The largest sum just fits, and 64-bit hosts hold it."""
    largest, limit = spec.state.lo**2 * RUN_SAMPLES_HI, 1 << (sum_bits(spec) - 1)
    assert -limit <= -largest < largest < limit <= 2 * largest
    assert sum_bits(spec) <= 64


@pytest.mark.parametrize("kind", Kind)
def test_span(kind: Kind) -> None:
    assert span(kind, 4) == (16 if kind is Kind.HISTOGRAM else 1)


@pytest.mark.parametrize(("nodes", "sums"), [(2, 8), (9, 64), (144, 1024), (1568, 8192),
                                             (1 << 19, SUMS_HI)])
def test_default_sums_hold_all_moments_twice(nodes: int, sums: int) -> None:
    assert default_sums(ArraySpec(physics=PHYSICS["ising"], nodes=nodes, offsets=(1,))) == sums


def test_registers_hold_every_setting() -> None:
    for name, largest in ((RegisterName.MEASUREMENTS, SUMS_HI), (RegisterName.THIN, RUN_SAMPLES_HI),
                          (RegisterName.BIN_BITS, BIN_BITS_HI)):
        assert get_register(name).interval.hi >= largest


@given(specs(), st.integers(0, SUMS_HI))
def test_memories_follow_the_sums(spec: ArraySpec, sums: int) -> None:
    layouts = memory_layouts(spec, sums)
    measuring = {Memory.MEASUREMENT, Memory.SUM}
    assert set(layouts) == ({*Memory} if sums else {*Memory} - measuring)
    for memory in measuring & set(layouts):
        assert layouts[memory].rows == sums
    if sums:
        kind, node = layouts[Memory.MEASUREMENT].fields
        assert [kind.check(each) for each in Kind] == [*Kind]
        assert node.check(spec.nodes - 1) == spec.nodes - 1
