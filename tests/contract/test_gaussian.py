"""The Gaussian law, exactly: moments, tails, the alias table and every field of a draw."""

import itertools
import math
from collections import Counter
from decimal import Decimal, localcontext
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pendula.contract.gaussian import GAUSSIAN_LAW, TriangleMixture
from pendula.contract.noise import GAUSSIAN, GAUSSIAN_BITS, NoiseStream, gaussian
from pendula.errors import ContractError

COUNTS = GAUSSIAN_LAW.counts()
SIGMA = GAUSSIAN_LAW.sigma_raw
TOTAL = 2**GAUSSIAN_LAW.draw_bits
SMALL = TriangleMixture(cell_bits=4, threshold_bits=4, uniform_bits=2, sigma_raw=8)
laws = st.tuples(st.integers(4, 8), st.integers(2, 6), st.integers(4, 30)).flatmap(
    lambda bits: st.builds(TriangleMixture, st.just(bits[0]), st.just(bits[2]), st.just(bits[1]),
                           st.integers(1 << bits[1], 1 << sum(bits[:2]) - 3)))


def moment(order: int) -> Fraction:
    return Fraction(sum(value**order * count for value, count in COUNTS.items()), TOTAL)


def test_law_counts_every_draw_once() -> None:
    assert sum(COUNTS.values()) == TOTAL
    assert min(COUNTS.values()) > 0


def test_law_is_symmetric_about_zero() -> None:
    assert all(COUNTS[-value] == count for value, count in COUNTS.items())


def test_law_has_the_moments_of_a_gaussian() -> None:
    variance = float(moment(2))
    assert moment(1) == moment(3) == 0
    assert math.sqrt(variance) == pytest.approx(SIGMA, rel=1e-7)
    assert abs(float(moment(4)) / variance**2 - 3) < 1e-6
    assert abs(float(moment(6)) / variance**3 - 15) < 1e-5


def test_law_reaches_six_sigma_and_fits_its_width() -> None:
    assert min(COUNTS) == GAUSSIAN.lo
    assert max(COUNTS) == GAUSSIAN.hi
    assert GAUSSIAN.signed_bits == GAUSSIAN_BITS == 12
    assert GAUSSIAN.hi >= 6.5 * SIGMA


@pytest.mark.parametrize(("sigmas", "error"),
                         [(1, 1e-4), (2, 1e-4), (3, 1e-4), (4, 1e-4), (5, 1e-3), (6, 0.02)])
def test_tails_hold_the_mass_of_a_gaussian(sigmas: int, error: float) -> None:
    raw = sigmas * SIGMA
    tail = sum(count for value, count in COUNTS.items() if value > raw) / TOTAL
    assert tail == pytest.approx(stats.norm.sf((raw + 0.5) / SIGMA), rel=error)


def test_seeded_draw_follows_the_law() -> None:
    drawn = Counter(gaussian(draw) for draw in itertools.islice(NoiseStream(2026, 0), 200_000))
    assert set(drawn) <= set(COUNTS)
    pairs = [(0, Fraction(0))]       # neighbouring values are joined until 50 are expected
    for value in sorted(COUNTS):
        seen, expected = pairs.pop()
        pairs.append((seen + drawn[value], expected + Fraction(COUNTS[value] * 200_000, TOTAL)))
        if pairs[-1][1] > 50:
            pairs.append((0, Fraction(0)))
    seen, expected = pairs.pop()
    pairs[-1] = (pairs[-1][0] + seen, pairs[-1][1] + expected)
    observed = np.array([seen for seen, _ in pairs])
    wanted = np.array([float(expected) for _, expected in pairs])
    assert len(pairs) > 500
    assert stats.chisquare(observed, wanted).pvalue > 0.001


# Table

def cell_weights(law: TriangleMixture) -> list[int]:
    """Return how many pairs of cell and threshold choose each triangle."""
    weights = [0] * law.cells
    for cell, row in enumerate(law.table):
        weights[cell] += row.threshold
        weights[row.alias] += 2**law.threshold_bits - row.threshold
    return weights


