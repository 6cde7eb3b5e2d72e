"""Where hosts open a virtual board: a pseudo-terminal or a TCP port, one host at a time."""

import abc
import errno
import os
import select
import selectors
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Self

from pendula.errors import LinkDownError, UrlError
from pendula.link.token import ANSWER_BYTES, WELCOME, is_right, make_challenge

__all__ = ["AbstractPort", "PtyPort", "TcpPort"]

_READ_BYTES = 1 << 16
_POLL_S = 0.1              # between two looks at a pseudo-terminal that nobody has open
_DELIMITER = b"\0"         # ends the frame that a host left unfinished
_STRANGERS = 16            # hosts that may take their time to answer a challenge
_LINGERING = 16            # refused hosts that may take their time to read why
_KEEPALIVE = (("TCP_KEEPIDLE", 10), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3))


@dataclass(slots=True)
class _Stranger:
    """A host that has not yet shown that it knows the token."""

    name: str
    challenge: bytes
    answer: bytes = b""


class AbstractPort(abc.ABC):
    """A place where one host at a time can open the board. Use as a context manager, or close it.

    Parameters
    ----------
    report : callable
        Called with one line about every event.
    """

    def __init__(self, report: Callable[[str], None]) -> None:
        self._report = report

    @property
    @abc.abstractmethod
    def address(self) -> str:
        """What a program opens."""

    @property
    @abc.abstractmethod
    def url(self) -> str:
        """Device URL to open."""

    @abc.abstractmethod
    def exchange(self, output: bytearray, room: int, *, wait: bool) -> bytes:
        """Send bytes off the front of `output`, and return bytes that came.

        Without a host, all output is lost, as on a wire to nobody.

        Parameters
        ----------
        output : bytearray
            Bytes to send; what is sent is removed.
        room : int
            Bytes to return at most; one more, a delimiter, where a host left.
        wait : bool
            Wait until something happened; sending counts. Else return at once.
        """

    @abc.abstractmethod
    def close(self) -> None:
        """Let go of the host and the port."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class TcpPort(AbstractPort):
    """A TCP port. A second host is told why it is refused, and the first is not disturbed.

    Parameters
    ----------
    report : callable
        As of :class:`AbstractPort`.
    bind : str
        Address of the interface to listen at.
    port : int
        Number of the port; 0 takes a free one.
    token : bytes, optional
        What hosts must know (:mod:`pendula.link.token`); whoever reaches the port may use it
        without one.

    Raises
    ------
    LinkDownError
        If the port cannot be had.
    """

    def __init__(self, report: Callable[[str], None], bind: str, port: int,
                 token: bytes | None = None) -> None:
        super().__init__(report)
        self._token = token
        self._strangers: dict[socket.socket, _Stranger] = {}
        try:
            family = socket.getaddrinfo(bind, port, type=socket.SOCK_STREAM)[0][0]
            self._listener = socket.create_server((bind, port), family=family)
        except OSError as error:
            raise LinkDownError(f"{_join(bind, port)} cannot be listened at: "
                                f"{error.strerror or error}. Choose another port, or 0 for any "
                                "that is free, and an address of this machine") from error
        self._listener.setblocking(False)
        self._address = _join(*self._listener.getsockname()[:2])
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._host: socket.socket | None = None
        self._name = ""
        self._lingering: list[socket.socket] = []

    @property
    def address(self) -> str:
        """Host and port."""
        return self._address

    @property
    def url(self) -> str:
        """Device URL to open."""
        return f"tcp://{self._address}"

    def exchange(self, output: bytearray, room: int, *, wait: bool) -> bytes:
        """Send bytes off the front of `output`, and return bytes that came."""
        before = len(output)
        received = self._send(output)
        self._await_host(bool(output), room)
        idle = wait and not received and len(output) == before
        keys = {key.fileobj for key, _ in self._selector.select(None if idle else 0)}
        if self._host in keys:      # before others: a host that left makes room for the next
            received += self._receive(room - len(received))
        for refused in [sock for sock in self._lingering if sock in keys]:
            self._dismiss(refused)
        for stranger in [sock for sock in self._strangers if sock in keys]:
            self._hear(stranger)
        if self._listener in keys:
            self._accept()
        return received

    def close(self) -> None:
        """Let go of the hosts and the port."""
        self._selector.close()
        host = [self._host] if self._host else []
        for sock in (self._listener, *self._lingering, *self._strangers, *host):
            sock.close()

    def _await_host(self, output: bool, room: int) -> None:
        """Choose what the selector waits for."""
        if self._host is None:
            return
        events = selectors.EVENT_READ * (room > 0) | selectors.EVENT_WRITE * output
        known = self._selector.get_map().get(self._host)
        if known is not None and known.events != events:
            self._selector.unregister(self._host)
            known = None
        if known is None and events:
            self._selector.register(self._host, events)

    def _send(self, output: bytearray) -> bytes:
        if self._host is None:
            output.clear()
        try:
            while self._host is not None and output:
                del output[:self._host.send(output)]
        except BlockingIOError:
            pass
        except OSError as error:
            return self._leave(error.strerror or str(error))
        return b""

    def _receive(self, room: int) -> bytes:
        """Return all that has come, and notice whether the host has left."""
        received = b""
        try:
            while self._host is not None and len(received) < room:
                data = self._host.recv(min(_READ_BYTES, room - len(received)))
                if not data:
                    return received + self._leave("closed")
                received += data
        except BlockingIOError:
            pass
        except OSError as error:
            return received + self._leave(error.strerror or str(error))
        return received

    def _leave(self, reason: str) -> bytes:
        assert self._host is not None       # noqa: S101
        if self._host in self._selector.get_map():
            self._selector.unregister(self._host)
        self._host.close()
        self._host = None
        self._report(f"{self._name} left: {reason}")
        return _DELIMITER

    def _accept(self) -> None:
        try:
            sock, peer = self._listener.accept()
        except OSError:                      # it gave up while it waited
            return
        sock.setblocking(False)
        name = _join(*peer[:2])
        if self._token is None:
            self._admit(sock, name)
        else:
            self._ask(sock, name)

    def _ask(self, sock: socket.socket, name: str) -> None:
        """Challenge a host; the oldest that has not answered gives way to too many."""
        if len(self._strangers) == _STRANGERS:
            self._forget_stranger(next(iter(self._strangers)), "did not answer in time").close()
        challenge = make_challenge()
        self._strangers[sock] = _Stranger(name, challenge)
        self._selector.register(sock, selectors.EVENT_READ)
        with suppress(OSError):
            sock.send(challenge)

    def _hear(self, sock: socket.socket) -> None:
        """Take what a stranger answers, and admit it once that is right."""
        stranger = self._strangers[sock]
        try:
            data = sock.recv(ANSWER_BYTES - len(stranger.answer))
        except OSError:
            data = b""
        stranger.answer += data
        if not data:
            self._forget_stranger(sock, "left").close()
        elif len(stranger.answer) == ANSWER_BYTES or b"\n" in data or b"\0" in data:
            assert self._token is not None      # noqa: S101
            if is_right(self._token, stranger.challenge, stranger.answer):
                self._forget_stranger(sock, "knows the token")
                with suppress(OSError):
                    sock.send(WELCOME)
                self._admit(sock, stranger.name)
            else:
                self._forget_stranger(sock, "refused, its token is wrong")
                self._linger(sock, b"refused: the token must be that of the board\n")

    def _forget_stranger(self, sock: socket.socket, reason: str) -> socket.socket:
        self._report(f"{self._strangers.pop(sock).name} {reason}")
        self._selector.unregister(sock)
        return sock

    def _admit(self, sock: socket.socket, name: str) -> None:
        if self._host is not None:
            self._refuse(sock, name)
            return
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in _KEEPALIVE:     # notice within half a minute that it vanished
            if hasattr(socket, option):
                sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
        self._host, self._name = sock, name
        self._report(f"{name} connected")

    def _refuse(self, sock: socket.socket, name: str) -> None:
        reason = f"busy: one host at a time, and {self._name} is connected"
        self._report(f"{name} refused, {reason}")
        self._linger(sock, reason.encode() + b"\n")

    def _linger(self, sock: socket.socket, reason: bytes) -> None:
        """Say why, and close once that can have been read: closing at once may destroy it."""
        with suppress(OSError):
            sock.send(reason)
            sock.shutdown(socket.SHUT_WR)
        self._selector.register(sock, selectors.EVENT_READ)
        self._lingering.append(sock)
        if len(self._lingering) > _LINGERING:
            self._forget(self._lingering[0])

    def _dismiss(self, sock: socket.socket) -> None:
        try:
            gone = not sock.recv(_READ_BYTES)
        except OSError:
            gone = True
        if gone:
            self._forget(sock)

    def _forget(self, sock: socket.socket) -> None:
        self._lingering.remove(sock)
        self._selector.unregister(sock)
        sock.close()


class PtyPort(AbstractPort):
    """A pseudo-terminal, which programs open as they open a serial port.

    Parameters
    ----------
    report : callable
        As of :class:`AbstractPort`.

    Raises
    ------
    UrlError
        If the system has none.

    Notes
    -----
    The system tells nobody that a terminal is opened: while it is closed, it is looked at ten times
    a second.
    """

    def __init__(self, report: Callable[[str], None]) -> None:
        super().__init__(report)
        try:
            import tty
            self._board, host = os.openpty()
        except (ImportError, AttributeError):
            raise UrlError("pseudo-terminals need Linux or macOS: serve with --tcp instead"
                           ) from None
        tty.setraw(host)
        self._path = os.ttyname(host)
        os.close(host)                       # so that a host that leaves is noticed
        os.set_blocking(self._board, False)
        self._poll = select.poll()
        self._open = False

    @property
    def address(self) -> str:
        """Path of the terminal."""
        return self._path

    @property
    def url(self) -> str:
        """Device URL to open."""
        return f"serial://{self._path}"

    def exchange(self, output: bytearray, room: int, *, wait: bool) -> bytes:
        """Send bytes off the front of `output`, and return bytes that came."""
        if not self._open:
            output.clear()
            return self._look(room, wait)
        before = len(output)
        self._send(output)
        self._poll.register(self._board, select.POLLIN * (room > 0) | select.POLLOUT * bool(output))
        idle = wait and len(output) == before
        events = sum(events for _, events in self._poll.poll(None if idle else 0))
        if events & select.POLLHUP:
            output.clear()
        if not room or not events & (select.POLLIN | select.POLLHUP):
            return b""
        data = self._read(room)
        return self._leave() if data is None else data

    def close(self) -> None:
        """Let go of the terminal; a host that has it open sees that it is gone."""
        os.close(self._board)

    def _look(self, room: int, wait: bool) -> bytes:
        """Return what came from a host that opened the terminal; wait a moment where none has."""
        data = self._read(room) if room else None
        if data is None:
            if wait:
                time.sleep(_POLL_S)
            return b""
        self._open = True
        self._report(f"{self._path} opened")
        return data

    def _read(self, room: int) -> bytes | None:
        """Return what has come, or None if nobody has the terminal open."""
        try:
            return os.read(self._board, room) or None
        except BlockingIOError:
            return b""
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            return None

    def _send(self, output: bytearray) -> None:
        with suppress(BlockingIOError):
            while output:
                del output[:os.write(self._board, output)]

    def _leave(self) -> bytes:
        self._open = False
        self._report(f"{self._path} closed")
        return _DELIMITER


def _join(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
