"""A board with a token: who knows it is let in, and nobody else."""

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

import pendula
from boards import LOOPBACK, ResponderEngine, serving
from pendula.contract import ArraySpec, get_physics
from pendula.errors import LinkDownError, LinkError, UrlError
from pendula.link import ports, token
from pendula.link.ports import TcpPort

SPEC = ArraySpec(physics=get_physics("quartic"), nodes=3, offsets=(1,), segments=1, table_bits=3)
TOKEN = b"0123456789abcdef"


def guarded_port(report):
    return TcpPort(report, LOOPBACK, 0, TOKEN)


@pytest.fixture
def board():
    with serving(ResponderEngine(SPEC), guarded_port) as board:
        yield board


@pytest.fixture
def path(tmp_path):
    (tmp_path / "token").write_bytes(TOKEN + b"\n")
    return tmp_path / "token"


def knock(board) -> socket.socket:
    host, _, port = board.port.address.rpartition(":")
    return socket.create_connection((host, int(port)), 60)


def read_all(sock: socket.socket) -> bytes:
    data = b""
    while piece := sock.recv(100):
        data += piece
    return data


def test_who_knows_the_token_is_let_in_again_and_again(board, path):
    for _ in range(3):
        with pendula.open(f"{board.url}?timeout=60&token={path}") as device:
            assert device.info()["nodes"] == SPEC.nodes
    assert TOKEN.decode() not in "".join(board.events)


def test_a_second_host_is_still_refused_by_name(board, path):
    url = f"{board.url}?timeout=60&token={path}"
    with pendula.open(url) as device:
        assert device.info()["nodes"] == SPEC.nodes
        with pytest.raises(LinkDownError, match="busy: one host at a time, and 127"):
            pendula.open(url).info()


def test_a_wrong_token_is_refused(board, path):
    path.write_bytes(TOKEN[::-1])
    with pytest.raises(LinkError, match=r"refused the token.*must be that of the board"):
        pendula.open(f"{board.url}?timeout=60&token={path}").info()
    assert board.events[-1].endswith(" refused, its token is wrong")


def test_a_host_without_a_token_is_told(board):
    with pytest.raises(LinkDownError, match="broken: refused: the token must be that of the board"):
        pendula.open(f"{board.url}?timeout=60&reconnect=0").info()


def test_a_board_that_asks_for_none(path):
    with serving(ResponderEngine(SPEC), lambda report: TcpPort(report, LOOPBACK, 0)) as board, \
            pytest.raises(LinkError, match="must ask for a token, not say b''"):
        pendula.open(f"{board.url}?timeout=0.05&token={path}").info()


def test_an_answer_is_good_for_its_challenge_alone(board):
    """What was overheard does not open the board."""
    with knock(board) as sock:
        heard = token.answer(TOKEN, sock.recv(1000))
    with knock(board) as sock:
        assert token.is_challenge(sock.recv(1000))
        sock.sendall(heard)
        assert read_all(sock) == b"refused: the token must be that of the board\n"


@pytest.mark.parametrize("data", [b"\n", b"\0", b"x" * 65, bytes(1000), b"\xff" * 5 + b"\n"])
def test_strangers_reach_no_device(board, path, data):
    with knock(board) as sock:
        sock.recv(1000)
        sock.sendall(data)
        assert read_all(sock) == b"refused: the token must be that of the board\n"
    with pendula.open(f"{board.url}?timeout=60&token={path}") as device:
        assert device.info()["nodes"] == SPEC.nodes


def test_strangers_that_are_silent_cost_no_more_than_a_few(board, path, monkeypatch):
    monkeypatch.setattr(ports, "_STRANGERS", 3)
    strangers = [knock(board) for _ in range(8)]
    with pendula.open(f"{board.url}?timeout=60&token={path}") as device:
        assert device.info()["nodes"] == SPEC.nodes
        assert isinstance(board.port, TcpPort)
        assert len(board.port._strangers) <= 3
    for stranger in strangers:
        stranger.close()


@given(st.binary(max_size=80))
def test_only_the_answer_is_right(found):
    challenge = token.make_challenge()
    assert token.is_right(TOKEN, challenge, token.answer(TOKEN, challenge))
    assert not token.is_right(TOKEN, challenge, found)


@pytest.mark.parametrize(("content", "message"), [
    (b"short", "must have 16 to 4096 bytes, not 5"), (b"x" * 5000, "not 4097"),
    (b" " * 99, "not 0")])
def test_a_token_must_be_one(path, content, message):
    path.write_bytes(content)
    with pytest.raises(UrlError, match=message):
        pendula.open(f"tcp://localhost:1?token={path}")


def test_a_missing_token_file():
    with pytest.raises(UrlError, match="token file no-such cannot be read: No such file"):
        pendula.open("tcp://localhost:1?token=no-such")
