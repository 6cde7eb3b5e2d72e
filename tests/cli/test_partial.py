"""Samples kept in a file: damaged bytes cost samples, never memory, and never give wrong ones."""

import struct
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pendula.cli.partial import PartialSamples
from pendula.device import Batch, SampleRequest
from pendula.errors import DataError

HEADER = {"run": 1}
SIZES = (3, 1, 5)
VALUES = np.arange(sum(SIZES) * 4).reshape(-1, 4)


def opened(path: Path) -> PartialSamples:
    return PartialSamples(path, HEADER, np.int32, (4,), sum(SIZES))


def write(path: Path) -> bytes:
    path.unlink(missing_ok=True)
    with opened(path) as partial:
        done = 0
        for size in SIZES:
            partial.append(Batch(values=VALUES[done:done + size], saturations=size,
                                 request=SampleRequest(count=size, seed=0)))
            done += size
    return path.read_bytes()


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("partial") / "S.partial"


@settings(max_examples=300)
@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=3),
       st.integers(0, 400))
def test_what_is_left_of_a_damaged_file_is_right(path, changes, kept):
    data = bytearray(write(path))
    for place, value in changes:
        data[place % len(data)] = value
    path.write_bytes(data[:kept])
    try:
        with opened(path) as partial:
            count = partial.count
            assert count in (0, 3, 4, 9)
            assert np.array_equal(partial.values, VALUES[:count])
            assert partial.saturations == count
    except DataError:
        assert not bytes(data[:kept]).startswith(b'{"run":1}\n')


def test_a_damaged_size_asks_for_no_memory(path):
    data = write(path)
    place = data.index(b"\n") + 5
    path.write_bytes(data[:place] + b"\xf0\xff\xff\xff" + data[place + 4:])
    tracemalloc.start()
    with opened(path) as partial:
        assert partial.count == 0
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20


def record(size: int, saturations: int, data: bytes) -> bytes:
    body = struct.pack("<IQ", size, saturations) + data
    return zlib.crc32(body).to_bytes(4, "little") + body


@pytest.mark.parametrize(("records", "count", "saturations"), [
    ([record(16, 1, bytes(16))] * 10_000, 9, 9),
    ([record(16 * 10, 1, bytes(160))], 0, 0),
    ([record(0, 1, b"")] * 5, 0, 0),
    ([record(16, 1 << 62, bytes(16))] * 5, 1, 1 << 62),
], ids=["many", "long", "empty", "saturations"])
def test_records_beyond_the_run_end_the_file(path, records, count, saturations):
    path.write_bytes(b'{"run":1}\n' + b"".join(records))
    with opened(path) as partial:
        assert (partial.count, partial.saturations) == (count, saturations)
        assert path.stat().st_size == 10 + count * len(records[0])


@pytest.mark.parametrize("line", [b"[" * 100_000, b"[" * 100_000 + b"\n", b"9" * 5000 + b"\n"])
def test_a_long_first_line_is_something_else(path, line):
    path.write_bytes(line)
    with pytest.raises(DataError, match="must hold samples of run 1, not of something else"):
        opened(path)
    assert path.read_bytes() == line


def test_a_first_line_without_end_asks_for_no_memory(path):
    path.write_bytes(b"x" * (1 << 24))
    tracemalloc.start()
    with pytest.raises(DataError, match="not of something else"):
        opened(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20
