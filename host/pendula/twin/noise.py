"""The noise source for many samples at once: :mod:`pendula.contract.noise`, vectorised.

A stream is sequential, so its draws are made from evenly spaced places of it at once: the step of
the generator is linear over GF(2), and a jump by any number of draws is one matrix of 128 x 128
bits (Blackman and Vigna, 2021). A few samples then make arrays as long as many samples do.
"""

import functools

import numpy as np
import numpy.typing as npt

from pendula.contract.gaussian import GAUSSIAN_LAW, TriangleMixture
from pendula.contract.noise import CHASKEY_ROUNDS, SEED_TAG, SIDE_BITS, WORD_BITS, check_seed

__all__ = ["GaussianSampler", "NoiseStreams", "seed_states"]

Words = npt.NDArray[np.uint32]

_STATE_WORDS = 4
_STRIDE = 64        # draws that each place makes before it jumps
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
    _TO_SIDE = _constant(WORD_BITS - SIDE_BITS)

    def __init__(self, states: Words) -> None:
        self.states = states
        self._t = np.empty_like(states[0])

    def draw(self, words: Words, sides: Words) -> None:
        """Write the next word and side bits of every stream and advance the states."""
        s0, s1, s2, s3 = self.states
        t = self._t
        np.add(s1, s2, t)
        np.right_shift(t, self._TO_SIDE, sides)
        np.add(s0, s3, t)
        np.left_shift(t, self._ROTL_7[0], words)
        np.right_shift(t, self._ROTL_7[1], t)
        np.bitwise_or(words, t, words)
        np.add(words, s0, words)
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
        _Xoshiro(images).draw(*np.empty((2, bits), np.uint32))
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
    """The draws of the streams of several samples, in order.

    Parameters
    ----------
    seed : int
        64-bit seed of the run.
    indices : array of int, shape (B,)
        Sample indices.
    length : int
        Number of draws of each stream that will be used; a guess costs time, not correctness.
    """

    def __init__(self, seed: int, indices: npt.ArrayLike, length: int) -> None:
        states = seed_states(seed, indices)
        batch = states.shape[1]
        places = 1                                   # of each stream, _STRIDE draws apart
        while places * batch < _WIDTH and places * _STRIDE < length:
            states = np.concatenate([states, _apply(_jump(places * _STRIDE), states)], axis=1)
            places *= 2
        self._starts = states
        self._drawn = np.empty((2, _STRIDE, places, batch), np.uint32)
        self._chunk = np.empty((2, places, _STRIDE, batch), np.uint32)
        self._words, self._sides = self._chunk.reshape(2, -1, batch)
        self._used = 0
        self._fill()

    def _fill(self) -> None:
        _, _, places, batch = self._drawn.shape
        generator = _Xoshiro(self._starts.reshape(_STATE_WORDS, places, batch).copy())
        for words, sides in self._drawn.swapaxes(0, 1):
            generator.draw(words, sides)
        np.copyto(self._chunk, self._drawn.swapaxes(1, 2))
        self._used = 0

    def _advance(self) -> None:
        self._starts = _apply(_jump(len(self._words)), self._starts)
        self._fill()

    def draw(self, words: Words, sides: Words) -> None:
        """Write the words and the side bits of the next draws of every stream, shape (n, B)."""
        done = 0
        while done < len(words):
            if self._used == len(self._words):
                self._advance()
            count = min(len(words) - done, len(self._words) - self._used)
            here, there = slice(done, done + count), slice(self._used, self._used + count)
            words[here], sides[here] = self._words[there], self._sides[there]
            self._used += count
            done += count


class GaussianSampler:
    """Turns arrays of draws of one shape into Gaussians: :meth:`TriangleMixture.gaussian`.

    Parameters
    ----------
    shape : tuple of int
        Shape of the arrays.
    law : TriangleMixture
        Law; its first uniform and threshold must fill the word.
    """

    def __init__(self, shape: tuple[int, ...], law: TriangleMixture = GAUSSIAN_LAW) -> None:
        span = (1 << law.uniform_bits) - 1
        self._uniform = np.array(span, np.int16)
        self._to_cell = _constant(law.uniform_bits)
        # Compared with the first uniform below the threshold, which is no matter.
        self._thresholds = np.array([row.threshold << law.uniform_bits for row in law.table],
                                    np.uint32)
        self._kept = np.array([law.centre(cell) - span for cell in range(law.cells)], np.int16)
        moved = np.array([law.centre(row.alias) - span for row in law.table], np.int16)
        self._move = moved - self._kept
        self._word = np.empty(shape, np.uint32)
        self._cell = np.empty(shape, np.intp)
        self._moves = np.empty(shape, bool)
        self._a, self._b = np.empty((2, *shape), np.int16)

    def gaussians(self, words: Words, sides: Words, out: npt.NDArray[np.int16]) -> None:
        """Write the raw Gaussians of draws to `out`."""
        word, cell, a, b = self._word, self._cell, self._a, self._b
        np.right_shift(sides, self._to_cell, word)
        np.copyto(cell, word)
        np.take(self._thresholds, cell, out=word, mode="clip")
        np.greater_equal(words, word, self._moves)
        np.take(self._move, cell, out=a, mode="clip")
        np.copyto(b, self._moves)
        np.multiply(a, b, a)
        np.take(self._kept, cell, out=out, mode="clip")
        np.add(out, a, out)
        for uniforms in (words, sides):
            np.copyto(a, uniforms, casting="unsafe")
            np.bitwise_and(a, self._uniform, a)
            np.add(out, a, out)
