"""A device at the other end of a link: everything goes through framed bytes."""

import abc
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from pendula.contract import CONTRACT_ID, PHYSICS, jitter
from pendula.contract.memory import (
    BUFFER_BIT,
    BUFFERED,
    Memory,
    memory_layouts,
    memory_number,
)
from pendula.contract.protocol import Hello, force_bytes, state_bytes
from pendula.contract.registers import (
    REGISTER_BITS,
    JitterCommand,
    JitterStatus,
    Readout,
    RegisterName,
)
from pendula.contract.spec import ArraySpec
from pendula.contract.statistics import RUN_SAMPLES_HI
from pendula.contract.step import InitialState
from pendula.device import AbstractDevice, Batch, NodeMemory, Progress, SampleRequest
from pendula.errors import (
    JitterError,
    LinkDownError,
    LinkError,
    ProgramError,
    StatisticsError,
)
from pendula.images import measurement_image, node_image, program_images
from pendula.link.client import ATTEMPTS, Client, RunCounters, errands
from pendula.link.recording import Recorder
from pendula.link.transport import AbstractTransport
from pendula.moments import Moments, MomentsRequest, Plan, plan_measurements
from pendula.program import IntArray, Program

__all__ = ["LinkDevice", "decode_signed"]

T = TypeVar("T")
Rows = npt.NDArray[np.uint8]
Images = Mapping[Memory, Rows]

_REGISTER = (1 << REGISTER_BITS) - 1
_RUN_BYTES = 1 << 18        # answers to one RUN: what a repeat costs at most
_MEASURE_S = 1.0            # what a RUN that measures should take: what a repeat costs
_MARK = max(JitterCommand) + 1      # starts nothing in JITTER_COMMAND, which is 0 after a reset
_STEP_CYCLES = 256          # generous latency of a step, on top of a cycle a node


def decode_signed(data: bytes, width_bytes: int) -> IntArray:
    """Read little-endian two's-complement numbers of `width_bytes` each."""
    raw = np.frombuffer(data, np.uint8).reshape(-1, width_bytes)
    top = np.zeros((len(raw), 8), np.uint8)
    top[:, 8 - width_bytes:] = raw
    return top.view("<i8")[:, 0] >> (64 - 8 * width_bytes)


