"""Training images: what the digits hold, and what damaged IDX files are told."""

import gzip
import hashlib
import os
from pathlib import Path

import numpy as np
import pytest

from pendula.errors import DataError
from pendula.training import data
from pendula.training.data import area_average, load_images, read_idx


def idx(shape: tuple[int, ...], values: bytes) -> bytes:
    return bytes([0, 0, 8, len(shape)]) + b"".join(n.to_bytes(4, "big") for n in shape) + values


def test_the_digits_are_all_there_and_split() -> None:
    images = load_images("digits")
    assert images.shape == (8, 8)
    assert (images.train.shape, images.held_out.shape) == ((1438, 64), (359, 64))
    assert (images.train.min(), images.train.max()) == (0, 1)
    assert set(images.train_labels) == set(images.held_out_labels) == set(range(10))
    assert len(images.sha256) == 64


def test_digits_take_no_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="digits needs no data folder"):
        load_images("digits", tmp_path)


def test_the_mixture_is_what_it_says() -> None:
    images = load_images("mixture-2d")
    assert images.shape == (1, 2)
    assert (images.train.shape, images.held_out.shape) == ((4000, 2), (2000, 2))
    assert 0 < images.train.min() < images.train.max() < 1
    for label, centre in ((0, 0.25), (1, 0.75)):
        points = images.train[images.train_labels == label]
        assert abs(len(points) - 2000) < 4 * np.sqrt(1000)
        assert (np.abs(points.mean(axis=0) - centre) < 4 / 16 / np.sqrt(len(points))).all()
        error = 4 * np.sqrt(2 / len(points)) / 256
        np.testing.assert_allclose(np.cov(points.T), np.eye(2) / 256, atol=error)
    with pytest.raises(DataError, match="mixture-2d needs no data folder"):
        load_images("mixture-2d", Path("here"))


def test_an_unknown_data_set_is_named() -> None:
    with pytest.raises(DataError, match=r"must be one of digits, mixture-2d, .*, not 'fashion'"):
        load_images("fashion")


# IDX

@pytest.mark.parametrize("name", ["a", "a.gz"])
def test_idx_files_plain_and_gzipped(tmp_path: Path, name: str) -> None:
    raw = idx((2, 3), bytes(range(6)))
    (tmp_path / name).write_bytes(gzip.compress(raw) if name.endswith("gz") else raw)
    array = read_idx(tmp_path / name)
    assert array.dtype == np.uint8
    assert array.tolist() == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.parametrize(("raw", "text"), [
    (b"", "must begin as an IDX file"),
    (b"\x00\x00\x0d\x01" + bytes(8), "must begin as an IDX file of unsigned bytes"),
    (b"\x00\x00\x08\x00", "must begin as an IDX file"),
    (b"\x00\x00\x08\x03\x00\x00", "must hold the .* bytes that it announces"),
    (idx((2, 3), bytes(5)), r"must hold the \(2, 3\) bytes that it announces, not 5"),
    (idx((2, 3), bytes(7)), r"must hold the \(2, 3\) bytes that it announces, not more"),
    (idx((0xFFFFFFFF, 0xFFFFFFFF), b""), "at most"),
])
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_damaged_idx_files(tmp_path: Path, raw: bytes, text: str, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(gzip.compress(raw) if suffix else raw)
    with pytest.raises(DataError, match=text):
        read_idx(path)


@pytest.mark.parametrize("damage", [
    lambda packed: packed[:-12], lambda packed: b"PK" + packed,
    lambda packed: packed[:12] + bytes(4) + packed[16:],
    lambda packed: packed[:10] + b"\xff" + packed[11:], lambda _: b""])
def test_damaged_gzip_files(tmp_path: Path, damage) -> None:
    path = tmp_path / "a.gz"
    path.write_bytes(damage(gzip.compress(idx((2, 3), bytes(range(6))))))
    with pytest.raises(DataError):
        read_idx(path)


def test_a_missing_idx_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="must be readable: No such file"):
        read_idx(tmp_path / "none")


# Shrinking

def test_area_averages_are_exact() -> None:
    images = np.arange(16.0).reshape(1, 4, 4)
    np.testing.assert_allclose(area_average(images, (2, 2)), [[[2.5, 4.5], [10.5, 12.5]]])
    np.testing.assert_allclose(area_average(images, (4, 4)), images)
    column = np.array([[[1.0], [2.0], [6.0]]])
    np.testing.assert_allclose(area_average(column, (2, 1)), [[[4 / 3], [14 / 3]]])


