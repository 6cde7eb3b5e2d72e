"""``float://``: the model in real numbers that the integers approximate.

Functions of the state are the program's tables, which are data; ``float://?functions=exact`` takes
the functions that the tables stand for, and so shows what the tables cost.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pendula.contract.numbers import Overflow
from pendula.contract.physics import FUNCTIONS, ONE, STATE
from pendula.contract.step import PIXEL_HI, PIXEL_OFFSET_F_BITS, InitialState, pixel_shift
from pendula.device import NodeMemory
from pendula.errors import UrlError
from pendula.program import IntArray, Program
from pendula.twin.band import Band, bands
from pendula.twin.block_device import BLOCK, BlockDevice
from pendula.twin.draws import ArrayDraws, Draws, OwnDraws, Refinement

__all__ = ["Approximations", "FloatDevice", "FloatModel", "real_function", "table_function"]

RealArray = npt.NDArray[np.float64]
RealFunction = Callable[[RealArray], RealArray]

_EVALUATE: Mapping[str, RealFunction] = {      # pendula.contract.physics.FUNCTIONS on arrays
    "sin": lambda x: np.sin(np.pi * x),
    "-cos": lambda x: -np.cos(np.pi * x),
    "cos": lambda x: np.cos(np.pi * x),
    "sin2": lambda x: np.sin(2 * np.pi * x),
    "tanh": np.tanh,
    "clip": np.positive,
    "x3": lambda x: x * x * x,
    STATE: np.positive,
    ONE: np.ones_like,
}


def real_function(name: str) -> RealFunction:
    """Return the real function of the state called `name`, clipped where its table would be."""
    evaluate = _EVALUATE[name]
    if name not in FUNCTIONS:
        return evaluate
    reach_val = float(FUNCTIONS[name].reach)
    return lambda x: np.clip(evaluate(x), -reach_val, reach_val)


def table_function(program: Program, column: str) -> RealFunction:
    """Return a column of the program's tables as a real function of the state."""
    spec = program.spec
    name, width = spec.columns[column]
    values = program.tables[column] / float(FUNCTIONS[name].scale(width))
    rows_a_unit = 2.0**(spec.state.f_bits - (spec.state_bits - spec.table_bits))
    return lambda x: values[np.floor(x * rows_a_unit).astype(np.intp) & (spec.table_rows - 1)]


@dataclass(frozen=True, slots=True)
class Approximations:
    """What of the array the model has, and what is ideal.

    Parameters
    ----------
    tables : bool
        The program's tables, or the functions that they stand for.
    noise : str
        ``own``: NumPy's normals; ``array``: the array's own draws, the same as the twin's;
        ``ideal``: those, spread over the quantiles that they stand for.
    rounded : bool
        States rounded to the array's lattice after every step, or real.
    halvings : int
        Times that each step is halved.
    real : bool
        The real parameters that training rounded, or those that codes and gains stand for.
    """

    tables: bool = True
    noise: str = "own"
    rounded: bool = False
    halvings: int = 0
    real: bool = False


@dataclass(frozen=True, slots=True)
class _Segment:
    """Real parameters of one time segment."""

    steps: int
    bands: tuple[Band, ...]
    local_val: RealArray        # shape (M, N, 1)
    noise_val: float


