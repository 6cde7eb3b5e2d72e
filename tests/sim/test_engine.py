"""The simulators as byte links: no byte is lost, nothing hangs, and idle means idle."""

from collections.abc import Callable
from random import Random

import pytest
from cobs import cobs

from arrays import ARRAYS
from pendula.contract import ArraySpec
from pendula.contract.protocol import Hello, Opcode, Status, decode_response, encode_request
from pendula.contract.registers import RegisterName
from pendula.link.client import Client
from pendula.link.engine import AbstractEngine, Exchange
from pendula_gateware.top import Top
from pendula_sim import engine
from pendula_sim.build import build_library
from pendula_sim.engine import SimulatorTransport
from pendula_sim.pysim import PysimEngine
from pendula_sim.verilator import VerilatorEngine

SPEC = ARRAYS["narrow"]
BUILD_ID = "0123456789abcdef"


def pysim(spec: ArraySpec = SPEC) -> AbstractEngine:
    return PysimEngine(Top(spec=spec, build_id=BUILD_ID))


def verilator(spec: ArraySpec = SPEC) -> AbstractEngine:
    return VerilatorEngine(build_library(spec))


engines = pytest.mark.parametrize("make", [
    pysim, pytest.param(verilator, marks=pytest.mark.verilator)])
MakeEngine = Callable[..., AbstractEngine]


def request(sequence: int, opcode: Opcode = Opcode.HELLO, *arguments: int) -> bytes:
    return cobs.encode(encode_request(sequence, opcode, *arguments)) + b"\0"


def answers(output: bytes) -> list[tuple[int, int, bytes] | None]:
    assert not output or output.endswith(b"\0")
    return [decode_response(cobs.decode(frame)) for frame in output.split(b"\0") if frame]


@engines
def test_an_idle_device_is_not_clocked(make):
    sim = make()
    sim.exchange(b"", 1000)
    result = sim.exchange(b"", 1000)
    assert (result.cycles, result.idle, result.output) == (0, True, b"")
    sim.close()


@engines
def test_requests_are_answered_and_then_the_device_is_idle(make):
    sim = make()
    result = sim.exchange(request(1) + request(2), 100_000)
    assert result.idle
    assert result.consumed == len(request(1) + request(2))
    one, two = answers(result.output)
    assert one is not None
    assert two is not None
    assert one[:2] == (1, Status.OK)
    assert two[:2] == (2, Status.OK)
    assert one[2] == two[2]
    assert Hello.decode(one[2]).nodes == SPEC.nodes
    assert result.cycles < 1000
    sim.close()


@engines
def test_slices_of_any_length_give_the_same_bytes(make):
    data = request(1) + request(9, Opcode.READ_REGISTER, 4) + request(3)
    sim = make()
    whole = sim.exchange(data, 100_000)
    sim.close()
    sim = make()
    output, cycles, rng = b"", 0, Random(1)
    idle = False
    while not idle:
        result = sim.exchange(data, rng.choice([1, 1, 2, 7, 100]))
        data, idle = data[result.consumed:], result.idle
        output, cycles = output + result.output, cycles + result.cycles
    assert output == whole.output
    assert data == b""
    assert abs(cycles - whole.cycles) < 10
    sim.close()


@engines
def test_no_bytes_hang_the_device(make):
    sim = make()
    rng = Random(2)
    for _ in range(8):
        garbage = rng.randbytes(rng.randrange(1, 120))
        result = sim.exchange(garbage, 100_000)
        assert result.idle
        assert result.consumed == len(garbage)
    result = sim.exchange(b"\0" + request(5), 100_000)
    answer = answers(result.output)[-1]
    assert answer is not None
    assert answer[:2] == (5, Status.OK)
    sim.close()


@pytest.mark.verilator
def test_simulations_of_two_arrays_live_side_by_side():
    specs = (SPEC, ARRAYS["ising"], SPEC)
    clients = [Client(SimulatorTransport(verilator(spec))) for spec in specs]
    assert [client.hello().nodes for client in clients] == [2, 7, 2]
    clients[0].write_register(RegisterName.SEED_LO, 77)
    assert [client.read_register(RegisterName.SEED_LO) for client in clients] == [77, 0, 0]
    clients[0].close()
    assert [client.read_register(RegisterName.SEED_LO) for client in clients[1:]] == [0, 0]
    for client in clients[1:]:
        client.close()


@pytest.mark.verilator
def test_a_closed_simulation_stays_closed():
    sim = verilator()
    sim.close()
    sim.close()
    with pytest.raises(RuntimeError, match="must be open, not closed"):
        sim.exchange(b"", 1)


class Hung(AbstractEngine):
    """A device that is busy for ever and takes one byte a slice."""

    slice_cycles = 999

    def __init__(self) -> None:
        self.cycles = 0
        self.offered: list[bytes] = []

    def exchange(self, data: bytes, max_cycles: int) -> Exchange:
        assert max_cycles <= self.slice_cycles
        self.cycles += max_cycles
        self.offered.append(data)
        return Exchange(min(1, len(data)), b"", max_cycles, idle=False)

    def close(self) -> None:
        pass


def test_a_hung_device_is_given_up_after_bounded_work():
    hung = Hung()
    transport = SimulatorTransport(hung)
    transport.write(b"ab")
    assert transport.read(5000) == b""
    assert hung.cycles == 2 * 5000 + engine._MARGIN_CYCLES
    assert hung.offered[:3] == [b"ab", b"b", b""]
