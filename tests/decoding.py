"""What a host decodes, as functions of any bytes that let out nothing but errors of Pendula.

Where a checksum guards a format, bytes come under a right one too, or a fuzzer would never get
past it. Each target has seeds to begin with.
"""

import gzip
import hashlib
import json
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from tempfile import mkdtemp
from typing import Any
from unittest.mock import patch
from urllib.parse import unquote
from zipfile import ZipFile
from zlib import crc32

import numpy as np
from cobs import cobs
from safetensors import safe_open
from safetensors.numpy import load as from_safetensors
from safetensors.numpy import save as to_safetensors

from pendula import modelfile
from pendula.cli.partial import PartialSamples
from pendula.contract import ArraySpec, get_physics
from pendula.contract.digest import canonical_json
from pendula.contract.memory import Memory
from pendula.contract.protocol import seal
from pendula.contract.registers import RegisterName
from pendula.device import Batch, SampleRequest, open_device
from pendula.errors import (
    CheckpointError,
    DataError,
    LinkError,
    ModelFileError,
    PendulaError,
    UrlError,
)
from pendula.link.client import Client
from pendula.link.link_device import LinkDevice
from pendula.link.tcp_device import TcpTransport
from pendula.link.token import WELCOME, make_challenge, read_token
from pendula.link.transport import AbstractTransport
from pendula.program import random_program
from pendula.samplefile import load_pixels
from pendula.training.ais.checkpoint import read_checkpoint, write_checkpoint
from pendula.training.data import read_idx
from responder import FaultyTransport, Responder

__all__ = ["ALL", "TARGETS", "Target"]

SPEC = ArraySpec(physics=get_physics("quartic"), nodes=3, offsets=(-1, 1), segments=1,
                 table_bits=3)
PROGRAM = random_program(SPEC, np.random.default_rng(1), segments=1, steps=1)
FOLDER = Path(mkdtemp(prefix="pendula-decoding-"))
SAMPLES = 4


@dataclass(frozen=True)
class Target:
    """Something that decodes.

    Parameters
    ----------
    decode : callable
        Takes any bytes; raises an error where the host was wrong.
    seeds : callable
        Returns bytes to begin with.
    """

    decode: Callable[[bytes], None]
    seeds: Callable[[], list[bytes]]


def _written(name: str, data: bytes) -> Path:
    path = FOLDER / name
    path.write_bytes(data)
    return path


# Answers of a device

class ScriptedTransport(AbstractTransport):
    """Link to something that sends a frame for each read, whatever it is asked.

    Frames are separated by 0xFF in the script. Those that begin with an even byte get a right CRC,
    and the sequence number of the last request.
    """

    def __init__(self, script: bytes) -> None:
        self.frames = script.split(b"\xff")
        self.sequence = 0

    def write(self, data: bytes) -> None:
        with suppress(cobs.DecodeError):
            self.sequence = cobs.decode(data.rstrip(b"\0"))[0]

    def read(self, cycles: int) -> bytes:
        while self.frames:
            kind, content = (frame := self.frames.pop(0))[:1], frame[1:]
            if kind and kind[0] % 2 == 0:
                return cobs.encode(seal(bytes((self.sequence,)) + content)) + b"\0"
            if content:
                return content
        return b""

    def close(self) -> None:
        pass


class ScriptedDevice(LinkDevice):
    """A device behind such a link."""

    def __init__(self, script: bytes) -> None:
        super().__init__("script://")
        self._transport = ScriptedTransport(script)

    def _connect(self, spec: ArraySpec | None) -> Client:
        return self._client or Client(self._transport, self.health)


class KeepingTransport(FaultyTransport):
    """Link that keeps the contents of answers, as a script sends them."""

    def __init__(self) -> None:
        super().__init__(Responder(SPEC))
        self.script = b""

    def write(self, data: bytes) -> None:
        for answer in self.responder.receive(data):
            self.script += b"\0" + cobs.decode(answer[:-1])[1:-4] + b"\xff"
            self._output += answer


