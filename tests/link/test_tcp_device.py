"""A TCP connection: what can go wrong with it is one error that names the address."""

import socket

import numpy as np
import pytest

import pendula
from boards import LOOPBACK, ResponderEngine, serving, tcp_port
from pendula.contract import ArraySpec, get_physics
from pendula.errors import LinkDownError, LinkError, SilentLinkError, UrlError
from pendula.link.tcp_device import TcpTransport
from pendula.program import random_program

SPEC = ArraySpec(physics=get_physics("quartic"), nodes=3, offsets=(1,), segments=1, table_bits=3)


@pytest.fixture
def listener():
    with socket.create_server((LOOPBACK, 0)) as sock:
        yield sock


def url_of(sock: socket.socket) -> str:
    return f"tcp://{LOOPBACK}:{sock.getsockname()[1]}"


@pytest.fixture
def ends(listener):
    """A transport and the other end of it."""
    transport = TcpTransport("tcp://there", LOOPBACK, listener.getsockname()[1], 60.0)
    other, _ = listener.accept()
    with transport, other:
        yield transport, other


@pytest.mark.parametrize("url", ["tcp://host", "tcp://host:0", "tcp://host:65536", "tcp://host:x",
                                 "tcp://:80", "tcp://host:80/path", "tcp://me@host:80"])
def test_an_address_is_host_and_port(url):
    with pytest.raises(UrlError, match=f"must be tcp://HOST:PORT.*not '{url}'"):
        pendula.open(url)


def test_bytes_go_both_ways(ends):
    transport, other = ends
    transport.write(b"ping\0")
    assert other.recv(100) == b"ping\0"
    other.sendall(b"pong\0")
    assert transport.read(0) == b"pong\0"


def test_silence_is_no_error(listener):
    transport = TcpTransport("tcp://there", LOOPBACK, listener.getsockname()[1], 0.01)
    with transport, listener.accept()[0]:
        assert transport.read(0) == b""
        assert transport.read(100) == b""


def test_a_closed_connection_is_an_error(ends):
    transport, other = ends
    other.close()
    with pytest.raises(LinkDownError, match="tcp://there is broken: the other end closed it"):
        transport.read(0)


def test_a_reset_connection_is_an_error_when_writing(ends):
    transport, other = ends
    other.close()
    with pytest.raises(LinkDownError, match="tcp://there is broken: "):
        transport.write(bytes(10_000_000))      # the first of them still go into the void


def test_a_refusal_in_words_is_shown(ends):
    transport, other = ends
    other.sendall(b"busy: come back\n")
    other.close()
    assert transport.read(0) == b"busy: come back\n"
    with pytest.raises(LinkDownError, match="is broken: busy: come back"):
        transport.read(0)


def test_frames_are_not_shown_as_words(ends):
    transport, other = ends
    other.sendall(b"frame\0")
    other.close()
    transport.read(0)
    with pytest.raises(LinkDownError, match="the other end closed it"):
        transport.read(0)


def test_an_end_that_takes_no_bytes_is_an_error(listener):
    transport = TcpTransport("tcp://there", LOOPBACK, listener.getsockname()[1], 0.01)
    with transport, listener.accept()[0], pytest.raises(
            LinkDownError, match=r"tcp://there took no bytes for 0\.01 s"):
        transport.write(bytes(100_000_000))


def test_nobody_listens(listener):
    url = url_of(listener)
    listener.close()
    with pytest.raises(LinkDownError, match=f"{url} cannot be opened: Connection refused"):
        pendula.open(url).info()


def test_something_else_listens(listener):
    with pendula.open(url_of(listener) + "?timeout=0.01") as device, pytest.raises(
            SilentLinkError, match=r"tcp.*no sound answer to HELLO.*received nothing.*timeout=10"):
        device.info()


def test_another_contract_is_refused():
    engine = ResponderEngine(SPEC)
    engine.responder.contract_id = "ab" * 32
    with serving(engine, tcp_port) as board, pendula.open(board.url + "?timeout=60") as device:
        assert device.info()["contract_id"] == "ab" * 8
        program = random_program(SPEC, np.random.default_rng(0), segments=1)
        with pytest.raises(LinkError, match="contract id of the device must be"):
            device.load(program)
