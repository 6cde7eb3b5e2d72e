"""The integer step for many samples at once: :mod:`pendula.contract.step`, bit for bit.

Arrays hold one row a node and one column a sample. Couplings are sums in floating point, which are
exact: no partial sum leaves the range in which every integer has a representation.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pendula.contract.noise import WORD_BITS
from pendula.contract.numbers import Overflow
from pendula.contract.physics import ONE, STATE
from pendula.contract.spec import ArraySpec
from pendula.contract.step import PIXEL_HI, PIXEL_OFFSET_F_BITS, InitialState, pixel_shift
from pendula.device import NodeMemory
from pendula.program import IntArray, Program
from pendula.twin.band import Band, bands
from pendula.twin.noise import GaussianSampler, NoiseStreams

__all__ = ["Engine", "exact_float"]

_FLOAT32_INTEGERS = 1 << (np.finfo(np.float32).nmant + 1)     # all up to this are represented


def exact_float(spec: ArraySpec) -> type[np.float32] | type[np.float64]:
    """Return the narrowest float type that represents every partial sum of couplings.

    Double precision always does: codes and edges have up to 20 bits, so that 2**33 offsets fit.
    """
    partial = spec.accumulators["partial"]
    return np.float32 if max(partial.hi, -partial.lo) <= _FLOAT32_INTEGERS else np.float64


@dataclass(frozen=True, slots=True)
class _Segment:
    """Parameters of one time segment; gains are aligned to the drift's binary point."""

    steps: int
    bands: tuple[Band, ...]
    coupling_gain: IntArray     # shape ()
    local_gains: IntArray       # local code times gain, shape (M, N, 1)
    noise_gain: IntArray        # shape ()


def _segment(program: Program, s: int) -> _Segment:
    spec = program.spec
    align_bits = np.array([spec.align_bits(term) for term in spec.local_terms])
    local_gains = program.local_codes[s] * program.local_gains[s] << align_bits
    return _Segment(
        steps=int(program.steps[s]),
        bands=bands(program.codes[s], spec.offsets, exact_float(spec)),
        coupling_gain=np.array(program.coupling_gain[s] << spec.align_bits(spec.coupling_term)),
        local_gains=local_gains.T[:, :, None],
        noise_gain=np.array(program.noise_gain[s] << spec.align_bits(spec.noise_term)))


class Engine:
    """A program in the layout that the vectorised step reads.

    Parameters
    ----------
    program : Program
        What to run.
    """

    dtype = np.dtype(np.int32)      # of raw states that are read out

    def __init__(self, program: Program) -> None:
        spec, physics, tables = program.spec, program.spec.physics, program.tables
        self.program = program
        self.segments = [_segment(program, s) for s in range(program.segments)]
        self.u = [tables[f"u{r}"] for r in range(len(physics.u))]
        self.v = [tables[f"v{r}"].astype(exact_float(spec)) for r in range(physics.rank)]
        self.h = {name: tables[f"h{m}"] for m, name in enumerate(physics.basis)
                  if name not in (STATE, ONE)}

    def run(self, seed: int, indices: range, *, nodes: NodeMemory, kept: npt.NDArray[Any],
            stop_step: int, cancelled: Callable[[], bool]) -> tuple[IntArray, int]:
        """Run samples side by side; see :class:`pendula.twin.block_device.Model`."""
        program = self.program
        left = min(stop_step, program.total_steps)
        streams = NoiseStreams(seed, indices, program.spec.nodes * (left + 1))
        lanes = _Lanes(self, len(indices), nodes)
        lanes.start(streams, kept)
        for segment in self.segments:
            steps = min(segment.steps, left)
            for _ in range(steps):
                if cancelled():
                    break
                lanes.step(segment, streams)
            left -= steps
        return lanes.x, lanes.saturations

    def forces(self, segment: int, states: IntArray) -> IntArray:
        """Return the drift of every node in `states`; both have shape (n, N)."""
        free = NodeMemory(states[0], np.zeros(states.shape[1], bool))
        lanes = _Lanes(self, len(states), free)
        lanes.set_states(states.T)
        result = np.empty_like(states)
        for band in self.segments[segment].bands:
            result[:, band.rows] = lanes.drift(self.segments[segment], band).T
        return result

    def pixels(self, x: IntArray) -> npt.NDArray[np.uint8]:
        """Return the pixels of raw states: :func:`pendula.contract.step.pixel`."""
        program = self.program
        shift = pixel_shift(program.spec)
        folded = np.abs(x) if program.spec.physics.overflow is Overflow.WRAP else x
        offset = program.pixel_offset << (shift - PIXEL_OFFSET_F_BITS)
        value = program.pixel_gain * folded + (offset + (1 << (shift - 1)))
        return np.clip(value >> shift, 0, PIXEL_HI).astype(np.uint8)

    def from_raw(self, states: IntArray) -> IntArray:
        """Return `states`: the engine works on raw states."""
        return states


