"""``tcp://HOST:PORT``: a device that is served on the network."""

import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from pendula.errors import LinkDownError, LinkError, UrlError
from pendula.link.remote_device import SLOWEST_CLOCK_HZ, RemoteDevice
from pendula.link.token import LINE_BYTES, WELCOME, answer, is_challenge, read_token
from pendula.link.transport import AbstractTransport

__all__ = ["TcpDevice", "TcpTransport"]

_READ_BYTES = 1 << 16
_REASON_BYTES = 200       # at most, of a refusal in words


class TcpTransport(AbstractTransport):
    """Byte link over TCP.

    Parameters
    ----------
    url : str
        Address of the device, for messages.
    host, port : str, int
        Where to connect.
    timeout_s : float
        Seconds for the connection, for taking bytes, and on top of a request's own time.
    token : bytes, optional
        What the other end asks for (:mod:`pendula.link.token`).

    Raises
    ------
    LinkError
        If the other end asks for no token, or refuses it.
    LinkDownError
        If the connection cannot be made; from :meth:`read` and :meth:`write` if it broke.
    """

    def __init__(self, url: str, host: str, port: int, timeout_s: float,
                 token: bytes | None = None) -> None:
        self._url, self._timeout_s = url, timeout_s
        self._heard = b""
        try:
            self._socket = socket.create_connection((host, port), timeout_s)
        except OSError as error:
            raise LinkDownError(f"{url} cannot be opened: {error.strerror or error}. Check address "
                                "and port, and that a board is served there") from error
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if token is not None:
            try:
                self._show(token)
            except BaseException:
                self.close()
                raise

    def _show(self, token: bytes) -> None:
        """Answer the challenge of the other end."""
        challenge = self._read_line()
        if not is_challenge(challenge):
            raise LinkError(f"{self._url} must ask for a token, not say {challenge[:50]!r}: open "
                            "it without one")
        self.write(answer(token, challenge))
        if (line := self._read_line()) != WELCOME:
            raise LinkError(f"{self._url} refused the token: it must be that of pendula serve "
                            f"--token, and is answered with {line[:50]!r}")

    def _read_line(self) -> bytes:
        """Return a line, byte by byte: what follows it is for others."""
        line = b""
        try:
            self._socket.settimeout(self._timeout_s)
            while len(line) < LINE_BYTES and not line.endswith(b"\n"):
                byte = self._socket.recv(1)
                if not byte:
                    break
                line += byte
        except TimeoutError:
            return line
        except OSError as error:
            raise self._broken(error.strerror or str(error)) from error
        return line

    def write(self, data: bytes) -> None:
        """Send bytes."""
        try:
            self._socket.settimeout(self._timeout_s)
            self._socket.sendall(data)
        except TimeoutError as error:
            raise LinkDownError(f"{self._url} took no bytes for {self._timeout_s:g} s: check that "
                                "what serves it still runs") from error
        except OSError as error:
            raise self._broken(error.strerror or str(error)) from error

    def read(self, cycles: int) -> bytes:
        """Return the bytes that have arrived, and wait for the first of them."""
        try:
            self._socket.settimeout(self._timeout_s + cycles / SLOWEST_CLOCK_HZ)
            data = self._socket.recv(_READ_BYTES)
        except TimeoutError:
            return b""
        except OSError as error:
            raise self._broken(error.strerror or str(error)) from error
        if not data:
            raise self._broken(self._refusal() or "the other end closed it")
        self._heard = (self._heard + data[:_REASON_BYTES])[:_REASON_BYTES]
        return data

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def _refusal(self) -> str:
        """Return what the other end said in words instead of frames, which hold zeros."""
        text = self._heard.decode("ascii", "replace").strip().rpartition("\n")[2]
        return text if text.isprintable() and text.isascii() else ""

    def _broken(self, reason: str) -> LinkDownError:
        return LinkDownError(f"connection to {self._url} is broken: {reason}. Check what serves "
                             "it, and the network")


class TcpDevice(RemoteDevice):
    """A device that is served on the network.

    Parameters
    ----------
    url, timeout, reconnect : str
        As of :class:`RemoteDevice`.
    token : str
        Path of a file with the token that the other end asks for; none where empty.
    """

    def __init__(self, url: str, *, timeout: str = "", reconnect: str = "",
                 token: str = "") -> None:
        super().__init__(url, timeout=timeout, reconnect=reconnect)
        self._host, self._port = _read_address(url)
        self._token = read_token(Path(token)) if token else None

    def _transports(self) -> Iterator[TcpTransport]:
        yield TcpTransport(self.url, self._host, self._port, self.timeout_s, self._token)

    def _advise_silence(self) -> str:
        return "Where it only is slow, give it longer, such as with ?timeout=10"


def _read_address(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    try:
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or not port or parts.path or "@" in parts.netloc:
        raise UrlError(f"address of a TCP device must be tcp://HOST:PORT, with a port of "
                       f"1..65535, not {url!r}")
    return host, port
