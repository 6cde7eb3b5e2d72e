"""One device interface, many backends: :func:`open_device` takes a URL and returns a device."""

import abc
import importlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlsplit

import numpy as np
import numpy.typing as npt

from pendula.contract.numbers import Interval
from pendula.contract.spec import ArraySpec
from pendula.contract.step import ALL_STEPS
from pendula.errors import JitterError, MissingExtraError, ProgramError, UrlError
from pendula.link.engine import AbstractEngine
from pendula.moments import INDICES, Moments, MomentsRequest, Tally
from pendula.program import IntArray, Program, check_array

if TYPE_CHECKING:
    from pendula.mismatch import Mismatch

__all__ = ["BACKENDS", "AbstractDevice", "Batch", "Health", "Progress", "SampleRequest",
           "TimeSplit", "open_device", "recorded"]

Progress = Callable[[int], None]
"""Called with the number of samples finished since the last call."""

_PIECE = 2048        # samples that a host draws before it adds them to its sums


@dataclass(slots=True)
class TimeSplit:
    """Seconds spent on each stage since the device was opened.

    Parameters
    ----------
    build, load, run, read : float
        Making the simulator or bitstream; uploading and verifying; stepping; decoding.
    """

    build: float = 0.0
    load: float = 0.0
    run: float = 0.0
    read: float = 0.0

    @contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        """Add the time of a ``with`` block to `stage`."""
        start = time.perf_counter()
        try:
            yield
        finally:
            setattr(self, stage, getattr(self, stage) + time.perf_counter() - start)