def decode_answers(data: bytes) -> None:
    """Every request of a client; samples come once, with indices and lengths that were asked."""
    client = Client(ScriptedTransport(data))
    got: dict[int, bytes] = {}

    def deliver(index: int, values: bytes) -> None:
        assert index in range(SAMPLES)
        assert index not in got
        assert len(values) == 9
        got[index] = values

    for action in (
            lambda: client.hello(attempts=2),
            lambda: client.read_register(RegisterName.CYCLES),
            lambda: len(client.read_memory(Memory.NODE, 3, 3)) == 9,
            lambda: client.checksum(Memory.NODE, 3, 3) < 1 << 32,
            lambda: client.run(range(SAMPLES), 9, 10, deliver) and len(got) == SAMPLES,
            lambda: len(client.forces(0, 15, 10)) == 15,
            lambda: client.measure(range(2), 10)):
        with suppress(PendulaError):
            assert action() is not False


def _answers() -> list[bytes]:
    """Return the answers of a sound device to the requests of :func:`decode_answers`."""
    client = Client(transport := KeepingTransport())
    client.hello()
    client.read_register(RegisterName.CYCLES)
    client.read_memory(Memory.NODE, 3, 3)
    return [transport.script, b"\1" + cobs.encode(seal(b"\1\0")) + b"\0"]


def decode_device(data: bytes) -> None:
    """A program is loaded, and samples and forces are drawn, as far as it goes."""
    with ScriptedDevice(data) as device, suppress(PendulaError):
        device.load(PROGRAM)
        batch = device.sample(SAMPLES, seed=1)
        assert batch.values.shape == (SAMPLES, SPEC.nodes)
        assert np.abs(device.forces(batch.values[:1])).max() < 1 << 62


def _sessions() -> list[bytes]:
    class Device(LinkDevice):
        transport = KeepingTransport()

        def _connect(self, spec: ArraySpec | None) -> Client:
            return self._client or Client(self.transport, self.health)

    with Device("keep://") as device:
        device.load(PROGRAM)
        device.forces(device.sample(SAMPLES, seed=1).values[:1])
        return [device.transport.script]


# Files

def decode_model(data: bytes) -> None:
    """A model file; what loads is the same once it is saved and loaded again."""
    with suppress(ModelFileError):
        program = modelfile.load(_written("m.pendula", data))
        modelfile.save(program, FOLDER / "again.pendula")
        assert modelfile.load(FOLDER / "again.pendula").digest == program.digest


def _model() -> bytes:
    modelfile.save(PROGRAM, FOLDER / "seed.pendula")
    return (FOLDER / "seed.pendula").read_bytes()


def decode_document(data: bytes) -> None:
    """A model file around any JSON, under a right checksum."""
    try:
        document: Any = json.loads(data)
    except (ValueError, RecursionError):
        return
    if isinstance(document, dict):
        document.pop("checksum", None)
        with suppress(ValueError, RecursionError):
            document["checksum"] = hashlib.sha256(canonical_json(document)).hexdigest()
    with suppress(ValueError, RecursionError):      # no text of JSON again, or no UTF-8
        decode_model(to_safetensors(TENSORS, {"pendula": json.dumps(document)}))


def _documents() -> list[bytes]:
    _model()
    with safe_open(FOLDER / "seed.pendula", framework="numpy") as file:
        return [file.metadata()["pendula"].encode()]


TENSORS = from_safetensors(_model())


def decode_recording(data: bytes) -> None:
    """A recording, and a host that replays it."""
    with suppress(PendulaError), open_device(f"replay://{_written('f.jsonl', data)}") as device:
        device.load(PROGRAM)
        device.sample(SAMPLES, seed=1)


def _recordings() -> list[bytes]:
    folder = Path(__file__).parent / "recordings"
    return [path.read_bytes()[:4000] for path in sorted(folder.glob("*.jsonl"))]


def decode_partial(data: bytes) -> None:
    """Samples of a run that was interrupted; any bytes as a record, under a right checksum."""
    record = crc32(data).to_bytes(4, "little") + data
    for whole in (data, b'{"run":1}\n' + 2 * record):
        with suppress(DataError), PartialSamples(
                _written("s.partial", whole), {"run": 1}, np.int16, (3,), SAMPLES) as partial:
            assert partial.values.shape == (partial.count, 3)
            assert partial.count <= SAMPLES
            assert np.asarray(partial.saturations).dtype == np.int64


def _partials() -> list[bytes]:
    path = FOLDER / "seed.partial"
    path.unlink(missing_ok=True)
    with PartialSamples(path, {"run": 1}, np.int16, (3,), SAMPLES) as partial:
        for count in (2, 1):
            partial.append(Batch(values=np.ones((count, 3), np.int16), saturations=1,
                                 request=SampleRequest(count=count, seed=0)))
    whole = path.read_bytes()
    return [whole, whole[whole.index(b"\n") + 5:]]


