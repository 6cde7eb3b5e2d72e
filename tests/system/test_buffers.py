"""Devices with two buffers: the next program arrives while samples of the one before are drawn."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

import pendula
from arrays import ARRAYS
from boards import opened
from noisy import SPEC, MeddlingTransport, NoisyDevice, NoisyTransport
from pendula.contract import ArraySpec, InitialState
from pendula.contract.memory import BUFFER_BIT, Memory, memory_layouts, memory_number
from pendula.contract.protocol import Opcode
from pendula.contract.registers import RegisterName
from pendula.device import AbstractDevice, SampleRequest
from pendula.link import client
from pendula.link.client import Client
from pendula.link.link_device import LinkDevice
from pendula.program import Program, random_program
from pendula_sim.design import Options
from pendula_sim.verilator import VerilatorEngine

pytestmark = pytest.mark.verilator

URL = "verilator://?lanes=3&fold=3&buffers=2"
Request = tuple[Opcode, tuple[int, ...]]


def programs(count: int, spec: ArraySpec = SPEC) -> list[Program]:
    """Return programs with other parameters, segments and tables; the array is the same."""
    rng = np.random.default_rng(3)
    found = [random_program(spec, rng, segments=1 + k % spec.segments, steps=2 + k % 3,
                            initial=InitialState.UNIFORM if k % 2 else InitialState.GAUSSIAN)
             for k in range(count)]
    return [replace(program, tables={name: values[::1 - 2 * (k % 2)]
                                     for name, values in program.tables.items()})
            for k, program in enumerate(found)]


def jobs(count: int, samples: int = 30) -> list[tuple[Program, SampleRequest]]:
    return [(program, SampleRequest(count=samples, seed=seed, hidden=True))
            for seed, program in enumerate(programs(count))]


def draw(device: AbstractDevice, todo: list[tuple[Program, SampleRequest]]) -> list[object]:
    return [(batch.values.tolist(), batch.saturations) for batch in device.sample_each(todo)]


@pytest.fixture(scope="module")
def expected() -> list[object]:
    with pendula.open("twin://") as twin:
        return draw(twin, jobs(6))


@pytest.fixture(autouse=True)
def small_requests(monkeypatch) -> None:
    """Uploads of these small arrays take several requests, as those of large ones do."""
    monkeypatch.setattr(client, "MAX_REQUEST_BYTES", 20)


@pytest.fixture
def device() -> Iterator[LinkDevice]:
    with pendula.open(URL) as opened_device:
        assert isinstance(opened_device, LinkDevice)
        yield opened_device


@pytest.fixture
def requests(monkeypatch) -> list[Request]:
    """All requests that hosts send."""
    sent: list[Request] = []
    send = Client._send

    def note(self, opcode, *arguments, tail=b""):
        sent.append((opcode, arguments))
        return send(self, opcode, *arguments, tail=tail)

    monkeypatch.setattr(Client, "_send", note)
    return sent


def written(requests: list[Request]) -> set[int]:
    """Return the numbers of the memories that were written, but for the nodes' states."""
    numbers = {arguments[0] for opcode, arguments in requests if opcode is Opcode.WRITE_MEMORY}
    return {number for number in numbers if number % (1 << BUFFER_BIT) != Memory.NODE}


def buffer_of(requests: list[Request]) -> int:
    """Return the buffer that the last run was told to read."""
    return [arguments[1] for opcode, arguments in requests
            if opcode is Opcode.WRITE_REGISTER and arguments[0] is RegisterName.BUFFER][-1]


@pytest.mark.parametrize("url", [URL, "verilator://?fabric=ecp5&buffers=2", f"tcp+{URL}"])
def test_programs_are_drawn_one_after_another(url, expected):
    with opened(url, SPEC) as device:
        assert device.info()["buffers"] == 2
        assert draw(device, jobs(6)) == expected
        assert device.health.retries == 0


