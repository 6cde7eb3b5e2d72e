"""The link: requests and responses, each one COBS frame ended by a zero byte.

    request   sequence:1  opcode:1  arguments  tail   crc32:4
    response  sequence:1  status:1  body              crc32:4

Integers are little-endian; the CRC is CRC-32/ISO-HDLC over all bytes before it. A frame that fails
its CRC or length is dropped without an answer. RUN answers with one DATA response a sample, each
with the sample's index, then OK; where READOUT says MEASURE, with OK alone, once the samples are in
the sums, which start at zero each time. A sample is a function of (program, seed, index), so any
request may be repeated; the host uses a new sequence number each time and ignores late answers.

Requests are executed one after another, in order, with one exception: while a RUN or FORCES is
under way, a device with two buffers executes requests for memories of the buffer that is not in
use. Their answers come between the DATA responses.
"""

import enum
import struct
import zlib
from dataclasses import dataclass, fields
from typing import ClassVar

from pendula.contract import noise
from pendula.contract.digest import DIGEST_BYTES
from pendula.contract.spec import ArraySpec
from pendula.errors import LinkError

__all__ = ["ARGUMENTS", "CRC_BYTES", "CRC_DISTANCES", "HEADER_BYTES", "INDEX_BYTES",
           "LANES_HI", "MAGIC", "MAX_REQUEST_BYTES", "RESPONSE_BODY", "VERSION", "Hello", "Opcode",
           "Status", "decode_response", "encode_request", "force_bytes", "seal", "state_bytes",
           "unseal"]

MAGIC = b"PNDL"
VERSION = 1
HEADER_BYTES = 2
CRC_BYTES = 4
INDEX_BYTES = 4
MAX_REQUEST_BYTES = 1024     # header, arguments and tail; the device's frame buffer
CRC_DISTANCES = ((6, 33), (5, 371), (4, 11450))
"""Hamming distances, and the longest contents in bytes that have them; tests work them out."""
LANES_HI = 64                # lanes of an array


class Opcode(enum.IntEnum):
    """What the host asks for."""

    HELLO = 1
    READ_REGISTER = 2
    WRITE_REGISTER = 3
    WRITE_MEMORY = 4
    CHECKSUM = 5
    RUN = 6
    FORCES = 7
    READ_MEMORY = 8


class Status(enum.IntEnum):
    """How the device answers."""

    OK = 0               # done
    DATA = 1             # one sample or one force vector; more responses follow
    BAD_OPCODE = 0x80    # no such request
    BAD_LENGTH = 0x81    # arguments cut short or too long, or a tail that is no whole rows
    BAD_ADDRESS = 0x82   # no such register, memory or row, or a read-only register
    BAD_VALUE = 0x83     # no samples, no such segment, index past 2**32 - 1, or not measurable


# Arguments of a request, as struct formats; only WRITE_MEMORY has a tail (whole rows).
ARGUMENTS: dict[Opcode, str] = {
    Opcode.HELLO: "<",
    Opcode.READ_REGISTER: "<B",      # register
    Opcode.WRITE_REGISTER: "<BI",    # register, value
    Opcode.WRITE_MEMORY: "<BI",      # memory, first row
    Opcode.CHECKSUM: "<BII",         # memory, first row, rows
    Opcode.RUN: "<II",               # first sample index, samples
    Opcode.FORCES: "<I",             # segment
    Opcode.READ_MEMORY: "<BII",      # memory, first row, rows
}

# Bodies of OK responses; HELLO's is the Hello record. DATA's is an index, then values.
RESPONSE_BODY: dict[Opcode, str] = {
    Opcode.READ_REGISTER: "<I",      # value
    Opcode.WRITE_REGISTER: "<",
    Opcode.WRITE_MEMORY: "<",
    Opcode.CHECKSUM: "<I",           # CRC-32 of the rows' bytes
    Opcode.RUN: "<",
    Opcode.FORCES: "<",
    Opcode.READ_MEMORY: "<",         # the rows' bytes
}


def state_bytes(spec: ArraySpec) -> int:
    """Return the bytes of one raw state on the link (sign-extended)."""
    return (spec.state_bits + 7) // 8


