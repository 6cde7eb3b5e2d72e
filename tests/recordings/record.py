"""Record the sessions in this folder again: ``python tests/recordings/record.py``.

To be done where the contract id or what the host asks for changes. ``whole`` is a run of the
Verilated gateware; in ``broken`` the connection breaks now and then, and bytes are damaged.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import numpy as np

FOLDER = Path(__file__).parent
sys.path.insert(0, str(FOLDER.parent))

from boards import CuttingProxy, ResponderEngine, serving, tcp_port  # noqa: E402
from pendula.contract import ArraySpec, InitialState, get_physics  # noqa: E402
from pendula.device import AbstractDevice, open_device, recorded  # noqa: E402
from pendula.link.engine import Exchange  # noqa: E402
from pendula.program import Program, random_program  # noqa: E402

SPEC = ArraySpec(physics=get_physics("kuramoto"), nodes=5, offsets=(-2, 1), segments=2,
                 table_bits=3)
CUTS = (150, 600, 700, None)        # bytes from the device after which connections break


class DamagingEngine(ResponderEngine):
    """Flips a bit of a hundredth of the bytes that it sends."""

    def __init__(self) -> None:
        super().__init__(SPEC)
        self._rng = Random(5)

    def exchange(self, data: bytes, max_cycles: int) -> Exchange:
        result = super().exchange(data, max_cycles)
        output = bytes(byte ^ (self._rng.random() < 0.01) << self._rng.randrange(8)
                       for byte in result.output)
        return Exchange(result.consumed, output, result.cycles, result.idle)


def make_program() -> Program:
    """Return the program of all sessions."""
    return random_program(SPEC, np.random.default_rng(7), segments=2, steps=2,
                          initial=InitialState.GAUSSIAN)


def session(device: AbstractDevice) -> dict[str, list[int]]:
    """Do everything that a device can do, and return what came of it."""
    device.load(make_program())
    states = device.sample(6, seed=1 << 40, hidden=True).values
    device.set_nodes(clamped=np.arange(SPEC.nodes) == 2)
    pixels = device.sample(4, seed=2, first=9, pixels=True)
    moments = device.moments(8, seed=3, thin=2, edges=[(0, 1)], histograms=[4], bins=4)
    found = {"states": states, "pixels": pixels.values, "forces": device.forces(states[:2]),
             "saturations": np.array([pixels.saturations, moments.saturations]),
             "totals": moments.totals, "products": moments.products, "counts": moments.counts}
    return {name: values.tolist() for name, values in found.items()}


@contextmanager
def _broken_device(path: Path) -> Iterator[AbstractDevice]:
    with serving(DamagingEngine(), tcp_port) as board, \
            CuttingProxy(iter([board.port.address] * len(CUTS)), iter(CUTS)) as proxy:
        address = proxy.url.partition("?")[0]
        with open_device(recorded(f"{address}?timeout=0.2", path)) as device:
            yield device


@contextmanager
def _whole_device(path: Path) -> Iterator[AbstractDevice]:
    with open_device(recorded("verilator://", path)) as device:
        yield device


SESSIONS = {"whole": _whole_device, "broken": _broken_device}


def path_of(name: str) -> Path:
    """Return the file of a session."""
    return FOLDER / f"{name}.jsonl"


if __name__ == "__main__":
    for session_name, open_session in SESSIONS.items():
        target = path_of(session_name)
        target.unlink(missing_ok=True)
        with open_session(target) as recorded_device:
            session(recorded_device)
            print(f"{target}: {target.stat().st_size} bytes, {recorded_device.health}")  # noqa: T201
