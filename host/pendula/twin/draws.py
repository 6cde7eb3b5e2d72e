"""Gaussians of the float model: its own, or those of the array, as they are or made ideal."""

from collections.abc import Sequence
from functools import cache
from typing import Protocol

import numpy as np
import numpy.typing as npt

from pendula.contract.gaussian import GAUSSIAN_LAW
from pendula.contract.noise import SIGMA_RAW, WORD_BITS
from pendula.contract.spec import ArraySpec
from pendula.extras import import_extra
from pendula.twin.noise import GaussianSampler, NoiseStreams

__all__ = ["ArrayDraws", "Draws", "OwnDraws", "Refinement"]

RealArray = npt.NDArray[np.float64]

_CHUNK = 1024       # numbers that a sample draws at once
_OWN, _SPREAD, _BRIDGE = range(3)       # what a generator is for, in its key


class Draws(Protocol):
    """Random numbers of samples that run side by side; arrays have shape (N, B)."""

    def start_uniforms(self) -> RealArray:
        """Return uniforms within [0, 1) for the initial states."""
        ...

    def start_normals(self) -> RealArray:
        """Return normals for the initial states."""
        ...

    def normals(self) -> RealArray:
        """Return the normals of the next step."""
        ...

    def skip(self) -> None:
        """Pass over a step without noise."""
        ...


class _Chunks:
    """Numbers from one generator a sample, whatever samples run beside it."""

    def __init__(self, seed: int, indices: Sequence[int], nodes: int, use: int) -> None:
        self._generators = [
            np.random.Generator(np.random.Philox(key=seed | index << 64 | use << 96))
            for index in indices]
        self._chunk = np.empty((len(indices), max(1, _CHUNK // nodes), nodes))
        self._used = self._chunk.shape[1]

    def uniforms(self) -> RealArray:
        """Return uniforms, shape (N, B); before any normals."""
        nodes = self._chunk.shape[2]
        return np.stack([generator.random(nodes) for generator in self._generators], axis=1)

    def normals(self) -> RealArray:
        """Return the next normals, shape (N, B)."""
        if self._used == self._chunk.shape[1]:
            for generator, chunk in zip(self._generators, self._chunk, strict=True):
                generator.standard_normal(out=chunk)
            self._used = 0
        self._used += 1
        return self._chunk[:, self._used - 1].T


class OwnDraws:
    """NumPy's normals.

    Parameters
    ----------
    seed : int
        64-bit seed.
    indices : sequence of int
        The B samples.
    nodes : int
        N.
    """

    def __init__(self, seed: int, indices: Sequence[int], nodes: int) -> None:
        self._chunks = _Chunks(seed, indices, nodes, _OWN)
        self.start_uniforms = self._chunks.uniforms
        self.start_normals = self.normals = self._chunks.normals

    def skip(self) -> None:
        """Pass over a step without noise, which draws nothing here."""


@cache
def _mass() -> tuple[RealArray, RealArray]:
    """Return, for each magnitude, the probability of what lies below its negative, and its own."""
    counts = GAUSSIAN_LAW.counts()
    half = [counts.get(-value, 0) for value in range(GAUSSIAN_LAW.reach.hi + 1)]
    total = 2.0**GAUSSIAN_LAW.draw_bits
    below = [sum(half[value + 1:]) / total for value in range(len(half))]
    return np.array(below), np.array(half) / total


class ArrayDraws:
    """The array's own draws: the same ones that the twin takes for the same seed.

    Parameters
    ----------
    spec : ArraySpec
        Array.
    seed : int
        64-bit seed.
    indices : sequence of int
        The B samples.
    steps : int
        Number of steps that will be taken; a guess costs time, not correctness.
    ideal : bool
        Whether to spread each Gaussian over the quantiles that it stands for, which makes the law
        normal and moves each by a fraction of a raw unit.
    """

    def __init__(self, spec: ArraySpec, seed: int, indices: Sequence[int], steps: int,
                 *, ideal: bool) -> None:
        shape = (spec.nodes, len(indices))
        self._spec = spec
        self._streams = NoiseStreams(seed, indices, spec.nodes * (steps + 1))
        self._words, self._sides = np.empty((2, *shape), np.uint32)
        self._raw, self._sampler = np.empty(shape, np.int16), GaussianSampler(shape)
        self._spread = _Chunks(seed, indices, spec.nodes, _SPREAD) if ideal else None
        self.skip()

    def skip(self) -> None:
        """Draw, as the array does at every step."""
        self._streams.draw(self._words, self._sides)

    def start_uniforms(self) -> RealArray:
        """Return uniforms of as many bits as the state."""
        bits = self._spec.state_bits
        return (self._words >> np.uint32(WORD_BITS - bits)).astype(np.float64) * 2.0**-bits

    def start_normals(self) -> RealArray:
        """Return normals for the initial states."""
        self._sampler.gaussians(self._words, self._sides, self._raw)
        if self._spread is None:
            return self._raw.astype(np.float64) / SIGMA_RAW
        return self._ideal(self._spread)

    def normals(self) -> RealArray:
        """Return the normals of the next step."""
        self.skip()
        return self.start_normals()

    def _ideal(self, spread: _Chunks) -> RealArray:
        special = import_extra("scipy.special", "report")
        below, own = _mass()
        size = np.abs(self._raw)
        low = special.ndtri(below[size] + own[size] * special.ndtr(spread.normals()))
        return np.where(self._raw > 0, -low, low)


class Refinement:
    """Normals of half steps, quarter steps and so on, whose sums are those of whole steps.

    A Brownian path is the same whatever the steps that it is looked at in: a whole step z has the
    halves ``(z + g) / sqrt(2)`` and ``(z - g) / sqrt(2)``, with a normal g of its own.

    Parameters
    ----------
    seed, indices, nodes
        As for :class:`OwnDraws`.
    levels : int
        Times that a step is halved.
    """

    def __init__(self, seed: int, indices: Sequence[int], nodes: int, levels: int) -> None:
        self._levels = [_Chunks(seed, indices, nodes, _BRIDGE + level) for level in range(levels)]

    def split(self, whole: RealArray) -> list[RealArray]:
        """Return the standard normals of the parts of a step, in order."""
        parts = [whole]
        for level in self._levels:
            pairs = [(part, level.normals().copy()) for part in parts]
            parts = [half for part, g in pairs
                     for half in ((part + g) / np.sqrt(2), (part - g) / np.sqrt(2))]
        return parts
