"""The noise source for many samples at once: :mod:`pendula.contract.noise`, vectorised.

A stream is sequential, so its words are drawn from evenly spaced places of it at once: the step of
the generator is linear over GF(2), and a jump by any number of words is one matrix of 128 x 128
bits (Blackman and Vigna, 2021). A few samples then make arrays as long as many samples do.
"""

import functools

import numpy as np
import numpy.typing as npt

from pendula.contract.noise import (
    CELL_BITS,
    CELLS,
    CHASKEY_ROUNDS,
    SEED_TAG,
    THRESHOLD_BITS,
    UNIFORM_BITS,
    WORD_BITS,
    alias_table,
    check_seed,
    gaussian,
)

__all__ = ["GaussianSampler", "NoiseStreams", "seed_states"]

Words = npt.NDArray[np.uint32]

_STATE_WORDS = 4
_STRIDE = 64        # words that each place draws before it jumps
_WIDTH = 16384      # places drawn from at once; measured: benchmarks/twin.py


def _rotl(words: Words, bits: int) -> Words:
    return words << np.uint32(bits) | words >> np.uint32(WORD_BITS - bits)


def seed_states(seed: int, indices: npt.ArrayLike) -> Words:
    """Return the first states of the streams of samples `indices`, shape (4, B).

    Equals :func:`pendula.contract.noise.seed_state` for each index.

    Raises
    ------
    ContractError
        If `seed` has more than 64 bits.
    """
    check_seed(seed)
    v2 = np.array(indices, dtype=np.uint32)
    low, high = seed & ((1 << WORD_BITS) - 1), seed >> WORD_BITS
    v0, v1, v3 = (np.full_like(v2, word) for word in (low, high, SEED_TAG))
    for _ in range(CHASKEY_ROUNDS):
        v0 += v1
        v1 = _rotl(v1, 5) ^ v0
        v0 = _rotl(v0, 16)
        v2 += v3
        v3 = _rotl(v3, 8) ^ v2
        v0 += v3
        v3 = _rotl(v3, 13) ^ v0
        v2 += v1
        v1 = _rotl(v1, 7) ^ v2
        v2 = _rotl(v2, 16)
    return np.stack([v0, v1, v2, v3])     # never zero: only zero permutes to it, and the tag is not


def _constant(value: int) -> Words:
    """Return a constant as an array: NumPy converts scalars anew at every call."""
    return np.array(value, np.uint32)


class _Xoshiro:
    """Steps of xoshiro128++ on states of shape (4, ...), in place.

    Parameters
    ----------
    states : array of uint32, shape (4, ...)
        Advanced by :meth:`draw`.
    """

    _ROTL_7 = _constant(7), _constant(WORD_BITS - 7)
    _ROTL_11 = _constant(11), _constant(WORD_BITS - 11)
    _SHIFT_9 = _constant(9)

    def __init__(self, states: Words) -> None:
        self.states = states
        self._t = np.empty_like(states[0])

    def draw(self, out: Words) -> None:
        """Write the next word of every stream to `out` and advance the states."""
        s0, s1, s2, s3 = self.states
        t = self._t
        np.add(s0, s3, t)
        np.left_shift(t, self._ROTL_7[0], out)
        np.right_shift(t, self._ROTL_7[1], t)
        np.bitwise_or(out, t, out)
        np.add(out, s0, out)
        np.left_shift(s1, self._SHIFT_9, t)
        np.bitwise_xor(s2, s0, s2)
        np.bitwise_xor(s3, s1, s3)
        np.bitwise_xor(s1, s2, s1)
        np.bitwise_xor(s0, s3, s0)
        np.bitwise_xor(s2, t, s2)
        np.left_shift(s3, self._ROTL_11[0], t)
        np.right_shift(s3, self._ROTL_11[1], s3)
        np.bitwise_or(s3, t, s3)


def _apply(tables: Words, states: Words) -> Words:
    """Apply a linear map, as a table for each byte of the state, to states of shape (4, W)."""
    result = np.zeros((states.shape[1], _STATE_WORDS), np.uint32)
    byte = states.astype("<u4", order="C").view(np.uint8).reshape(_STATE_WORDS, -1, 4)
    for word in range(_STATE_WORDS):
        for place in range(4):
            result ^= tables[4 * word + place].take(byte[word, :, place], axis=0)
    return np.ascontiguousarray(result.T)


