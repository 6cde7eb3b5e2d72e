"""Recordings: all bytes between a host and a device, with their times, one JSON object a line.

The first line says what was recorded, and with what; every other line is an event, `t_us`
microseconds after it:

    {"t_us": 0, "kind": "open"}                        a connection was made
    {"t_us": 9, "kind": "open", "error": "..."}        it could not be made
    {"t_us": 9, "kind": "send", "data": "00ff"}        bytes to the device, in hexadecimal
    {"t_us": 9, "kind": "receive", "data": ""}         bytes from it; none if it stayed silent
    {"t_us": 9, "kind": "fail", "error": "..."}        the connection broke
    {"t_us": 9, "kind": "hello", "hello": {}}          who it is, for readers: also among the bytes

A recorder that is killed leaves a last line without an end; it is no part of the recording.
"""

import json
import platform
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO, NoReturn, TypeVar

from pendula.contract import CONTRACT_ID
from pendula.contract.digest import canonical_json
from pendula.errors import LinkDownError, RecordingError
from pendula.files import naming
from pendula.link.transport import AbstractTransport

__all__ = ["FORMAT_VERSION", "MAX_FILE_BYTES", "MAX_LINE_BYTES", "Event", "Player", "Recorder"]

FORMAT_VERSION = 1
MAX_FILE_BYTES = 1 << 30
MAX_LINE_BYTES = 1 << 20        # 512 KiB of bytes: more than any transport hands over at once

T = TypeVar("T")

_MAGIC = "pendula recording"
_DETAIL: Mapping[str, tuple[str, type]] = MappingProxyType({
    "send": ("data", str), "receive": ("data", str), "fail": ("error", str),
    "hello": ("hello", dict), "open": ("error", str)})
_OPTIONAL = ("open",)           # kinds whose detail may be missing
_HEADER = {"format": str, "version": int, "url": str, "pendula": str, "contract": str,
           "python": str}


class Recorder:
    """Writes a recording.

    Parameters
    ----------
    path : Path
        File to make.
    url : str
        Device that is recorded.

    Raises
    ------
    RecordingError
        If the file exists; from every method, if it would become too large.
    OSError
        If it cannot be written.
    """

    def __init__(self, path: Path, url: str) -> None:
        from pendula import __version__
        self._path = path
        try:
            self._file = path.open("xb")
        except FileExistsError:
            raise RecordingError(f"recording {path} must be a new file, and it exists: delete it "
                                 "or choose another") from None
        self._bytes = 0
        self._start_ns = time.monotonic_ns()
        self._time_us = 0
        self._append({"format": _MAGIC, "version": FORMAT_VERSION, "url": url,
                      "pendula": __version__, "contract": CONTRACT_ID,
                      "python": platform.python_version()})

    @property
    def time_s(self) -> float:
        """Seconds from the beginning to the last event: the time that a player will show."""
        return self._time_us / 1e6

    def watch(self, transports: Iterator[AbstractTransport]) -> Iterator[AbstractTransport]:
        """Yield the transports, recorded; a failure to make one is recorded too."""
        try:
            for transport in transports:
                self.note("open")
                yield _RecordedTransport(transport, self)
        except LinkDownError as error:
            self.note("open", str(error))
            raise

    def note(self, kind: str, detail: object = None) -> None:
        """Append an event that happens now."""
        self._time_us = (time.monotonic_ns() - self._start_ns) // 1000
        details = {} if detail is None else {_DETAIL[kind][0]: detail}
        self._append({"t_us": self._time_us, "kind": kind, **details})

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _append(self, item: Mapping[str, Any]) -> None:
        line = canonical_json(item) + b"\n"
        self._bytes += len(line)
        if self._bytes > MAX_FILE_BYTES or len(line) > MAX_LINE_BYTES:
            raise RecordingError(f"recording {self._path} must have at most {MAX_FILE_BYTES} bytes "
                                 f"and {MAX_LINE_BYTES} a line: record a shorter run")
        with naming(self._path):
            self._file.write(line)
            self._file.flush()


class _RecordedTransport(AbstractTransport):
    """A transport, all of whose traffic is recorded."""

    def __init__(self, inner: AbstractTransport, recorder: Recorder) -> None:
        self._inner, self._recorder = inner, recorder

    def write(self, data: bytes) -> None:
        self._recorder.note("send", data.hex())
        self._noting_failure(lambda: self._inner.write(data))

    def read(self, cycles: int) -> bytes:
        data = self._noting_failure(lambda: self._inner.read(cycles))
        self._recorder.note("receive", data.hex())
        return data

    def _noting_failure(self, action: Callable[[], T]) -> T:
        try:
            return action()
        except LinkDownError as error:
            self._recorder.note("fail", str(error))
            raise

    def close(self) -> None:
        self._inner.close()


