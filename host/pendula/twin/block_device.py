"""Devices that are NumPy models: blocks of samples, spread over threads."""

import abc
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from pendula.contract.step import InitialState
from pendula.device import AbstractDevice, Batch, NodeMemory, Progress, SampleRequest
from pendula.program import IntArray, Program

__all__ = ["BLOCK", "BlockDevice", "Model", "run_blocks"]

# Measured with benchmarks/twin.py. Threads take turns at the interpreter, so they pay only where
# calls of NumPy are long: with more of them, or smaller blocks, they mostly wait for each other.
BLOCK = 1024        # samples that run side by side
_SMALL_BLOCK = 512  # not made smaller for the sake of another thread
_THREADS = 2
_POLL_S = 0.1       # so that Ctrl-C is heard on every system

T = TypeVar("T")


class Model(Protocol):
    """A program, made ready for one kind of arithmetic. States are of shape (N, B)."""

    program: Program
    dtype: np.dtype[Any]     # of states that are read out

    def run(self, seed: int, indices: range, *, nodes: NodeMemory, kept: npt.NDArray[Any],
            stop_step: int, cancelled: Callable[[], bool]) -> tuple[npt.NDArray[Any], int]:
        """Run samples side by side.

        Parameters
        ----------
        indices : range
            The B samples.
        nodes : NodeMemory
            Uploaded states and clamped nodes.
        kept : array, shape (N,)
            Where every one of them starts if the program says KEEP.
        stop_step : int
            Steps after which to stop.
        cancelled : callable
            Asked before every step; once it says yes, the result is of no use.

        Returns
        -------
        array of shape (N, B), and int
            Final states, and the number of updates that the overflow rule clipped.
        """
        ...

    def forces(self, segment: int, states: IntArray) -> npt.NDArray[Any]:
        """Return the drift of every node in raw `states`; both have shape (n, N)."""
        ...

    def pixels(self, x: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
        """Return the pixels of states."""
        ...

    def from_raw(self, states: IntArray) -> npt.NDArray[Any]:
        """Return raw states as states of the model."""
        ...


def run_blocks(count: int, size: int, threads: int, work: Callable[[slice, Callable[[], bool]], T],
               progress: Progress) -> list[T]:
    """Call `work` on every block of ``range(count)`` and return the results in order.

    Parameters
    ----------
    size : int
        Largest number of items in a block.
    threads : int
        Blocks that are worked on at once; each works alone, so BLAS is held to one thread.
    work : callable
        Takes a block, and a function that tells whether to give up.
    progress : callable
        Told the size of each block, in order, from the calling thread.
    """
    blocks = [slice(start, min(start + size, count)) for start in range(0, count, size)]
    cancelled = threading.Event()
    results = []
    with (threadpool_limits(limits=1, user_api="blas"),
          ThreadPoolExecutor(threads) as pool):
        try:
            futures = [pool.submit(work, block, cancelled.is_set) for block in blocks]
            for block, future in zip(blocks, futures, strict=True):
                while not future.done():
                    wait([future], timeout=_POLL_S)
                results.append(future.result())
                progress(block.stop - block.start)
        except BaseException:
            cancelled.set()
            pool.shutdown(cancel_futures=True)
            raise
    return results


class BlockDevice(AbstractDevice):
    """A device that computes with a :class:`Model`.

    Parameters
    ----------
    url : str
        Address that the device was opened with.
    threads : int, optional
        Blocks of samples that run at once; two where not given, if there are two processors.
    block : int
        Largest number of samples in a block.

    Notes
    -----
    Results depend on neither `threads` nor `block`. Under ``InitialState.KEEP`` every sample waits
    for the one before it, so samples run one by one.
    """

    def __init__(self, url: str, *, threads: int | None = None, block: int = BLOCK) -> None:
        super().__init__(url)
        self.threads = threads or min(_THREADS, os.cpu_count() or 1)
        self.block = block
        self._model: Model
        self._spec_digest = ""
        self._kept: npt.NDArray[Any] = np.zeros(0)      # last state, for the next KEEP

    @abc.abstractmethod
    def _make_model(self, program: Program) -> Model: ...

    def _load(self, program: Program) -> None:
        with self.times.measure("load"):
            self._model = self._make_model(program)
        if program.spec.digest != self._spec_digest:
            self._spec_digest = program.spec.digest
            self._kept = self._model.from_raw(np.zeros(program.spec.nodes, np.int64))

    def _set_nodes(self, nodes: NodeMemory) -> None:
        """Do nothing: the models read :attr:`nodes`."""

    def _sample(self, program: Program, request: SampleRequest, progress: Progress) -> Batch:
        model = self._model
        chain = program.initial is InitialState.KEEP
        readable = np.ones_like(program.visible) if request.hidden else program.visible
        values = np.empty((request.count, int(readable.sum())),
                          np.uint8 if request.pixels else model.dtype)

        def draw(block: slice, cancelled: Callable[[], bool]) -> int:
            indices = range(request.first + block.start, request.first + block.stop)
            x, saturations = model.run(request.seed, indices, nodes=self.nodes, kept=self._kept,
                                       stop_step=request.stop_step, cancelled=cancelled)
            if not cancelled() and (chain or block.stop == request.count):
                self._kept = x[:, -1].copy()
            read = x[readable]
            values[block] = (model.pixels(read) if request.pixels else read).T
            return saturations

        size, threads = (1, 1) if chain else (self._block_size(request.count), self.threads)
        with self.times.measure("run"):
            saturations = run_blocks(request.count, size, threads, draw, progress)
        return Batch(values=values, request=request, saturations=sum(saturations))

    def _forces(self, program: Program, states: IntArray, segment: int) -> npt.NDArray[Any]:
        model = self._model
        if not len(states):
            return model.from_raw(states)
        with self.times.measure("run"):
            forces = run_blocks(
                len(states), self._block_size(len(states)), self.threads,
                lambda block, _: model.forces(segment, states[block]), lambda _: None)
        self._kept = model.from_raw(states[-1])
        return np.concatenate(forces)

    def _block_size(self, count: int) -> int:
        return min(self.block, max(_SMALL_BLOCK, -(-count // self.threads)))
