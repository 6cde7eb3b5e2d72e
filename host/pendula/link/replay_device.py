"""``replay://F.jsonl``: a device that answers from a recording."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pendula.contract.spec import ArraySpec
from pendula.errors import LinkDownError
from pendula.link.client import Client
from pendula.link.recording import Player
from pendula.link.remote_device import DELIMITER, RemoteDevice
from pendula.link.transport import AbstractTransport

__all__ = ["ReplayDevice", "ReplayTransport"]

_REMOTE = ("serial", "tcp", "replay")       # devices that dial; the others are in the process


class ReplayTransport(AbstractTransport):
    """Byte link to a recording.

    Parameters
    ----------
    player : Player
        Recording, at the event after the connection was made.

    Raises
    ------
    RecordingError
        From :meth:`write`, if the host sends other bytes than it did then. A delimiter alone asks
        nothing, and is not compared.
    LinkDownError
        From :meth:`read` and :meth:`write`, where the connection broke then.
    """

    def __init__(self, player: Player) -> None:
        self._player = player

    def write(self, data: bytes) -> None:
        """Compare bytes with those that were sent."""
        self._skip()
        if data == DELIMITER:
            self._break_as_recorded()
            return
        event = self._player.next
        if event is None or event.kind != "send":
            self._player.refuse(f"the host sent {data.hex()}, where "
                                + (f"{event.kind} follows" if event else "the recording ends"))
        if event.data != data:
            self._player.refuse(f"the host must send {event.data.hex()}, as it did when this was "
                                f"recorded, not {data.hex()}")
        self._player.take()
        self._break_as_recorded()

    def read(self, cycles: int) -> bytes:
        """Return the bytes that came, as many at once as then."""
        self._break_as_recorded()
        event = self._player.next
        return self._player.take().data if event and event.kind == "receive" else b""

    def close(self) -> None:
        """Nothing is held."""

    def _skip(self) -> None:
        """Pass over what asks nothing."""
        while (event := self._player.next) and (
                event.kind == "hello" or (event.kind == "send" and event.data == DELIMITER)):
            self._player.take()

    def _break_as_recorded(self) -> None:
        self._skip()
        if (event := self._player.next) and event.kind == "fail":
            self._player.take()
            raise LinkDownError(event.error or "")


class ReplayDevice(RemoteDevice):
    """A device that answers from a recording, as long as the host asks what it asked then.

    It answers at once; :meth:`clock` shows the recorded time, so that a host that goes by it asks
    the same again.

    Parameters
    ----------
    url : str
        ``replay://`` and the path of the recording.

    Raises
    ------
    RecordingError
        If the file is none; from every method, where host and recording part.
    """

    def __init__(self, url: str) -> None:
        super().__init__(url)
        parts = urlsplit(url)
        self._player = Player(Path(unquote(parts.netloc + parts.path)))

    def clock(self) -> float:
        """Return seconds since the recording began, up to the last event."""
        return self._player.time_s

    def close(self) -> None:
        """Close the recording."""
        super().close()
        self._player.close()

    def _connect(self, spec: ArraySpec | None) -> Client:
        """Connect where the recorded device did, which may have been built anew for an array."""
        if self._client is not None and not self._opens:
            return self._client
        if self._player.header["url"].partition(":")[0] in _REMOTE:
            return super()._connect(spec)
        return Client(next(self._recorded(self._transports())), self.health)

    @property
    def _opens(self) -> bool:
        return self._player.next is not None and self._player.next.kind == "open"

    def _transports(self) -> Iterator[ReplayTransport]:
        if not self._opens:
            self._player.refuse("the host connected, where the recorded one did not")
        while self._opens:
            error = self._player.take().error
            if error is not None:
                raise LinkDownError(error)
            yield ReplayTransport(self._player)

    def _advise_silence(self) -> str:
        return "So it was when this was recorded"
