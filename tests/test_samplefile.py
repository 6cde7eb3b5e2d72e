"""Files of samples: what is written is read, and a stranger's file is refused before it is read."""

import struct
import tracemalloc
from io import BytesIO
from pathlib import Path
from zipfile import ZIP_BZIP2, ZIP_DEFLATED, ZIP_LZMA, ZipFile

import numpy as np
import pytest

from pendula.errors import DataError
from pendula.samplefile import MAX_PIXELS, load_pixels, save

PIXELS = np.arange(12, dtype=np.uint8).reshape(3, 4)


def header(text: str) -> bytes:
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text) + 1) + text.encode() + b"\n"


def pixel_header(*shape: int) -> bytes:
    return header(f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}")


def holding(path: Path, *members: bytes, method: int = 0) -> Path:
    with ZipFile(path, "w", method) as file:
        for data in members:
            file.writestr("values.npy", data)
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "S.npz"


@pytest.mark.parametrize("values", [PIXELS, PIXELS.T, PIXELS[:, ::2], PIXELS[:0]])
@pytest.mark.parametrize("write", [save, np.savez, np.savez_compressed])
def test_what_is_written_is_read(path, write, values):
    write(path, values=values, program="x", seed=1)
    assert np.array_equal(load_pixels(path), values / 255)


def test_numpy_reads_all_of_it(path):
    save(path, PIXELS, seed=1 << 60, program="x", image_shape=(2, 2))
    with np.load(path, allow_pickle=False) as file:
        assert {name: file[name].tolist() for name in file} == {
            "values": PIXELS.tolist(), "seed": 1 << 60, "program": "x", "image_shape": [2, 2]}


@pytest.mark.parametrize(("values", "text"), [
    (np.zeros((3, 4), np.int32), "must be 8-bit pixels of shape (n, V), not '<i4' of shape (3, 4)"),
    (np.zeros(4, np.uint8), "not '|u1' of shape (4,)"),
    (np.array([["a", None]]), "not '|O' of shape (1, 2)"),
    (np.zeros((1, 1), "u1,u1"), "values must begin as numpy.save begins"),
])
def test_other_arrays_are_refused(path, values, text):
    np.savez(path, values=values)
    with pytest.raises(DataError) as caught:
        load_pixels(path)
    assert f"{path} must be a file of samples (.npz): values must b" in str(caught.value)
    assert text in str(caught.value)


@pytest.mark.parametrize(("data", "text"), [
    (pixel_header(3, 4) + bytes(11), "must have the 12 bytes of shape (3, 4), not 11"),
    (pixel_header(3, 4) + bytes(13), "must have the 12 bytes of shape (3, 4), not 13"),
    (pixel_header(1 << 20, 1 << 20), f"at most {MAX_PIXELS} pixels, not (1048576, 1048576)"),
    (pixel_header(10 ** 30, 0), f"must have the 0 bytes of shape ({10 ** 30}, 0)"),
    (header("{'descr': '|u1', 'fortran_order': False, 'shape': (1 2, 3), }"), "'1 2'"),
    (header("[" * 60000), "must begin as numpy.save begins, not with b'\\x93NUMPY"),
    (b"", "must begin as numpy.save begins, not with b''"),
])
def test_forged_headers_are_refused(path, data, text):
    if data.startswith(pixel_header(10 ** 30, 0)):
        data += b"1"
    with pytest.raises(DataError) as caught:
        load_pixels(holding(path, data))
    assert text in str(caught.value)


def test_a_small_file_of_much_is_refused_unread(path):
    big = pixel_header(1 << 14, 1 << 14)
    with ZipFile(path, "w", ZIP_DEFLATED) as file, file.open("values.npy", "w") as member:
        member.write(big)
        for _ in range(256):
            member.write(bytes(1 << 20))
    assert path.stat().st_size < 1 << 20
    tracemalloc.start()
    with pytest.raises(DataError, match="at most"):
        load_pixels(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20


def test_bytes_beyond_those_announced_are_never_unpacked(path):
    """The list of members says 12,000 pixels, the packed bytes go on for 16 MiB."""
    start = pixel_header(3000, 4)
    data = start + bytes(1 << 24)
    holding(path, data, method=ZIP_DEFLATED)
    said, true = (struct.pack("<I", n) for n in (len(start) + 12000, len(data)))
    path.write_bytes(path.read_bytes().replace(true, said))
    tracemalloc.start()
    with pytest.raises(DataError, match="CRC"):
        load_pixels(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20


def test_a_file_that_ends_before_its_values_do_is_refused(path):
    data = pixel_header(3000, 4)
    said = struct.pack("<II", *[len(data) + 12000] * 2)
    whole = holding(path, data).read_bytes()
    place = whole.index(b"PK\1\2") + 20
    path.write_bytes(whole[:place] + said + whole[place + 8:])
    # what Python says where it looks at the places of entries first
    with pytest.raises(DataError, match=r"it is cut short|Overlapped entries"):
        load_pixels(path)


def test_packed_bytes_that_cannot_be_unpacked_are_refused(path):
    data = bytearray(holding(path, pixel_header(3, 4) + bytes(12), method=ZIP_DEFLATED)
                     .read_bytes())
    data[data.index(b"values.npy") + 10] = 0xff
    path.write_bytes(data)
    with pytest.raises(DataError, match="invalid block type"):
        load_pixels(path)


@pytest.mark.parametrize(("count", "text"), [
    (1, "it must hold values once, not 0 times"),
    (2000, "its list of members must have at most 65536 bytes, not")])
def test_members_are_checked(path, count, text):
    with ZipFile(path, "w") as file:
        for k in range(count):
            file.writestr(f"{k}.npy", b"x")
    with pytest.raises(DataError, match=text):
        load_pixels(path)


def test_values_stand_there_once(path):
    with pytest.warns(UserWarning, match="Duplicate"):
        holding(path, b"x", b"y")
    with pytest.raises(DataError, match="must hold values once, not 2 times"):
        load_pixels(path)


@pytest.mark.parametrize("method", [ZIP_BZIP2, ZIP_LZMA])
def test_other_compression_is_refused(path, method):
    with pytest.raises(DataError, match=f"not compressed by method {method}"):
        load_pixels(holding(path, pixel_header(3, 4) + bytes(12), method=method))


def damaged(place: int, value: int) -> bytes:
    """Return a sound file with a byte of its list of members replaced."""
    np.savez_compressed(file := BytesIO(), values=PIXELS)
    data = bytearray(file.getvalue())
    data[data.index(b"PK\1\2") + place] = value
    return bytes(data)


@pytest.mark.parametrize(("data", "text"), [
    (b"", "must end as"), (b"PK\x03\x04 no zip", "must end as"), (b"x" * 100, "must end as"),
    (damaged(8, 1), "encrypted"), (damaged(10, 99), "method 99"), (damaged(6, 255), "version"),
    (damaged(42, 200), r"\(\.npz\): \w"), (damaged(20, 1), "CRC")],
    ids=["empty", "no zip", "noise", "encrypted", "method", "version", "place", "size"])
def test_damaged_files_are_refused(path, data, text):
    path.write_bytes(data)
    with pytest.raises(DataError, match=text):
        load_pixels(path)


def test_a_file_that_is_missing_is_named(path):
    with pytest.raises(DataError, match=r"S\.npz must be a file of samples"):
        load_pixels(path)
