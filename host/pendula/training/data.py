"""Training images: scikit-learn's digits; MNIST and Fashion-MNIST from a folder of IDX files."""

import gzip
import hashlib
import os
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt

from pendula.errors import DataError
from pendula.extras import import_extra

__all__ = ["DATASETS", "FloatArray", "Images", "area_average", "load_digits", "load_idx_images",
           "load_images", "load_mixture", "load_mnist01", "read_idx"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_MIXTURE_POINTS = 6000
MAX_IDX_BYTES = 1 << 28
_IDX_UNSIGNED_BYTES = b"\x00\x00\x08"        # magic number, before the number of dimensions

_SHA256 = {     # of the IDX files, unpacked, by family
    "MNIST": {
        "train-images-idx3-ubyte":
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "train-labels-idx1-ubyte":
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "t10k-images-idx3-ubyte":
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "t10k-labels-idx1-ubyte":
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    },
    "Fashion-MNIST": {
        "train-images-idx3-ubyte":
            "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "train-labels-idx1-ubyte":
            "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "t10k-images-idx3-ubyte":
            "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "t10k-labels-idx1-ubyte":
            "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    },
}


@dataclass(frozen=True, eq=False, kw_only=True)
class Images:
    """Grey images in two parts: one to learn from, one to judge by.

    Parameters
    ----------
    shape : tuple of int
        Rows and columns.
    train, held_out : array of float, shape (n, rows * columns)
        Pixels from 0 (black) to 1 (white), one image a row.
    train_labels, held_out_labels : array of int, shape (n,)
        What each image shows.
    """

    shape: tuple[int, int]
    train: FloatArray
    held_out: FloatArray
    train_labels: IntArray
    held_out_labels: IntArray

    @property
    def sha256(self) -> str:
        """Hash of the training images, in hexadecimal."""
        return hashlib.sha256(np.ascontiguousarray(self.train, dtype="<f8").tobytes()).hexdigest()


def load_images(name: str, folder: str | os.PathLike[str] | None = None) -> Images:
    """Return the images of a data set.

    Parameters
    ----------
    name : str
        One of `DATASETS`.
    folder : path, optional
        Where its files are, for those that do not come with a library.

    Raises
    ------
    DataError
        If there is no such data set, or a file is missing, damaged or another.
    MissingExtraError
        If scikit-learn is needed and not installed.
    """
    if name not in DATASETS:
        raise DataError(f"data set must be one of {', '.join(DATASETS)}, not {name!r}")
    return DATASETS[name](Path(folder) if folder is not None else None)


# scikit-learn's digits

def load_digits(folder: Path | None = None) -> Images:
    """Return the 8x8 digits of scikit-learn, all ten classes; every fifth image is held out.

    Raises
    ------
    DataError
        If a folder is given: these images come with scikit-learn.
    MissingExtraError
        If scikit-learn is not installed.
    """
    if folder is not None:
        raise DataError(f"digits needs no data folder, not {str(folder)!r}: omit it")
    bunch = import_extra("sklearn.datasets", "train").load_digits()
    images, labels = bunch.data / 16.0, bunch.target.astype(np.int64)
    held_out = np.arange(len(images)) % 5 == 4
    return Images(shape=(8, 8), train=images[~held_out], held_out=images[held_out],
                  train_labels=labels[~held_out], held_out_labels=labels[held_out])


# A mixture of two Gaussians

def load_mixture(folder: Path | None = None) -> Images:
    """Return points of an equal mixture of two Gaussians in two dimensions, as two pixels.

    Centres (1/4, 1/4) and (3/4, 3/4), standard deviation 1/16 in each pixel; 4,000 points to learn
    from and 2,000 held out, labelled by the Gaussian that they come from. No point is clipped.

    Raises
    ------
    DataError
        If a folder is given: these points are drawn from a fixed seed.
    """
    if folder is not None:
        raise DataError(f"mixture-2d needs no data folder, not {str(folder)!r}: omit it")
    rng = np.random.default_rng(20261122)
    labels = rng.integers(2, size=_MIXTURE_POINTS)
    points = 0.25 + 0.5 * labels[:, None] + rng.standard_normal((_MIXTURE_POINTS, 2)) / 16
    held_out = np.arange(_MIXTURE_POINTS) % 3 == 2
    return Images(shape=(1, 2), train=points[~held_out], held_out=points[held_out],
                  train_labels=labels[~held_out], held_out_labels=labels[held_out])


# MNIST and Fashion-MNIST

def load_mnist01(folder: Path | None) -> Images:
    """Return MNIST's zeros and ones, averaged to 12x12 pixels; its test set is held out.

    The arguments and errors are those of :func:`load_idx_images`.
    """
    return load_idx_images("MNIST", folder, classes=range(2), shape=(12, 12))


def load_idx_images(family: str, folder: Path | None, *, classes: range = range(10),
                    shape: tuple[int, int] = (28, 28)) -> Images:
    """Return images of MNIST or Fashion-MNIST; their test set is held out.

    Parameters
    ----------
    family : str
        ``MNIST`` or ``Fashion-MNIST``.
    folder : path
        Holds the four IDX files ``train-images-idx3-ubyte`` and so on, plain or gzipped.
    classes : range
        Labels to keep.
    shape : tuple of int
        Rows and columns to average the 28x28 pixels to.

    Raises
    ------
    DataError
        If a file is missing or damaged, or is not of this family.
    """
    if folder is None:
        raise DataError(f"data must be the folder with the {family} IDX files (--data), not none")
    train, train_labels = _load_part(family, folder, "train", classes, shape)
    held_out, held_out_labels = _load_part(family, folder, "t10k", classes, shape)
    return Images(shape=shape, train=train, held_out=held_out, train_labels=train_labels,
                  held_out_labels=held_out_labels)


def _load_part(family: str, folder: Path, part: str, classes: range,
               shape: tuple[int, int]) -> tuple[FloatArray, IntArray]:
    images = _read_known(family, folder, f"{part}-images-idx3-ubyte")
    labels = _read_known(family, folder, f"{part}-labels-idx1-ubyte")
    kept = np.isin(labels, classes)
    chosen = images[kept] / 255.0
    chosen = chosen if chosen.shape[1:] == shape else area_average(chosen, shape)
    return chosen.reshape(len(chosen), -1), labels[kept].astype(np.int64)


def _read_known(family: str, folder: Path, name: str) -> npt.NDArray[np.uint8]:
    packed, plain = folder / f"{name}.gz", folder / name
    for path in (packed, plain):
        if path.is_file():
            break
    else:
        raise DataError(f"data folder must hold {packed.name} or {plain.name}, "
                        f"not {_listing(folder)}")
    array, expected = read_idx(path), _SHA256[family][name]
    found = hashlib.sha256(_idx_header(array.shape) + array.tobytes()).hexdigest()
    if found != expected:
        raise DataError(f"{path} must be {family}'s (SHA-256 {expected} unpacked), "
                        f"not another file ({found})")
    return array


def _listing(folder: Path) -> str:
    try:
        names = sorted(path.name for path in folder.iterdir())
    except OSError as error:
        return f"{str(folder)!r}: {error.strerror}"
    return ", ".join(names[:8]) or "nothing"


def _idx_header(shape: tuple[int, ...]) -> bytes:
    sides = b"".join(side.to_bytes(4, "big") for side in shape)
    return _IDX_UNSIGNED_BYTES + bytes([len(shape)]) + sides


def read_idx(path: str | os.PathLike[str]) -> npt.NDArray[np.uint8]:
    """Read an IDX file of unsigned bytes, gzipped if its name ends in ``.gz``.

    Raises
    ------
    DataError
        If it cannot be read, is no IDX file of unsigned bytes, or has another length than its
        header says.
    """
    path = Path(path)
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            return _parse_idx(path, file)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path} must be a whole gzip file: {error}") from error
    except OSError as error:
        raise DataError(f"{path} must be readable: {error.strerror}") from error


def _parse_idx(path: Path, file: gzip.GzipFile | IO[bytes]) -> npt.NDArray[np.uint8]:
    start = file.read(4)
    if len(start) < 4 or start[:3] != _IDX_UNSIGNED_BYTES or not 1 <= start[3] <= 4:
        raise DataError(f"{path} must begin as an IDX file of unsigned bytes, not {start!r}")
    sides = file.read(4 * start[3])
    shape = tuple(int.from_bytes(sides[k:k + 4], "big") for k in range(0, len(sides), 4))
    size = int(np.prod(shape, dtype=object))
    if size > MAX_IDX_BYTES:
        raise DataError(f"{path} must hold at most {MAX_IDX_BYTES} bytes, not {shape}")
    data = file.read(size + 1)
    if len(sides) < 4 * start[3] or len(data) != size:
        raise DataError(f"{path} must hold the {shape} bytes that it announces, "
                        f"not {'more' if len(data) > size else len(data)}")
    return np.frombuffer(data, np.uint8).reshape(shape)


def area_average(images: FloatArray, shape: tuple[int, int]) -> FloatArray:
    """Shrink images to `shape`: every new pixel is the mean of the area that it covers.

    Parameters
    ----------
    images : array, shape (n, rows, columns)
        Need not be a multiple of the new size.
    shape : tuple of int
        New rows and columns.
    """
    rows, columns = (_overlaps(old, new) for old, new in zip(images.shape[1:], shape, strict=True))
    return rows @ images @ columns.T


def _overlaps(old: int, new: int) -> FloatArray:
    """Return the share of each new pixel that each old pixel covers, shape (new, old)."""
    edges = np.arange(new + 1)[:, None] * old / new
    ends = np.clip(edges, np.arange(old), np.arange(old) + 1)
    return (ends[1:] - ends[:-1]) * new / old


DATASETS: dict[str, Callable[[Path | None], Images]] = {
    "digits": load_digits,
    "mixture-2d": load_mixture,
    "mnist01-12": load_mnist01,
    "mnist": partial(load_idx_images, "MNIST"),
    "fashion-mnist": partial(load_idx_images, "Fashion-MNIST"),
}
