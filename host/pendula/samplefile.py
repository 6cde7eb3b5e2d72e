"""Files of samples (``.npz``), as :func:`numpy.savez` writes them.

Of a file that is read nothing is taken but `values`, and nothing of that before its size, type and
shape are checked.
"""

import re
import zipfile
import zlib
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
import numpy.typing as npt

from pendula.contract.step import PIXEL_HI
from pendula.errors import DataError
from pendula.files import replacing

__all__ = ["MAX_PIXELS", "load_pixels", "save"]

FloatArray = npt.NDArray[np.float64]

MAX_PIXELS = 1 << 27            # of a file that is read, a byte each; eight as real numbers
_MAX_DIRECTORY_BYTES = 1 << 16
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)      # of savez and savez_compressed
_MAGIC = b"\x93NUMPY\x01\x00"
_HEADER = re.compile(rb"\{'descr': '([^']{0,16})', 'fortran_order': (True|False), "
                     rb"'shape': \(([0-9, ]{0,64})\), \} *\n")
_DAMAGE = (OSError, ValueError, RuntimeError, EOFError, zipfile.BadZipFile, zlib.error)


def save(path: Path, values: npt.NDArray[Any], **about: Any) -> None:
    """Write samples and what they are, whole or not at all.

    Parameters
    ----------
    path : Path
        File to write or to replace.
    values : array, shape (n, V)
        The samples.
    **about
        Numbers and words.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez(file, values=values, **about)


def load_pixels(path: Path) -> FloatArray:
    """Return the images of a file of samples, pixels from 0 to 1, shape (n, V).

    Raises
    ------
    DataError
        If it is no such file, is damaged or too large, or holds states instead of pixels.
    """
    try:
        with path.open("rb") as raw:
            _check_directory(raw)
            with zipfile.ZipFile(raw) as file:
                return _read_pixels(file, _find_values(file)) / PIXEL_HI
    except _DAMAGE as error:
        raise DataError(f"{path} must be a file of samples (.npz): "
                        f"{str(error) or 'it is cut short'}") from error


def _check_directory(raw: IO[bytes]) -> None:
    """Refuse a long list of members: zipfile reads all of it before it gives a name."""
    size = raw.seek(0, 2)
    raw.seek(max(0, size - 42))
    end = raw.read().rjust(42, b"\0")       # 20 bytes that larger files have, and the last 22
    if end[20:24] != b"PK\5\6" or end[40:] != b"\0\0" or end[:4] == b"PK\6\7":
        raise ValueError("it must end as numpy.savez ends a file of less than 4 GiB")
    if (listed := int.from_bytes(end[32:36], "little")) > _MAX_DIRECTORY_BYTES:
        raise ValueError(f"its list of members must have at most {_MAX_DIRECTORY_BYTES} bytes, "
                         f"not {listed}")


def _find_values(file: zipfile.ZipFile) -> zipfile.ZipInfo:
    found = [one for one in file.infolist() if one.filename == "values.npy"]
    if len(found) != 1:
        raise ValueError(f"it must hold values once, not {len(found)} times")
    if found[0].compress_type not in _METHODS:
        raise ValueError("values must be stored or deflated, not compressed by method "
                         f"{found[0].compress_type}")
    return found[0]


def _read_pixels(file: zipfile.ZipFile, info: zipfile.ZipInfo) -> npt.NDArray[np.uint8]:
    """Return the array of a member; its header accounts for every byte."""
    with file.open(info) as member:
        start = member.read(len(_MAGIC) + 2)
        text = member.read(int.from_bytes(start[-2:], "little"))
        shape, order = _read_header(start, text)
        pixels = shape[0] * shape[1]
        if len(start) + len(text) + pixels != info.file_size:
            raise ValueError(f"values must have the {pixels} bytes of shape {shape}, not "
                             f"{info.file_size - len(start) - len(text)}")
        return np.frombuffer(member.read(pixels), np.uint8).reshape(shape, order=order)


def _read_header(start: bytes, text: bytes) -> tuple[tuple[int, ...], Literal["C", "F"]]:
    """Return shape and order of an array of pixels."""
    header = _HEADER.fullmatch(text)
    if not start.startswith(_MAGIC) or not header:
        raise ValueError(f"values must begin as numpy.save begins, not with {start + text[:80]!r}")
    kind = header[1].decode("ascii", "replace")
    shape = tuple(int(side) for side in header[3].split(b",") if side.strip())
    if kind != "|u1" or len(shape) != 2:
        raise ValueError(f"values must be 8-bit pixels of shape (n, V), not {kind!r} of shape "
                         f"{shape}: draw them without --raw")
    if shape[0] * shape[1] > MAX_PIXELS:
        raise ValueError(f"values must be at most {MAX_PIXELS} pixels, not {shape}")
    return shape, "F" if header[2] == b"True" else "C"
