"""What the simulated devices have in common: a simulation for each array that is asked for."""

import abc
from typing import ClassVar

from pendula.contract.memory import BUFFERS_HI
from pendula.contract.protocol import LANES_HI
from pendula.contract.spec import ArraySpec
from pendula.errors import UrlError
from pendula.link.client import Client
from pendula.link.engine import AbstractEngine
from pendula.link.link_device import LinkDevice
from pendula_gateware.fabric import FABRICS, GENERIC
from pendula_sim.design import DEFAULT_SPEC, Options
from pendula_sim.engine import SimulatorTransport

__all__ = ["SimulatedDevice"]


class SimulatedDevice(LinkDevice):
    """A device whose gateware is simulated in this process.

    The gateware is built for the array of the program that is loaded. A program that fits the
    running simulation is loaded into it, so that the last state stays, as on a board.

    Parameters
    ----------
    url : str
        Address that the device was opened with.
    lanes : str
        Samples drawn side by side, from 1 to :data:`pendula.contract.protocol.LANES_HI`.
    jitter : str
        Jitter seeder: ``model`` for one whose source is a model, or empty for none.
    fabric : str
        Family of FPGAs that the gateware is written for, one of :attr:`fabrics`.
    fold : str
        Cycles that a lane takes for a node, from 1 to the neighbours of a node: the fewer
        multipliers it has.
    buffers : str
        Programs that it holds: with 2, it takes the next one in while it draws.

    Raises
    ------
    UrlError
        If an option is something else.
    """

    fabrics: ClassVar[tuple[str, ...]] = tuple(FABRICS)
    """Fabrics whose gateware can be simulated."""

    def __init__(self, url: str, lanes: str = "1", jitter: str = "",
                 fabric: str = GENERIC.name, fold: str = "1", buffers: str = "1") -> None:
        super().__init__(url)
        if jitter not in ("", "model"):
            raise UrlError(f"jitter of a simulated device must be model, not {jitter!r}")
        if not lanes.isdecimal() or not 1 <= int(lanes) <= LANES_HI:
            raise UrlError(f"lanes of a simulated device must be within 1..{LANES_HI}, "
                           f"not {lanes!r}")
        if fabric not in self.fabrics:
            known = ", ".join(self.fabrics)
            raise UrlError(f"fabric of {url} must be one of {known}, not {fabric!r}")
        if not fold.isdecimal() or int(fold) < 1:
            raise UrlError(f"fold of a simulated device must be 1 or more, not {fold!r}")
        if not buffers.isdecimal() or not 1 <= int(buffers) <= BUFFERS_HI:
            raise UrlError(f"buffers of a simulated device must be within 1..{BUFFERS_HI}, "
                           f"not {buffers!r}")
        self._options = Options(lanes=int(lanes), jitter=bool(jitter), fabric=fabric,
                                fold=int(fold), buffers=int(buffers))
        self._spec: ArraySpec | None = None

    def open_engine(self, spec: ArraySpec | None) -> AbstractEngine:
        """Start a simulation of an array, or of the default one; the caller closes it."""
        spec = spec or DEFAULT_SPEC
        degree = len(spec.offsets)
        if self._options.fold > degree:
            raise UrlError(f"fold of {self.url} must be within 1..{degree}, as the array has so "
                           f"many neighbours, not {self._options.fold}")
        with self.times.measure("build"):
            return self._start(spec)

    @abc.abstractmethod
    def _start(self, spec: ArraySpec) -> AbstractEngine:
        """Start a simulation of an array."""

    def _connect(self, spec: ArraySpec | None) -> Client:
        spec = spec or self._spec or DEFAULT_SPEC
        if self._client is not None:
            if self._spec is not None and _fits(spec, self._spec):
                return self._client
            self._disconnect()
        simulator = SimulatorTransport(self.open_engine(spec))
        transport, = self._recorded(iter([simulator]))
        self._spec = spec
        return Client(transport, self.health)


def _fits(wanted: ArraySpec, built: ArraySpec) -> bool:
    return wanted.digest == built.digest and wanted.segments <= built.segments