@dataclass(slots=True)
class Health:
    """Counters that tell whether to believe a run.

    Parameters
    ----------
    saturations : int
        Node updates that were clipped since the program was loaded.
    frames_dropped : int
        Damaged frames that the device refused.
    retries : int
        Requests that the host had to repeat.
    reconnects : int
        Times that a broken connection was made again.
    cycles : int or None
        Clock cycles spent in RUN, where there is a clock.
    """

    saturations: int = 0
    frames_dropped: int = 0
    retries: int = 0
    reconnects: int = 0
    cycles: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleRequest:
    """What to draw.

    Parameters
    ----------
    count : int
        Number of samples n.
    seed : int
        64-bit seed; sample i depends on (program, seed, i) alone.
    first : int
        Index of the first sample.
    pixels : bool
        8-bit pixels instead of raw states.
    hidden : bool
        All nodes instead of the visible ones.
    stop_step : int
        Steps after which to stop; ALL_STEPS runs the whole program.

    Raises
    ------
    ProgramError
        If a number is out of range.
    """

    count: int
    seed: int
    first: int = 0
    pixels: bool = False
    hidden: bool = False
    stop_step: int = ALL_STEPS

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ProgramError(f"Number of samples must be positive, not {self.count}")
        if self.first < 0 or self.first + self.count - 1 > INDICES.hi:
            raise ProgramError(f"Sample indices must be within 0..{INDICES.hi}, "
                               f"not {self.first}..{self.first + self.count - 1}")
        if not 0 <= self.seed < 1 << 64:
            raise ProgramError(f"Seed must be within 0..2**64-1, not {self.seed}")
        if not 0 <= self.stop_step <= ALL_STEPS:
            raise ProgramError(f"stop_step must be within 0..2**32-1, not {self.stop_step}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Samples.

    Parameters
    ----------
    values : array, shape (n, V)
        Pixels (uint8), raw states (int32), or real states (float64, from ``float://`` alone).
        V counts the visible nodes, or all of them if `hidden` was asked for.
    request : SampleRequest
        What was asked for.
    saturations : int
        Clipped node updates of this batch.
    cycles : int or None
        Clock cycles of this batch, where there is a clock.
    """

    values: npt.NDArray[Any]
    request: SampleRequest
    saturations: int = 0
    cycles: int | None = None


@dataclass(slots=True)
class NodeMemory:
    """What the node memory holds besides the visible flags.

    Parameters
    ----------
    uploaded : array of int, shape (N,)
        Raw states for clamped nodes and for the initial state ``UPLOADED``.
    clamped : array of bool, shape (N,)
        Nodes held at their uploaded state.
    """

    uploaded: IntArray
    clamped: npt.NDArray[np.bool_]


class AbstractDevice(abc.ABC):
    """An array that programs run on. Use as a context manager, or close it.

    Parameters
    ----------
    url : str
        Address that the device was opened with.
    """

    exact = True    # whether equal seeds give the same bits as every other exact device

    def __init__(self, url: str) -> None:
        self.url = url
        self.times = TimeSplit()
        self.health = Health()
        self.nodes = NodeMemory(np.zeros(0, np.int64), np.zeros(0, bool))
        self._program: Program | None = None

    @property
    def program(self) -> Program:
        """Loaded program.

        Raises
        ------
        ProgramError
            If there is none.
        """
        if self._program is None:
            raise ProgramError(f"{self.url} has no program: call load() first")
        return self._program

    def load(self, program: Program) -> None:
        """Load a program; uploaded states return to zero and no node is clamped."""
        nodes = program.spec.nodes
        self._program = None
        self._load(program)
        self._program = program
        self.nodes = NodeMemory(np.zeros(nodes, np.int64), np.zeros(nodes, bool))
        self._set_nodes(self.nodes)
        self.health.saturations = 0

    def set_nodes(self, uploaded: npt.ArrayLike | None = None,
                  clamped: npt.ArrayLike | None = None) -> None:
        """Upload raw states, shape (N,), and choose the nodes that are held at them.

        Raises
        ------
        ProgramError
            If a shape or a state is wrong; nothing is uploaded then.
        """
        spec = self.program.spec
        nodes = NodeMemory(
            self.nodes.uploaded if uploaded is None else
            check_array("uploaded", uploaded, (spec.nodes,), spec.state.interval),
            self.nodes.clamped if clamped is None else
            check_array("clamped", clamped, (spec.nodes,), Interval(0, 1)).astype(bool))
        self._set_nodes(nodes)
        self.nodes = nodes

    def sample(self, count: int, *, seed: int, first: int = 0, pixels: bool = False,
               hidden: bool = False, stop_step: int = ALL_STEPS,
               progress: Progress | None = None) -> Batch:
        """Draw samples; the arguments are those of :class:`SampleRequest`."""
        request = SampleRequest(count=count, seed=seed, first=first, pixels=pixels, hidden=hidden,
                                stop_step=stop_step)
        batch = self._sample(self.program, request, progress or (lambda _: None))
        self._note(batch)
        return batch

    def expect(self, program: Program) -> None:     # noqa: B027 - a hint, which none has to take
        """Name the program that is loaded next: a device with two buffers takes it in meanwhile.

        Call it before what the device is to do meanwhile. It changes no sample, and does nothing
        where the device cannot take a program in.
        """

    def sample_each(self, jobs: Iterable[tuple[Program, SampleRequest]],
                    progress: Progress | None = None) -> Iterator[Batch]:
        """Load programs and draw samples of each; see :meth:`expect`.

        Parameters
        ----------
        jobs : iterable of (Program, SampleRequest)
            Programs, and what to draw of each. One is taken ahead of what is drawn.
        progress : callable, optional
            Called with the number of samples that have arrived.

        Yields
        ------
        Batch
            The samples of each job, in order.
        """
        report = progress or (lambda _: None)
        ahead = iter(jobs)
        job = next(ahead, None)
        while job is not None:
            program, request = job
            self.load(program)
            job = next(ahead, None)
            if job is not None:
                self.expect(job[0])
            batch = self._sample(program, request, report)
            self._note(batch)
            yield batch

    def moments(self, count: int, *, seed: int, nodes: npt.ArrayLike | None = None,
                edges: npt.ArrayLike = (), histograms: npt.ArrayLike = (), bins: int = 16,
                thin: int = 1, first: int = 0, stop_step: int = ALL_STEPS,
                progress: Progress | None = None) -> Moments:
        """Draw samples, and return sums over them alone.

        Gateware adds the sums up on the chip, so that the link does not limit the samples a second.
        The arguments are those of :class:`pendula.moments.MomentsRequest`; without `nodes`, all
        visible ones are measured. `progress` counts the samples that are drawn, ``count * thin``.

        Raises
        ------
        ProgramError
            If an argument is wrong.
        StatisticsError
            If the device has no statistics, or not enough sums for all that is asked for.
        """
        program = self.program
        request = MomentsRequest(
            spec=program.spec, count=count, seed=seed, first=first, edges=edges, bins=bins,
            nodes=np.flatnonzero(program.visible) if nodes is None else nodes,
            histograms=histograms, thin=thin, stop_step=stop_step)
        moments = self._moments(program, request, progress or (lambda _: None))
        self._note(moments)
        return moments

    def _note(self, drawn: Batch | Moments) -> None:
        """Add the counters of what was drawn to the health."""
        self.health.saturations += drawn.saturations
        if drawn.cycles is not None:
            self.health.cycles = (self.health.cycles or 0) + drawn.cycles

    def _moments(self, program: Program, request: MomentsRequest, progress: Progress) -> Moments:
        """Draw samples piece by piece, and add them up here."""
        tally, saturations, cycles = Tally(request), 0, None
        for done in range(0, request.drawn, _PIECE):
            batch = self._sample(program, SampleRequest(
                count=min(_PIECE, request.drawn - done), seed=request.seed, hidden=True,
                first=request.first + done, stop_step=request.stop_step), progress)
            tally.add(batch.values)
            saturations += batch.saturations
            cycles = cycles if batch.cycles is None else (cycles or 0) + batch.cycles
        return tally.moments(saturations, cycles)

    def forces(self, states: npt.ArrayLike, *, segment: int = 0) -> npt.NDArray[Any]:
        """Evaluate the drift of raw states, without noise and without a step.

        Parameters
        ----------
        states : array of int, shape (n, N)
            Raw states. Afterwards the device holds the last of them.
        segment : int
            Time segment whose parameters count.

        Returns
        -------
        array of int64, shape (n, N)
            Forces in units of ``program.spec.force_unit_val`` (float64 in real units of x from
            ``float://``).

        Raises
        ------
        ProgramError
            If a shape, a state or the segment is wrong.
        """
        program = self.program
        array = np.asarray(states)
        shape = (len(array) if array.ndim else 0, program.spec.nodes)
        checked = check_array("states", array, shape, program.spec.state.interval)
        if not 0 <= segment < program.segments:
            raise ProgramError(f"segment must be within 0..{program.segments - 1}, not {segment}")
        return self._forces(program, checked, segment)

    def draw_seed(self) -> int:
        """Draw a 64-bit seed from jitter. Nothing uses it before it is given to :meth:`sample`.

        Raises
        ------
        JitterError
            If the device has no jitter seeder, or its raw bits failed a health test.
        """
        raise self._no_seeder()

    def jitter_bits(self, count: int) -> npt.NDArray[np.uint8]:
        """Gather raw bits of the jitter seeder, neither tested nor conditioned.

        Parameters
        ----------
        count : int
            Number of bits.

        Returns
        -------
        array of uint8, shape (count,)
            Zeros and ones, in the order in which they were sampled.

        Raises
        ------
        JitterError
            If the device has no jitter seeder.
        ProgramError
            If the number is not positive.
        """
        raise self._no_seeder()

    def _no_seeder(self) -> JitterError:
        return JitterError(f"device must have a jitter seeder, and {self.url} has none: give a "
                           "seed, or open a device with a seeder, such as "
                           "verilator://?jitter=model")

    def open_engine(self, spec: ArraySpec | None) -> AbstractEngine:
        """Start a bare array, or a default one, that is worked byte by byte; the caller closes it.

        Raises
        ------
        UrlError
            If the device is no simulator.
        """
        raise UrlError(f"{self.url} cannot be served, it is no simulated gateware: take "
                       "verilator:// or pysim://")

    def clock(self) -> float:
        """Return seconds since some moment: what a host goes by that asks the more, the faster."""
        return time.monotonic()

    def record(self, path: Path) -> None:
        """Record all bytes between host and device into a new file, before any are sent.

        Raises
        ------
        UrlError
            If the device is no device of bytes.
        RecordingError
            If the file exists.
        """
        raise UrlError(f"{self.url} cannot be recorded, it exchanges no bytes: take a device with "
                       "a link, such as verilator://")

    def info(self) -> Mapping[str, Any]:
        """Return who the device is, as plain data."""
        return {"url": self.url, "exact": self.exact}

    def close(self) -> None:
        """Release the device; it has no program then."""
        self._program = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @abc.abstractmethod
    def _load(self, program: Program) -> None: ...

    @abc.abstractmethod
    def _set_nodes(self, nodes: NodeMemory) -> None: ...

    @abc.abstractmethod
    def _sample(self, program: Program, request: SampleRequest, progress: Progress) -> Batch: ...

    @abc.abstractmethod
    def _forces(self, program: Program, states: IntArray, segment: int) -> npt.NDArray[Any]: ...


@dataclass(frozen=True, slots=True)
class Backend:
    """Where the class of a URL scheme is found; imported on first use.

    Parameters
    ----------
    module, name : str
        Class to import: a subclass of :class:`AbstractDevice`.
    extra : str
        Optional part of the installation that it needs.
    options : tuple of str
        Options that the URL's query may hold, passed to the class as strings.
    address : str
        Example of what stands between ``://`` and the options; empty where nothing does.
    """

    module: str
    name: str
    extra: str = ""
    options: tuple[str, ...] = field(default=())
    address: str = ""


BACKENDS: dict[str, Backend] = {
    "float": Backend("pendula.twin.float_device", "FloatDevice",
                     options=("functions", "noise", "states", "halvings", "parameters")),
    "twin": Backend("pendula.twin.twin_device", "TwinDevice"),
    "pysim": Backend("pendula_sim.pysim", "PysimDevice", "sim",
                     ("lanes", "jitter", "fabric", "fold", "buffers")),
    "verilator": Backend("pendula_sim.verilator", "VerilatorDevice", "sim",
                         ("lanes", "jitter", "fabric", "fold", "buffers")),
    "netlist": Backend("pendula_sim.netlist", "NetlistDevice", "fpga",
                       ("lanes", "fold", "buffers"),
                       address="ecp5"),
    "serial": Backend("pendula.link.serial_device", "SerialDevice",
                      options=("baud", "timeout", "reconnect"), address="/dev/ttyUSB1"),
    "tcp": Backend("pendula.link.tcp_device", "TcpDevice",
                   options=("timeout", "reconnect", "token"), address="127.0.0.1:7777"),
    "replay": Backend("pendula.link.replay_device", "ReplayDevice", address="F.jsonl"),
}

_RECORD = "record"                              # options of every device
_MISMATCH, _MISMATCH_SEED = "mismatch", "mismatch_seed"


def recorded(url: str, path: Path | None) -> str:
    """Return the URL of a device that is recorded into a file; the same URL without one."""
    if path is None:
        return url
    return f"{url}{'&' if urlsplit(url).query else '?'}{_RECORD}={quote(str(path))}"


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise UrlError(f"device URL must be one, not {url!r}: {error}") from error
    if "\0" in unquote(url):
        raise UrlError(f"device URL must be without zero bytes, not {url!r}")
    return parts


def open_device(url: str) -> AbstractDevice:
    """Open the device at `url`, for example ``twin://`` or ``verilator://``.

    With the option ``record=F.jsonl``, all bytes between host and device are recorded into that
    new file, and ``replay://F.jsonl`` answers from it. With ``mismatch=0.05&mismatch_seed=1`` its
    parts are off by some 5 % (:mod:`pendula.mismatch`).

    Raises
    ------
    UrlError
        If the scheme or an option is unknown, or the address is of the wrong form.
    RecordingError
        If the file to record into exists.
    MissingExtraError
        If the backend's part of the installation is missing.
    """
    parts = _split(url)
    backend = BACKENDS.get(parts.scheme)
    if backend is None or "://" not in url:
        known = ", ".join(f"{scheme}://" for scheme in BACKENDS)
        raise UrlError(f"device URL must start with one of {known}, not {url!r}")
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    record = options.pop(_RECORD, None)
    url = _without_record(url)
    mismatch = _pop_mismatch(options)
    unknown = sorted(set(options) - set(backend.options))
    if unknown:
        raise UrlError(f"{parts.scheme}:// takes the options {list(backend.options)}, not {url!r}")
    if bool(backend.address) != bool(parts.netloc or parts.path):
        raise UrlError(f"device URL must be {parts.scheme}://{backend.address}, with the options "
                       f"{list(backend.options)}, not {url!r}")
    try:
        module = importlib.import_module(backend.module)
    except ModuleNotFoundError as error:
        if not backend.extra or (error.name or "").startswith("pendula"):
            raise
        raise MissingExtraError(f"{parts.scheme}:// needs {error.name}: "
                                f"pip install 'pendula[{backend.extra}]'") from error
    device = getattr(module, backend.name)(url, **options)
    if record is not None:
        try:
            device.record(Path(record))
        except BaseException:
            device.close()
            raise
    if mismatch is None:
        return device
    from pendula.mismatch import MismatchDevice  # which is a device itself
    return MismatchDevice(url, device, mismatch)


def _pop_mismatch(options: dict[str, str]) -> "Mismatch | None":
    sigma, seed = options.pop(_MISMATCH, None), options.pop(_MISMATCH_SEED, None)
    if sigma is None and seed is not None:
        raise UrlError(f"{_MISMATCH_SEED} must come with {_MISMATCH}, not alone")
    if sigma is None:
        return None
    from pendula.mismatch import Mismatch
    return Mismatch.from_options(sigma, seed or "0")


def _without_record(url: str) -> str:
    base, _, query = url.partition("?")
    rest = "&".join(option for option in query.split("&") if not option.startswith(f"{_RECORD}="))
    return f"{base}?{rest}" if rest else base
