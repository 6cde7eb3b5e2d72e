"""Samples of a long run that are finished, kept in a file beside the output until all are."""

import json
import math
import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Self

import numpy as np
import numpy.typing as npt

from pendula.contract.digest import canonical_json
from pendula.device import Batch
from pendula.errors import DataError
from pendula.files import naming

__all__ = ["PartialSamples"]

_RECORD = "<IIQ"        # CRC-32 of all after it, bytes of values, saturations
_MAX_LINE_BYTES = 1 << 12
_MAX_SATURATIONS = 1 << 63      # of all samples: what the output can hold


class PartialSamples:
    """Finished samples in a file that only grows: a line of JSON, then one record a batch.

    Parameters
    ----------
    path : Path
        File to make or to resume.
    header : dict
        What the samples are; a file with another header is refused.
    dtype : dtype
        Type of a value, little-endian.
    shape : tuple of int
        Shape of one sample.
    most : int
        Samples of the whole run; no file holds more.

    Raises
    ------
    DataError
        If the file holds other samples.

    Notes
    -----
    A record that was cut short or damaged, or that goes beyond the run, ends the file: it and what
    follows is drawn again.
    """

    def __init__(self, path: Path, header: dict[str, Any], dtype: npt.DTypeLike,
                 shape: tuple[int, ...], most: int) -> None:
        self.path = path
        self.saturations = 0
        self._dtype, self._shape = np.dtype(dtype).newbyteorder("<"), shape
        self._values: list[npt.NDArray[Any]] = []
        line = canonical_json(header) + b"\n"
        path.touch()
        self._file = path.open("r+b")
        try:
            self._resume(line, most)
        except BaseException:
            self._file.close()
            raise

    def _resume(self, line: bytes, most: int) -> None:
        found = self._file.readline(_MAX_LINE_BYTES)
        if line.startswith(found) and found != line:       # new, or cut within its first line
            self._file.seek(0)
            self._file.write(line)
        elif found != line:
            raise DataError(f"{self.path} must hold samples of {_shorten(line)}, not of "
                            f"{_shorten(found)}: delete it or choose another output")
        end = self._file.tell()
        for data, saturations in _read_records(self._file, self._sample_bytes, most):
            if self.saturations + saturations >= _MAX_SATURATIONS:
                break
            self._values.append(np.frombuffer(data, self._dtype).reshape(-1, *self._shape))
            self.saturations += saturations
            end = self._file.tell()
        self._file.seek(end)
        self._file.truncate()

    @property
    def _sample_bytes(self) -> int:
        return self._dtype.itemsize * math.prod(self._shape)

    @property
    def count(self) -> int:
        """Number of finished samples."""
        return sum(map(len, self._values))

    @property
    def values(self) -> npt.NDArray[Any]:
        """Values of the finished samples, shape (count, ...)."""
        return np.concatenate([np.zeros((0, *self._shape), self._dtype), *self._values])

    def append(self, batch: Batch) -> None:
        """Add the samples that follow, in the file as well."""
        values = np.ascontiguousarray(batch.values, self._dtype)
        data = values.tobytes()
        body = struct.pack(_RECORD, 0, len(data), batch.saturations)[4:] + data
        with naming(self.path):
            self._file.write(zlib.crc32(body).to_bytes(4, "little") + body)
            self._file.flush()
        self._values.append(values)
        self.saturations += batch.saturations

    def remove(self) -> None:
        """Delete the file."""
        self._file.close()
        self.path.unlink()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if not self._file.closed:
            self._file.close()
            if not self.count:
                self.path.unlink()


def _read_records(file: BinaryIO, sample_bytes: int, most: int) -> Iterator[tuple[bytes, int]]:
    """Yield values and saturations of every sound record, of no more than `most` samples."""
    # a damaged size must not ask for more memory
    left = min(os.fstat(file.fileno()).st_size, most * sample_bytes)
    while len(head := file.read(struct.calcsize(_RECORD))) == struct.calcsize(_RECORD):
        crc, size, saturations = struct.unpack(_RECORD, head)
        if not 0 < size <= left or size % sample_bytes:
            return
        data = file.read(size)
        if zlib.crc32(head[4:] + data) != crc:
            return
        left -= size
        yield data, saturations


def _shorten(line: bytes) -> str:
    try:
        items = json.loads(line).items()
    except (ValueError, AttributeError, RecursionError):
        return "something else"
    return ", ".join(f"{name} {str(value)[:16]}" for name, value in items)
