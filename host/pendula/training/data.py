"""Training images: the built-in digits, and IDX files in a folder."""

import gzip
import hashlib
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pendula.errors import DataError
from pendula.extras import import_extra

__all__ = ["Images", "area_resize", "load_digits", "load_mnist", "read_idx"]

FloatArray = npt.NDArray[np.float64]

_HELD_OUT_DIGITS = 500
_SPLIT_SEED = 0
_IDX_UBYTE = 0x08
_IDX_BYTES = 1 << 28        # larger files are refused
_MNIST = {"train": "train", "held_out": "t10k"}
# SHA-256 of the unpacked files, as published since 1998.
_MNIST_SHA256 = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}


@dataclass(frozen=True, eq=False, kw_only=True)
class Images:
    """Images of one kind, split.

    Parameters
    ----------
    train, held_out : array, shape (n, V)
        Pixels from 0 (black) to 1 (white), row by row.
    shape : tuple of int
        Rows and columns.
    """

    train: FloatArray
    held_out: FloatArray
    shape: tuple[int, int]

    @property
    def digest(self) -> str:
        """SHA-256 of the training pixels, in hexadecimal."""
        return hashlib.sha256(np.ascontiguousarray(self.train, dtype="<f8").tobytes()).hexdigest()


def load_digits() -> Images:
    """Return scikit-learn's 1,797 8x8 digits of all ten classes; 500 of them are held out.

    Raises
    ------
    MissingExtraError
        If scikit-learn is not installed.
    """
    digits = import_extra("sklearn.datasets", "train").load_digits()
    order = np.random.default_rng(_SPLIT_SEED).permutation(len(digits.data))
    pixels = digits.data[order] / digits.data.max()
    return Images(train=pixels[_HELD_OUT_DIGITS:], held_out=pixels[:_HELD_OUT_DIGITS], shape=(8, 8))


def load_mnist(folder: Path, classes: tuple[int, ...], side: int) -> Images:
    """Return MNIST images of some classes, resized by area from 28x28.

    Parameters
    ----------
    folder : Path
        Holds the four IDX files, plain or with ``.gz``.
    classes : tuple of int
        Digits to keep.
    side : int
        Rows and columns of the result.

    Raises
    ------
    DataError
        If a file is missing or not the published one.
    """
    splits = {}
    for split, prefix in _MNIST.items():
        images = _read_published(folder, f"{prefix}-images-idx3-ubyte")
        labels = _read_published(folder, f"{prefix}-labels-idx1-ubyte")
        kept = images[np.isin(labels, classes)] / 255
        splits[split] = area_resize(kept, side).reshape(len(kept), -1)
    return Images(**splits, shape=(side, side))


def area_resize(images: FloatArray, side: int) -> FloatArray:
    """Return square images of `side` pixels, each the mean of the area that it covers."""
    old = images.shape[-1]
    edges = np.arange(side + 1) * (old / side)
    lo = np.maximum(edges[:-1, None], np.arange(old))
    hi = np.minimum(edges[1:, None], np.arange(old) + 1)
    weights = np.maximum(hi - lo, 0) * (side / old)
    return weights @ images @ weights.T


def _read_published(folder: Path, name: str) -> npt.NDArray[np.uint8]:
    content = _read_file(folder, name)
    found = hashlib.sha256(content).hexdigest()
    if found != _MNIST_SHA256[name]:
        raise DataError(f"{folder / name} must be the published MNIST file with SHA-256 "
                        f"{_MNIST_SHA256[name]}, not {found}")
    return read_idx(content, name)


def _read_file(folder: Path, name: str) -> bytes:
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            try:
                with (gzip.open(path) if path.suffix == ".gz" else path.open("rb")) as file:
                    content = file.read(_IDX_BYTES + 1)
            except (OSError, EOFError, zlib.error) as error:
                raise DataError(f"{path} must be readable, not fail with: {error}") from None
            if len(content) > _IDX_BYTES:
                raise DataError(f"{path} must unpack to at most {_IDX_BYTES} bytes")
            return content
    raise DataError(f"--data must name a folder with {name} or {name}.gz, not {str(folder)!r}")


def read_idx(content: bytes, name: str) -> npt.NDArray[np.uint8]:
    """Read an IDX file of unsigned bytes.

    Raises
    ------
    DataError
        If the content is something else, or cut short.
    """
    if len(content) < 4 or content[:3] != bytes((0, 0, _IDX_UBYTE)):
        raise DataError(f"{name} must be an IDX file of unsigned bytes, "
                        f"not begin with {content[:4].hex() or 'nothing'}")
    start = 4 + 4 * content[3]
    if len(content) < start:
        raise DataError(f"{name} must hold {content[3]} dimensions, not end after "
                        f"{len(content)} bytes")
    shape = struct.unpack(f">{content[3]}I", content[4:start])
    size = int(np.prod(shape, dtype=object))
    if len(content) - start != size:
        raise DataError(f"{name} must hold {size} bytes of data for shape {shape}, "
                        f"not {len(content) - start}")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)