def decode_samples(data: bytes) -> None:
    """A file of samples, and one that holds any bytes as its values, under a right checksum."""
    with ZipFile(held := BytesIO(), "w") as file:
        file.writestr("values.npy", data)
    for whole in (data, held.getvalue()):
        with suppress(DataError):
            pixels = load_pixels(_written("s.npz", whole))
            assert pixels.ndim == 2
            assert pixels.size <= 1100 * len(data)      # what deflation can hold at most
            assert 0 <= pixels.min(initial=0) <= pixels.max(initial=0) <= 1


def _samples() -> list[bytes]:
    arrays = {"values": np.arange(12, dtype=np.uint8).reshape(3, 4), "seed": 1}
    np.savez(plain := BytesIO(), **arrays)
    np.savez_compressed(deflated := BytesIO(), **arrays)
    np.save(values := BytesIO(), arrays["values"])
    return [plain.getvalue(), deflated.getvalue(), values.getvalue()]


def decode_images(data: bytes) -> None:
    """Images to train on, plain and compressed."""
    for name in ("i", "i.gz"):
        with suppress(DataError):
            assert read_idx(_written(name, data)).size <= len(data) or name == "i.gz"


def _images() -> list[bytes]:
    plain = b"\0\0\x08\x03" + b"".join(k.to_bytes(4, "big") for k in (2, 1, 3)) + bytes(6)
    return [plain, gzip.compress(plain, mtime=0)]


def decode_checkpoint(data: bytes) -> None:
    """A checkpoint of a training."""
    with suppress(CheckpointError):
        state = read_checkpoint(_written("c.checkpoint", data), {"run": 1}, STATE)
        assert {name: (one.shape, one.dtype) for name, one in state.items()} == {
            name: (one.shape, one.dtype) for name, one in STATE.items()}


def _checkpoints() -> list[bytes]:
    write_checkpoint(FOLDER / "seed.checkpoint", {"run": 1}, STATE)
    return [(FOLDER / "seed.checkpoint").read_bytes()]


STATE = {"rate": np.zeros(3, np.float32), "step": np.int32(7)}


# Words

def decode_handshake(data: bytes) -> None:
    """What a server says to a host, one that knows a token and one that knows none."""
    for token in (b"secret of a board", None):
        with socket.create_server(("127.0.0.1", 0)) as server:
            host = socket.create_connection(server.getsockname())
            board, _ = server.accept()
        with board:
            board.sendall(data[:4096])
            board.shutdown(socket.SHUT_WR)
            with patch.object(socket, "create_connection", return_value=host), \
                    suppress(LinkError), TcpTransport("tcp://h:1", "h", 1, 1.0, token) as link:
                while link.read(0):
                    pass


def decode_token(data: bytes) -> None:
    """A file with a token."""
    with suppress(UrlError):
        assert 16 <= len(read_token(_written("token", data))) <= 4096


def decode_url(data: bytes) -> None:
    """The URL of a device; none that makes a file."""
    url = data.decode("utf-8", "replace")
    if "record" not in unquote(url):
        with suppress(PendulaError), open_device(url) as device:
            assert device.url


TARGETS = {
    "answers": Target(decode_answers, _answers),
    "device": Target(decode_device, _sessions),
    "model": Target(decode_model, lambda: [_model()]),
    "document": Target(decode_document, _documents),
    "recording": Target(decode_recording, _recordings),
    "partial": Target(decode_partial, _partials),
    "samples": Target(decode_samples, _samples),
    "images": Target(decode_images, _images),
    "checkpoint": Target(decode_checkpoint, _checkpoints),
    "handshake": Target(decode_handshake, lambda: [make_challenge() + WELCOME + b"\1\2\0"]),
    "token": Target(decode_token, lambda: [b"0123456789abcdef0123\n"]),
    "url": Target(decode_url, lambda: [
        b"serial:///dev/ttyX?baud=1000&timeout=1", b"tcp://h:1?token=x&reconnect=2",
        b"twin://?lanes=2", b"verilator://?lanes=2&jitter=model&fabric=ecp5", b"replay://x"]),
}


def decode_any(data: bytes) -> None:
    """Bytes for the target that the first of them names."""
    names = [*TARGETS]
    if data:
        TARGETS[names[data[0] % len(names)]].decode(data[1:])


ALL = Target(decode_any, lambda: [bytes((k,)) + seed for k, target in enumerate(TARGETS.values())
                                  for seed in target.seeds()])
