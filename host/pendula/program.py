"""A program: everything that is loaded into an array, in integers, checked against its spec."""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple, TypedDict

import numpy as np
import numpy.typing as npt

from pendula.contract.graph import OffsetGraph
from pendula.contract.memory import STEPS_BITS
from pendula.contract.numbers import Interval, Overflow, signed_format
from pendula.contract.registers import RegisterName, get_register
from pendula.contract.spec import ArraySpec
from pendula.contract.step import PIXEL_HI, PIXEL_OFFSET_F_BITS, InitialState, pixel_shift
from pendula.contract.tables import build_tables
from pendula.errors import ProgramError

__all__ = ["UNROUNDED", "Coefficients", "IntArray", "PixelMap", "Program", "check_array",
           "pixel_map", "random_program"]

IntArray = npt.NDArray[np.int64]
RealArray = npt.NDArray[np.float64]

UNROUNDED: Mapping[str, str] = MappingProxyType({
    "codes": "float16", "local_codes": "float16", "noise_gain": "float32"})
"""Fields of a program that :attr:`Program.unrounded` may hold, and their dtypes there."""

_PIXEL_GAIN = get_register(RegisterName.PIXEL_GAIN).interval
_PIXEL_OFFSET = get_register(RegisterName.PIXEL_OFFSET).interval


def check_array(name: str, value: Any, shape: tuple[int, ...], within: Interval) -> IntArray:
    """Return `value` as a read-only int64 array.

    Raises
    ------
    ProgramError
        If it is not integral, has another shape, or an element lies outside `within`; the message
        names the first such element.
    """
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ProgramError(f"{name} must have shape {shape}, not ragged rows") from error
    if array.dtype.kind not in "iub":
        raise ProgramError(f"{name} must hold integers, not {array.dtype}")
    if array.shape != shape:
        raise ProgramError(f"{name} must have shape {shape}, not {array.shape}")
    bad = np.argwhere((array < within.lo) | (array > within.hi))     # before unsigned ones wrap
    if len(bad):
        index = tuple(int(i) for i in bad[0])
        raise ProgramError(f"{name}{list(index) or ''} must be within {within.lo}..{within.hi}, "
                           f"not {array[index]}")
    array = array.astype(np.int64)
    array.setflags(write=False)
    return array