def test_what_is_expected_arrives_during_the_run(device, requests, monkeypatch):
    monkeypatch.setattr(VerilatorEngine, "slice_cycles", 1000)      # answers come as they are sent
    first, second = programs(2)
    device.load(first)
    buffer = buffer_of(requests)
    requests.clear()
    device.expect(second)
    device.sample(5000, seed=1)
    opcodes = [opcode for opcode, _ in requests]
    ends = opcodes.index(Opcode.READ_REGISTER, opcodes.index(Opcode.RUN))
    beside = requests[opcodes.index(Opcode.RUN):ends]
    other = 1 - buffer
    assert written(beside) == {memory_number(Memory.PARAMETER, other),
                               memory_number(Memory.SEGMENT, other)}
    requests.clear()
    device.load(second)
    assert written(requests) == {Memory.TABLE}
    assert buffer_of(requests) == other


@pytest.mark.parametrize("stop_step", [0, 1, 5])
def test_runs_may_end_before_the_upload(stop_step):
    """What is under way then is not waited for twice."""
    many = programs(40)
    requests = [SampleRequest(count=1, seed=k, hidden=True, stop_step=stop_step)
                for k in range(len(many))]
    todo = list(zip(many, requests))
    with pendula.open("twin://") as twin, pendula.open(URL) as device:
        assert draw(device, todo) == draw(twin, todo)
        assert device.health.retries == 0


def test_two_programs_in_turn_are_written_once(device, requests, expected):
    todo = jobs(2)
    assert draw(device, todo) == expected[:2]
    requests.clear()
    assert draw(device, todo * 3) == expected[:2] * 3
    assert written(requests) <= {Memory.TABLE}


@pytest.mark.parametrize("buffers", [1, 2])
def test_a_program_is_not_written_again_where_the_device_holds_it(buffers, requests):
    first, other = programs(2)
    with pendula.open(f"verilator://?buffers={buffers}") as device:
        device.load(first)
        requests.clear()
        device.load(first)
        assert not written(requests)
        device.load(other)
        requests.clear()
        device.load(first)
        assert written(requests) == {1: {Memory.TABLE, Memory.PARAMETER, Memory.SEGMENT},
                                     2: {Memory.TABLE}}[buffers]


def test_what_the_device_lost_is_written_again(device):
    """A memory that is not what the host believes shows in its checksum."""
    first, second = programs(2)
    with pendula.open("twin://") as twin:
        twin.load(second)
        expected = twin.sample(30, seed=5).values
    layouts = memory_layouts(SPEC)
    for number in (Memory.TABLE, memory_number(Memory.PARAMETER, 0),
                   memory_number(Memory.PARAMETER, 1), memory_number(Memory.SEGMENT, 0),
                   memory_number(Memory.SEGMENT, 1)):
        device.load(first)
        device.expect(second)
        device.sample(40, seed=1)
        row_bytes = layouts[Memory(number % (1 << BUFFER_BIT))].row_bytes
        device.client.write_memory(number, [bytes(row_bytes)])
        device.load(second)
        assert np.array_equal(device.sample(30, seed=5).values, expected)


def test_another_program_may_come_than_was_expected(device, expected):
    (first, _), (second, _), (third, last) = jobs(3)
    device.load(first)
    device.expect(second)
    device.sample(1, seed=0)            # too short for all of it
    device.load(third)
    batch = device.sample(last.count, seed=last.seed, hidden=True)
    assert (batch.values.tolist(), batch.saturations) == expected[2]


def test_chains_and_other_arrays_are_not_taken_in_early(device, requests):
    first, second = programs(2)
    elsewhere, = programs(1, ARRAYS["ising"])
    for loaded, following in ((first, elsewhere), (first, first),
                              (replace(first, initial=InitialState.KEEP), second)):
        device.load(loaded)
        requests.clear()
        device.expect(following)
        device.sample(20, seed=1)
        assert not written(requests)


@pytest.mark.parametrize("link", [NoisyTransport, MeddlingTransport])
@pytest.mark.parametrize("seed", range(3))
def test_a_bad_link_changes_nothing(link, seed, expected):
    probability = 5e-4 if link is NoisyTransport else 0.02
    options = Options(lanes=3, fold=3, buffers=2)
    with NoisyDevice(seed, probability, link, options) as device:
        assert draw(device, jobs(6)) == expected
        assert device.health.retries > 0
