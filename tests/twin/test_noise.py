"""Vectorised noise against the contract's, draw for draw."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pendula.contract.gaussian import GAUSSIAN_LAW
from pendula.contract.noise import DRAW_BITS, WORD_BITS, NoiseStream, gaussian, seed_state
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


def drawn(streams: NoiseStreams, requests: list[int], batch: int) -> list[list[int]]:
    """Return the draws of every stream, asked for in pieces."""
    pieces = [np.empty((2, count, batch), np.uint32) for count in requests]
    for words, sides in pieces:
        streams.draw(words, sides)
    words, sides = np.concatenate(pieces, axis=1).astype(np.uint64)
    return (words | sides << np.uint64(WORD_BITS)).T.tolist()


@given(seeds, st.lists(indices, min_size=1, max_size=4), st.integers(1, 700),
       st.lists(st.integers(0, 150), min_size=1, max_size=6))
def test_draws(seed: int, samples: list[int], length: int, requests: list[int]) -> None:
    """Whatever was announced as the length, and whatever pieces are asked for."""
    streams = NoiseStreams(seed, samples, length)
    for column, index in zip(drawn(streams, requests, len(samples)), samples, strict=True):
        assert column == reference(seed, index, sum(requests))


def test_draws_after_many_jumps() -> None:
    assert drawn(NoiseStreams(3, [5], 10_000), [100_000], 1) == [reference(3, 5, 100_000)]


@pytest.mark.parametrize("batch", [1500, 20_000])
def test_draws_of_many_streams(batch: int) -> None:
    samples = np.arange(batch) + 2**32 - batch
    columns = drawn(NoiseStreams(9, samples, 10_000), [700], batch)
    for column in (0, 1, batch // 2, batch - 1):
        assert columns[column] == reference(9, int(samples[column]), 700)


def gaussians(draws: list[int]) -> list[int]:
    array = np.array(draws, np.uint64)
    words, sides = array.astype(np.uint32), (array >> np.uint64(WORD_BITS)).astype(np.uint32)
    out = np.empty(array.shape, np.int16)
    GaussianSampler(array.shape).gaussians(words, sides, out)
    return [int(value) for value in out]


@given(st.lists(st.integers(0, 2**DRAW_BITS - 1), min_size=1, max_size=50))
def test_gaussians(draws: list[int]) -> None:
    assert gaussians(draws) == [gaussian(draw) for draw in draws]


def test_gaussians_at_every_threshold() -> None:
    law = GAUSSIAN_LAW
    top = law.uniform_bits + law.threshold_bits
    draws = [cell << top + law.uniform_bits | second << top | threshold << law.uniform_bits | first
             for cell, row in enumerate(law.table)
             for threshold in (0, max(0, row.threshold - 1), row.threshold,
                               (1 << law.threshold_bits) - 1)
             for first, second in ((0, 0), (10, 11), (15, 15), (0, 15), (15, 0))]
    assert gaussians(draws) == [gaussian(draw) for draw in draws]
