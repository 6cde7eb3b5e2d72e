"""Health tests and conditioning of raw bits, against their definitions."""

import math
from fractions import Fraction
from itertools import islice
from random import Random

import pytest

from pendula.contract import jitter, noise
from pendula.contract.jitter import (
    BLOCK_BITS,
    FALSE_ALARM,
    MIN_ENTROPY_BITS,
    PROPORTION_CUTOFF,
    RAW_BITS,
    REPETITION_CUTOFF,
    WINDOW_BITS,
    condition,
    draw_seed,
    health,
    model_bits,
    proportion_cutoff,
    repetition_cutoff,
)
from pendula.contract.registers import JitterStatus
from pendula.errors import ContractError

GOOD = JitterStatus.PRESENT | JitterStatus.HEALTHY


def random_bits(count: int, ones: float = 0.5, seed: int = 1) -> list[int]:
    rng = Random(seed)
    return [int(rng.random() < ones) for _ in range(count)]


# Cut-offs

def test_repetition_cutoff_is_that_of_the_standard() -> None:
    """The example of SP 800-90B, 4.4.1, and twice one bit of entropy."""
    assert repetition_cutoff(2.0, 2.0**-20) == 11
    assert repetition_cutoff(1.0, 2.0**-20) == 21
    assert REPETITION_CUTOFF == 61


@pytest.mark.parametrize(("window_bits", "min_entropy_bits", "false_alarm"), [
    (WINDOW_BITS, MIN_ENTROPY_BITS, FALSE_ALARM), (512, 1.0, 2.0**-30), (512, 1 / 3, 2.0**-30),
    (1024, 0.9, 2.0**-20), (64, 0.1, 2.0**-40)])
def test_proportion_cutoff_is_exact(window_bits: int, min_entropy_bits: float,
                                    false_alarm: float) -> None:
    """In rational numbers: the smallest k that a binomial exceeds seldom enough, and one more."""
    p = Fraction(2.0**-min_entropy_bits)
    k = proportion_cutoff(window_bits, min_entropy_bits, false_alarm) - 1

    def beyond(bound: int) -> Fraction:
        return sum((math.comb(window_bits, j) * p**j * (1 - p)**(window_bits - j)
                    for j in range(bound + 1, window_bits + 1)), Fraction(0))

    assert beyond(k) <= false_alarm < beyond(k - 1)


def test_cutoffs_can_be_reached() -> None:
    assert REPETITION_CUTOFF < RAW_BITS
    assert WINDOW_BITS // 2 < PROPORTION_CUTOFF < WINDOW_BITS
    assert RAW_BITS % WINDOW_BITS == RAW_BITS % BLOCK_BITS == 0


# Health tests

def alternating(count: int) -> list[int]:
    return [k & 1 for k in range(count)]


@pytest.mark.parametrize("bit", [0, 1])
@pytest.mark.parametrize("start", [0, 1, 900, WINDOW_BITS - 30, RAW_BITS - REPETITION_CUTOFF])
def test_a_run_fails_at_the_cutoff_and_not_before(start: int, bit: int) -> None:
    bits = alternating(RAW_BITS)
    for length in (REPETITION_CUTOFF - 1, REPETITION_CUTOFF):
        around = bits.copy()
        around[start:start + length] = [bit] * length
        for place in {start - 1, start + length} & {*range(RAW_BITS)}:
            around[place] = 1 - bit
        failed = health(around)
        assert failed == (JitterStatus.REPETITION if length == REPETITION_CUTOFF else 0)
    assert not health([bit] * (REPETITION_CUTOFF - 1))
    assert health([bit] * REPETITION_CUTOFF) is JitterStatus.REPETITION


