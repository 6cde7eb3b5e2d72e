"""``serial:///dev/ttyUSB1``: a board, or a virtual one, on a serial port."""

import errno
import logging
import time
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

import serial

from pendula.contract.protocol import MAX_REQUEST_BYTES
from pendula.contract.uart import DEFAULT_BAUD_HZ, FRAME_BITS
from pendula.errors import LinkDownError, UrlError
from pendula.link.remote_device import SLOWEST_CLOCK_HZ, RemoteDevice
from pendula.link.transport import AbstractTransport

__all__ = ["FALLBACK_BAUDS_HZ", "SerialDevice", "SerialTransport"]

FALLBACK_BAUDS_HZ = (DEFAULT_BAUD_HZ, 3_000_000, 2_000_000, 921_600, 460_800, 115_200)
"""Tried in this order where HELLO is not answered at the rate that was asked for."""

_SLICE_S = 0.05                    # between two looks at the clock while nothing comes
_MAX_BAUD_HZ = (1 << 31) - 1       # a signed integer of the operating system's
_ADVICE = {
    errno.ENOENT: "plug the board in, or look for its name: /dev/ttyUSB*, /dev/ttyACM*",
    errno.EACCES: "join the group that owns it, often dialout, and log in again",
    errno.EBUSY: "another program has it open: close that first",
    errno.EAGAIN: "another program has it open: close that first",
}

_log = logging.getLogger("pendula")


class SerialTransport(AbstractTransport):
    """Byte link over a serial port: 8 data bits, no parity, one stop bit, no flow control.

    Parameters
    ----------
    url : str
        Address of the device, for messages.
    path : str
        Name of the port.
    baud_hz : int
        Bits a second.
    timeout_s : float
        Seconds for taking bytes, and on top of a request's own time.

    Raises
    ------
    LinkDownError
        If the port cannot be opened; from :meth:`read` and :meth:`write` if it went away.
    """

    def __init__(self, url: str, path: str, baud_hz: int, timeout_s: float) -> None:
        self._url, self._baud_hz, self._timeout_s = url, baud_hz, timeout_s
        self._bytes = 0                  # written since the last read: they are still on the wire
        try:
            # both fixed: setting them later configures the port anew, while bytes arrive
            self._port = serial.Serial(path, baud_hz, timeout=_SLICE_S, exclusive=True,
                                       write_timeout=timeout_s + self._wire_s(MAX_REQUEST_BYTES))
        except (OSError, ValueError, OverflowError) as error:
            raise _refused(url, baud_hz, error) from error

    def write(self, data: bytes) -> None:
        """Send bytes."""
        self._bytes += len(data)
        try:
            self._port.write(data)
        except serial.SerialTimeoutException as error:
            raise LinkDownError(f"{self._url} took no bytes for {self._timeout_s:g} s: check what "
                                "is at the other end") from error
        except OSError as error:
            raise self._broken(error) from error

    def read(self, cycles: int) -> bytes:
        """Return the bytes that have arrived, and wait for the first of them."""
        try:
            patience_s = self._timeout_s + self._wire_s(self._bytes) + cycles / SLOWEST_CLOCK_HZ
            self._bytes = 0
            deadline_s = time.monotonic() + patience_s
            while not (first := self._port.read(1)):
                if time.monotonic() > deadline_s:
                    return b""
            return first + self._port.read(self._port.in_waiting)
        except OSError as error:
            raise self._broken(error) from error

    def close(self) -> None:
        """Close the port."""
        self._port.close()

    def _wire_s(self, size: int) -> float:
        return size * FRAME_BITS / self._baud_hz

    def _broken(self, error: OSError) -> LinkDownError:
        return LinkDownError(f"connection to {self._url} is broken: {error}. Check the cable and "
                             "that the board has power")


class SerialDevice(RemoteDevice):
    """A device on a serial port.

    Where HELLO is not answered at the rate that was asked for, :data:`FALLBACK_BAUDS_HZ` are tried.

    Parameters
    ----------
    url, timeout, reconnect : str
        As of :class:`RemoteDevice`.
    baud : str
        Bits a second; :data:`pendula.contract.uart.DEFAULT_BAUD_HZ` where empty.
    """

    def __init__(self, url: str, *, baud: str = "", timeout: str = "",
                 reconnect: str = "") -> None:
        super().__init__(url, timeout=timeout, reconnect=reconnect)
        self._path = _read_path(url)
        self._baud_hz = _read_baud(baud)

    def info(self) -> Mapping[str, Any]:
        """Return who the device is, as plain data, and the baud rate at which it answered."""
        return {**super().info(), "baud_hz": self._baud_hz}

    def _transports(self) -> Iterator[SerialTransport]:
        asked_hz = self._baud_hz
        others = () if self._hello else FALLBACK_BAUDS_HZ       # it has answered at this one
        for baud_hz in dict.fromkeys((asked_hz, *others)):
            if baud_hz != asked_hz:
                _log.warning("%s is silent at %d baud; trying %d", self.url, self._baud_hz, baud_hz)
            self._baud_hz = baud_hz
            yield SerialTransport(self.url, self._path, baud_hz, self.timeout_s)
        self._baud_hz = asked_hz

    def _advise_silence(self) -> str:
        tried = ", ".join(map(str, dict.fromkeys((self._baud_hz, *FALLBACK_BAUDS_HZ))))
        return f"Tried {tried} baud: name the board's rate, such as with ?baud=230400"


def _read_path(url: str) -> str:
    parts = urlsplit(url)
    if parts.netloc and parts.path:
        raise UrlError("address of a serial device must be an absolute path, such as "
                       f"serial:///dev/ttyUSB1, or a name, such as serial://COM3, not {url!r}")
    return unquote(parts.path or parts.netloc)


def _read_baud(text: str) -> int:
    if not text:
        return DEFAULT_BAUD_HZ
    if not text.isdecimal() or not 1 <= int(text) <= _MAX_BAUD_HZ:
        raise UrlError(f"option baud must be an integer within 1..{_MAX_BAUD_HZ}, not {text!r}")
    return int(text)


def _refused(url: str, baud_hz: int, error: Exception) -> LinkDownError:
    number = getattr(error, "errno", None)
    advice = _ADVICE.get(number or 0, f"check that it is a serial port that knows {baud_hz} baud")
    return LinkDownError(f"{url} cannot be opened: {error}. To mend it, {advice}")
