"""How fast a design is, by its clock: cycles are exact, see docs/adr/0009-lanes.md."""

from dataclasses import dataclass

from amaranth.hdl import Fragment

from pendula.contract.protocol import CRC_BYTES, HEADER_BYTES, INDEX_BYTES
from pendula.contract.spec import ArraySpec
from pendula.contract.uart import FRAME_BITS
from pendula_boards.design import Design
from pendula_gateware.array.array import OscillatorArray
from pendula_gateware.fabric import Fabric

__all__ = ["Rates"]

_COBS_BYTES = 2         # of a short frame: its code byte and the zero at its end


def _array_cycles(spec: ArraySpec, fabric: Fabric, lanes: int) -> tuple[int, int]:
    """Return the clock cycles of a pass over the nodes, and of a job beside its passes."""
    array = OscillatorArray(spec=spec, fabric=fabric, lanes=lanes)
    Fragment.get(array, None)       # Amaranth warns of what is never elaborated
    return array.period, array.pause


@dataclass(frozen=True, slots=True)
class Rates:
    """Rates of a program on a design.

    Parameters
    ----------
    cycles_per_sample : float
        Clock cycles from one sample to the next: a pass for the initial state and one for each
        step, and where noise streams are prepared between jobs, the pause for that, shared by the
        lanes.
    samples_per_s : float
        Samples that the array draws.
    link_samples_per_s : float
        Samples that the UART carries as pixels; the slower of the two is what the host sees.
    node_updates_per_s, edge_updates_per_s : float
        Updates of nodes, and their neighbours' shares in them.
    """

    cycles_per_sample: float
    samples_per_s: float
    link_samples_per_s: float
    node_updates_per_s: float
    edge_updates_per_s: float

    @classmethod
    def of(cls, design: Design, *, steps: int, visible: int) -> "Rates":
        """Return the rates of a program with so many steps and visible nodes."""
        spec, clock_hz = design.spec, design.clock_hz
        period, pause = _array_cycles(spec, design.fabric, design.lanes)
        cycles = ((1 + steps) * period + pause) / design.lanes
        updates = clock_hz / cycles * spec.nodes * steps
        frame = HEADER_BYTES + INDEX_BYTES + visible + CRC_BYTES
        frame += _COBS_BYTES + frame // 254
        return cls(cycles, clock_hz / cycles, design.baud_hz / FRAME_BITS / frame, updates,
                   updates * len(spec.offsets))