def test_area_averages_keep_the_mean_and_the_range() -> None:
    images = np.random.default_rng(0).random((5, 28, 28))
    small = area_average(images, (12, 12))
    np.testing.assert_allclose(small.mean(axis=(1, 2)), images.mean(axis=(1, 2)))
    np.testing.assert_allclose(area_average(np.ones((1, 28, 28)), (12, 12)), np.ones((1, 12, 12)))


# MNIST

@pytest.fixture
def mnist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of MNIST's form: six images and labels a part, one part gzipped."""
    rng, hashes = np.random.default_rng(0), {}
    for part in ("train", "t10k"):
        arrays = {"images-idx3": rng.integers(0, 256, (6, 28, 28), dtype=np.uint8),
                  "labels-idx1": np.array([0, 1, 2, 1, 9, 0], dtype=np.uint8)}
        for kind, array in arrays.items():
            name, raw = f"{part}-{kind}-ubyte", idx(array.shape, array.tobytes())
            hashes[name] = hashlib.sha256(raw).hexdigest()
            path = tmp_path / (name if part == "train" else f"{name}.gz")
            path.write_bytes(raw if part == "train" else gzip.compress(raw))
    monkeypatch.setattr(data, "_SHA256", {"MNIST": hashes, "Fashion-MNIST": hashes})
    return tmp_path


def test_mnist_keeps_zeros_and_ones(mnist: Path) -> None:
    images = load_images("mnist01-12", mnist)
    assert images.shape == (12, 12)
    assert images.train_labels.tolist() == images.held_out_labels.tolist() == [0, 1, 1, 0]
    raw = read_idx(mnist / "train-images-idx3-ubyte")[3]
    np.testing.assert_allclose(images.train[2].mean(), raw.mean() / 255)


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_whole_images_of_all_classes(mnist: Path, name: str) -> None:
    images = load_images(name, mnist)
    assert images.shape == (28, 28)
    assert images.train_labels.tolist() == [0, 1, 2, 1, 9, 0]
    raw = read_idx(mnist / "train-images-idx3-ubyte")
    assert np.array_equal(images.train * 255, raw.reshape(6, -1))


def test_mnist_is_not_fashion(mnist: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    others = dict.fromkeys(data._SHA256["MNIST"], "0")
    monkeypatch.setitem(data._SHA256, "Fashion-MNIST", others)
    with pytest.raises(DataError, match=r"must be Fashion-MNIST's .* not another file"):
        load_images("fashion-mnist", mnist)


def test_other_files_under_mnists_names_are_refused(mnist: Path) -> None:
    path = mnist / "train-images-idx3-ubyte"
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)
    with pytest.raises(DataError, match=r"must be MNIST's .* not another file"):
        load_images("mnist01-12", mnist)


def test_a_missing_mnist_file_is_named(mnist: Path) -> None:
    (mnist / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(DataError, match=r"must hold t10k-labels-idx1-ubyte.gz or .*, not t10k-im"):
        load_images("mnist01-12", mnist)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file"):
        load_images("mnist01-12", tmp_path / "none")
    with pytest.raises(DataError, match="--data"):
        load_images("mnist01-12")


@pytest.mark.dataset
@pytest.mark.skipif("PENDULA_DATA" not in os.environ, reason="PENDULA_DATA names no folder")
def test_the_real_mnist() -> None:
    images = load_images("mnist01-12", Path(os.environ["PENDULA_DATA"]) / "mnist")
    assert (len(images.train), len(images.held_out)) == (12665, 2115)
    assert np.bincount(images.train_labels).tolist() == [5923, 6742]
    assert 0.1 < images.train.mean() < 0.15


@pytest.mark.dataset
@pytest.mark.skipif("PENDULA_DATA" not in os.environ, reason="PENDULA_DATA names no folder")
def test_the_real_fashion_mnist() -> None:
    images = load_images("fashion-mnist", Path(os.environ["PENDULA_DATA"]) / "fashion-mnist")
    assert np.bincount(images.train_labels).tolist() == [6000] * 10
    assert np.bincount(images.held_out_labels).tolist() == [1000] * 10
