"""The noise source: its generators against published values, its Gaussian law exactly."""

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

from pendula.contract import noise
from pendula.contract.noise import NoiseStream, gaussian, gaussian_counts, seed_state, xoshiro_next
from pendula.errors import ContractError

words = st.integers(0, 2**32 - 1)
states = st.tuples(words, words, words, words)
MASK = 2**32 - 1


# Uniform generator

def test_xoshiro_gives_the_values_of_its_reference_implementation() -> None:
    state, drawn = (1, 2, 3, 4), []
    for _ in range(102_401):
        word, state = xoshiro_next(state)
        drawn.append(word)
    assert drawn[:10] == [641, 1573767, 3222811527, 3517856514, 836907274, 4247214768, 3867114732,
                          1355841295, 495546011, 621204420]
    assert drawn[-1] == 0x2C873CFA


def rotations(word: np.uint32, bits: int) -> np.uint32:
    return np.uint32(word << np.uint32(bits)) | np.uint32(word >> np.uint32(32 - bits))


@given(states)
def test_xoshiro_follows_the_paper(state: tuple[int, int, int, int]) -> None:
    """Output rotl(s0 + s3, 7) + s0; engine with shift 9 and rotation 11, in 32-bit arithmetic."""
    s = np.array(state, dtype=np.uint32)
    with np.errstate(over="ignore"):
        word = rotations(s[0] + s[3], 7) + s[0]
    t = s[1] << np.uint32(9)
    s[2] ^= s[0]
    s[3] ^= s[1]
    s[1] ^= s[2]
    s[0] ^= s[3]
    s[2] ^= t
    s[3] = rotations(s[3], 11)
    assert xoshiro_next(state) == (int(word), tuple(int(v) for v in s))


# Seeding

def permute(state: noise.State, rounds: int = noise.CHASKEY_ROUNDS) -> noise.State:
    for _ in range(rounds):
        state = noise.chaskey_round(state)
    return state


def test_permutation_gives_the_published_tag_of_chaskey_12() -> None:
    """The tag of the message 00 01 .. 0f under the reference key is P(m ^ k ^ k1) ^ k1."""
    key = (0x833D3433, 0x009F389F, 0x2398E64F, 0x417ACF39)
    joined = sum(word << (32 * i) for i, word in enumerate(key))
    doubled = (joined << 1) ^ (0x87 if joined >> 127 else 0)
    k1 = [doubled >> (32 * i) & MASK for i in range(4)]
    message = [int.from_bytes(range(4 * i, 4 * i + 4), "little") for i in range(4)]
    m = [a ^ b ^ c for a, b, c in zip(message, key, k1, strict=True)]
    tag = [a ^ b for a, b in zip(permute((m[0], m[1], m[2], m[3])), k1, strict=True)]
    assert tag == [0x5DD0E2A9, 0xFB5EAC8C, 0x633A392E, 0x500C36F3]


def undo_round(state: noise.State) -> noise.State:
    """Invert a round, half by half, from its last operation to its first."""
    v0, v1, v2, v3 = state

    def back(word: int, bits: int) -> int:
        return (word >> bits | word << (32 - bits)) & MASK

    v2 = back(v2, 16)
    v1 = back(v1 ^ v2, 7)
    v2 = (v2 - v1) & MASK
    v3 = back(v3 ^ v0, 13)
    v0 = (v0 - v3) & MASK
    v3 = back(v3 ^ v2, 8)
    v2 = (v2 - v3) & MASK
    v0 = back(v0, 16)
    v1 = back(v1 ^ v0, 5)
    v0 = (v0 - v1) & MASK
    return v0, v1, v2, v3


@given(states)
def test_permutation_is_a_bijection(state: noise.State) -> None:
    restored = permute(state)
    for _ in range(noise.CHASKEY_ROUNDS):
        restored = undo_round(restored)
    assert restored == state


@given(st.integers(0, 2**64 - 1), words)
def test_seed_and_index_can_be_read_back_from_the_first_state(seed: int, index: int) -> None:
    """So different pairs start in different states."""
    state = seed_state(seed, index)
    for _ in range(noise.CHASKEY_ROUNDS):
        state = undo_round(state)
    assert state == (seed & MASK, seed >> 32, index, noise.SEED_TAG)


def test_neighbouring_seeds_and_indices_start_apart() -> None:
    """Half of the 128 bits differ, on average, as between unrelated states."""
    base = seed_state(1, 1)
    other = [seed_state(1, 1 ^ 1 << bit) for bit in range(32)]
    other += [seed_state(1 ^ 1 << bit, 1) for bit in range(64)]
    distances = [sum((a ^ b).bit_count() for a, b in zip(base, state, strict=True))
                 for state in other]
    assert len({*other, base}) == 97
    # 96 distances of mean 64 and standard deviation sqrt(32): six standard deviations
    assert abs(np.mean(distances) - 64) < 6 * math.sqrt(32 / 96)
    assert min(distances) > 64 - 6 * math.sqrt(32)


def test_no_stream_starts_in_the_state_of_all_zeros() -> None:
    """Zeros alone permute to zeros, and the tag is not zero."""
    assert permute((0, 0, 0, 0)) == (0, 0, 0, 0)
    assert noise.SEED_TAG != 0


def test_stream_iterates_over_the_generator_from_the_seeded_state() -> None:
    state, expected = seed_state(7, 3), []
    for _ in range(5):
        word, state = xoshiro_next(state)
        expected.append(word)
    assert list(itertools.islice(NoiseStream(7, 3), 5)) == expected


