"""The client against a responder: right answers, or a typed error, whatever happens on the way."""

import itertools
import random
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pendula.contract import ArraySpec, get_physics
from pendula.contract.memory import Memory
from pendula.contract.protocol import MAX_REQUEST_BYTES, Opcode, Status, force_bytes, state_bytes
from pendula.contract.registers import RegisterName
from pendula.device import Health
from pendula.errors import DeviceError, LinkError
from pendula.link.client import ATTEMPTS, Client
from pendula.link.transport import AbstractTransport
from responder import Fault, FaultKind, FaultyTransport, Responder

SPEC = ArraySpec(physics=get_physics("quartic"), nodes=3, offsets=(-1, 1), segments=2,
                 table_bits=3)
VALUES_BYTES = SPEC.nodes * state_bytes(SPEC)

faults = st.lists(st.builds(Fault, st.sampled_from(FaultKind), st.integers(0, 10_000)),
                  max_size=30)


def make_responder() -> Responder:
    """Return a device whose program has segments of one step; of none would be 65,536."""
    responder = Responder(SPEC)
    layout = responder.layouts[Memory.SEGMENT]
    row = {field.name: [0] * field.count for field in layout.fields} | {"steps": [1]}
    responder.memories[Memory.SEGMENT][:] = layout.pack(row) * layout.rows
    return responder


def make_client(responder=None, **faults) -> Client:
    return Client(FaultyTransport(responder or make_responder(), **faults), Health())


def prepare(responder: Responder) -> None:
    """Load noise that makes every sample different, past the link."""
    responder.registers[RegisterName.INITIAL] = 1       # uniform
    responder.memories[Memory.NODE][:] = bytes(
        byte for _ in range(SPEC.nodes) for byte in responder.layouts[Memory.NODE].pack(
            {"uploaded": [0], "clamped": [0], "visible": [1]}))


def draw(client: Client, indices: range, **options) -> tuple[dict[int, bytes], int]:
    got: dict[int, bytes] = {}

    def deliver(index: int, values: bytes) -> None:
        assert index not in got, "a sample came twice"
        got[index] = values

    return got, client.run(indices, VALUES_BYTES, 1000, deliver, **options).cycles


def reference(indices: range) -> dict[int, bytes]:
    responder = make_responder()
    prepare(responder)
    return draw(make_client(responder), indices)[0]


def test_requests_over_a_good_link():
    responder = make_responder()
    client = make_client(responder)
    assert client.hello().nodes == SPEC.nodes
    client.write_register(RegisterName.SEED_HI, 0xFEDCBA98)
    assert client.read_register(RegisterName.SEED_HI) == 0xFEDCBA98
    client.write_register(RegisterName.PIXEL_GAIN, -5 & 0xFFFFFFFF)
    assert client.read_register(RegisterName.PIXEL_GAIN) == -5 & 0xFFFFFFFF
    assert client._health.retries == 0


def test_memory_is_written_in_requests_of_whole_rows_that_fit():
    spec = ArraySpec(physics=get_physics("kuramoto"), nodes=2, offsets=(1,), table_bits=9)
    responder = Responder(spec)
    client = make_client(responder)
    layout = responder.layouts[Memory.TABLE]
    rng = random.Random(1)
    rows = [rng.randbytes(layout.row_bytes) for _ in range(layout.rows)]
    client.write_memory(Memory.TABLE, rows)
    assert responder.memories[Memory.TABLE] == b"".join(rows)
    starts = [arguments[1] for opcode, arguments in responder.log]
    chunk = starts[1]
    assert starts == list(range(0, layout.rows, chunk))
    assert chunk * layout.row_bytes <= MAX_REQUEST_BYTES - 7 < (chunk + 1) * layout.row_bytes
    assert (client.checksum(Memory.TABLE, layout.rows, layout.row_bytes)
            == zlib.crc32(b"".join(rows)))


