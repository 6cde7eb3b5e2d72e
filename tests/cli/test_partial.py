"""Samples kept in a file: damaged bytes cost samples, never memory, and never give wrong ones."""

import tracemalloc
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
    return PartialSamples(path, HEADER, np.int32, (4,))


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
