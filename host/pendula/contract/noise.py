"""The noise source: one stream of draws for every pair of seed and sample index.

A stream is the engine of xoshiro128++ (Blackman and Vigna, "Scrambled linear pseudorandom number
generators", 2021), seeded by the Chaskey permutation (Mouha et al., SAC 2014) of (seed, sample
index, tag). The permutation is a bijection, so different pairs start in different states.

A draw is the 32-bit word of xoshiro128++, made of state words 0 and 3, and twelve side bits, the
top of the sum of state words 1 and 2. Over all states the two are independent and uniform. A draw
gives one Gaussian: :data:`pendula.contract.gaussian.GAUSSIAN_LAW`.
"""

from collections.abc import Iterator

from pendula.contract.gaussian import GAUSSIAN_LAW
from pendula.errors import ContractError

__all__ = [
    "CHASKEY_ROUNDS", "DRAWS_HI", "DRAW_BITS", "GAUSSIAN", "GAUSSIAN_BITS", "SEED_TAG", "SIDE_BITS",
    "SIGMA_RAW", "WORD_BITS", "NoiseStream", "State", "chaskey_round", "check_seed", "draw_of",
    "gaussian", "rotl", "seed_state", "side_bits", "uniform_word", "xoshiro_next", "xoshiro_word",
]

WORD_BITS = 32
_WORD = (1 << WORD_BITS) - 1

CHASKEY_ROUNDS = 12
SEED_TAG = int.from_bytes(b"PNDL", "little")

SIDE_BITS = 12
DRAW_BITS = WORD_BITS + SIDE_BITS
DRAWS_HI = 1 << 48             # draws that a stream may be asked for: its share of the period

SIGMA_RAW = GAUSSIAN_LAW.sigma_raw     # standard deviation of a Gaussian, in raw units
GAUSSIAN = GAUSSIAN_LAW.reach
GAUSSIAN_BITS = GAUSSIAN.signed_bits
if GAUSSIAN_LAW.draw_bits != DRAW_BITS:
    raise ContractError(f"Gaussian must take {DRAW_BITS} bits, not {GAUSSIAN_LAW.draw_bits}")

State = tuple[int, int, int, int]


def rotl(word: int, bits: int) -> int:
    """Rotate a 32-bit word left."""
    return (word << bits | word >> (WORD_BITS - bits)) & _WORD


def chaskey_round(v: State) -> State:
    """Apply one round of the Chaskey permutation."""
    v0, v1, v2, v3 = v
    v0 = (v0 + v1) & _WORD
    v1 = rotl(v1, 5) ^ v0
    v0 = rotl(v0, 16)
    v2 = (v2 + v3) & _WORD
    v3 = rotl(v3, 8) ^ v2
    v0 = (v0 + v3) & _WORD
    v3 = rotl(v3, 13) ^ v0
    v2 = (v2 + v1) & _WORD
    v1 = rotl(v1, 7) ^ v2
    v2 = rotl(v2, 16)
    return v0, v1, v2, v3


def check_seed(seed: int) -> int:
    """Return `seed` if it is an unsigned 64-bit integer.

    Raises
    ------
    ContractError
        If it is not.
    """
    if not 0 <= seed < 1 << (2 * WORD_BITS):
        raise ContractError(f"Seed must be within 0..2**64-1, not {seed}")
    return seed


def seed_state(seed: int, index: int) -> State:
    """Return the first state of the stream of sample `index` under a 64-bit `seed`.

    It is never all zeros, which xoshiro could not leave: only zeros permute to zeros, and the tag
    is not zero.
    """
    check_seed(seed)
    if not 0 <= index <= _WORD:
        raise ContractError(f"Sample index must be within 0..2**32-1, not {index}")
    state: State = (seed & _WORD, seed >> WORD_BITS, index, SEED_TAG)
    for _ in range(CHASKEY_ROUNDS):
        state = chaskey_round(state)
    return state


def xoshiro_word(s: State) -> int:
    """Return the output word of xoshiro128++ in state `s`."""
    return (rotl((s[0] + s[3]) & _WORD, 7) + s[0]) & _WORD


def side_bits(s: State) -> int:
    """Return the side bits of state `s`."""
    return ((s[1] + s[2]) & _WORD) >> (WORD_BITS - SIDE_BITS)


def draw_of(s: State) -> int:
    """Return the draw of state `s`: the word and, above it, the side bits."""
    return xoshiro_word(s) | side_bits(s) << WORD_BITS


def xoshiro_next(s: State) -> State:
    """Return the state after state `s`."""
    s0, s1, s2, s3 = s
    shifted = (s1 << 9) & _WORD
    s2 ^= s0
    s3 ^= s1
    s1 ^= s2
    s0 ^= s3
    return s0, s1, s2 ^ shifted, rotl(s3, 11)


class NoiseStream:
    """Iterator over the draws of one stream.

    Parameters
    ----------
    seed : int
        64-bit seed of the run.
    index : int
        32-bit index of the sample.
    """

    def __init__(self, seed: int, index: int) -> None:
        self.state = seed_state(seed, index)

    def __iter__(self) -> Iterator[int]:
        return self

    def __next__(self) -> int:
        draw = draw_of(self.state)
        self.state = xoshiro_next(self.state)
        return draw


def uniform_word(draw: int) -> int:
    """Return the 32-bit uniform word of a draw."""
    return draw & _WORD


def gaussian(draw: int) -> int:
    """Return the raw Gaussian of a draw."""
    return GAUSSIAN_LAW.gaussian(draw)
