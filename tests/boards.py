"""Virtual boards in this process, and wires between a host and a board that can be cut."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from pendula.contract import ArraySpec
from pendula.contract.statistics import default_sums
from pendula.device import AbstractDevice, open_device
from pendula.link.engine import AbstractEngine, Exchange
from pendula.link.ports import AbstractPort, PtyPort, TcpPort
from pendula.link.server import Server
from responder import Responder

__all__ = ["CuttingProxy", "ResponderEngine", "opened", "pty_port", "serving", "tcp_port"]

LOOPBACK = "127.0.0.1"
_PIECE_BYTES = 50


class ResponderEngine(AbstractEngine):
    """A device built from the contract alone; it sends a piece in every slice."""

    slice_cycles = 1

    def __init__(self, spec: ArraySpec) -> None:
        self.responder = Responder(spec, sums=default_sums(spec))
        self.closed = False
        self._output = b""

    def exchange(self, data: bytes, max_cycles: int) -> Exchange:
        self._output += b"".join(self.responder.receive(data))
        piece, self._output = self._output[:_PIECE_BYTES], self._output[_PIECE_BYTES:]
        return Exchange(len(data), piece, 1, idle=not self._output)

    def close(self) -> None:
        self.closed = True


def tcp_port(report: Callable[[str], None]) -> TcpPort:
    """Return a free TCP port."""
    return TcpPort(report, LOOPBACK, 0)


def pty_port(report: Callable[[str], None]) -> PtyPort:
    """Return a pseudo-terminal."""
    return PtyPort(report)


@contextmanager
def opened(url: str, spec: ArraySpec) -> Iterator[AbstractDevice]:
    """Open a device; ``tcp+URL`` and ``serial+URL`` serve the simulator at URL meanwhile."""
    link, _, inner = url.rpartition("+")
    if not link:
        with open_device(url) as device:
            yield device
        return
    with open_device(inner) as simulator:
        engine = simulator.open_engine(spec)
        with serving(engine, {"tcp": tcp_port, "serial": pty_port}[link]) as board, \
                open_device(f"{board.url}?timeout=60") as device:
            yield device
        engine.close()


@dataclass
class Board:
    """A board that is being served."""

    port: AbstractPort
    events: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return self.port.url


@contextmanager
def serving(engine: AbstractEngine,
            make_port: Callable[[Callable[[str], None]], AbstractPort]) -> Iterator[Board]:
    """Serve an engine meanwhile, in a thread."""
    events: list[str] = []
    with make_port(events.append) as port:
        server, over = Server(engine, port), threading.Event()

        def work() -> None:
            while not over.is_set():
                server.step()

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        try:
            yield Board(port, events)
        finally:
            over.set()
            if isinstance(port, TcpPort):       # an event: somebody knocks
                host, _, number = port.address.rpartition(":")
                with suppress(OSError):
                    socket.create_connection((host, int(number))).close()
            thread.join()


class CuttingProxy:
    """Forwards connections one after the other, and cuts each after a number of bytes.

    Parameters
    ----------
    boards : iterator of str
        Address of the board behind each connection, HOST:PORT.
    cuts : iterator of (int or None)
        Bytes from the board after which each connection is cut; None leaves it whole.
    """

    def __init__(self, boards: Iterator[str], cuts: Iterator[int | None]) -> None:
        self.connections = 0
        self._boards, self._cuts = boards, cuts
        self._listener = socket.create_server((LOOPBACK, 0))
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Device URL; what would hang on time is given plenty."""
        return f"tcp://{LOOPBACK}:{self._listener.getsockname()[1]}?timeout=60&reconnect=60"

    def _work(self) -> None:
        while True:
            try:
                host, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            with host:
                self._forward(host, next(self._boards), next(self._cuts, None))

    def _forward(self, host: socket.socket, address: str, cut: int | None) -> None:
        name, _, number = address.rpartition(":")
        with socket.create_connection((name, int(number))) as board, suppress(OSError):
            upwards = threading.Thread(target=_pump, args=(host, board), daemon=True)
            upwards.start()
            try:
                _pump(board, host, cut)
            finally:
                for sock in (host, board):
                    with suppress(OSError):
                        sock.shutdown(socket.SHUT_RDWR)
                upwards.join()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def __enter__(self) -> "CuttingProxy":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _pump(source: socket.socket, sink: socket.socket, cut: int | None = None) -> None:
    """Copy bytes until either end closes, or until so many are copied."""
    with suppress(OSError):
        while cut is None or cut > 0:
            data = source.recv(4096 if cut is None else min(cut, 4096))
            if not data:
                break
            sink.sendall(data)
            cut = None if cut is None else cut - len(data)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