class FloatModel:
    """The equations of a program with real parameters, states and Gaussians.

    Parameters
    ----------
    program : Program
        What to run.
    kind : Approximations
        What of the array the model has.
    """

    dtype = np.dtype(np.float64)

    def __init__(self, program: Program, kind: Approximations) -> None:
        couplings_val, locals_val, noise_val = program.coefficients(real=kind.real)
        self.program, self._kind = program, kind
        self._parts = 1 << kind.halvings
        self._segments = [
            _Segment(int(steps), bands(couplings_val[s], program.spec.offsets, np.float64),
                     locals_val[s].T[:, :, None], float(noise_val[s]))
            for s, steps in enumerate(program.steps)]
        self._functions = {
            column: table_function(program, column) if kind.tables else real_function(name)
            for column, (name, _) in program.spec.columns.items()}
        self._functions |= {name: _EVALUATE[name] for name in (STATE, ONE)}
        state = program.spec.state.interval
        self._lo_val, self._hi_val = (float(program.states_val(x)) for x in (state.lo, state.hi))

    def run(self, seed: int, indices: range, *, nodes: NodeMemory, kept: npt.NDArray[Any],
            stop_step: int, cancelled: Callable[[], bool]) -> tuple[RealArray, int]:
        """Run samples side by side; see :class:`pendula.twin.block_device.Model`."""
        count, kind = self.program.spec.nodes, self._kind
        draws = self._draws(seed, indices, min(stop_step, self.program.total_steps))
        refinement = Refinement(seed, indices, count, kind.halvings)
        uploaded_val = self.from_raw(nodes.uploaded)[:, None]
        x, saturations = self._store(self._start(draws, len(indices), kept, uploaded_val), nodes,
                                     uploaded_val)
        left = stop_step
        for segment in self._segments:
            steps = min(segment.steps, left)
            for _ in range(steps):
                if cancelled():
                    break
                for noise in self._noise(segment, draws, refinement):
                    moved = self._drift(segment, x)
                    moved /= self._parts
                    moved += x
                    moved += noise
                    x, clipped = self._store(moved, nodes, uploaded_val)
                    saturations += clipped
            left -= steps
        return x, saturations

    def _draws(self, seed: int, indices: range, steps: int) -> Draws:
        spec, noise = self.program.spec, self._kind.noise
        if noise == "own":
            return OwnDraws(seed, indices, spec.nodes)
        return ArrayDraws(spec, seed, indices, steps, ideal=noise == "ideal")

    def _noise(self, segment: _Segment, draws: Draws,
               refinement: Refinement) -> list[RealArray] | list[float]:
        """Return the noise of the parts of a step."""
        if not segment.noise_val:
            draws.skip()
            return [0.0] * self._parts
        sigma = segment.noise_val / np.sqrt(self._parts)
        return [sigma * part for part in refinement.split(draws.normals())]

    def forces(self, segment: int, states: IntArray) -> RealArray:
        """Return the drift of every node in raw `states`, in units of x; both of shape (n, N)."""
        return self._drift(self._segments[segment], self.from_raw(states.T)).T

    def pixels(self, x: RealArray) -> npt.NDArray[np.uint8]:
        """Return the pixels of states: the affine map of :func:`pendula.contract.step.pixel`."""
        program = self.program
        folded = np.abs(x) if self._wraps else x
        gain_val = program.pixel_gain * 2.0**(program.spec.state.f_bits - pixel_shift(program.spec))
        offset_val = program.pixel_offset * 2.0**-PIXEL_OFFSET_F_BITS
        value = np.floor(gain_val * folded + offset_val + 0.5)
        return np.clip(value, 0, PIXEL_HI).astype(np.uint8)

    def from_raw(self, states: IntArray) -> RealArray:
        """Return the real values of raw states."""
        return self.program.states_val(states)

    @property
    def _wraps(self) -> bool:
        return self.program.spec.physics.overflow is Overflow.WRAP

    def _start(self, draws: Draws, count: int, kept: RealArray,
               uploaded_val: RealArray) -> RealArray:
        program, shape = self.program, (self.program.spec.nodes, count)
        if program.initial is InitialState.UNIFORM:
            return self._lo_val * (1 - 2 * draws.start_uniforms())
        if program.initial is InitialState.GAUSSIAN:
            return program.initial_val * draws.start_normals()
        starts = {InitialState.KEEP: kept[:, None], InitialState.UPLOADED: uploaded_val}
        return np.broadcast_to(starts.get(program.initial, np.zeros(1)), shape).copy()

    def _drift(self, segment: _Segment, x: RealArray) -> RealArray:
        physics = self.program.spec.physics
        values = {column: function(x) for column, function in self._functions.items()}
        drift, coupled = np.zeros_like(x), np.empty_like(x)
        for rank in range(physics.rank):
            for band in segment.bands:
                np.matmul(band.weights, values[f"v{rank}"][band.columns], out=coupled[band.rows])
            drift += coupled * values[f"u{rank}"] if physics.u else coupled
        for m, (name, local_val) in enumerate(zip(physics.basis, segment.local_val, strict=True)):
            drift += local_val * values[name if name in values else f"h{m}"]
        return drift

    def _store(self, x: RealArray, nodes: NodeMemory,
               uploaded_val: RealArray) -> tuple[RealArray, int]:
        """Apply the clamps and the overflow rule; also return how many updates it clipped."""
        if nodes.clamped.any():
            x[nodes.clamped] = uploaded_val[nodes.clamped]
        if self._kind.rounded:
            unit = 2.0**self.program.spec.state.f_bits
            x = np.floor(x * unit + 0.5) / unit
        if self._wraps:
            turn = -2 * self._lo_val
            return x - turn * np.floor((x - self._lo_val) / turn), 0
        fitted = np.clip(x, self._lo_val, self._hi_val)
        return fitted, int(np.count_nonzero(fitted != x))


class FloatDevice(BlockDevice):
    """The model in real numbers: equal to the exact devices in distribution.

    Parameters
    ----------
    url : str
        Address that the device was opened with.
    functions : str
        ``tables`` for the program's tables, ``exact`` for the functions that they stand for.
    noise : str
        ``own`` for NumPy's normals; ``array`` for the Gaussians that the array draws with the same
        seed; ``ideal`` for those, each spread over the quantiles that it stands for.
    states : str
        ``real``, or ``rounded`` to the array's lattice after every step.
    halvings : str
        Times that each step is cut into halves, along the same Brownian path; up to 4.
    parameters : str
        ``codes`` for what codes and gains stand for, ``real`` for what training rounded to them;
        loading a program without the latter is a ProgramError.

    Raises
    ------
    UrlError
        If an option is none of these.

    Notes
    -----
    Sample i depends on (program, seed, i) alone here too, but its noise is NumPy's, unless the
    array's is asked for: samples then stay close to the twin's, so that few of them show what each
    approximation costs (:mod:`pendula.verification`). States are float64; forces are float64, in
    units of x a step.
    """

    exact = False

    def __init__(self, url: str, *, functions: str = "tables", noise: str = "own",
                 states: str = "real", halvings: str = "0", parameters: str = "codes",
                 threads: int | None = None, block: int = BLOCK) -> None:
        for name, (value, known) in {
                "functions": (functions, ("tables", "exact")),
                "noise": (noise, ("own", "array", "ideal")),
                "states": (states, ("real", "rounded")),
                "halvings": (halvings, tuple("01234")),
                "parameters": (parameters, ("codes", "real"))}.items():
            if value not in known:
                raise UrlError(f"{name} must be {', '.join(known[:-1])} or {known[-1]}, "
                               f"not {value!r}")
        super().__init__(url, threads=threads, block=block)
        self._kind = Approximations(tables=functions == "tables", noise=noise,
                                    rounded=states == "rounded", halvings=int(halvings),
                                    real=parameters == "real")

    def _make_model(self, program: Program) -> FloatModel:
        return FloatModel(program, self._kind)
