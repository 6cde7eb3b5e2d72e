"""The rungs: which two devices each compares, what parts them, and what must agree."""

import enum
from dataclasses import dataclass

__all__ = ["LADDER", "Kind", "Rung"]


class Kind(enum.StrEnum):
    """What must agree."""

    COST = "cost"            # nothing: what the step size costs is the model's own affair
    LAW = "law"              # laws
    FORCES = "forces"        # forces in integers, and laws
    BITS = "bits"            # every integer
    TRAINING = "training"    # nothing: a figure that training left in the file


@dataclass(frozen=True, slots=True)
class Rung:
    """One step from the equations to the hardware.

    Parameters
    ----------
    name : str
        Name on the command line.
    kind : Kind
        What must agree.
    adds : str
        What the second device has that the first has not.
    url, against : str
        The second device and the first; an empty `url` is the one that the user names.
    segments : int
        Slow devices run one step of this many segments at either end of the program; 0 runs it all.
    """

    name: str
    kind: Kind
    adds: str
    url: str
    against: str = "twin://"
    segments: int = 0


def _float(**options: str) -> str:
    return "float://?" + "&".join(f"{name}={value}" for name, value in options.items())


_QUARTERS = _float(functions="exact", noise="ideal", halvings="2")
_HALVES = _float(functions="exact", noise="ideal", halvings="1")
_WHOLE = _float(functions="exact", noise="ideal")
_TABLES = _float(noise="ideal")
_NOISE = _float(noise="array")
_ROUNDED = _float(noise="array", states="rounded")

LADDER = (
    Rung("half-steps", Kind.COST, "steps twice as long as quarter steps", _HALVES, _QUARTERS),
    Rung("steps", Kind.COST, "whole steps instead of half steps", _WHOLE, _HALVES),
    Rung("parameters", Kind.TRAINING, "codes and gains of a few bits", _WHOLE, _WHOLE),
    Rung("tables", Kind.LAW, "functions of the state as tables", _TABLES, _WHOLE),
    Rung("noise", Kind.LAW, "Gaussians of the array's noise source", _NOISE, _TABLES),
    Rung("states", Kind.LAW, "states rounded to the array's bits", _ROUNDED, _NOISE),
    Rung("integers", Kind.FORCES, "integer arithmetic", "twin://", _ROUNDED),
    Rung("pysim", Kind.BITS, "gateware, in Amaranth's simulator", "pysim://", segments=1),
    Rung("verilator", Kind.BITS, "gateware, compiled", "verilator://"),
    Rung("netlist", Kind.BITS, "cells of an FPGA", "netlist://ecp5", segments=64),
    Rung("device", Kind.BITS, "the device that was named", ""),
)
"""All rungs, from the equations down."""
