"""Seeds from the jitter of ring oscillators: health tests and conditioning, bit for bit.

A draw takes :data:`RAW_BITS` raw bits. The two continuous health tests of NIST SP 800-90B (4.4.1,
4.4.2) watch all of them, and they are absorbed, 64 at a time, into a sponge on the Chaskey
permutation, whose first two words are the seed. Where a test fails there is no seed.

The cut-offs assume :data:`MIN_ENTROPY_BITS` a raw bit. A source that has just that much fails a
healthy draw with a probability below ``(RAW_BITS + RAW_BITS / WINDOW_BITS) * FALSE_ALARM``.
"""

import math
from collections.abc import Iterator, Sequence

from pendula.contract import noise
from pendula.contract.registers import JitterStatus
from pendula.errors import ContractError

__all__ = [
    "BLOCK_BITS", "FALSE_ALARM", "MIN_ENTROPY_BITS", "MODEL_STATE", "PROPORTION_CUTOFF", "RAW_BITS",
    "REPETITION_CUTOFF", "SAMPLE_CYCLES", "SEED_BITS", "TAG", "WINDOW_BITS", "condition",
    "draw_seed", "health", "model_bits", "model_threshold", "proportion_cutoff",
    "repetition_cutoff",
]

SEED_BITS = 2 * noise.WORD_BITS
BLOCK_BITS = 2 * noise.WORD_BITS   # raw bits that the sponge absorbs at a time
RAW_BITS = 2048                    # raw bits of a draw
SAMPLE_CYCLES = 64                 # clock cycles for which rings run for each raw bit
TAG = int.from_bytes(b"JITR", "little")

MIN_ENTROPY_BITS = 0.5             # assumed of every raw bit, given all before it
FALSE_ALARM = 2.0**-30             # of the repetition test a bit, of the proportion test a window
WINDOW_BITS = 1024                 # of the proportion test; SP 800-90B sets it for bits

MODEL_STATE = 0x9E3779B9           # first state of the model's generator
_WORD = (1 << noise.WORD_BITS) - 1


def repetition_cutoff(min_entropy_bits: float, false_alarm: float) -> int:
    """Return the run of equal bits at which a source fails (SP 800-90B, 4.4.1)."""
    return 1 + math.ceil(-math.log2(false_alarm) / min_entropy_bits)


def proportion_cutoff(window_bits: int, min_entropy_bits: float, false_alarm: float) -> int:
    """Return the number of equal bits in a window at which a source fails (SP 800-90B, 4.4.2).

    One more than the smallest k that a binomial of `window_bits` trials with probability
    ``2**-min_entropy_bits`` exceeds with a probability of at most `false_alarm`.
    """
    p = 2.0**-min_entropy_bits
    beyond, term, k = 0.0, p**window_bits, window_bits
    while beyond + term <= false_alarm:
        beyond += term
        term *= k / (window_bits - k + 1) * (1 - p) / p
        k -= 1
    return 1 + k


REPETITION_CUTOFF = repetition_cutoff(MIN_ENTROPY_BITS, FALSE_ALARM)
PROPORTION_CUTOFF = proportion_cutoff(WINDOW_BITS, MIN_ENTROPY_BITS, FALSE_ALARM)


def health(bits: Sequence[int]) -> JitterStatus:
    """Return the tests that `bits`, the raw bits from the first of a draw on, have failed."""
    failed = JitterStatus(0)
    run = count = 0
    for k, bit in enumerate(bits):
        run = run + 1 if k and bit == bits[k - 1] else 1
        first = k - k % WINDOW_BITS
        count = count + (bit == bits[first]) if k > first else 1
        if run >= REPETITION_CUTOFF:
            failed |= JitterStatus.REPETITION
        if count >= PROPORTION_CUTOFF:
            failed |= JitterStatus.PROPORTION
    return failed


def condition(bits: Sequence[int]) -> int:
    """Return the 64-bit seed of raw bits: whole blocks, the first bit of each lowest.

    The sponge starts at (0, 0, 0, :data:`TAG`). A block is added, bit by bit, to the first two
    words, and :data:`pendula.contract.noise.CHASKEY_ROUNDS` rounds follow.
    """
    if len(bits) % BLOCK_BITS:
        raise ContractError(f"Raw bits must be whole blocks of {BLOCK_BITS}, not {len(bits)}")
    state: noise.State = (0, 0, 0, TAG)
    for first in range(0, len(bits), BLOCK_BITS):
        block = sum(bit << k for k, bit in enumerate(bits[first:first + BLOCK_BITS]))
        v0, v1, v2, v3 = state
        state = v0 ^ block & _WORD, v1 ^ block >> noise.WORD_BITS, v2, v3
        for _ in range(noise.CHASKEY_ROUNDS):
            state = noise.chaskey_round(state)
    return state[0] | state[1] << noise.WORD_BITS


def draw_seed(bits: Sequence[int]) -> tuple[JitterStatus, int]:
    """Return what a device reports after a draw of the raw bits: its status, and seed or zero.

    Raises
    ------
    ContractError
        If they are not :data:`RAW_BITS` many.
    """
    if len(bits) != RAW_BITS:
        raise ContractError(f"Draw must take {RAW_BITS} raw bits, not {len(bits)}")
    failed = health(bits)
    if failed:
        return JitterStatus.PRESENT | failed, 0
    return JitterStatus.PRESENT | JitterStatus.HEALTHY, condition(bits)


def model_threshold(ones: float) -> int:
    """Return the 33-bit number below which a state of the model gives a one.

    Raises
    ------
    ContractError
        If `ones` is no probability.
    """
    if not 0 <= ones <= 1:
        raise ContractError(f"Share of ones must be within 0..1, not {ones}")
    return round(ones * (1 << noise.WORD_BITS))


def model_bits(ones: float = 0.5) -> Iterator[int]:
    """Yield the raw bits of the model that stands in for rings in simulations.

    No jitter and no entropy: states of Marsaglia's xorshift32 ("Xorshift RNGs", 2003), compared
    with a threshold, the same after every power-up. A share `ones` of the bits are ones.
    """
    threshold, state = model_threshold(ones), MODEL_STATE
    while True:
        yield int(state < threshold)
        state ^= state << 13 & _WORD
        state ^= state >> 17
        state ^= state << 5 & _WORD
