"""What the parts of an array have in common: the spec that they are built for."""

from typing import Any

from amaranth.lib import wiring

from pendula.contract.spec import ArraySpec

__all__ = ["ArrayPart"]


class ArrayPart(wiring.Component):
    """Component of an array.

    Parameters
    ----------
    signature : dict
        Ports, as for :class:`amaranth.lib.wiring.Component`.
    spec : ArraySpec
        Array.
    """

    def __init__(self, signature: dict[str, Any], *, spec: ArraySpec) -> None:
        self._spec = spec
        super().__init__(signature)

    @property
    def spec(self) -> ArraySpec:
        """Array."""
        return self._spec