@functools.cache
def _jump(steps: int) -> Words:
    """Return the map that advances a state by `steps`, a power of two; shape (16, 256, 4)."""
    bits = _STATE_WORDS * WORD_BITS
    if steps == 1:
        images = np.zeros((_STATE_WORDS, bits), np.uint32)
        for bit in range(bits):
            images[bit // WORD_BITS, bit] = 1 << bit % WORD_BITS
        _Xoshiro(images).draw(np.empty(bits, np.uint32))
    else:
        half = _jump(steps // 2)
        basis = half[:, 1 << np.arange(8)].reshape(bits, _STATE_WORDS).T
        images = _apply(half, basis)
    tables = np.zeros((bits // 8, 1, _STATE_WORDS), np.uint32)
    for bit in range(8):
        image = images.T.reshape(bits // 8, 8, _STATE_WORDS)[:, bit : bit + 1]
        tables = np.concatenate([tables, tables ^ image], axis=1)
    return tables


class NoiseStreams:
    """The words of the streams of several samples, in order.

    Parameters
    ----------
    seed : int
        64-bit seed of the run.
    indices : array of int, shape (B,)
        Sample indices.
    length : int
        Number of words of each stream that will be used; a guess costs time, not correctness.
    """

    def __init__(self, seed: int, indices: npt.ArrayLike, length: int) -> None:
        states = seed_states(seed, indices)
        self._batch = states.shape[1]
        places = 1                                   # of each stream, _STRIDE words apart
        while places * self._batch < _WIDTH and places * _STRIDE < length:
            states = np.concatenate([states, _apply(_jump(places * _STRIDE), states)], axis=1)
            places *= 2
        self._starts = states
        self._chunk = np.empty((places, _STRIDE, self._batch), np.uint32)
        self._words = self._chunk.reshape(-1, self._batch)
        self._used = 0
        self._fill()

    def _fill(self) -> None:
        places, _, batch = self._chunk.shape
        generator = _Xoshiro(self._starts.reshape(_STATE_WORDS, places, batch).copy())
        for draw in range(_STRIDE):
            generator.draw(self._chunk[:, draw])
        self._used = 0

    def _advance(self) -> None:
        self._starts = _apply(_jump(len(self._words)), self._starts)
        self._fill()

    def words(self, out: Words) -> None:
        """Write the next words of every stream to `out`, shape (n, B)."""
        done = 0
        while done < len(out):
            if self._used == len(self._words):
                self._advance()
            count = min(len(out) - done, len(self._words) - self._used)
            out[done : done + count] = self._words[self._used : self._used + count]
            self._used += count
            done += count


class GaussianSampler:
    """Turns arrays of words of one shape into Gaussians: :func:`pendula.contract.noise.gaussian`.

    Parameters
    ----------
    shape : tuple of int
        Shape of the arrays.
    """

    _CELL = _constant(CELLS - 1)
    _TO_THRESHOLD = _constant(WORD_BITS - CELL_BITS - THRESHOLD_BITS)
    _TO_UNIFORMS = _constant(CELL_BITS + THRESHOLD_BITS)
    _UNIFORM = np.array((1 << UNIFORM_BITS) - 1, np.int16)
    _TO_SECOND = np.array(UNIFORM_BITS, np.int16)

    def __init__(self, shape: tuple[int, ...]) -> None:
        # Compared where the threshold is the highest field, so that the cell below is no matter.
        self._thresholds = np.array([row.threshold << (WORD_BITS - THRESHOLD_BITS)
                                     for row in alias_table()], np.uint32)
        above = ((1 << THRESHOLD_BITS) - 1) << CELL_BITS       # at or above every threshold
        self._kept = np.array([gaussian(cell) for cell in range(CELLS)], np.int16)
        moved = np.array([gaussian(cell | above) for cell in range(CELLS)], np.int16)
        self._move = moved - self._kept
        self._word, self._threshold = np.empty((2, *shape), np.uint32)
        self._cell = np.empty(shape, np.intp)
        self._moves = np.empty(shape, bool)
        self._a, self._b = np.empty((2, *shape), np.int16)

    def gaussians(self, words: Words, out: npt.NDArray[np.int16]) -> None:
        """Write the raw Gaussians of `words` to `out`."""
        word, cell, a, b = self._word, self._cell, self._a, self._b
        np.bitwise_and(words, self._CELL, word)
        np.copyto(cell, word)
        np.take(self._thresholds, cell, out=self._threshold, mode="clip")
        np.left_shift(words, self._TO_THRESHOLD, word)
        np.greater_equal(word, self._threshold, self._moves)
        np.take(self._move, cell, out=a, mode="clip")
        np.copyto(b, self._moves)
        np.multiply(a, b, a)
        np.take(self._kept, cell, out=out, mode="clip")
        np.add(out, a, out)
        np.right_shift(words, self._TO_UNIFORMS, word)
        np.copyto(a, word, casting="unsafe")
        np.bitwise_and(a, self._UNIFORM, b)
        np.right_shift(a, self._TO_SECOND, a)
        np.add(out, a, out)
        np.add(out, b, out)
