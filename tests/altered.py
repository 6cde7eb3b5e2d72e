"""A device with one planted fault, around any other device."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from pendula.device import AbstractDevice, Batch, NodeMemory, Progress, SampleRequest
from pendula.program import IntArray, Program


class AlteredDevice(AbstractDevice):
    """Runs an altered program, or alters batches and forces on their way out.

    Parameters
    ----------
    inner : AbstractDevice
        Device that does the work.
    program, batch, forces : callable, optional
        What to do to what is loaded, to each batch, and to forces, states and segment.
    """

    def __init__(self, inner: AbstractDevice, *,
                 program: Callable[[Program], Program] = lambda program: program,
                 batch: Callable[[Batch], Batch] = lambda batch: batch,
                 forces: Callable[[IntArray, IntArray, int], IntArray] = lambda forces, *_: forces,
                 ) -> None:
        super().__init__(f"altered+{inner.url}")
        self.exact = inner.exact
        self.inner = inner
        self._alter_program, self._alter_batch, self._alter_forces = program, batch, forces

    def _load(self, program: Program) -> None:
        self.inner.load(self._alter_program(program))

    def _set_nodes(self, nodes: NodeMemory) -> None:
        self.inner.set_nodes(nodes.uploaded, nodes.clamped)

    def _sample(self, program: Program, request: SampleRequest, progress: Progress) -> Batch:
        batch = self.inner.sample(
            request.count, seed=request.seed, first=request.first, pixels=request.pixels,
            hidden=request.hidden, stop_step=request.stop_step, progress=progress)
        return self._alter_batch(batch)

    def _forces(self, program: Program, states: IntArray, segment: int) -> Any:
        return self._alter_forces(self.inner.forces(states, segment=segment), states, segment)


def bump(name: str, *index: int) -> Callable[[Program], Program]:
    """Return a function that changes one number of a program's array by one."""
    def alter(program: Program) -> Program:
        array = np.array(getattr(program, name))
        array[index] += -1 if array[index] > 0 else 1
        return replace(program, **{name: array})
    return alter
