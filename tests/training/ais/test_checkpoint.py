"""Checkpoints: what is written is read, and arrays of other shapes or types are named."""

import json
import struct
from pathlib import Path

import numpy as np
import pytest

from pendula.errors import CheckpointError
from pendula.training.ais.checkpoint import read_checkpoint, write_checkpoint

STATE = {"rate": np.arange(4, dtype=np.float32), "key": np.uint32(7), "step": np.int32(3)}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write_checkpoint(tmp_path / "c", {"run": 1}, STATE)
    return tmp_path / "c"


def test_what_is_written_is_read(path):
    state = read_checkpoint(path, {"run": 1}, STATE)
    assert state.keys() == STATE.keys()
    assert all(np.array_equal(state[name], STATE[name]) for name in STATE)


@pytest.mark.parametrize(("dtype", "shape"), [
    ("F8_E4M3", [16]), ("BF16", [8]), ("F16", [8]), ("I32", [4]), ("F32", [2, 2])])
def test_arrays_of_another_type_or_shape_are_named(path, dtype, shape):
    """Types that NumPy lacks too."""
    data = path.read_bytes()
    end = 8 + struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:end])
    header["['rate']"] |= {"dtype": dtype, "shape": shape}
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data[end:])
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(path, {"run": 1}, STATE)
    assert f"rate'] in checkpoint {path} must be F32(4,), not {dtype}{(*shape,)}" in str(
        caught.value)