@given(faults, faults, st.integers(1, 200))
def test_run_is_right_or_fails_whatever_happens(ways_out, ways_back, piece_bytes):
    responder = make_responder()
    prepare(responder)
    indices = range(5, 12)
    client = make_client(responder, faults=ways_out, reply_faults=ways_back,
                         piece_bytes=piece_bytes)
    try:
        got, _ = draw(client, indices)
    except LinkError:
        return
    assert got == reference(indices)


@given(faults, faults)
def test_writes_are_right_or_fail_whatever_happens(ways_out, ways_back):
    responder = make_responder()
    client = make_client(responder, faults=ways_out, reply_faults=ways_back)
    try:
        client.write_register(RegisterName.SEED_LO, 77)
        value = client.read_register(RegisterName.SEED_LO)
    except LinkError:
        return
    assert value == 77
    assert responder.registers[RegisterName.SEED_LO] == 77


@pytest.mark.parametrize("kind", list(FaultKind))
@pytest.mark.parametrize("which", range(9))
def test_one_fault_in_the_answers_is_repaired(kind, which):
    responder = make_responder()
    prepare(responder)
    indices = range(7)
    ways_back = [Fault(FaultKind.NONE)] * which + [Fault(kind, 12)]
    client = make_client(responder, reply_faults=ways_back)
    assert draw(client, indices)[0] == reference(indices)


def test_only_the_lost_samples_are_asked_for_again():
    responder = make_responder()
    prepare(responder)
    lost = {1, 2, 5}
    client = make_client(responder, reply_faults=[
        Fault(FaultKind.DROP if k in lost else FaultKind.NONE) for k in range(7)])
    got, cycles = draw(client, range(7))
    assert got == reference(range(7))
    runs = [arguments for opcode, arguments in responder.log if opcode is Opcode.RUN]
    assert runs == [(0, 7), (1, 2), (5, 1)]
    assert cycles == 7 * SPEC.nodes, "the counters must be those of the seven samples"
    assert client._health.retries == 2


def test_counters_survive_a_lost_end():
    responder = make_responder()
    prepare(responder)
    ways_back = [Fault(FaultKind.NONE)] * 3 + [Fault(FaultKind.DROP)] * 5   # 4 samples and the OK
    _, cycles = draw(make_client(responder, reply_faults=ways_back), range(7))
    assert cycles == 7 * SPEC.nodes


@pytest.mark.parametrize("kind", [FaultKind.DUPLICATE, FaultKind.LATE])
def test_an_answer_to_an_earlier_request_is_ignored(kind):
    responder = make_responder()
    client = make_client(responder, reply_faults=[Fault(kind)], piece_bytes=5)
    responder.registers[RegisterName.SEED_LO] = 7
    responder.registers[RegisterName.SEED_HI] = 9
    assert client.read_register(RegisterName.SEED_LO) == 7
    assert client.read_register(RegisterName.SEED_HI) == 9


def test_samples_of_an_earlier_run_are_ignored():
    responder = make_responder()
    prepare(responder)
    client = make_client(responder, reply_faults=[Fault(FaultKind.DUPLICATE)] * 4, piece_bytes=5)
    first, _ = draw(client, range(3))
    client.write_register(RegisterName.SEED_LO, 1)
    second, _ = draw(client, range(3))
    assert all(first[index] != second[index] for index in range(3))


@pytest.mark.parametrize(("index", "size"), [(0, 1), (0, -1), (0, -20), (1, 0)])
def test_data_of_another_index_or_length_is_ignored(monkeypatch, index, size):
    responder = make_responder()
    data = index.to_bytes(4, "little") + bytes(VALUES_BYTES)
    data += bytes(size) if size > 0 else b""
    monkeypatch.setattr(responder, "_run", lambda *_: iter(
        [(Status.DATA, data[:len(data) + min(size, 0)]), (Status.OK, b"")]))
    with pytest.raises(LinkError, match=r"RUN in \d+ attempts: .* [1-9]\d* frames of no use"):
        draw(make_client(responder), range(1))