def force_bytes(spec: ArraySpec) -> int:
    """Return the bytes of one force on the link (sign-extended)."""
    return (spec.accumulator_width("drift") + 7) // 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello:
    """Who the device is.

    Parameters
    ----------
    version : int
        Protocol version.
    contract_id, spec_id, build_id : bytes
        First 8 bytes of the digests of the contract, of the array spec and of the build.
    nodes, degree, lanes, segments : int
        N, K, P and the capacity in segments S.
    physics : int
        Code of the physics.
    state_bits, edge_bits, code_bits, local_code_bits, basis_bits, gain_bits, noise_bits : int
        Widths of the number formats.
    buffers : int
        Programs that it holds: with two, one may be written while the other one runs.
    sums : int
        Sums of the statistics; 0 where there are none.
    jitter_rings : int
        Ring oscillators of the jitter seeder; 0 where there is none.
    jitter_seed : int
        Seed of the last draw; 0 where there is none. The noise does not use it until the host
        writes it to the SEED registers.
    """

    version: int
    contract_id: bytes
    spec_id: bytes
    build_id: bytes
    nodes: int
    degree: int
    lanes: int
    segments: int
    physics: int
    state_bits: int
    edge_bits: int
    code_bits: int
    local_code_bits: int
    basis_bits: int
    gain_bits: int
    noise_bits: int
    buffers: int
    sums: int
    jitter_rings: int
    jitter_seed: int

    FORMAT: ClassVar[str] = f"<4sH{DIGEST_BYTES}s{DIGEST_BYTES}s{DIGEST_BYTES}sIHHHBBBBBBBBBIBQ"

    @classmethod
    def of(cls, spec: ArraySpec, *, contract_id: str, build_id: str, lanes: int,
           sums: int = 0, buffers: int = 1, jitter_rings: int = 0) -> "Hello":
        """Return the record of a device that has drawn no seed; ids are hexadecimal digests."""
        contract, array, build = (bytes.fromhex(value)[:DIGEST_BYTES]
                                  for value in (contract_id, spec.digest, build_id))
        return cls(version=VERSION, contract_id=contract, spec_id=array, build_id=build,
                   nodes=spec.nodes, degree=len(spec.offsets), lanes=lanes, segments=spec.segments,
                   physics=spec.physics.code, state_bits=spec.state_bits, edge_bits=spec.edge_bits,
                   code_bits=spec.code_bits, local_code_bits=spec.local_code_bits,
                   basis_bits=spec.basis_bits, gain_bits=spec.gain_bits,
                   noise_bits=noise.GAUSSIAN_BITS, buffers=buffers, sums=sums,
                   jitter_rings=jitter_rings, jitter_seed=0)

    def encode(self) -> bytes:
        """Return the body of the HELLO response."""
        return struct.pack(self.FORMAT, MAGIC, *(getattr(self, f.name) for f in fields(self)))

    @classmethod
    def decode(cls, body: bytes) -> "Hello":
        """Read the body of a HELLO response.

        Raises
        ------
        LinkError
            If it is no HELLO of this protocol version.
        """
        if len(body) < 6 or body[:4] != MAGIC:
            raise LinkError("HELLO must be answered by a Pendula, "
                            f"not with {body[:16].hex() or 'nothing'}")
        version = int.from_bytes(body[4:6], "little")
        if version != VERSION:
            raise LinkError(f"device speaks protocol version {version}, this host {VERSION}: "
                            "install the matching pendula or rebuild the device")
        size = struct.calcsize(cls.FORMAT)
        if len(body) != size:
            raise LinkError(f"HELLO must have {size} bytes, as in the contract of this host, not "
                            f"{len(body)}: install the matching pendula or rebuild the device")
        _, *values = struct.unpack(cls.FORMAT, body)
        return cls(**dict(zip((f.name for f in fields(cls)), values, strict=True)))


def seal(content: bytes) -> bytes:
    """Append the CRC."""
    return content + zlib.crc32(content).to_bytes(CRC_BYTES, "little")


def unseal(packet: bytes) -> bytes | None:
    """Return the content in front of a correct CRC, else None."""
    content, crc = packet[:-CRC_BYTES], packet[-CRC_BYTES:]
    if len(packet) < HEADER_BYTES + CRC_BYTES:
        return None
    return content if zlib.crc32(content) == int.from_bytes(crc, "little") else None


def encode_request(sequence: int, opcode: Opcode, *arguments: int, tail: bytes = b"") -> bytes:
    """Return a sealed request, not yet COBS-encoded."""
    body = struct.pack(ARGUMENTS[opcode], *arguments) + tail
    return seal(bytes((sequence, opcode)) + body)


def decode_response(packet: bytes) -> tuple[int, int, bytes] | None:
    """Return sequence, status and body of a COBS-decoded response, or None if it is damaged."""
    content = unseal(packet)
    return None if content is None else (content[0], content[1], content[2:])