@dataclass(frozen=True, slots=True)
class Event:
    """One line of a recording.

    Parameters
    ----------
    line : int
        Its number, from 1.
    t_us : int
        Microseconds since the recording began.
    kind : str
        What happened.
    data : bytes
        Bytes that were sent or received.
    error : str or None
        What failed.
    """

    line: int
    t_us: int
    kind: str
    data: bytes = b""
    error: str | None = None


class Player:
    """Reads a recording, event by event.

    Parameters
    ----------
    path : Path
        The file.

    Raises
    ------
    RecordingError
        If it cannot be read or is no recording; from every method, if a line is damaged. The
        message names the line.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._line = 0
        self._time_us = 0
        self._next: Event | None = None
        try:
            self._file: BinaryIO = path.open("rb")
            size = path.stat().st_size
        except OSError as error:
            raise RecordingError(f"recording {path} cannot be read: "
                                 f"{error.strerror or error}") from error
        try:
            if size > MAX_FILE_BYTES:
                self.refuse(f"must have at most {MAX_FILE_BYTES} bytes, not {size}")
            self.header = self._read_header()
            self._next = self._read_event()
        except BaseException:
            self._file.close()
            raise

    @property
    def time_s(self) -> float:
        """Seconds from the beginning of the recording to the last event that was taken."""
        return self._time_us / 1e6

    @property
    def next(self) -> Event | None:
        """Event that follows, or None at the end."""
        return self._next

    def take(self) -> Event:
        """Return the event that follows, and go on to the one after it."""
        assert self._next is not None       # noqa: S101
        event, self._next = self._next, self._read_event()
        self._time_us = event.t_us
        return event

    def refuse(self, reason: str) -> NoReturn:
        """Raise what a line, or the line after the last one, makes impossible."""
        place = self._next.line if self._next else self._line
        raise RecordingError(f"recording {self._path}, line {place}: {reason}", place)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _read_line(self) -> dict[str, Any] | None:
        """Return the next line, or None where there is no whole one."""
        self._next = None
        self._line += 1
        if self._file.closed:
            self.refuse("cannot be read, the device was closed")
        text = self._file.readline(MAX_LINE_BYTES + 1)
        if len(text) > MAX_LINE_BYTES:
            self.refuse(f"must have at most {MAX_LINE_BYTES} bytes")
        if not text.endswith(b"\n"):        # the end, or cut short when its recorder was killed
            return None
        try:
            item = json.loads(text)
        except (ValueError, RecursionError) as error:
            self.refuse(f"must be JSON: {error}")
        if not isinstance(item, dict):
            self.refuse(f"must be a JSON object, not {type(item).__name__}")
        return item

    def _read_header(self) -> dict[str, Any]:
        header = self._read_line()
        if header is None or header.get("format") != _MAGIC:
            self.refuse(f"must be the first line of a {_MAGIC}")
        if header.get("version") != FORMAT_VERSION:
            self.refuse(f"version must be {FORMAT_VERSION}, not {header.get('version')!r}: use the "
                        "release of pendula that wrote it")
        self._check_fields(header, _HEADER)
        return header

    def _read_event(self) -> Event | None:
        item = self._read_line()
        if item is None:
            return None
        kind = item.get("kind")
        if not isinstance(kind, str) or kind not in _DETAIL:
            self.refuse(f"kind must be one of {', '.join(_DETAIL)}, not {kind!r}")
        name, form = _DETAIL[kind]
        details = {} if kind in _OPTIONAL and name not in item else {name: form}
        self._check_fields(item, {"t_us": int, "kind": str, **details})
        if item["t_us"] < self._time_us:
            self.refuse(f"t_us must be at least {self._time_us}, not {item['t_us']}")
        return Event(self._line, item["t_us"], kind, self._bytes_of(item.get("data", "")),
                     item.get("error"))

    def _check_fields(self, item: Mapping[str, Any], expected: Mapping[str, type]) -> None:
        found = {name: type(value) for name, value in item.items()}
        if found != expected:
            self.refuse("must have exactly the fields "
                        + ", ".join(f"{name} ({form.__name__})" for name, form in expected.items()))

    def _bytes_of(self, text: str) -> bytes:
        try:
            return bytes.fromhex(text)
        except ValueError:
            self.refuse("data must be pairs of hexadecimal digits")