def window_with(count: int, bit: int) -> list[int]:
    """Return a window that begins with `bit` and holds it `count` times, in no long run."""
    others = WINDOW_BITS - count
    groups = [[bit] * (count // others + (k < count % others)) + [1 - bit] for k in range(others)]
    return [value for group in groups for value in group]


@pytest.mark.parametrize("bit", [0, 1])
@pytest.mark.parametrize("window", [0, 1])
def test_a_window_fails_at_the_cutoff_and_not_before(window: int, bit: int) -> None:
    for count in (PROPORTION_CUTOFF - 1, PROPORTION_CUTOFF):
        windows = [alternating(WINDOW_BITS), alternating(WINDOW_BITS)]
        windows[window] = window_with(count, bit)
        assert windows[window].count(bit) == count
        failed = health([*windows[0], *windows[1]])
        assert failed == (JitterStatus.PROPORTION if count == PROPORTION_CUTOFF else 0)


def test_the_proportion_is_that_of_the_first_bit_of_a_window() -> None:
    """As in the standard: a window of the rarer bit first goes on."""
    assert not health([0, *window_with(PROPORTION_CUTOFF + 20, 1)[:-1]])


@pytest.mark.parametrize(("ones", "failed"), [
    (0.0, JitterStatus.REPETITION | JitterStatus.PROPORTION),
    (1.0, JitterStatus.REPETITION | JitterStatus.PROPORTION),
    (0.85, JitterStatus.PROPORTION), (0.15, JitterStatus.PROPORTION)])
def test_stuck_and_biased_sources_fail(ones: float, failed: JitterStatus) -> None:
    for seed in range(20):
        assert failed in health(random_bits(RAW_BITS, ones, seed))
        assert draw_seed(random_bits(RAW_BITS, ones, seed))[1] == 0


@pytest.mark.parametrize("ones", [0.5, 0.5**MIN_ENTROPY_BITS])
def test_good_sources_pass(ones: float) -> None:
    """Even those with no more than the entropy that is assumed."""
    for seed in range(100):
        assert draw_seed(random_bits(RAW_BITS, ones, seed))[0] == GOOD


# Conditioning

def test_one_block_is_the_permutation_of_block_and_tag() -> None:
    bits = random_bits(BLOCK_BITS)
    block = int("".join(map(str, reversed(bits))), 2)
    state = (block & 0xFFFFFFFF, block >> 32, 0, int.from_bytes(b"JITR", "little"))
    for _ in range(noise.CHASKEY_ROUNDS):
        state = noise.chaskey_round(state)
    assert condition(bits) == state[0] | state[1] << 32


def test_every_bit_counts() -> None:
    """Turning any raw bit over turns about half of the seed's: within 5.5 sigma of 32 for each."""
    bits = random_bits(RAW_BITS)
    seed = condition(bits)
    distances = []
    for place in range(RAW_BITS):
        turned = bits.copy()
        turned[place] ^= 1
        distances.append((condition(turned) ^ seed).bit_count())
    assert min(distances) >= 10
    assert max(distances) <= 54
    assert abs(sum(distances) / RAW_BITS - 32) < 0.5


def test_order_counts() -> None:
    bits = random_bits(2 * BLOCK_BITS)
    assert condition(bits) != condition(bits[BLOCK_BITS:] + bits[:BLOCK_BITS])


def test_a_draw_gives_the_conditioned_bits() -> None:
    bits = random_bits(RAW_BITS)
    assert draw_seed(bits) == (GOOD, condition(bits))
    assert draw_seed([0] * RAW_BITS) == (
        JitterStatus.PRESENT | JitterStatus.REPETITION | JitterStatus.PROPORTION, 0)


@pytest.mark.parametrize("count", [0, BLOCK_BITS, RAW_BITS - 1, RAW_BITS + BLOCK_BITS])
def test_another_number_of_bits_is_refused(count: int) -> None:
    with pytest.raises(ContractError, match=f"must take {RAW_BITS} raw bits, not {count}"):
        draw_seed([0] * count)


def test_parts_of_blocks_are_refused() -> None:
    with pytest.raises(ContractError, match="whole blocks of 64, not 65"):
        condition([0] * 65)


# Model

def test_the_model_has_the_states_of_xorshift32(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its first states from 1 on, found by halving."""
    monkeypatch.setattr(jitter, "MODEL_STATE", 1)
    for k, state in enumerate((1, 270369, 67634689, 2647435461, 307599695)):
        below, above = state / 2**32, (state + 1) / 2**32
        assert [*islice(model_bits(below), k + 1)][k] == 0
        assert [*islice(model_bits(above), k + 1)][k] == 1


@pytest.mark.parametrize("ones", [0.0, 0.1, 0.5, 0.85, 1.0])
def test_the_model_has_the_share_of_ones_that_it_is_told(ones: float) -> None:
    count = 50_000
    drawn = sum(islice(model_bits(ones), count))
    assert abs(drawn - count * ones) <= 5 * math.sqrt(count * ones * (1 - ones))


@pytest.mark.parametrize("ones", [-0.1, 1.1, math.nan])
def test_a_share_that_is_none_is_refused(ones: float) -> None:
    with pytest.raises(ContractError, match=r"must be within 0\.\.1, not"):
        next(model_bits(ones))


def test_draws_of_the_model_differ_and_repeat() -> None:
    bits = [*islice(model_bits(), 50 * RAW_BITS)]
    draws = [draw_seed(bits[k:k + RAW_BITS]) for k in range(0, len(bits), RAW_BITS)]
    assert all(status == GOOD for status, _ in draws)
    assert len({seed for _, seed in draws}) == len(draws)
    assert draw_seed([*islice(model_bits(), RAW_BITS)]) == draws[0]
