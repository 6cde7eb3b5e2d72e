"""The link's records, and what its CRC detects."""

import itertools
import struct
from dataclasses import fields, replace
from random import Random

import pytest
from cobs import cobs
from hypothesis import given
from hypothesis import strategies as st

from pendula.contract import CONTRACT_ID, PHYSICS, ArraySpec, noise
from pendula.contract.graph import DEGREE_HI, NODES_HI
from pendula.contract.memory import memory_layouts
from pendula.contract.protocol import (
    ARGUMENTS,
    CRC_BYTES,
    HEADER_BYTES,
    MAGIC,
    MAX_REQUEST_BYTES,
    RESPONSE_BODY,
    VERSION,
    Hello,
    Opcode,
    Status,
    decode_response,
    encode_request,
    force_bytes,
    seal,
    state_bytes,
    unseal,
)
from pendula.errors import LinkError
from strategies import specs

BUILD_ID = "0123456789abcdef" * 4


def hello(spec: ArraySpec) -> Hello:
    return Hello.of(spec, contract_id=CONTRACT_ID, build_id=BUILD_ID, lanes=1)


# HELLO

@given(specs())
def test_hello_round_trip(spec: ArraySpec) -> None:
    record = hello(spec)
    assert Hello.decode(record.encode()) == record
    assert (record.nodes, record.degree, record.segments) == (
        spec.nodes, len(spec.offsets), spec.segments)
    assert record.contract_id.hex() == CONTRACT_ID[:16]
    assert record.spec_id.hex() == spec.digest[:16]
    assert record.build_id.hex() == BUILD_ID[:16]
    assert record.physics == spec.physics.code
    assert record.noise_bits == noise.GAUSSIAN_BITS
    for name in ("state_bits", "edge_bits", "code_bits", "local_code_bits", "basis_bits",
                 "gain_bits"):
        assert getattr(record, name) == getattr(spec, name)


def test_every_field_of_hello_travels() -> None:
    """Changing any field changes the bytes, and the change arrives."""
    base = hello(ArraySpec(physics=PHYSICS["ising"], nodes=2, offsets=(1,)))
    for field in fields(Hello):
        if field.name == "version":
            continue
        old = getattr(base, field.name)
        changed = replace(base, **{field.name: bytes(8) if isinstance(old, bytes) else old + 1})
        assert Hello.decode(changed.encode()) == changed != base


@pytest.mark.parametrize(("answer", "words"), [
    (b"", "not with nothing"),
    (b"PNDL", "not with 504e444c"),
    (b"\0" * 40, "HELLO must be answered by a Pendula"),
])
def test_answer_of_something_else_is_refused(answer: bytes, words: str) -> None:
    with pytest.raises(LinkError, match=words):
        Hello.decode(answer)


@pytest.mark.parametrize("length", [0, struct.calcsize(Hello.FORMAT) - 6, 100])
def test_another_version_is_refused_with_both_numbers(length: int) -> None:
    """Whatever that version's record looks like, even if it has the size of ours."""
    body = MAGIC + (VERSION + 1).to_bytes(2, "little") + bytes(length)
    with pytest.raises(LinkError, match=f"version {VERSION + 1}, this host {VERSION}"):
        Hello.decode(body)


def test_hello_cut_short_is_refused() -> None:
    body = hello(ArraySpec(physics=PHYSICS["ising"], nodes=2, offsets=(1,))).encode()
    for length in range(len(body)):
        with pytest.raises(LinkError):
            Hello.decode(body[:length])


def test_hello_of_another_contract_is_refused_with_both_sizes() -> None:
    """The record grew within version 1, for jitter seeds."""
    body = hello(ArraySpec(physics=PHYSICS["ising"], nodes=2, offsets=(1,))).encode()
    for other in (body[:48], body + b"\0"):
        with pytest.raises(LinkError, match=f"must have {len(body)} bytes, .* not {len(other)}: "):
            Hello.decode(other)


# Frames

@given(st.binary(min_size=HEADER_BYTES, max_size=40))
def test_sealed_content_comes_back(content: bytes) -> None:
    assert unseal(seal(content)) == content


def test_crc_is_the_one_of_the_catalogue() -> None:
    """CRC-32/ISO-HDLC of the digits 1 to 9 is cbf43926."""
    assert seal(b"123456789")[-CRC_BYTES:] == 0xCBF43926.to_bytes(4, "little")


@pytest.mark.parametrize("length", range(HEADER_BYTES + CRC_BYTES))
def test_frames_shorter_than_a_header_and_crc_are_refused(length: int) -> None:
    assert unseal(seal(b"")[:length]) is None
    assert unseal(seal(bytes(max(0, length - CRC_BYTES)))[:length]) is None


def flip(packet: bytes, *bits: int) -> bytes:
    value = int.from_bytes(packet, "little")
    for bit in bits:
        value ^= 1 << bit
    return value.to_bytes(len(packet), "little")


@pytest.mark.parametrize("content", [bytes(2), bytes.fromhex("a5017f3c00ff")])
def test_every_error_of_up_to_three_bits_is_detected(content: bytes) -> None:
    packet = seal(content)
    for count in (1, 2, 3):
        for bits in itertools.combinations(range(8 * len(packet)), count):
            assert unseal(flip(packet, *bits)) is None, bits


def test_every_short_burst_is_detected() -> None:
    """All bursts of up to 11 bits, everywhere in a frame."""
    packet = seal(bytes.fromhex("a5017f3c00ff"))
    for length in range(2, 12):
        for inner in range(2 ** (length - 2)):
            burst = 1 | inner << 1 | 1 << (length - 1)
            for start in range(8 * len(packet) - length + 1):
                value = int.from_bytes(packet, "little") ^ burst << start
                assert unseal(value.to_bytes(len(packet), "little")) is None


