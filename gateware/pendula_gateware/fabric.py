"""FPGA fabrics: what an array is built from where multipliers and memories are not all alike."""

from dataclasses import dataclass

__all__ = ["ECP5", "FABRICS", "GENERIC", "GOWIN", "ICE40", "Fabric"]


@dataclass(frozen=True, slots=True)
class Fabric:
    """How parts of an array are built on a family of FPGAs. It changes no sample and no latency.

    Parameters
    ----------
    name : str
        Name of the family.
    recoded : bool
        Whether couplings are added up from recoded digits in look-up tables, so that the DSP blocks
        are left to the gains; otherwise they are plain products, which simulators run fastest.
    spram : bool
        Whether parameter rows are kept in iCE40 UltraPlus SPRAM.
    """

    name: str
    recoded: bool = True
    spram: bool = False


GENERIC = Fabric("generic", recoded=False)
"""Nothing is known: simulators."""

ECP5 = Fabric("ecp5")
ICE40 = Fabric("ice40", spram=True)
GOWIN = Fabric("gowin")

FABRICS = {fabric.name: fabric for fabric in (GENERIC, ECP5, ICE40, GOWIN)}
"""All fabrics by name."""