def _check_reals(name: str, value: Any, shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """Return `value` as a read-only array of the dtype that :data:`UNROUNDED` names."""
    array = np.asarray(value)
    if array.dtype.kind not in "iuf":
        raise ProgramError(f"unrounded {name} must hold real numbers, not {array.dtype}")
    if array.shape != shape:
        raise ProgramError(f"unrounded {name} must have shape {shape}, not {array.shape}")
    with np.errstate(over="ignore"):
        kept = array.astype(UNROUNDED[name])
    bad = np.argwhere(~np.isfinite(kept))
    if len(bad):
        index = tuple(int(i) for i in bad[0])
        raise ProgramError(f"unrounded {name}{list(index)} must be finite in {kept.dtype}, "
                           f"not {array[index]}")
    kept.setflags(write=False)
    return kept


class Coefficients(NamedTuple):
    """What moves a node in one step, in units of x.

    Parameters
    ----------
    coupling_val : array of float, shape (S, N, K)
        Couplings.
    local_val : array of float, shape (S, N, M)
        Coefficients of the local terms.
    noise_val : array of float, shape (S,)
        Standard deviation of the noise.
    """

    coupling_val: RealArray
    local_val: RealArray
    noise_val: RealArray


@dataclass(frozen=True, eq=False, kw_only=True)
class Program:
    """Parameters of an array in raw integers.

    Parameters
    ----------
    spec : ArraySpec
        Array that the program runs on; ``spec.segments`` may exceed the program's.
    graph : OffsetGraph
        Edges that may carry a code; offsets and nodes equal the spec's.
    codes : array of int, shape (S, N, K)
        Coupling codes w, zero where the graph has no edge.
    local_codes : array of int, shape (S, N, M)
        Codes p of the local terms.
    steps : array of int, shape (S,)
        Steps of each time segment.
    coupling_gain, noise_gain : array of int, shape (S,)
        Segment gains gc and sigma; the latter is not negative.
    local_gains : array of int, shape (S, M)
        Segment gains gl.
    visible : array of bool, shape (N,)
        Nodes that are read out.
    initial : InitialState
        Where samples start.
    initial_gain : int
        Gain of a Gaussian initial state, in units of `noise_gain`.
    pixel_gain, pixel_offset : int
        Affine map from states to pixels (:func:`pendula.contract.step.pixel`).
    tables : mapping of str to array of int, optional
        Columns of the table memory; the contract's own where not given.
    image_shape : tuple of int, optional
        Rows and columns of the visible nodes as a picture.
    provenance : dict
        Where the program comes from (data hash, rule, seed, metrics); not part of the digest.
    unrounded : mapping of str to array of float, optional
        The real numbers that training rounded to ``codes``, ``local_codes`` and ``noise_gain``, in
        the units of those: all three (:data:`UNROUNDED`), or none. The array does not take them,
        nor does the digest; ``float://?parameters=real`` does.

    Raises
    ------
    ProgramError
        If anything does not fit the spec.
    """

    spec: ArraySpec
    graph: OffsetGraph
    codes: IntArray
    local_codes: IntArray
    steps: IntArray
    coupling_gain: IntArray
    local_gains: IntArray
    noise_gain: IntArray
    visible: npt.NDArray[np.bool_]
    initial: InitialState = InitialState.ZERO
    initial_gain: int = 0
    pixel_gain: int = 0
    pixel_offset: int = 0
    tables: Mapping[str, IntArray] = field(default_factory=dict)
    image_shape: tuple[int, int] | None = None
    provenance: dict[str, Any] = field(default_factory=dict)
    unrounded: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        spec, segments = self.spec, np.size(self.steps)
        N, K, M = spec.nodes, len(spec.offsets), len(spec.physics.basis)
        if (self.graph.nodes, self.graph.offsets) != (N, spec.offsets):
            raise ProgramError(f"graph must have {N} nodes and the spec's offsets, "
                               f"not {self.graph.nodes} nodes and {self.graph.offsets}")
        if not 1 <= segments <= spec.segments:
            raise ProgramError(f"segments must be within 1..{spec.segments}, not {segments}")
        steps_hi = (1 << STEPS_BITS) - 1
        arrays = {
            "codes": ((segments, N, K), spec.code),
            "local_codes": ((segments, N, M), spec.local_code),
            "steps": ((segments,), Interval(1, steps_hi)),
            "coupling_gain": ((segments,), spec.gain),
            "local_gains": ((segments, M), spec.gain),
            "noise_gain": ((segments,), Interval(0, spec.gain.hi)),
            "initial_gain": ((), Interval(0, spec.gain.hi)),
            "pixel_gain": ((), _PIXEL_GAIN),
            "pixel_offset": ((), _PIXEL_OFFSET),
        }
        for name, (shape, within) in arrays.items():
            array = check_array(name, getattr(self, name), shape, within)
            object.__setattr__(self, name, array if shape else int(array))
        visible = check_array("visible", self.visible, (N,), Interval(0, 1)).astype(bool)
        if not visible.any():
            raise ProgramError("visible must hold at least one node, not none")
        visible.setflags(write=False)
        object.__setattr__(self, "visible", visible)
        if self.initial not in tuple(InitialState):
            raise ProgramError(f"initial must be an InitialState, not {self.initial!r}")
        object.__setattr__(self, "initial", InitialState(self.initial))
        self._check_edges("codes", self.codes)
        self._check_tables()
        self._check_image_shape()
        self._check_unrounded()

    def _check_edges(self, name: str, codes: npt.NDArray[Any]) -> None:
        absent = ~np.array(self.graph.mask, dtype=bool)
        bad = np.argwhere((codes != 0) & absent)
        if len(bad):
            s, i, k = (int(v) for v in bad[0])
            raise ProgramError(f"{name}[{s}, {i}, {k}] must be 0, not {codes[s, i, k]}: "
                               f"node {i} has no edge with offset {self.spec.offsets[k]}")

    def _check_unrounded(self) -> None:
        if not self.unrounded:
            return
        if set(self.unrounded) != set(UNROUNDED):
            raise ProgramError(f"unrounded must be {list(UNROUNDED)} or nothing, "
                               f"not {list(self.unrounded)}")
        checked = {name: _check_reals(name, self.unrounded[name], getattr(self, name).shape)
                   for name in UNROUNDED}
        self._check_edges("unrounded codes", checked["codes"])
        if checked["noise_gain"].min() < 0:
            raise ProgramError("unrounded noise_gain must not be negative, "
                               f"not {checked['noise_gain'].min()}")
        object.__setattr__(self, "unrounded", checked)

    def _check_tables(self) -> None:
        spec = self.spec
        tables = dict(self.tables) or build_tables(spec)
        if list(tables) != list(spec.columns):
            raise ProgramError(f"tables must be {list(spec.columns)}, not {list(tables)}")
        checked = {}
        for name, (_, width) in spec.columns.items():
            within = Interval.symmetric(signed_format(width).hi)
            checked[name] = check_array(f"tables[{name}]", tables[name], (spec.table_rows,), within)
        object.__setattr__(self, "tables", checked)

    def _check_image_shape(self) -> None:
        if self.image_shape is None:
            return
        shape = tuple(int(side) for side in self.image_shape)
        if len(shape) != 2 or min(shape) < 1 or math.prod(shape) != self.visible.sum():
            raise ProgramError(f"image_shape must hold the {self.visible.sum()} visible nodes, "
                               f"not {shape}")
        object.__setattr__(self, "image_shape", shape)

    @property
    def segments(self) -> int:
        """Number of time segments used."""
        return len(self.steps)

    @property
    def total_steps(self) -> int:
        """Steps of a whole sample."""
        return int(self.steps.sum())

    def arrays(self) -> dict[str, IntArray]:
        """Return every array that the device's answers depend on, by name."""
        names = ("codes", "local_codes", "steps", "coupling_gain", "local_gains", "noise_gain")
        scalars = np.array([self.initial, self.initial_gain, self.pixel_gain, self.pixel_offset])
        return ({name: getattr(self, name) for name in names}
                | {"visible": self.visible.astype(np.int64), "scalars": scalars}
                | {f"table.{name}": table for name, table in self.tables.items()}
                | {"mask": np.array(self.graph.mask, dtype=np.int64)})

    @property
    def digest(self) -> str:
        """SHA-256 of the spec's digest and of all arrays, in hexadecimal."""
        sha = hashlib.sha256(bytes.fromhex(self.spec.digest))
        for name, array in sorted(self.arrays().items()):
            sha.update(f"{name}{array.shape}".encode())
            sha.update(np.ascontiguousarray(array, dtype="<i8").tobytes())
        return sha.hexdigest()

    # Real values, for float models and reports

    def coefficients(self, *, real: bool = False) -> Coefficients:
        """Return what moves a node in one step.

        Parameters
        ----------
        real : bool
            What training rounded (`unrounded`), instead of what codes and gains stand for.

        Raises
        ------
        ProgramError
            If the program does not hold that.
        """
        if real and not self.unrounded:
            raise ProgramError("program must hold the real parameters that its codes were rounded "
                               "from, not codes alone: train it again")
        codes, local_codes, noise_gain = (
            (self.unrounded if real else self.__dict__)[name] for name in UNROUNDED)
        units = np.array([term.unit_val for term in self.spec.local_terms])
        coupling_unit_val = self.coupling_gain * self.spec.coupling_term.unit_val
        return Coefficients(*(np.asarray(value, np.float64) for value in (
            codes * coupling_unit_val[:, None, None],
            local_codes * (self.local_gains * units)[:, None, :],
            noise_gain * self.spec.noise_term.unit_val)))

    @property
    def coupling_val(self) -> RealArray:
        """Coupling a step, in units of x; shape (S, N, K)."""
        return self.coefficients().coupling_val

    @property
    def local_val(self) -> RealArray:
        """Local coefficients a step; shape (S, N, M)."""
        return self.coefficients().local_val

    @property
    def noise_val(self) -> RealArray:
        """Standard deviation of the noise a step; shape (S,)."""
        return self.coefficients().noise_val

    @property
    def initial_val(self) -> float:
        """Standard deviation of a Gaussian initial state."""
        return self.initial_gain * self.spec.noise_term.unit_val

    def states_val(self, x_raw: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Return the real values of raw states."""
        return np.asarray(x_raw, dtype=np.float64) * 2.0**-self.spec.state.f_bits


class PixelMap(TypedDict):
    """Arguments of :class:`Program` that map states to pixels."""

    pixel_gain: int
    pixel_offset: int


def random_program(spec: ArraySpec, rng: np.random.Generator, *, segments: int = 2,
                   steps: int = 3, initial: InitialState = InitialState.UNIFORM,
                   noisy: bool = True) -> Program:
    """Return a program with random codes and gains of moderate size, all nodes visible.

    Parameters
    ----------
    spec : ArraySpec
        Array; all edges that stay on the line are present.
    rng : numpy.random.Generator
        Source of the codes and gains.
    segments, steps : int
        Number of time segments and steps of each.
    initial : InitialState
        Where samples start.
    noisy : bool
        Whether the noise gains are non-zero.
    """
    graph = OffsetGraph.full(spec.nodes, spec.offsets)
    N, K, M = spec.nodes, len(spec.offsets), len(spec.physics.basis)

    def draw(within: Interval, *shape: int) -> IntArray:
        return rng.integers(within.lo, within.hi + 1, shape)

    def gains(*shape: int) -> IntArray:
        return draw(spec.gain, *shape) // 8

    return Program(
        spec=spec, graph=graph,
        codes=draw(spec.code, segments, N, K) * np.array(graph.mask),
        local_codes=draw(spec.local_code, segments, N, M),
        steps=np.full(segments, steps),
        coupling_gain=gains(segments), local_gains=gains(segments, M),
        noise_gain=abs(gains(segments)) * noisy,
        visible=np.ones(N, dtype=bool),
        initial=initial, initial_gain=spec.gain.hi // 4,
        **pixel_map(spec, -1.0 if spec.physics.overflow is Overflow.SATURATE else 0.0, 1.0),
        provenance={"rule": "random"})


def pixel_map(spec: ArraySpec, black_val: float, white_val: float) -> PixelMap:
    """Return the `pixel_gain` and `pixel_offset` that show `black_val` as 0 and `white_val` as 255.

    Raises
    ------
    ProgramError
        If the gain does not fit its register.
    """
    span_raw = (white_val - black_val) * 2**spec.state.f_bits
    gain = round(PIXEL_HI * 2 ** pixel_shift(spec) / span_raw)
    if not _PIXEL_GAIN.lo <= gain <= _PIXEL_GAIN.hi:
        raise ProgramError(f"white_val - black_val must be larger, not {white_val - black_val}: "
                           f"pixel_gain would be {gain}")
    black_pixels = PIXEL_HI * black_val / (white_val - black_val)
    offset = check_array("pixel_offset", round(-black_pixels * 2**PIXEL_OFFSET_F_BITS), (),
                         _PIXEL_OFFSET)
    return {"pixel_gain": gain, "pixel_offset": int(offset)}
