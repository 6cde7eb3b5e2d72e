"""Flashing against a stand-in for openFPGALoader and a virtual board on a pseudo-terminal."""

import hashlib
import json
import os
import sys
from contextlib import ExitStack
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from boards import ResponderEngine, pty_port, serving
from fpga.small import SMALL
from interrupting import has_ended, sleeping_tool, stop
from pendula import cli
from pendula_boards import flash
from pendula_boards.catalogue import find_board
from pendula_boards.tools import find_tool

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals")

SERVED = "00" * 32      # build id of the virtual board


@pytest.fixture
def loader(monkeypatch, tmp_path):
    """Put a program on PATH that notes its arguments, and fails where a file says so."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "openFPGALoader"
    program.write_text('#!/bin/sh\ncd "$(dirname "$0")"\n[ "$1" = --version ] && exit 1\n'
                       'echo "$@" >> calls\n[ -e fail ] && cat fail && exit 3\nexit 0\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    find_tool.cache_clear()
    yield folder
    find_tool.cache_clear()


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(flash, "_APPEAR_S", 0.2)


@pytest.fixture
def port():
    with ExitStack() as stack:
        board = stack.enter_context(serving(ResponderEngine(SMALL), pty_port))
        yield board.url.removeprefix("serial://")


def write_build(folder, board="ulx3s-25f", build_id=SERVED, **changes):
    folder.mkdir(exist_ok=True)
    (folder / f"{board}.bit").write_bytes(b"bits")
    report = {"board": board, "build_id": build_id, "bitstream": f"{board}.bit",
              "bitstream_sha256": hashlib.sha256(b"bits").hexdigest(), "baud_hz": 1_000_000}
    (folder / "report.json").write_text(json.dumps(report | changes))
    return folder


def run(*arguments, answer=None):
    result = CliRunner().invoke(cli.main, ["flash", *map(str, arguments)], prog_name="pendula",
                                input=answer)
    return result.exit_code, result.stdout, result.stderr


def calls(loader):
    path = loader / "calls"
    return path.read_text().splitlines() if path.exists() else []


@pytest.mark.parametrize("named", ["folder", "file"])
def test_a_board_is_loaded_and_asked(loader, port, tmp_path, named):
    folder = write_build(tmp_path / "out")
    bitstream = folder / "ulx3s-25f.bit"
    code, out, err = run("ulx3s-25f", folder if named == "folder" else bitstream, "--port", port,
                         "--json")
    assert (code, err) == (0, "")
    assert calls(loader) == [f"-b ulx3s {bitstream}"]
    assert json.loads(out) == {
        "board": "ulx3s-25f", "bitstream": str(bitstream), "written_to": "FPGA",
        "url": f"serial://{port}?baud=1000000", "build_id": SERVED[:16], "lanes": 1, "nodes": 16}


def test_a_board_that_runs_another_build_is_refused(loader, port, tmp_path):
    folder = write_build(tmp_path / "out", build_id="ab" * 32)
    code, out, err = run("ulx3s-25f", folder, "--port", port)
    assert (code, out) == (2, "")
    assert f"must run build {'ab' * 8}, as was loaded, not {'00' * 8}" in err


@pytest.mark.parametrize(("board", "options", "answer", "code"), [
    ("icebreaker", [], "y\n", 0), ("icebreaker", [], "n\n", 130), ("icebreaker", ["--yes"], "", 0),
    ("ulx3s-25f", ["--permanent", "--yes"], "", 0),
])
def test_flash_is_written_only_after_asking(loader, port, tmp_path, board, options, answer, code):
    folder = write_build(tmp_path / "out", board=board)
    ended, _, err = run(board, folder, "--port", port, *options, answer=answer)
    assert ended == code
    assert "will be written to the flash of" in err
    written = [f"-b {find_board(board).loader} -f {folder / f'{board}.bit'}"]
    assert calls(loader) == (written if code == 0 else [])


def test_a_bitstream_for_another_board_is_refused(loader, tmp_path):
    code, _, err = run("ulx3s-45f", write_build(tmp_path / "out"))
    assert (code, calls(loader)) == (2, [])
    assert "is for the board 'ulx3s-25f', not 'ulx3s-45f'" in err


def test_a_bitstream_that_is_not_the_reports_is_refused(loader, tmp_path):
    folder = write_build(tmp_path / "out")
    (folder / "ulx3s-25f.bit").write_bytes(b"others")
    assert "is not the bitstream that" in run("ulx3s-25f", folder)[2]
    (folder / "report.json").unlink()
    assert "with its report.json beside it" in run("ulx3s-25f", folder)[2]
    assert calls(loader) == []


@pytest.mark.parametrize(("words", "advice"), [
    ("unable to open ftdi device", "check that ULX3S 25F is plugged in"),
    ("error while loading shared libraries: libftdi1.so.2", "install libusb-1.0-0, libftdi1-2"),
])
def test_a_loader_that_fails_is_quoted(loader, tmp_path, words, advice):
    (loader / "fail").write_text(words)
    code, _, err = run("ulx3s-25f", write_build(tmp_path / "out"))
    assert code == 2
    assert f"openFPGALoader failed with code 3: {words}. To mend it, {advice}" in err


def test_ctrl_c_ends_the_loader(tmp_path):
    folder, ids = write_build(tmp_path / "out"), sleeping_tool(tmp_path / "bin", "openFPGALoader")
    code, out, err = stop("flash", "ulx3s-25f", folder, when=lambda: list(ids.iterdir()),
                          PATH=f"{ids.parent}:{os.environ['PATH']}")
    assert (code, out, err) == (130, "", "\npendula: interrupted\n")
    loader, = ids.iterdir()
    assert has_ended(int(loader.name))


def test_a_port_that_is_not_there(loader, tmp_path):
    code, _, err = run("ulx3s-25f", write_build(tmp_path / "out"), "--port", "/dev/none")
    assert code == 2
    assert "plug the board in" in err


def test_a_port_that_is_taken(loader, port, tmp_path):
    import serial
    with serial.Serial(port, exclusive=True):
        code, _, err = run("ulx3s-25f", write_build(tmp_path / "out"), "--port", port)
    assert code == 2
    assert "another program has it open" in err


def test_no_loader(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("sysconfig.get_path", lambda name: str(tmp_path))
    find_tool.cache_clear()
    code, _, err = run("ulx3s-25f", write_build(tmp_path / "out"))
    assert code == 2
    assert "openFPGALoader must be on PATH, or come from openfpgaloader" in err


def usb_port(device, usb, location=""):
    return SimpleNamespace(device=device, vid=usb[0], pid=usb[1], location=location)


@pytest.mark.parametrize(("name", "ports", "expected"), [
    ("ulx3s-25f", [usb_port("/dev/a", (0x0403, 0x6015)), usb_port("/dev/b", (1, 2))], "/dev/a"),
    ("icebreaker", [usb_port("/dev/a", (0x0403, 0x6010), "1-2:1.0"),
                    usb_port("/dev/b", (0x0403, 0x6010), "1-2:1.1")], "/dev/b"),
    ("ulx3s-25f", [], r"0403:6015\) must be there, not none"),
    ("ulx3s-25f", 2 * [usb_port("/dev/a", (0x0403, 0x6015))], "not /dev/a, /dev/a"),
    ("orangecrab-85f", [], "has no USB bridge of its own"),
])
def test_the_port_is_found_by_its_usb_ids(monkeypatch, name, ports, expected):
    monkeypatch.setattr(flash.list_ports, "comports", lambda: ports)
    if expected.startswith("/dev"):
        assert flash.find_port(find_board(name)) == expected
        return
    with pytest.raises(flash.LinkDownError, match=expected):
        flash.find_port(find_board(name))
