"""The noise source: its generators against published values."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pendula.contract import noise
from pendula.contract.gaussian import GAUSSIAN_LAW
from pendula.contract.graph import NODES_HI
from pendula.contract.memory import STEPS_BITS
from pendula.contract.noise import (
    NoiseStream,
    draw_of,
    seed_state,
    side_bits,
    xoshiro_next,
    xoshiro_word,
)
from pendula.errors import ContractError

words = st.integers(0, 2**32 - 1)
states = st.tuples(words, words, words, words)
MASK = 2**32 - 1


# Uniform generator

def test_xoshiro_gives_the_values_of_its_reference_implementation() -> None:
    state, drawn = (1, 2, 3, 4), []
    for _ in range(102_401):
        drawn.append(xoshiro_word(state))
        state = xoshiro_next(state)
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
    assert xoshiro_word(state) == int(word)
    assert xoshiro_next(state) == tuple(int(v) for v in s)


@given(words, words, words, words)
def test_word_and_side_bits_take_different_state_words(s0: int, s1: int, s2: int, s3: int) -> None:
    """So over all states they are independent; s3 makes every word, and s2 every side, as often."""
    state = (s0, s1, s2, s3)
    assert xoshiro_word(state) == xoshiro_word((s0, 0, 0, s3))
    assert side_bits(state) == side_bits((0, s1, s2, 0))
    back = (noise.rotl((xoshiro_word(state) - s0) & MASK, 32 - 7) - s0) & MASK
    assert back == s3                                           # a bijection of s3
    assert side_bits(state) == (s1 + s2 & MASK) // 2**20        # 2**20 to one in s2


def test_draw_is_the_word_below_the_side_bits() -> None:
    state = (1, 0x7FFFFFFF, 0x12345678, 4)
    assert draw_of(state) == xoshiro_word(state) + 2**32 * side_bits(state)
    assert side_bits(state) == 0x923
    assert noise.uniform_word(draw_of(state)) == xoshiro_word(state)


def test_a_draw_makes_one_gaussian() -> None:
    draw = next(NoiseStream(5, 5))
    assert GAUSSIAN_LAW.draw_bits == noise.DRAW_BITS
    assert noise.gaussian(draw) == GAUSSIAN_LAW.gaussian(draw)


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
        expected.append(draw_of(state))
        state = xoshiro_next(state)
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


def test_no_program_outgrows_the_share_of_a_stream() -> None:
    passes = 1 + 4096 * (2**STEPS_BITS - 1)     # of the most segments that a spec may have
    assert NODES_HI * passes < noise.DRAWS_HI // 2