@pytest.mark.parametrize(("seed", "index", "message"), [
    (-1, 0, r"Seed must be within 0\.\.2\*\*64-1, not -1"),
    (2**64, 0, f"not {2**64}"),
    (0, -1, r"Sample index must be within 0\.\.2\*\*32-1, not -1"),
    (0, 2**32, f"not {2**32}"),
])
def test_seed_or_index_out_of_range_is_refused(seed: int, index: int, message: str) -> None:
    with pytest.raises(ContractError, match=message):
        NoiseStream(seed, index)


# Gaussian law

COUNTS = gaussian_counts()
TOTAL = 2**32


def moment(order: int) -> Fraction:
    return Fraction(sum(value**order * count for value, count in COUNTS.items()), TOTAL)


def test_law_counts_every_word_once() -> None:
    assert sum(COUNTS.values()) == TOTAL
    assert min(COUNTS.values()) > 0


def test_law_is_symmetric_about_zero() -> None:
    assert all(COUNTS[-value] == count for value, count in COUNTS.items())


def test_law_has_the_moments_of_a_gaussian() -> None:
    variance = float(moment(2))
    assert moment(1) == moment(3) == 0
    assert math.sqrt(variance) == pytest.approx(noise.SIGMA_RAW, rel=1e-4)
    assert abs(float(moment(4)) / variance**2 - 3) < 1e-3
    assert abs(float(moment(6)) / variance**3 - 15) < 1e-2


def test_law_reaches_five_sigma_and_fits_its_width() -> None:
    assert noise.GAUSSIAN.hi == max(COUNTS)
    assert noise.GAUSSIAN.lo == min(COUNTS)
    assert noise.GAUSSIAN.signed_bits == noise.GAUSSIAN_BITS
    assert noise.GAUSSIAN.hi >= 5 * noise.SIGMA_RAW


@pytest.mark.parametrize(("sigmas", "error"), [(1, 0.001), (2, 0.002), (3, 0.005), (4, 0.06)])
def test_tails_hold_the_mass_of_a_gaussian(sigmas: int, error: float) -> None:
    raw = sigmas * noise.SIGMA_RAW
    tail = sum(count for value, count in COUNTS.items() if value > raw) / TOTAL
    assert tail == pytest.approx(stats.norm.sf((raw + 0.5) / noise.SIGMA_RAW), rel=error)


def test_seeded_draw_follows_the_law() -> None:
    drawn = Counter(gaussian(word) for word in itertools.islice(NoiseStream(2026, 0), 200_000))
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


# Gaussian table

def cell_weights() -> list[int]:
    """Return how many of the 2**20 pairs of cell and threshold choose each triangle."""
    weights = [0] * noise.CELLS
    for cell, row in enumerate(noise.alias_table()):
        weights[cell] += row.threshold
        weights[row.alias] += 2**noise.THRESHOLD_BITS - row.threshold
    return weights


def test_alias_table_is_well_formed() -> None:
    table = noise.alias_table()
    assert len(table) == noise.CELLS
    for row in table:
        assert 0 <= row.threshold < 2**noise.THRESHOLD_BITS
        assert 0 <= row.alias < 2**noise.ALIAS_BITS


def test_weights_are_a_gaussian_rounded_by_largest_remainders() -> None:
    """Checked with 50 digits: no rounding decision hangs on the last bits of a double."""
    half, pitch = noise.CELLS // 2, 2**noise.UNIFORM_BITS
    with localcontext() as context:
        context.prec = 50
        variance = Decimal(noise.SIGMA_RAW**2) - Decimal(pitch**2 - 1) / 6
        centres = [Decimal((2 * cell + 1 - noise.CELLS) * pitch) / 2 for cell in range(half)]
        density = [(-(centre**2) / (2 * variance)).exp() for centre in centres]
        total = 2 ** (noise.CELL_BITS + noise.THRESHOLD_BITS - 1)
        ideal = [value * total / sum(density) for value in density]
        rest = sorted(((value % 1, cell) for cell, value in enumerate(ideal)), reverse=True)
        missing = total - sum(int(value) for value in ideal)
        winners = {cell for _, cell in rest[:missing]}
        margins = [min(value % 1, 1 - value % 1) / value for value in ideal]
        assert min(margins) > Decimal("1e-9")
        assert rest[missing - 1][0] - rest[missing][0] > Decimal("1e-3")
    expected = [int(value) + (cell in winners) for cell, value in enumerate(ideal)]
    assert cell_weights() == expected + expected[::-1]


def test_words_choose_triangles_as_often_as_the_law_says() -> None:
    """Every pair of cell and threshold, the two uniforms at zero."""
    pairs = range(2 ** (noise.CELL_BITS + noise.THRESHOLD_BITS))
    chosen = Counter(gaussian(word) for word in pairs)
    span = 2**noise.UNIFORM_BITS
    lowest = {(2 * cell + 1 - noise.CELLS) * span // 2 - (span - 1): weight
              for cell, weight in enumerate(cell_weights()) if weight}
    assert chosen == lowest


def test_the_two_uniforms_add_up_to_a_triangle() -> None:
    """Every pair of uniforms, cell and threshold fixed."""
    shift, span = noise.CELL_BITS + noise.THRESHOLD_BITS, 2**noise.UNIFORM_BITS
    values = Counter(gaussian(pair << shift) for pair in range(span**2))
    centre = min(values) + span - 1
    assert values == {centre + step: span - abs(step) for step in range(1 - span, span)}


def test_fields_fill_the_word() -> None:
    assert noise.CELL_BITS + noise.THRESHOLD_BITS + 2 * noise.UNIFORM_BITS == noise.WORD_BITS