def test_a_run_that_never_delivers_is_given_up(monkeypatch):
    responder = make_responder()
    monkeypatch.setattr(responder, "_run", lambda *_: iter([(Status.OK, b"")]))
    with pytest.raises(LinkError, match=f"RUN in {ATTEMPTS} attempts"):
        draw(make_client(responder), range(1))


def test_forces_of_a_faulty_link(monkeypatch):
    responder = make_responder()
    client = make_client(responder, reply_faults=[Fault(FaultKind.FLIP, 9), Fault(FaultKind.DROP)])
    size = SPEC.nodes * force_bytes(SPEC)
    assert client.forces(0, size, 100) == bytes(size)
    monkeypatch.setattr(responder, "_forces", lambda *_: iter([(Status.OK, b"")]))
    with pytest.raises(LinkError, match=f"FORCES in {ATTEMPTS} attempts"):
        client.forces(0, size, 100)


def test_a_chain_is_not_repeated():
    responder = make_responder()
    prepare(responder)
    client = make_client(responder, reply_faults=[Fault(FaultKind.NONE), Fault(FaultKind.DROP)])
    with pytest.raises(LinkError, match=r"sample 1 was lost on the link, and it cannot be drawn"):
        draw(client, range(3), repeatable=False)
    assert [opcode for opcode, _ in responder.log].count(Opcode.RUN) == 1


def test_a_chain_that_arrives_is_delivered():
    responder = make_responder()
    prepare(responder)
    assert draw(make_client(responder), range(3), repeatable=False)[0] == reference(range(3))


def test_a_dead_link_is_given_up():
    client = make_client(reply_faults=itertools.repeat(Fault(FaultKind.DROP)))
    with pytest.raises(LinkError, match=f"HELLO in {ATTEMPTS} attempts: received nothing"):
        client.hello()
    assert client._health.retries == ATTEMPTS


class Chatter(AbstractTransport):
    """Another end that never stops talking."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def write(self, data: bytes) -> None:
        pass

    def read(self, cycles: int) -> bytes:
        return self.data

    def close(self) -> None:
        pass


@pytest.mark.parametrize("data", [bytes(1 << 16), b"\x55" * (1 << 16), b"pendula\0" * 8192],
                         ids=["zeros", "no end", "text"])
def test_endless_garbage_is_given_up(data):
    client = Client(Chatter(data))
    with pytest.raises(LinkError, match=r"received \d+ bytes, .*last [0-9a-f]{32}"):
        client.hello()
    assert len(client._partial) <= 1 << 20


def test_refusals_carry_their_status():
    client = make_client()
    with pytest.raises(DeviceError, match=r"refused RUN: BAD_VALUE \(0x83\)") as info:
        draw(client, range(0))
    assert info.value.status == Status.BAD_VALUE
    with pytest.raises(DeviceError, match=r"WRITE_REGISTER: BAD_ADDRESS"):
        client.write_register(RegisterName.CYCLES, 1)
    with pytest.raises(DeviceError, match=r"FORCES: BAD_VALUE"):
        client.forces(9, 100, 100)


def test_an_unknown_status_is_an_error(monkeypatch):
    responder = make_responder()
    monkeypatch.setattr(responder, "_hello", lambda _: iter([(0x42, b"")]))
    with pytest.raises(DeviceError, match=r"HELLO: an unknown status \(0x42\)"):
        make_client(responder).hello()


def test_an_answer_of_the_wrong_length_is_no_answer(monkeypatch):
    responder = make_responder()
    monkeypatch.setattr(responder, "_read_register", lambda *_: iter([(Status.OK, b"123")]))
    with pytest.raises(LinkError, match=f"{ATTEMPTS} frames of no use"):
        make_client(responder).read_register(RegisterName.CYCLES)


def test_closing_closes_the_transport():
    transport = FaultyTransport(make_responder())
    with transport:
        Client(transport).close()
        assert transport.closed