class LinkDevice(AbstractDevice):
    """A device that is reached through a :class:`Client`.

    Parameters
    ----------
    url : str
        Address that the device was opened with.

    Raises
    ------
    LinkError
        From every method, if the other end is silent, damages too much, or is another device.
    """

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._client: Client | None = None
        self._frames_dropped = 0                        # before this device was opened
        self._registers: dict[RegisterName, int] = {}   # known to be on the device
        self._rows: dict[int, npt.NDArray[np.uint8]] = {}   # likewise, by number of the memory
        self._buffers = 1                               # programs that it holds
        self._buffer = 0                                # that its runs read
        self._expected: Program | None = None           # to be loaded next
        self._sums = 0                                  # of its statistics
        self._lanes = 1                                 # samples that it draws side by side
        self._recorder: Recorder | None = None

    def record(self, path: Path) -> None:
        """Record all bytes from now on, before the device is connected, into a new file."""
        self._recorder = Recorder(path, self.url)

    def clock(self) -> float:
        """Return seconds; while recording, the time of the last event, as a replay will show it."""
        return self._recorder.time_s if self._recorder else super().clock()

    def _recorded(self, transports: Iterator[AbstractTransport]) -> Iterator[AbstractTransport]:
        return self._recorder.watch(transports) if self._recorder else transports

    @abc.abstractmethod
    def _connect(self, spec: ArraySpec | None) -> Client:
        """Return a client for a device with an array like `spec`; any array will do for None.

        Called before every load. The client of the last call may be returned again.
        """

    def _reconnect(self, error: LinkDownError, program: Program, cycles: int) -> None:
        """Connect again to the device, which may have forgotten all; else raise an error.

        Parameters
        ----------
        error : LinkDownError
            How the connection broke.
        program : Program
            Program that is, or is being, loaded.
        cycles : int
            Clock cycles that the device may need before it answers.
        """
        raise error

    def _persist(self, program: Program, action: Callable[[], T], cycles: int = 0) -> T:
        """Return what `action` does; where the connection breaks, connect, restore, do it again.

        Arguments as in :meth:`_reconnect`.
        """
        try:
            return action()
        except LinkDownError as error:
            broken = error
        for _ in range(ATTEMPTS):
            self._reconnect(broken, program, cycles)
            try:
                self._restore()
                return action()
            except LinkDownError as error:
                broken = error
        self._disconnect()
        raise broken

    def _restore(self) -> None:
        """Compare what the device holds with what it should, and write what it has lost."""
        client = self.client
        for number, rows in self._rows.items():
            if not _is_held(client, number, rows):
                _write_verified(client, number, rows)
        expected, self._registers = self._registers, {}
        try:
            self._registers = {name: raw for name, raw in expected.items()
                               if client.read_register(name) == raw}
            self._set_registers(expected)
        finally:
            self._registers = expected       # what must be restored if it breaks again
        dropped = client.read_register(RegisterName.FRAMES_DROPPED)
        self._frames_dropped = dropped - self.health.frames_dropped

    def _attach(self, spec: ArraySpec | None) -> tuple[Client, Hello]:
        client = self._connect(spec)
        fresh = client is not self._client
        if fresh:
            self._client = client
            self._registers.clear()
            self._rows.clear()
        hello = client.hello()
        if fresh:
            self._frames_dropped = client.read_register(RegisterName.FRAMES_DROPPED)
        if fresh and self._recorder:
            self._recorder.note("hello", _plain(hello))
        return client, hello

    @property
    def client(self) -> Client:
        """Client of the device, after :meth:`load` or :meth:`info`.

        Raises
        ------
        ProgramError
            If the device is not connected.
        """
        if self._client is None:
            raise ProgramError(f"{self.url} is not connected: call load() first")
        return self._client

    def _reattach(self) -> tuple[Client, Hello]:
        """Return client and HELLO of the device, whether or not it has a program."""
        return self._attach(self._program.spec if self._program else None)

    def info(self) -> Mapping[str, Any]:
        """Return who the device is, as plain data: its HELLO."""
        _, hello = self._reattach()
        return {**super().info(), **_plain(hello)}

    def draw_seed(self) -> int:
        """Draw a 64-bit seed from jitter; HELLO reports it until the next draw."""
        client = self._jitter_client()
        client.write_register(RegisterName.JITTER_COMMAND, JitterCommand.DRAW)
        status = JitterStatus(client.read_register(
            RegisterName.JITTER_STATUS, cycles=jitter.RAW_BITS * jitter.SAMPLE_CYCLES))
        if JitterStatus.HEALTHY not in status:
            failed = status & ~JitterStatus.PRESENT
            raise JitterError(f"raw bits of the jitter seeder of {self.url} must pass the health "
                              f"tests, not fail {failed.name or 'unnamed ones'}, so there is no "
                              "seed: give one; a seeder that fails again is defective")
        return client.hello().jitter_seed

    def jitter_bits(self, count: int) -> npt.NDArray[np.uint8]:
        """Gather raw bits of the jitter seeder, :data:`REGISTER_BITS` at a time."""
        if count < 1:
            raise ProgramError(f"Number of raw bits must be positive, not {count}")
        client = self._jitter_client()
        words = []
        for _ in range(0, count, REGISTER_BITS):
            client.write_register(RegisterName.JITTER_COMMAND, JitterCommand.GATHER)
            words.append(client.read_register(
                RegisterName.JITTER_BITS, cycles=REGISTER_BITS * jitter.SAMPLE_CYCLES))
        data = np.array(words, "<u4").view(np.uint8)
        return np.unpackbits(data, bitorder="little", count=count)

    def _jitter_client(self) -> Client:
        client, hello = self._reattach()
        if not hello.jitter_rings:
            raise self._no_seeder()
        return client

    def close(self) -> None:
        """Release the device; it has no program then, and a recording ends."""
        self._disconnect()
        if self._recorder is not None:
            self._recorder.close()
            self._recorder = None

    def _disconnect(self) -> None:
        super().close()
        if self._client is not None:
            self._client.close()
            self._client = None

    def _load(self, program: Program) -> None:
        self._persist(program, partial(self._load_once, program))

    def _load_once(self, program: Program) -> None:
        client, hello = self._attach(program.spec)
        with self.times.measure("load"):
            _check_hello(hello, program)
            self._lanes, self._sums, self._buffers = hello.lanes, hello.sums, hello.buffers
            images = program_images(program)
            if self._expected and program.digest == self._expected.digest:
                client.finish_errands()
            client.send_on_errands(())
            self._expected = None
            self._buffer = self._choose_buffer(images)
            for memory, rows in images.items():
                self._write_rows(memory, rows, confirm=True)
            self._set_registers({
                RegisterName.BUFFER: self._buffer,
                RegisterName.INITIAL: program.initial,
                RegisterName.INITIAL_GAIN: program.initial_gain,
                RegisterName.SEGMENTS: program.segments,
                RegisterName.PIXEL_GAIN: program.pixel_gain,
                RegisterName.PIXEL_OFFSET: program.pixel_offset,
                RegisterName.JITTER_COMMAND: _MARK,
            })

    def _choose_buffer(self, images: Images) -> int:
        """Return the buffer that has a program's parameters, else one that is not in use."""
        rows = images[Memory.PARAMETER]
        for buffer in range(self._buffers):
            held = self._rows.get(memory_number(Memory.PARAMETER, buffer))
            if held is not None and np.array_equal(rows, held):
                return buffer
        return (self._buffer + 1) % self._buffers

    def expect(self, program: Program) -> None:
        """Have a program taken in beside the next runs, if it fits the array and a buffer is free.

        Not beside a chain (initial state KEEP). :meth:`load` finds out what the device holds.
        """
        images, loaded = program_images(program), self.program
        free = self._choose_buffer(images)
        if (free == self._buffer or program.spec.digest != loaded.spec.digest
                or loaded.initial is InitialState.KEEP):
            return
        self._expected = program
        ahead = {memory_number(memory, free): rows
                 for memory, rows in images.items() if memory in BUFFERED}
        left = {number: rows for number, rows in ahead.items()
                if number not in self._rows or not np.array_equal(rows, self._rows[number])}
        self._rows |= left
        self.client.send_on_errands(errand for number, rows in left.items()
                                    for errand in errands(number, list(map(bytes, rows))))

    def _check_mark(self) -> None:
        """Notice a device that was reset, and so has an empty program, while its port stayed open.

        Raises
        ------
        LinkDownError
            If it was; what it answered since is not to be trusted.
        """
        if not self.client.read_register(RegisterName.JITTER_COMMAND):
            raise LinkDownError(f"{self.url} was reset")

    def _set_nodes(self, nodes: NodeMemory) -> None:
        program = self.program
        with self.times.measure("load"):
            self._persist(program, partial(self._write_nodes, program, nodes))

    def _write_nodes(self, program: Program, nodes: NodeMemory) -> None:
        self._write_rows(Memory.NODE, node_image(program.spec, nodes.uploaded, nodes.clamped,
                                                 program.visible))

    def _write_rows(self, memory: Memory, rows: Rows, *, confirm: bool = False) -> None:
        """Write rows that differ from those that the device holds, or if a checksum says so."""
        number = memory_number(memory, self._buffer)
        held = self._rows.pop(number, None)
        if (held is None or not np.array_equal(rows, held)
                or (confirm and not _is_held(self.client, number, rows))):
            _write_verified(self.client, number, rows)
        self._rows[number] = rows

    def _set_registers(self, values: Mapping[RegisterName, int]) -> None:
        """Write the registers that differ, and read them back."""
        for name, value in values.items():
            raw = value & _REGISTER
            if self._registers.pop(name, None) != raw:
                self.client.write_register(name, raw)
                kept = self.client.read_register(name)
                if kept != raw:
                    raise LinkError(f"register {name.name} must keep {raw:#x}, not {kept:#x}: "
                                    "the device is defective or no Pendula")
            self._registers[name] = raw

    def _sample(self, program: Program, request: SampleRequest, progress: Progress) -> Batch:
        with self.times.measure("load"):
            self._persist(program, partial(self._prepare, program, request, _readout(request)))
        values, saturations, cycles = self._run(program, request, progress)
        with self.times.measure("read"):
            data = b"".join(values)
            array = (np.frombuffer(data, np.uint8) if request.pixels else
                     decode_signed(data, state_bytes(program.spec)).astype(np.int32))
        return Batch(values=array.reshape(request.count, -1), request=request,
                     saturations=saturations, cycles=cycles)

    def _prepare(self, program: Program, request: SampleRequest | MomentsRequest,
                 settings: Mapping[RegisterName, int]) -> None:
        self._write_nodes(program, self.nodes)
        self._set_registers({
            RegisterName.SEED_LO: request.seed,
            RegisterName.SEED_HI: request.seed >> REGISTER_BITS,
            RegisterName.STOP_STEP: request.stop_step,
            **settings,
        })

    def _moments(self, program: Program, request: MomentsRequest, progress: Progress) -> Moments:
        plan = plan_measurements(request)
        self._check_sums(plan)
        rows = measurement_image(program.spec, plan.measurements)
        settings = {RegisterName.READOUT: Readout.MEASURE, RegisterName.MEASUREMENTS: len(rows),
                    RegisterName.BIN_BITS: request.bin_bits, RegisterName.THIN: request.thin}
        with self.times.measure("load"):
            self._persist(program, partial(self._write_rows, Memory.MEASUREMENT, rows))
            self._persist(program, partial(self._prepare, program, request, settings))
        sums = np.zeros(plan.sums, np.int64)
        saturations = cycles = 0
        sample_cycles = _sample_cycles(program, request.stop_step)
        with self.times.measure("run"):
            for indices in self._measuring_runs(request, sample_cycles):
                found, counters = self._persist(program, partial(
                    self._measure, program, request.thin, plan.sums, indices, sample_cycles),
                    sample_cycles * len(indices))
                sums += found
                saturations += counters.saturations
                cycles += counters.cycles
                progress(len(indices))
            self._read_dropped(program)
        return plan.moments(request, sums, saturations, cycles)

    def _check_sums(self, plan: Plan) -> None:
        if not self._sums:
            raise StatisticsError(f"device must have statistics, and {self.url} has none: draw "
                                  "samples, or build it with sums")
        if plan.sums > self._sums:
            raise StatisticsError(f"nodes, edges and bins must need at most {self._sums} sums, as "
                                  f"{self.url} has, not {plan.sums}: ask for fewer at a time")

    def _measuring_runs(self, request: MomentsRequest, sample_cycles: int) -> Iterator[range]:
        """Yield the samples of each RUN, more and more until one takes long enough."""
        thin, end = request.thin, request.first + request.drawn
        most = max(1, min(RUN_SAMPLES_HI, _REGISTER // sample_cycles) // thin)
        first, size = request.first, min(most, self._lanes)
        while first < end:
            start_s = self.clock()
            yield range(first, min(first + size * thin, end))
            first += size * thin
            if self.clock() - start_s < _MEASURE_S:
                size = min(2 * size, most)

    def _measure(self, program: Program, thin: int, sums: int, indices: range,
                 sample_cycles: int) -> tuple[IntArray, RunCounters]:
        """Return the sums over some samples, all of them and nothing else."""
        counters = self.client.measure(
            indices, len(indices) * sample_cycles,
            repeatable=program.initial is not InitialState.KEEP, check=self._check_mark)
        layout = memory_layouts(program.spec)[Memory.SUM]
        data = self.client.read_memory(Memory.SUM, sums, layout.row_bytes)
        counted = self.client.read_register(RegisterName.MEASURED)
        self._check_mark()
        if counted != len(indices) // thin:
            raise LinkError(f"device must have measured {len(indices) // thin} samples, not "
                            f"{counted}: it is defective or no Pendula")
        spare = 64 - layout.width                       # rows are not extended by the sign
        return decode_signed(data, layout.row_bytes) << spare >> spare, counters

    def _run(self, program: Program, request: SampleRequest,
             progress: Progress) -> tuple[list[bytes], int, int]:
        """Return the values of every sample, saturations and cycles."""
        width = 1 if request.pixels else state_bytes(program.spec)
        shown = program.spec.nodes if request.hidden else int(program.visible.sum())
        sample_cycles = _sample_cycles(program, request.stop_step)
        fit = min(_RUN_BYTES // (width * shown + 1), _REGISTER // sample_cycles)
        chunk = self._lanes * max(1, fit // self._lanes)        # no lane idles within a run
        values: dict[int, bytes] = {}
        saturations = cycles = 0

        def deliver(index: int, data: bytes) -> None:
            if index not in values:         # else it came before the connection broke
                progress(1)
            values[index] = data

        end = request.first + request.count
        with self.times.measure("run"):
            for first in range(request.first, end, chunk):
                counters = self._persist(program, partial(
                    self._draw, program, range(first, min(first + chunk, end)), width * shown,
                    sample_cycles, deliver), sample_cycles)
                saturations += counters.saturations
                cycles += counters.cycles
            self._read_dropped(program)
        return [values[index] for index in range(request.first, end)], saturations, cycles

    def _draw(self, program: Program, indices: range, values_bytes: int, sample_cycles: int,
              deliver: Callable[[int, bytes], None]) -> RunCounters:
        return self.client.run(indices, values_bytes, sample_cycles, deliver,
                               repeatable=program.initial is not InitialState.KEEP,
                               check=self._check_mark)

    def _read_dropped(self, program: Program) -> None:
        dropped = self._persist(program, partial(
            self.client.read_register, RegisterName.FRAMES_DROPPED))
        self.health.frames_dropped = (dropped - self._frames_dropped) & _REGISTER

    def _forces(self, program: Program, states: IntArray, segment: int) -> npt.NDArray[Any]:
        width = force_bytes(program.spec)
        nodes = program.spec.nodes
        values = []
        for state in states:
            held = NodeMemory(state, self.nodes.clamped)
            with self.times.measure("load"):
                self._persist(program, partial(self._write_nodes, program, held))
            with self.times.measure("run"):
                values.append(self._persist(program, partial(
                    self._evaluate, segment, width * nodes, nodes + _STEP_CYCLES)))
        with self.times.measure("read"):
            return decode_signed(b"".join(values), width).reshape(len(states), nodes)

    def _evaluate(self, segment: int, values_bytes: int, cycles: int) -> bytes:
        values = self.client.forces(segment, values_bytes, cycles)
        self._check_mark()
        return values


def _plain(hello: Hello) -> dict[str, Any]:
    """Return a HELLO as plain data."""
    plain = {name: value.hex() if isinstance(value, bytes) else value
             for name, value in asdict(hello).items()}
    names = {physics.code: name for name, physics in PHYSICS.items()}
    return plain | {"physics": names.get(hello.physics, "unknown")}


def _check_hello(hello: Hello, program: Program) -> None:
    spec = program.spec
    here = Hello.of(spec, contract_id=CONTRACT_ID, build_id="", lanes=hello.lanes)
    if hello.contract_id != here.contract_id:
        raise LinkError(f"contract id of the device must be {here.contract_id.hex()}, as on this "
                        f"host, not {hello.contract_id.hex()}: rebuild one of them")
    if hello.spec_id != here.spec_id:
        raise LinkError(f"array of the device must be {_describe_array(here)}, as in the program, "
                        f"not {_describe_array(hello)}: build the device for this model")
    if program.segments > hello.segments:
        raise LinkError(f"segments of the program must be at most {hello.segments}, the device's "
                        f"capacity, not {program.segments}: build the device for this model")


def _readout(request: SampleRequest) -> dict[RegisterName, int]:
    return {RegisterName.READOUT: (Readout.PIXEL * request.pixels | Readout.ALL * request.hidden)}


def _sample_cycles(program: Program, stop_step: int) -> int:
    """Return the clock cycles that a device may need for one sample."""
    steps = min(stop_step, program.total_steps) + 1
    return steps * (program.spec.nodes + _STEP_CYCLES)


def _describe_array(hello: Hello) -> str:
    physics = {physics.code: name for name, physics in PHYSICS.items()}.get(hello.physics, "?")
    return f"{hello.spec_id.hex()} ({physics}, N = {hello.nodes}, K = {hello.degree})"


def _is_held(client: Client, number: int, rows: Rows) -> bool:
    """Return whether the CRC-32 of a memory's rows is that of an image."""
    return client.checksum(number, *rows.shape) == zlib.crc32(rows.tobytes())


def _write_verified(client: Client, number: int, rows: Rows) -> None:
    """Write an image from row 0 up and compare its CRC-32."""
    client.write_memory(number, [row.tobytes() for row in rows])
    expected, found = zlib.crc32(rows.tobytes()), client.checksum(number, *rows.shape)
    if found != expected:
        name = Memory(number % (1 << BUFFER_BIT)).name
        raise LinkError(f"checksum of the {name} memory must be {expected:#010x}, not "
                        f"{found:#010x}: the device is defective or no Pendula")