class _Tile:
    """Buffers for the nodes of one band, reused at every step so that they stay in the cache."""

    def __init__(self, shape: tuple[int, int], coupling_dtype: npt.DTypeLike) -> None:
        self.acc, self.term, self.factor = np.empty((3, *shape), np.int64)
        self.partial = np.empty(shape, coupling_dtype)
        self.words, self.sides = np.empty((2, *shape), np.uint32)
        self.xi = np.empty(shape, np.int16)
        self.clipped = np.empty(shape, bool)
        self.sampler = GaussianSampler(shape)

    def add_noise(self, gain: IntArray) -> None:
        """Add the Gaussians of the draws, times `gain`, to the accumulator."""
        self.sampler.gaussians(self.words, self.sides, self.xi)
        np.copyto(self.term, self.xi)
        np.multiply(self.term, gain, self.term)
        np.add(self.acc, self.term, self.acc)


class _Lanes:
    """Samples that run in lockstep, one a column.

    Parameters
    ----------
    engine : Engine
        Program.
    count : int
        Number of samples.
    nodes : NodeMemory
        Uploaded states and clamped nodes.
    """

    def __init__(self, engine: Engine, count: int, nodes: NodeMemory) -> None:
        spec, shape = engine.program.spec, (engine.program.spec.nodes, count)
        self._engine, self._spec = engine, spec
        self._bands = engine.segments[0].bands             # rows are the same in every segment
        self._uploaded = nodes.uploaded[:, None]
        self._held = {band.rows.start: np.flatnonzero(nodes.clamped[band.rows])
                      for band in self._bands}
        self.x = np.zeros(shape, np.int64)
        self.saturations = 0
        self._index = np.zeros(shape, np.intp)             # table row of every state
        self._v = np.empty((len(engine.v), *shape), engine.v[0].dtype)
        self._next_v = np.empty_like(self._v)
        self._tiles = {rows: _Tile((rows, count), self._v.dtype)
                       for rows in {len(band.weights) for band in self._bands}}

    def start(self, streams: NoiseStreams, kept: IntArray) -> None:
        """Set every sample to its initial state."""
        for band in self._bands:
            tile = self._tiles[len(band.weights)]
            streams.draw(tile.words, tile.sides)
            self._initialise(tile, band.rows, kept)
            self._store(tile, band.rows)
        self._publish()

    def _initialise(self, tile: _Tile, rows: slice, kept: IntArray) -> None:
        program, spec = self._engine.program, self._spec
        if program.initial is InitialState.UNIFORM:
            np.copyto(tile.acc, tile.words)
            tile.acc >>= WORD_BITS - spec.state_bits
            tile.acc += spec.state.lo
            return
        tile.acc.fill(0)
        if program.initial is InitialState.GAUSSIAN:
            tile.add_noise(np.array(program.initial_gain << spec.align_bits(spec.noise_term)))
            self._round(tile.acc)
        elif program.initial is InitialState.KEEP:
            tile.acc += kept[rows, None]
        elif program.initial is InitialState.UPLOADED:
            tile.acc += self._uploaded[rows]

    def set_states(self, x: IntArray) -> None:
        """Set every sample to a column of `x`, shape (N, count)."""
        for band in self._bands:
            tile = self._tiles[len(band.weights)]
            np.copyto(tile.acc, x[band.rows])
            self._store(tile, band.rows)
        self._publish()

    def step(self, segment: _Segment, streams: NoiseStreams) -> None:
        """Advance every node by one step."""
        for band in segment.bands:
            tile = self._tiles[len(band.weights)]
            acc = self.drift(segment, band)
            streams.draw(tile.words, tile.sides)
            tile.add_noise(segment.noise_gain)
            np.left_shift(self.x[band.rows], self._spec.drift_f_bits, tile.term)
            np.add(acc, tile.term, acc)
            self._round(acc)
            self._store(tile, band.rows)
        self._publish()

    def drift(self, segment: _Segment, band: Band) -> IntArray:
        """Return the drift of the nodes of a band, valid until the next call."""
        tile, rows = self._tiles[len(band.weights)], band.rows
        acc, term = tile.acc, tile.term
        self._couple(tile, band)
        np.multiply(acc, segment.coupling_gain, acc)
        for name, gain in zip(self._spec.physics.basis, segment.local_gains, strict=True):
            if name == ONE:
                np.add(acc, gain[rows], acc)
                continue
            if name == STATE:
                np.multiply(self.x[rows], gain[rows], term)
            else:
                np.take(self._engine.h[name], self._index[rows], out=term, mode="clip")
                np.multiply(term, gain[rows], term)
            np.add(acc, term, acc)
        return acc

    def _couple(self, tile: _Tile, band: Band) -> None:
        """Write ``sum_r u_r * (W v_r)`` to the accumulator."""
        tile.acc.fill(0)
        for rank, v in enumerate(self._v):
            np.matmul(band.weights, v[band.columns], out=tile.partial)
            np.copyto(tile.term, tile.partial, casting="unsafe")
            if self._engine.u:
                index = self._index[band.rows]
                np.take(self._engine.u[rank], index, out=tile.factor, mode="clip")
                np.multiply(tile.term, tile.factor, tile.term)
            np.add(tile.acc, tile.term, tile.acc)

    def _round(self, acc: IntArray) -> None:
        """Round from the drift's binary point to the state's, half up."""
        f_bits = self._spec.drift_f_bits
        if f_bits:
            acc += 1 << (f_bits - 1)
            acc >>= f_bits

    def _store(self, tile: _Tile, rows: slice) -> None:
        """Make the accumulator, under the overflow rule, the state of all but clamped nodes."""
        state, acc, x, index = self._spec.state, tile.acc, self.x[rows], self._index[rows]
        held = self._held[rows.start]
        if len(held):
            acc[held] = self._uploaded[rows][held]
        if state.overflow is Overflow.WRAP:
            np.subtract(acc, state.lo, acc)
            np.bitwise_and(acc, (1 << state.width) - 1, acc)
            np.add(acc, state.lo, x)
        else:
            np.clip(acc, state.lo, state.hi, out=x)
            np.not_equal(acc, x, tile.clipped)
            self.saturations += int(np.count_nonzero(tile.clipped))
        np.right_shift(x, self._spec.state_bits - self._spec.table_bits, index)
        np.bitwise_and(index, self._spec.table_rows - 1, index)
        for table, v in zip(self._engine.v, self._next_v, strict=True):
            np.take(table, index, out=v[rows], mode="clip")

    def _publish(self) -> None:
        """Let the neighbours see the new states."""
        self._v, self._next_v = self._next_v, self._v
