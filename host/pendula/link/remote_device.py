"""Devices outside this process: a connection that takes time, and that can break."""

import abc
import logging
import time
from collections.abc import Iterator
from dataclasses import replace

from pendula.contract.protocol import Hello
from pendula.contract.spec import ArraySpec
from pendula.contract.step import InitialState
from pendula.errors import LinkDownError, LinkError, SilentLinkError, UrlError
from pendula.link.client import Client
from pendula.link.link_device import LinkDevice
from pendula.link.transport import AbstractTransport
from pendula.program import Program

__all__ = ["DEFAULT_RECONNECT_S", "DEFAULT_TIMEOUT_S", "DELIMITER", "SLOWEST_CLOCK_HZ",
           "RemoteDevice", "read_number"]

DEFAULT_TIMEOUT_S = 1.0
DEFAULT_RECONNECT_S = 5.0
SLOWEST_CLOCK_HZ = 100_000      # clocked slower than this, a device needs a longer timeout

_HELLO_ATTEMPTS = 2             # the first may be lost behind what an earlier host left
_RETRY_S = 0.1                  # pause between two attempts to connect
DELIMITER = b"\0"                # ends a frame; alone, it asks nothing

_log = logging.getLogger("pendula")


def read_number(name: str, text: str, default: float, least: float) -> float:
    """Return the value of an option of a URL; empty text stands for the default.

    Raises
    ------
    UrlError
        If it is no finite number, or below `least`.
    """
    try:
        value = float(text) if text else default
    except ValueError:
        value = float("nan")
    if not least <= value < float("inf"):
        raise UrlError(f"option {name} must be a number of at least {least:g}, not {text!r}")
    return value


class RemoteDevice(LinkDevice):
    """A device behind a connection that can break.

    Where it breaks while a program is loaded or runs, the device connects again, asks who answers,
    writes what the other end has lost, and goes on: no sample is lost, and none is delivered twice.
    A chain (initial state KEEP) cannot go on, because the other end's state is unknown then.

    Parameters
    ----------
    url : str
        Address that the device was opened with.
    timeout : str
        Seconds of silence after which a request is repeated, on top of the time that
        :data:`SLOWEST_CLOCK_HZ` needs for it. :data:`DEFAULT_TIMEOUT_S` where empty.
    reconnect : str
        Seconds for which a broken connection is tried again; 0 gives up at once.
        :data:`DEFAULT_RECONNECT_S` where empty.

    Raises
    ------
    UrlError
        If an option is wrong.
    LinkDownError
        From every method, if there is no connection, or none again in time.
    """

    def __init__(self, url: str, *, timeout: str = "", reconnect: str = "") -> None:
        super().__init__(url)
        self.timeout_s = read_number("timeout", timeout, DEFAULT_TIMEOUT_S, 1e-3)
        self.reconnect_s = read_number("reconnect", reconnect, DEFAULT_RECONNECT_S, 0.0)
        self._hello: Hello | None = None

    @abc.abstractmethod
    def _transports(self) -> Iterator[AbstractTransport]:
        """Yield open transports, one for each way in which the device may be reached.

        The last one is closed before the next is opened.
        """

    @abc.abstractmethod
    def _advise_silence(self) -> str:
        """Return what to do about a device that gave no sound answer."""

    def _connect(self, spec: ArraySpec | None) -> Client:
        if self._client is not None:
            return self._client
        client, self._hello = self._dial(None, 0)
        return client

    def _dial(self, client: Client | None, cycles: int) -> tuple[Client, Hello]:
        """Return a client whose transport is answered, and the answer."""
        silence = None
        for transport in self._recorded(self._transports()):
            try:
                transport.write(DELIMITER)     # ends what an earlier host left unfinished
                client = client or Client(transport, self.health)
                client.move_to(transport)
                return client, client.hello(attempts=_HELLO_ATTEMPTS, cycles=cycles)
            except SilentLinkError as error:
                silence = error
                transport.close()
            except BaseException:
                transport.close()
                raise
        raise SilentLinkError(f"{self.url}: {silence}. {self._advise_silence()}")

    def _reconnect(self, error: LinkDownError, program: Program, cycles: int) -> None:
        if self._client is None or self.reconnect_s == 0:
            self._disconnect()
            raise error
        if program.initial is InitialState.KEEP:
            self._disconnect()
            raise LinkError(f"{error}. A chain cannot be resumed, because every sample starts at "
                            "the state before: load the program again") from error
        _log.warning("%s; trying again for %g s", error, self.reconnect_s)
        hello = self._dial_again(self._client, cycles)
        if self._hello is None or replace(hello, jitter_seed=0) != replace(self._hello,
                                                                           jitter_seed=0):
            self._disconnect()
            raise LinkError(f"{self.url} is another device than before the connection broke: "
                            "load the program again")
        self.health.reconnects += 1
        _log.warning("%s is back, the run goes on", self.url)

    def _dial_again(self, client: Client, cycles: int) -> Hello:
        """Return the answer of the device, as soon as it is there again."""
        deadline_s = time.monotonic() + self.reconnect_s
        client.close()
        while True:
            try:
                return self._dial(client, cycles)[1]
            except (LinkDownError, SilentLinkError) as error:
                if time.monotonic() > deadline_s:
                    self._disconnect()
                    raise LinkDownError(
                        f"{self.url} did not come back within {self.reconnect_s:g} s: {error}. "
                        "Start again when it is there, or wait longer, such as with "
                        "?reconnect=60") from error
            time.sleep(_RETRY_S)
