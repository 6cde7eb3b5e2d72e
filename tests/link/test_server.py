"""A served board: one host at a time, none of which can spoil it for the next."""

import os
import socket
import sys
from contextlib import ExitStack, suppress

import pytest
from cobs import cobs

import pendula
from boards import LOOPBACK, ResponderEngine, pty_port, serving, tcp_port
from pendula.contract import ArraySpec, get_physics
from pendula.contract.protocol import Opcode, Status, decode_response, encode_request
from pendula.device import open_device
from pendula.errors import LinkDownError, UrlError
from pendula.link import ports, server
from pendula.link.engine import AbstractEngine, Exchange
from pendula.link.ports import TcpPort
from pendula.link.server import Server

SPEC = ArraySpec(physics=get_physics("quartic"), nodes=3, offsets=(1,), segments=1, table_bits=3)
HELLO = cobs.encode(encode_request(7, Opcode.HELLO)) + b"\0"

posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals")
both = pytest.mark.parametrize("make_port", [tcp_port, pytest.param(pty_port, marks=posix)])


def connect(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    return socket.create_connection((host, int(port)), 60)


def receive_frame(read) -> bytes:
    data = b""
    while not data.endswith(b"\0"):
        piece = read(4096)
        assert piece, "the board closed the connection"
        data += piece
    return data


def ask(sock: socket.socket) -> int:
    """Ask for HELLO and return the sequence number of the first whole answer that is no refusal.

    What a host before left behind may come first, in part or whole; hosts skip it.
    """
    sock.sendall(HELLO)
    while True:
        for frame in receive_frame(sock.recv).split(b"\0")[:-1]:
            with suppress(cobs.DecodeError):
                answer = decode_response(cobs.decode(frame))
                if answer is not None and answer[1] == Status.OK:
                    return answer[0]


@both
def test_hosts_one_after_the_other(make_port):
    engine = ResponderEngine(SPEC)
    with serving(engine, make_port) as board:
        for _ in range(3):
            with pendula.open(board.url + "?timeout=60") as device:
                assert device.info()["nodes"] == SPEC.nodes
        assert board.events[0].endswith((" connected", " opened"))
        assert board.port.address in board.url


def test_a_second_host_is_told_why_and_the_first_is_not_disturbed():
    with serving(ResponderEngine(SPEC), tcp_port) as board, connect(board.port.address) as first:
        assert ask(first) == 7
        with pytest.raises(LinkDownError, match="busy: one host at a time, and 127"):
            pendula.open(board.url + "?timeout=60").info()
        assert ask(first) == 7
        name = "{}:{}".format(*first.getsockname())
        assert board.events[0] == f"{name} connected"
        assert board.events[1].endswith(f" refused, busy: one host at a time, and {name} "
                                        "is connected")
        assert len(board.events) == 2


def test_refused_hosts_that_stay_cost_no_more_than_a_few(monkeypatch):
    monkeypatch.setattr(ports, "_LINGERING", 3)
    with serving(ResponderEngine(SPEC), tcp_port) as board, ExitStack() as stack:
        first = stack.enter_context(connect(board.port.address))
        assert ask(first) == 7
        others = [stack.enter_context(connect(board.port.address)) for _ in range(6)]
        for other in others:
            assert b"busy" in other.recv(1000)
            assert other.recv(1000) == b""
        assert ask(first) == 7
        assert isinstance(board.port, TcpPort)
        assert len(board.port._lingering) <= 3


def test_a_host_that_vanishes_in_a_frame_leaves_a_board_that_answers():
    engine = ResponderEngine(SPEC)
    with serving(engine, tcp_port) as board:
        for place in (1, 3, len(HELLO) - 1):
            with connect(board.port.address) as sock:
                sock.sendall(HELLO[:place])
            with connect(board.port.address) as sock:
                assert ask(sock) == 7
        with connect(board.port.address) as sock:      # resets the connection instead
            sock.sendall(HELLO * 50)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        with connect(board.port.address) as sock:
            ask(sock)


@posix
def test_a_terminal_that_is_closed_in_a_frame_leaves_a_board_that_answers():
    engine = ResponderEngine(SPEC)
    with serving(engine, pty_port) as board:
        for place in (1, 3, len(HELLO) - 1):
            host = os.open(board.port.address, os.O_RDWR | os.O_NOCTTY)
            os.write(host, HELLO[:place])
            os.close(host)
            host = os.open(board.port.address, os.O_RDWR | os.O_NOCTTY)
            os.write(host, b"\0" + HELLO)
            assert receive_frame(lambda size, host=host: os.read(host, size)).endswith(b"\0")
            os.close(host)


@posix
def test_a_terminal_carries_every_byte():
    """It is raw before anybody has made it so."""
    every = bytes(range(256))
    with serving(Echo(), pty_port) as board:
        host = os.open(board.port.address, os.O_RDWR | os.O_NOCTTY)
        os.write(host, every)
        data = b""
        while len(data) < len(every):
            data += os.read(host, 1000)
        assert data == every
        os.close(host)


class Echo(AbstractEngine):
    """Sends back what comes; counts its calls, and what it could not send yet."""

    slice_cycles = 100

    def __init__(self, times: int = 1) -> None:
        self.calls = self.produced = 0
        self._times = times

    def exchange(self, data: bytes, max_cycles: int) -> Exchange:
        self.calls += 1
        self.produced += len(data[:100]) * self._times
        return Exchange(len(data[:100]), data[:100] * self._times, 1, idle=len(data) <= 100)

    def close(self) -> None:
        pass


def test_the_clock_stops_while_there_is_nothing_to_do():
    """A step without work waits, so the engine is called for work alone."""
    engine = Echo()
    with serving(engine, tcp_port) as board, connect(board.port.address) as sock:
        for _ in range(3):
            sock.sendall(b"x")
            assert sock.recv(10) == b"x"
        assert engine.calls <= 1 + 3


def test_the_clock_stops_while_the_host_does_not_read(monkeypatch):
    monkeypatch.setattr(server, "_OUTPUT_BYTES", 1000)
    engine = Echo(times=1000)
    port = TcpPort(lambda _: None, LOOPBACK, 0)
    port._listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    with port, connect(port.address) as sock:
        work = Server(engine, port)
        sock.sendall(bytes(50_000))
        while work._can_work or not work._output:
            work.step()
        stalled = engine.produced
        assert 1000 <= stalled < 50_000 * 1000      # the rest waits


def test_a_host_that_reads_late_gets_every_byte():
    data = bytes(range(1, 256)) * 40
    with serving(Echo(times=100), tcp_port) as board, connect(board.port.address) as sock:
        sock.sendall(data)
        received = bytearray()
        while len(received) < 100 * len(data):
            piece = sock.recv(1 << 16)
            assert piece
            received += piece
    assert all(received.count(byte) == 100 * 40 for byte in range(1, 256))


def open_file(board) -> int:
    """Return a file descriptor at the board, whatever it is served at."""
    if isinstance(board.port, TcpPort):
        return connect(board.port.address).detach()
    return os.open(board.port.address, os.O_RDWR | os.O_NOCTTY)


@posix
@pytest.mark.timeout(60)
@both
def test_the_device_goes_on_once_all_that_it_said_is_sent(make_port, monkeypatch):
    """Its clock stood still because too much waited to be sent, and no input is to come."""
    monkeypatch.setattr(server, "_OUTPUT_BYTES", 1000)
    with serving(Echo(times=20), make_port) as board:
        host = open_file(board)
        os.set_blocking(host, True)
        os.write(host, bytes(range(1, 201)) * 10)
        received = b""
        while len(received) < 20 * 2000:
            received += os.read(host, 1 << 16)
        assert received.count(7) == 20 * 10
        os.close(host)


def test_a_port_in_use():
    with TcpPort(lambda _: None, LOOPBACK, 0) as port:
        number = int(port.address.rpartition(":")[2])
        with pytest.raises(LinkDownError, match=f"{port.address} cannot be listened at: Address "
                                                "already in use.*0 for any"):
            TcpPort(lambda _: None, LOOPBACK, number)


def test_an_address_of_another_machine():
    with pytest.raises(LinkDownError, match=r"192\.0\.2\.1:0 cannot be listened at"):
        TcpPort(lambda _: None, "192.0.2.1", 0)


@pytest.mark.parametrize("url", ["twin://", "float://", "tcp://127.0.0.1:1"])
def test_only_simulators_are_served(url):
    with pytest.raises(UrlError, match="cannot be served, it is no simulated gateware"):
        open_device(url).open_engine(None)
