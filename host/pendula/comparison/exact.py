"""Bit for bit: whether two devices give the same numbers, and if not, where they first part."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from pendula.contract.step import ALL_STEPS, InitialState
from pendula.device import AbstractDevice, Batch, Progress
from pendula.program import IntArray, Program

__all__ = ["Check", "Difference", "Exact", "compare_exact"]

PIXEL_SAMPLES = 64      # a pixel is a function of the state, which is compared for every sample
FORCE_STATES = 6        # random states a segment, besides the two extreme ones


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One field that was compared.

    Parameters
    ----------
    field : str
        ``state``, ``pixel``, ``saturations`` or ``force``.
    compared : int
        Number of integers compared.
    different : int
        Number of those that differ.
    """

    field: str
    compared: int
    different: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """First difference in one field.

    Parameters
    ----------
    field : str
        Field of :class:`Check`.
    device, against : int
        The two raw values.
    node : int or None
        Lowest node that differs; none for saturations.
    nodes : int
        Number of nodes that differ in that sample, at that step or in that force.
    sample : int or None
        First sample that differs; none for forces.
    step : int or None
        A number of steps after which the two differ, though they agree one step earlier; 0 is the
        initial state. None if the difference did not appear again when the sample was repeated.
    segment : int or None
        Time segment of that step, or of the force; none for the initial state.
    """

    field: str
    device: int
    against: int
    node: int | None = None
    nodes: int = 0
    sample: int | None = None
    step: int | None = None
    segment: int | None = None

    def __str__(self) -> str:
        places = [f"{name} {value}" for name, value in
                  (("sample", self.sample), ("step", self.step), ("segment", self.segment),
                   ("node", self.node)) if value is not None]
        unstable = self.field in ("state", "saturations") and self.step is None
        return (f"{self.field} differs first at {', '.join(places)}: "
                f"{self.device}, not {self.against}"
                + (" (gone when the sample was repeated)" if unstable else ""))


@dataclass(frozen=True, slots=True, kw_only=True)
class Exact:
    """Outcome of the exact comparison.

    Parameters
    ----------
    checks : tuple of Check
        What was compared.
    differences : tuple of Difference
        The first difference of every field that has one.
    """

    checks: tuple[Check, ...]
    differences: tuple[Difference, ...]

    @property
    def different(self) -> bool:
        """Whether anything differs."""
        return bool(self.differences)


@dataclass(frozen=True, slots=True)
class _Pair:
    """Two devices with one program, asked the same questions."""

    device: AbstractDevice
    against: AbstractDevice
    program: Program
    seed: int

    def sample(self, count: int, *, first: int = 0, start: IntArray | None = None,
               pixels: bool = False, stop_step: int = ALL_STEPS,
               progress: Progress | None = None) -> tuple[Batch, Batch]:
        """Draw the same samples from both: states of all nodes, or pixels of the visible ones.

        Programs that keep states begin at `start`, shape (N,), or at zero.
        """
        batches = []
        for device in (self.device, self.against):
            if self.program.initial is InitialState.KEEP:
                zeros = np.zeros(self.program.spec.nodes, np.int64)
                device.forces(np.atleast_2d(zeros if start is None else start))
            batches.append(device.sample(count, seed=self.seed, first=first, pixels=pixels,
                                         hidden=not pixels, stop_step=stop_step,
                                         progress=progress))
        return batches[0], batches[1]

    def first_step(self, sample: int, start: IntArray | None,
                   field: Callable[[Batch], Any]) -> tuple[int | None, tuple[Batch, Batch]]:
        """Repeat a sample to find the step at which `field` parts, and the batches there."""
        def run(step: int) -> tuple[Batch, Batch]:
            return self.sample(1, first=sample, start=start, stop_step=step)

        def differs(step: int) -> bool:
            device, against = run(step)
            return not np.array_equal(field(device), field(against))

        final = self.program.total_steps
        if not differs(final):
            return None, run(final)
        step = _first_true(differs, final)
        return step, run(step)


def compare_exact(device: AbstractDevice, against: AbstractDevice, program: Program, *,
                  count: int, seed: int, progress: Progress | None = None,
                  ) -> tuple[Exact, tuple[Batch, Batch]]:
    """Compare two exact devices that hold `program`.

    Raw states of all nodes and the number of saturations of all samples, pixels of the first 64
    samples, and forces of random and extreme states in every segment must all be equal.

    Parameters
    ----------
    count, seed : int
        Samples to draw, and their seed; it also seeds the states whose forces are compared.
    progress : callable, optional
        Called with the number of samples finished on either device, 2 * `count` in all.

    Returns
    -------
    Exact
        The outcome.
    tuple of Batch
        Raw states of all nodes, from both devices.
    """
    pair = _Pair(device, against, program, seed)
    batches = pair.sample(count, progress=progress)
    pixels = pair.sample(min(count, PIXEL_SAMPLES), pixels=True)
    found = [_compare_states(pair, batches), _compare_saturations(pair, batches),
             _compare_pixels(program, pixels), _compare_forces(pair)]
    outcome = Exact(checks=tuple(check for check, _ in found),
                    differences=tuple(difference for _, difference in found if difference))
    return outcome, batches


