"""FPGA fabrics: what an array is built from where multipliers and memories are not all alike."""

from dataclasses import dataclass
from typing import Any

__all__ = ["ECP5", "FABRICS", "GENERIC", "GOWIN", "ICE40", "UNCHECKED", "Fabric"]


UNCHECKED: dict[str, Any] = {"no_rw_check": 1}
"""Attributes of a memory whose reader does not care what it gets from a row that is written in that
cycle; synthesis adds logic for it otherwise."""


@dataclass(frozen=True, slots=True)
class Fabric:
    """How parts of an array are built on a family of FPGAs. It changes no sample.

    Parameters
    ----------
    name : str
        Name of the family.
    recoded : bool
        Whether couplings are added up from recoded digits in look-up tables, so that the DSP blocks
        are left to the gains; otherwise they are plain products, which simulators run fastest.
    spram : bool
        Whether parameter rows are kept in iCE40 UltraPlus SPRAM.
    multiplier_bits : int
        Bits of a signed factor of a hardware multiplier; wider products are split. 0 never splits.
    distributed_depth : int
        Rings of fewer words are kept in look-up tables rather than block RAM.
    bank_depth : int
        Memories of more rows are split into banks of this many; 0 never splits.
    """

    name: str
    recoded: bool = True
    spram: bool = False
    multiplier_bits: int = 0
    distributed_depth: int = 0
    bank_depth: int = 0

    def banks(self, rows: int) -> list[int]:
        """Return the rows of the banks of a memory; all but the last are alike."""
        depth = self.bank_depth or rows
        return [min(depth, rows - first) for first in range(0, rows, depth)]

    def ring_attributes(self, depth: int) -> dict[str, Any]:
        """Return what tells synthesis how to keep a ring of `depth` words."""
        style = {"ram_style": "distributed"} if depth < self.distributed_depth else {}
        return UNCHECKED | style


GENERIC = Fabric("generic", recoded=False)
"""Nothing is known: simulators."""

ECP5 = Fabric("ecp5", multiplier_bits=18, distributed_depth=64, bank_depth=2048)
ICE40 = Fabric("ice40", multiplier_bits=16, spram=True)
GOWIN = Fabric("gowin", multiplier_bits=18, distributed_depth=64, bank_depth=2048)

FABRICS = {fabric.name: fabric for fabric in (GENERIC, ECP5, ICE40, GOWIN)}
"""All fabrics by name."""