def test_bursts_of_up_to_32_bits_are_detected() -> None:
    """A seeded sample of the 2**30 bursts of each length."""
    rng = Random(32)
    for _ in range(20_000):
        packet = seal(rng.randbytes(rng.randrange(2, 40)))
        length = rng.randrange(12, 33)
        burst = rng.getrandbits(length) | 1 | 1 << (length - 1)
        value = int.from_bytes(packet, "little") ^ burst << rng.randrange(8 * len(packet) - length)
        assert unseal(value.to_bytes(len(packet), "little")) is None


@given(st.binary(min_size=HEADER_BYTES, max_size=20), st.data())
def test_truncated_frames_are_refused(content: bytes, data: st.DataObject) -> None:
    packet = seal(content)
    kept = data.draw(st.integers(0, len(packet) - 1))
    assert unseal(packet[:kept]) is None


# Requests and responses

@pytest.mark.parametrize(("opcode", "arguments", "tail", "body"), [
    (Opcode.HELLO, (), b"", b""),
    (Opcode.WRITE_REGISTER, (2, 0x01020304), b"", bytes.fromhex("0204030201")),
    (Opcode.WRITE_MEMORY, (1, 5), b"rows", bytes.fromhex("0105000000") + b"rows"),
    (Opcode.CHECKSUM, (3, 1, 2), b"", bytes.fromhex("030100000002000000")),
    (Opcode.READ_MEMORY, (5, 1, 2), b"", bytes.fromhex("050100000002000000")),
    (Opcode.RUN, (7, 256), b"", bytes.fromhex("0700000000010000")),
])
def test_requests_are_little_endian(opcode: Opcode, arguments: tuple[int, ...], tail: bytes,
                                    body: bytes) -> None:
    packet = encode_request(9, opcode, *arguments, tail=tail)
    assert unseal(packet) == bytes([9, opcode]) + body


@pytest.mark.parametrize("opcode", Opcode)
def test_wrong_number_of_arguments_is_an_error_of_the_caller(opcode: Opcode) -> None:
    arity = len(struct.unpack(ARGUMENTS[opcode], bytes(struct.calcsize(ARGUMENTS[opcode]))))
    with pytest.raises(struct.error):
        encode_request(0, opcode, *[0] * (arity + 1))


def test_response_is_split_into_sequence_status_and_body() -> None:
    assert decode_response(seal(bytes([3, Status.DATA]) + b"body")) == (3, Status.DATA, b"body")
    assert decode_response(seal(bytes([3, Status.OK]))) == (3, Status.OK, b"")


@given(st.binary(max_size=40))
def test_garbage_is_no_response(garbage: bytes) -> None:
    content = unseal(garbage)
    assert decode_response(garbage) == (content and (content[0], content[1], content[2:]))


def test_every_opcode_is_described() -> None:
    assert set(ARGUMENTS) == set(Opcode)
    assert set(RESPONSE_BODY) == set(Opcode) - {Opcode.HELLO}
    assert all(0 < opcode < 256 for opcode in Opcode)
    assert all(0 <= status < 256 for status in Status)


@given(specs())
def test_bytes_of_states_and_forces_hold_every_value(spec: ArraySpec) -> None:
    spec.state.lo.to_bytes(state_bytes(spec), "little", signed=True)
    for force in (spec.accumulators["drift"].lo, spec.accumulators["drift"].hi):
        force.to_bytes(force_bytes(spec), "little", signed=True)
    assert 8 * (force_bytes(spec) - 1) < spec.accumulator_width("drift")


def test_every_row_of_every_array_fits_a_request_and_its_number_an_argument() -> None:
    spec = ArraySpec(
        physics=PHYSICS["kuramoto"], nodes=NODES_HI, offsets=tuple(range(1, DEGREE_HI + 1)),
        segments=4096, state_bits=24, edge_bits=12, code_bits=8, local_code_bits=8, basis_bits=8,
        gain_bits=4)
    overhead = HEADER_BYTES + struct.calcsize(ARGUMENTS[Opcode.WRITE_MEMORY])
    for layout in memory_layouts(spec).values():
        assert overhead + layout.row_bytes <= MAX_REQUEST_BYTES
        struct.pack(ARGUMENTS[Opcode.CHECKSUM], 0, 0, layout.rows)


def test_longest_frame_on_the_wire() -> None:
    """COBS adds one byte in 254, so a frame buffer's size follows from the longest request."""
    longest = seal(bytes(range(1, 255)) * 5)[:MAX_REQUEST_BYTES + CRC_BYTES]
    assert len(cobs.encode(longest)) <= len(longest) + -(-len(longest) // 254)


def test_every_pair_of_flipped_bits_on_the_wire_is_noticed():
    """Code bytes and made zeros included; pieces of a frame must not pass as one either."""
    content = b"\1\7" + bytes(3) + b"\2"
    wire = bytearray(cobs.encode(seal(content)))
    bits = 8 * len(wire)
    for first in range(bits):
        wire[first // 8] ^= 1 << first % 8
        for second in range(first):
            wire[second // 8] ^= 1 << second % 8
            for piece in bytes(wire).split(b"\0"):
                try:
                    found = unseal(cobs.decode(piece))
                except cobs.DecodeError:
                    found = None
                assert found is None
            wire[second // 8] ^= 1 << second % 8
        wire[first // 8] ^= 1 << first % 8
