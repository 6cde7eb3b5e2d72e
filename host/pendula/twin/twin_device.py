"""``twin://``: the integers of the gateware, without hardware description language."""

from pendula.program import Program
from pendula.twin.block_device import BlockDevice
from pendula.twin.engine import Engine

__all__ = ["TwinDevice"]


class TwinDevice(BlockDevice):
    """The integer twin: equal, bit for bit, to every other exact device.

    Notes
    -----
    Forces are int64 in units of ``program.spec.force_unit_val``; states are int32.
    """

    exact = True

    def _make_model(self, program: Program) -> Engine:
        return Engine(program)
