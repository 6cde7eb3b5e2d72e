"""The noise source: one stream for every pair of seed and sample index.

A stream is xoshiro128++ (Blackman and Vigna, "Scrambled linear pseudorandom number generators",
2021), seeded by the Chaskey permutation (Mouha et al., SAC 2014) of (seed, sample index, tag). The
permutation is a bijection, so different pairs start in different states.

A Gaussian is a mixture of triangles, drawn by an alias table and a sum of two uniforms (after D. B.
Thomas, "FPGA Gaussian random number generators with guaranteed statistical accuracy", FCCM 2014).
Its probability mass function follows from the table: see :func:`gaussian_counts`.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from pendula.contract.numbers import Interval
from pendula.errors import ContractError

__all__ = [
    "ALIAS_BITS", "CELLS", "CELL_BITS", "CHASKEY_ROUNDS", "GAUSSIAN", "GAUSSIAN_BITS",
    "SEED_TAG", "SIGMA_RAW", "THRESHOLD_BITS", "UNIFORM_BITS", "WORD_BITS",
    "AliasCell", "NoiseStream", "alias_table", "chaskey_round", "check_seed", "gaussian",
    "gaussian_counts", "rotl", "seed_state", "xoshiro_next",
]

WORD_BITS = 32
_WORD = (1 << WORD_BITS) - 1

# Uniform generator
CHASKEY_ROUNDS = 12
SEED_TAG = int.from_bytes(b"PNDL", "little")

# Gaussian: fields of a word, from bit 0 up: cell, threshold, two uniforms
CELL_BITS = 6
THRESHOLD_BITS = 14
UNIFORM_BITS = 6
ALIAS_BITS = CELL_BITS
CELLS = 1 << CELL_BITS
SIGMA_RAW = 256                # standard deviation of a Gaussian, in raw units
GAUSSIAN_BITS = 12

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


def xoshiro_next(s: State) -> tuple[int, State]:
    """Return the output word of state `s` and the state after it."""
    s0, s1, s2, s3 = s
    word = (rotl((s0 + s3) & _WORD, 7) + s0) & _WORD
    shifted = (s1 << 9) & _WORD
    s2 ^= s0
    s3 ^= s1
    s1 ^= s2
    s0 ^= s3
    return word, (s0, s1, s2 ^ shifted, rotl(s3, 11))


class NoiseStream:
    """Iterator over the words of one stream.

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
        word, self.state = xoshiro_next(self.state)
        return word


@dataclass(frozen=True, slots=True)
class AliasCell:
    """One row of the alias table.

    Parameters
    ----------
    threshold : int
        The cell keeps draws below this, of ``2**THRESHOLD_BITS``.
    alias : int
        Cell that the other draws go to.
    """

    threshold: int
    alias: int


def _centre(cell: int) -> int:
    """Return twice the centre of a triangle (the centres are half integers of the pitch)."""
    return (2 * cell - (CELLS - 1)) << UNIFORM_BITS


def _weights() -> list[int]:
    """Return the triangles' integer weights: symmetric, adding up to 2**(cell + threshold bits)."""
    pitch = 1 << UNIFORM_BITS
    variance = SIGMA_RAW**2 - (pitch**2 - 1) / 6        # the triangle itself adds the rest
    density = [math.exp(-((_centre(cell) / 2) ** 2) / (2 * variance)) for cell in range(CELLS // 2)]
    total = 1 << (CELL_BITS + THRESHOLD_BITS - 1)
    mass = math.fsum(density)                           # the same on every version of Python
    ideal = [value * total / mass for value in density]
    weights = [int(value) for value in ideal]
    by_rest = sorted(range(len(ideal)), key=lambda cell: weights[cell] - ideal[cell])
    for cell in by_rest[: total - sum(weights)]:        # largest remainders first
        weights[cell] += 1
    return weights + weights[::-1]


def _build_alias_table() -> tuple[AliasCell, ...]:
    """Build the alias table by Vose's method, in integers."""
    full = 1 << THRESHOLD_BITS
    left = _weights()
    table = [AliasCell(0, cell) for cell in range(CELLS)]   # alias to itself: always kept
    small = [cell for cell in range(CELLS) if left[cell] < full]
    large = [cell for cell in range(CELLS) if left[cell] > full]
    while small and large:
        cell, donor = small.pop(), large[-1]
        table[cell] = AliasCell(left[cell], donor)
        left[donor] -= full - left[cell]
        if left[donor] <= full:
            large.pop()
            if left[donor] < full:
                small.append(donor)
    return tuple(table)


_ALIAS_TABLE = _build_alias_table()


def alias_table() -> tuple[AliasCell, ...]:
    """Return the alias table, one row a cell."""
    return _ALIAS_TABLE


def gaussian(word: int) -> int:
    """Return the raw Gaussian, of standard deviation `SIGMA_RAW`, that a word stands for."""
    cell = word & (CELLS - 1)
    word >>= CELL_BITS
    threshold = word & ((1 << THRESHOLD_BITS) - 1)
    word >>= THRESHOLD_BITS
    first, second = word & ((1 << UNIFORM_BITS) - 1), word >> UNIFORM_BITS
    row = _ALIAS_TABLE[cell]
    if threshold >= row.threshold:
        cell = row.alias
    return _centre(cell) // 2 + first + second - ((1 << UNIFORM_BITS) - 1)


def gaussian_counts() -> dict[int, int]:
    """Return the exact law: how many of the 2**32 words give each raw value."""
    full = 1 << THRESHOLD_BITS
    weights = [0] * CELLS
    for cell, row in enumerate(_ALIAS_TABLE):
        weights[cell] += row.threshold
        weights[row.alias] += full - row.threshold
    span = (1 << UNIFORM_BITS) - 1
    counts: dict[int, int] = {}
    for cell, weight in enumerate(weights):
        for step in range(-span, span + 1) if weight else ():
            value = _centre(cell) // 2 + step
            counts[value] = counts.get(value, 0) + weight * (span + 1 - abs(step))
    return counts


_REACH = max(gaussian_counts())
GAUSSIAN = Interval(-_REACH, _REACH)
if GAUSSIAN.signed_bits > GAUSSIAN_BITS:
    raise ContractError(f"Gaussian must fit {GAUSSIAN_BITS} bits, not reach {_REACH}")
