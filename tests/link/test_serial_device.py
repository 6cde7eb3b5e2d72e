"""A serial port: its errors, and the search for the baud rate of the other end."""

import os
import sys
import termios
import threading
import tty
from collections.abc import Iterator

import pytest

import pendula
from boards import ResponderEngine, pty_port, serving
from pendula.contract import ArraySpec, get_physics
from pendula.contract.uart import DEFAULT_BAUD_HZ
from pendula.errors import LinkDownError, SilentLinkError, UrlError
from pendula.link import serial_device
from pendula.link.serial_device import SerialTransport
from responder import Responder

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals")

SPEC = ArraySpec(physics=get_physics("quartic"), nodes=3, offsets=(1,), segments=1, table_bits=3)


class PickyBoard:
    """A board on a pseudo-terminal that hears and answers at one baud rate, and else is silent."""

    def __init__(self, baud_hz: int) -> None:
        self.speed = getattr(termios, f"B{baud_hz}")
        self.heard_at: list[int] = []
        self._board, self._host = os.openpty()
        tty.setraw(self._host)
        self._responder = Responder(SPEC)
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    @property
    def path(self) -> str:
        return os.ttyname(self._host)

    def _work(self) -> None:
        while data := os.read(self._board, 1000):
            if data.endswith(b"end"):
                return
            self.heard_at.append(termios.tcgetattr(self._board)[4])
            if self.heard_at[-1] == self.speed:
                os.write(self._board, b"".join(self._responder.receive(data)))

    def close(self) -> None:
        os.write(self._host, b"end")
        self._thread.join()
        os.close(self._board)
        os.close(self._host)


@pytest.fixture
def picky(request: pytest.FixtureRequest) -> Iterator[PickyBoard]:
    board = PickyBoard(request.param)
    yield board
    board.close()


@pytest.mark.parametrize("picky", [DEFAULT_BAUD_HZ, 57_600], indirect=True)
def test_the_rate_that_is_asked_for_is_tried_first(picky):
    baud_hz = {termios.B1000000: 1_000_000, termios.B57600: 57_600}[picky.speed]
    query = "" if baud_hz == DEFAULT_BAUD_HZ else f"&baud={baud_hz}"
    with pendula.open(f"serial://{picky.path}?timeout=60{query}") as device:
        assert device.info()["baud_hz"] == baud_hz
    assert {*picky.heard_at} == {picky.speed}


@pytest.mark.parametrize("picky", [115_200], indirect=True)
def test_other_rates_are_tried_and_the_one_that_answers_is_reported(picky, caplog, monkeypatch):
    monkeypatch.setattr(serial_device, "FALLBACK_BAUDS_HZ", (1_000_000, 115_200))
    with pendula.open(f"serial://{picky.path}?baud=57600") as device:
        assert device.info()["baud_hz"] == 115_200
    assert "is silent at 57600 baud; trying 1000000" in caplog.text
    assert "is silent at 1000000 baud; trying 115200" in caplog.text
    assert picky.heard_at[0] == termios.B57600


@pytest.mark.parametrize("picky", [9600], indirect=True)
def test_no_rate_answers(picky):
    with pendula.open(f"serial://{picky.path}?timeout=0.01") as device, pytest.raises(
            SilentLinkError, match=r"serial:///dev/.*Tried 1000000, .* 115200 baud: name the"):
        device.info()


def test_a_name_or_an_absolute_path():
    read = serial_device._read_path
    assert read("serial:///dev/tty%20x?baud=1") == "/dev/tty x"
    assert read("serial://COM3") == "COM3"
    with pytest.raises(UrlError, match="absolute path, such as serial:///dev/ttyUSB1"):
        pendula.open("serial://dev/ttyUSB1")


@pytest.mark.parametrize("baud", ["fast", "0", "-1", "1e6", "2147483648"])
def test_a_baud_rate_is_a_positive_integer(baud):
    with pytest.raises(UrlError, match=f"option baud must be an integer .* not '{baud}'"):
        pendula.open(f"serial:///dev/null?baud={baud}")


def test_a_missing_file(tmp_path):
    with pytest.raises(LinkDownError, match=r"serial://.*/ttyX cannot.*No such file.*plug the"):
        pendula.open(f"serial://{tmp_path}/ttyX").info()


def test_no_permission(monkeypatch, tmp_path):
    """The system's own error, which the owner of everything does not meet otherwise."""
    def refuse(path: str, *_: object) -> int:
        raise PermissionError(13, "Permission denied", path)
    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(LinkDownError, match=r"Permission denied.*join the group that owns it"):
        pendula.open(f"serial://{tmp_path}/ttyX").info()


def test_a_file_that_is_no_serial_port(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(LinkDownError, match="check that it is a serial port that knows 7 baud"):
        pendula.open(f"serial://{tmp_path}/file?baud=7").info()


def test_a_port_that_is_in_use():
    engine = ResponderEngine(SPEC)
    with serving(engine, pty_port) as board:
        url = board.url + "?timeout=60"
        with pendula.open(url) as first, pendula.open(url) as second:
            first.info()
            with pytest.raises(LinkDownError, match="another program has it open"):
                second.info()
            assert first.info()["nodes"] == SPEC.nodes


def test_a_port_that_goes_away():
    board, host = os.openpty()
    with SerialTransport("serial://it", os.ttyname(host), 9600, 60.0) as transport:
        os.close(host)
        os.close(board)
        with pytest.raises(LinkDownError, match=r"serial://it is broken: .*Check the cable"):
            transport.read(0)
        with pytest.raises(LinkDownError, match=r"serial://it is broken: .*Check the cable"):
            transport.write(b"x")


def test_a_port_that_takes_nothing():
    board, host = os.openpty()
    with SerialTransport("serial://it", os.ttyname(host), 1_000_000, 0.01) as transport, \
            pytest.raises(LinkDownError, match=r"serial://it took no bytes for 0\.01 s"):
        transport.write(bytes(100_000))
    os.close(host)
    os.close(board)
