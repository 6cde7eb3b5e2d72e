"""Vectorised noise against the contract's, word for word."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pendula.contract.noise import (
    CELL_BITS,
    CELLS,
    THRESHOLD_BITS,
    NoiseStream,
    alias_table,
    gaussian,
    seed_state,
)
from pendula.errors import ContractError
from pendula.twin.noise import GaussianSampler, NoiseStreams, seed_states

seeds = st.integers(0, 2**64 - 1)
indices = st.integers(0, 2**32 - 1)


def reference(seed: int, index: int, count: int) -> list[int]:
    return list(itertools.islice(NoiseStream(seed, index), count))


@given(seeds, st.lists(indices, min_size=1, max_size=5))
def test_seed_states(seed: int, samples: list[int]) -> None:
    states = seed_states(seed, samples)
    assert [tuple(state) for state in states.T.tolist()] == [seed_state(seed, i) for i in samples]


def test_seed_range() -> None:
    with pytest.raises(ContractError, match=r"Seed must be within 0\.\.2\*\*64-1, not"):
        seed_states(1 << 64, [0])


@given(seeds, st.lists(indices, min_size=1, max_size=4), st.integers(1, 700),
       st.lists(st.integers(0, 150), min_size=1, max_size=6))
def test_words(seed: int, samples: list[int], length: int, requests: list[int]) -> None:
    """Whatever was announced as the length, and whatever pieces are asked for."""
    streams = NoiseStreams(seed, samples, length)
    pieces = [np.empty((count, len(samples)), np.uint32) for count in requests]
    for piece in pieces:
        streams.words(piece)
    words = np.concatenate(pieces)
    for column, index in zip(words.T, samples, strict=True):
        assert column.tolist() == reference(seed, index, len(words))


def test_words_after_many_jumps() -> None:
    streams = NoiseStreams(3, [5], 10_000)
    words = np.empty((100_000, 1), np.uint32)
    streams.words(words)
    assert words[:, 0].tolist() == reference(3, 5, len(words))


@pytest.mark.parametrize("batch", [1500, 20_000])
def test_words_of_many_streams(batch: int) -> None:
    samples = np.arange(batch) + 2**32 - batch
    streams = NoiseStreams(9, samples, 10_000)
    words = np.empty((700, batch), np.uint32)
    streams.words(words)
    for column in (0, 1, batch // 2, batch - 1):
        assert words[:, column].tolist() == reference(9, int(samples[column]), len(words))


def gaussians(words: list[int]) -> list[int]:
    array = np.array(words, np.uint32)
    out = np.empty(array.shape, np.int16)
    GaussianSampler(array.shape).gaussians(array, out)
    return [int(value) for value in out]


@given(st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=50))
def test_gaussians(words: list[int]) -> None:
    assert gaussians(words) == [gaussian(word) for word in words]


def test_gaussians_at_every_threshold() -> None:
    words = [cell | min(threshold, (1 << THRESHOLD_BITS) - 1) << CELL_BITS | uniforms
             for cell in range(CELLS)
             for row in [alias_table()[cell]]
             for threshold in (0, max(0, row.threshold - 1), row.threshold, 1 << THRESHOLD_BITS)
             for uniforms in (0, 0xABC << 20, 0xFFF << 20)]
    assert gaussians(words) == [gaussian(word) for word in words]