def _first_true(differs: Callable[[int], bool], last: int) -> int:
    """Return a number in 0..last that differs though the one before does not; `last` must."""
    equal = -1
    while last - equal > 1:
        middle = (equal + last) // 2
        equal, last = (equal, middle) if differs(middle) else (middle, last)
    return last


def _segment(program: Program, step: int | None) -> int | None:
    """Return the time segment of a step, counted from 1; none for the initial state."""
    return int(np.searchsorted(np.cumsum(program.steps), step)) if step else None


def _compare_states(pair: _Pair, batches: tuple[Batch, Batch]) -> tuple[Check, Difference | None]:
    unequal = batches[0].values != batches[1].values
    check = Check(field="state", compared=unequal.size, different=int(unequal.sum()))
    if not unequal.any():
        return check, None
    sample = int(np.argmax(unequal.any(axis=1)))
    step, again = pair.first_step(sample, _start(batches, sample), lambda batch: batch.values)
    device, against = (
        (batch.values[sample] for batch in batches) if step is None else
        (batch.values[0] for batch in again))
    differs = device != against
    node = int(np.argmax(differs))
    return check, Difference(
        field="state", sample=sample, step=step, segment=_segment(pair.program, step), node=node,
        nodes=int(differs.sum()), device=int(device[node]), against=int(against[node]))


def _start(batches: tuple[Batch, Batch], sample: int) -> IntArray | None:
    """Return the final state of the sample before, on which both devices agree."""
    return batches[0].values[sample - 1].astype(np.int64) if sample else None


def _compare_saturations(pair: _Pair, batches: tuple[Batch, Batch],
                         ) -> tuple[Check, Difference | None]:
    device, against = (batch.saturations for batch in batches)
    check = Check(field="saturations", compared=1, different=int(device != against))
    if device == against:
        return check, None
    if not np.array_equal(batches[0].values, batches[1].values):     # the states say where
        return check, Difference(field="saturations", device=device, against=against)

    def differs(last: int) -> bool:
        one, other = pair.sample(last + 1)
        return one.saturations != other.saturations

    sample = _first_true(differs, len(batches[0].values) - 1)
    step, again = pair.first_step(sample, _start(batches, sample), lambda batch: batch.saturations)
    if step is not None:
        device, against = (batch.saturations for batch in again)
    return check, Difference(field="saturations", sample=sample, step=step, device=device,
                             against=against, segment=_segment(pair.program, step))


def _compare_pixels(program: Program,
                    batches: tuple[Batch, Batch]) -> tuple[Check, Difference | None]:
    device, against = (batch.values for batch in batches)
    unequal = device != against
    check = Check(field="pixel", compared=unequal.size, different=int(unequal.sum()))
    if not unequal.any():
        return check, None
    sample, position = (int(i) for i in np.argwhere(unequal)[0])
    return check, Difference(
        field="pixel", sample=sample, node=int(np.flatnonzero(program.visible)[position]),
        nodes=int(unequal[sample].sum()), device=int(device[sample, position]),
        against=int(against[sample, position]))


def _compare_forces(pair: _Pair) -> tuple[Check, Difference | None]:
    state, nodes = pair.program.spec.state, pair.program.spec.nodes
    rng = np.random.default_rng(pair.seed)
    compared = different = 0
    first = None
    for segment in range(pair.program.segments):
        states = np.concatenate([rng.integers(state.lo, state.hi + 1, (FORCE_STATES, nodes)),
                                 np.full((1, nodes), state.lo), np.full((1, nodes), state.hi)])
        device = pair.device.forces(states, segment=segment)
        against = pair.against.forces(states, segment=segment)
        unequal = device != against
        compared += unequal.size
        different += int(unequal.sum())
        if first is None and unequal.any():
            row, node = (int(i) for i in np.argwhere(unequal)[0])
            first = Difference(field="force", segment=segment, node=node,
                               nodes=int(unequal[row].sum()), device=int(device[row, node]),
                               against=int(against[row, node]))
    return Check(field="force", compared=compared, different=different), first