@given(laws)
def test_table_is_well_formed_and_gives_the_weights(law: TriangleMixture) -> None:
    assert len(law.table) == law.cells
    for row in law.table:
        assert 0 <= row.threshold < 2**law.threshold_bits
        assert 0 <= row.alias < law.cells
    assert cell_weights(law) == law.weights()
    assert law.weights() == law.weights()[::-1]


def test_weights_are_a_gaussian_rounded_by_largest_remainders() -> None:
    """Checked with 50 digits: no rounding decision hangs on the last bits of a double."""
    law = GAUSSIAN_LAW
    half, pitch = law.cells // 2, 2**law.uniform_bits
    with localcontext() as context:
        context.prec = 50
        variance = Decimal(SIGMA**2) - Decimal(pitch**2 - 1) / 6
        centres = [Decimal((2 * cell + 1 - law.cells) * pitch) / 2 for cell in range(half)]
        density = [(-(centre**2) / (2 * variance)).exp() for centre in centres]
        total = 2 ** (law.cell_bits + law.threshold_bits - 1)
        ideal = [value * total / sum(density) for value in density]
        rest = sorted(((value % 1, cell) for cell, value in enumerate(ideal)), reverse=True)
        missing = total - sum(int(value) for value in ideal)
        winners = {cell for _, cell in rest[:missing]}
        doubles = [2.0**-48 * float(value) for value in ideal]   # several last places
        margins = [float(min(value % 1, 1 - value % 1)) for value in ideal]
        assert all(margin > error for margin, error in zip(margins, doubles, strict=True))
        assert rest[missing - 1][0] - rest[missing][0] > 2 * max(doubles)
    expected = [int(value) + (cell in winners) for cell, value in enumerate(ideal)]
    assert law.weights() == expected + expected[::-1]


# Fields of a draw

def test_every_draw_of_a_small_law() -> None:
    drawn = Counter(SMALL.gaussian(draw) for draw in range(2**SMALL.draw_bits))
    assert drawn == SMALL.counts()


def test_draws_choose_triangles_as_often_as_the_law_says() -> None:
    """Either side of every threshold, the two uniforms at zero."""
    law = GAUSSIAN_LAW
    top = law.threshold_bits + 2 * law.uniform_bits
    lowest = 1 - 2**law.uniform_bits
    for cell, row in enumerate(law.table):
        for threshold, chosen in ((row.threshold - 1, cell), (row.threshold, row.alias)):
            if threshold >= 0:
                draw = cell << top | threshold << law.uniform_bits
                assert law.gaussian(draw) == law.centre(chosen) + lowest


def test_the_two_uniforms_add_up_to_a_triangle() -> None:
    """Every pair of uniforms, cell and threshold fixed."""
    span = 2**GAUSSIAN_LAW.uniform_bits
    shift = GAUSSIAN_LAW.threshold_bits + GAUSSIAN_LAW.uniform_bits
    values = Counter(gaussian(first | second << shift)
                     for first in range(span) for second in range(span))
    centre = min(values) + span - 1
    assert values == {centre + step: span - abs(step) for step in range(1 - span, span)}


@pytest.mark.parametrize(("change", "message"), [
    ({"cell_bits": 0}, "cell_bits must be at least 1, not 0"),
    ({"threshold_bits": -3}, "threshold_bits must be at least 1, not -3"),
    ({"uniform_bits": 0}, "uniform_bits must be at least 1, not 0"),
    ({"sigma_raw": 0}, "sigma_raw must be at least 1, not 0"),
    ({"sigma_raw": 513}, r"sigma_raw of 256 cells must be within 16\.\.512, not 513"),
    ({"sigma_raw": 15}, r"must be within 16\.\.512, not 15"),
])
def test_impossible_law_is_refused(change: dict[str, int], message: str) -> None:
    with pytest.raises(ContractError, match=message):
        TriangleMixture(**change)
