"""The rungs: which two devices each compares, what parts them, and what must agree."""

import enum
from dataclasses import dataclass

__all__ = ["PARAMETERS", "RUNGS", "Kind", "Rung", "build_ladder"]

PARAMETERS = "parameters"


class Kind(enum.StrEnum):
    """What must agree."""

    COST = "cost"        # nothing: steps and codes are the model's own, and chosen in training
    LAW = "law"          # laws
    FORCES = "forces"    # forces in integers, and laws
    BITS = "bits"        # every integer


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


_WHOLE = _float(functions="exact", noise="ideal")
_TABLES = _float(noise="ideal")
_NOISE = _float(noise="array")
_ROUNDED = _float(noise="array", states="rounded")


def build_ladder(*, real: bool) -> tuple[Rung, ...]:
    """Return all rungs, from the equations down.

    Parameters
    ----------
    real : bool
        Whether the program holds the real parameters that its codes were rounded from. The rungs
        above :data:`PARAMETERS` run them; without them they run the codes, and that rung changes
        nothing.
    """
    ideal = {"functions": "exact", "noise": "ideal"} | ({"parameters": "real"} if real else {})
    quarters, halves = (_float(**ideal, halvings=times) for times in ("2", "1"))
    whole = _float(**ideal)
    return (
        Rung("half-steps", Kind.COST, "steps twice as long as quarter steps", halves, quarters),
        Rung("steps", Kind.COST, "whole steps instead of half steps", whole, halves),
        Rung(PARAMETERS, Kind.COST, "codes and gains of a few bits", _WHOLE, whole),
        Rung("tables", Kind.LAW, "functions of the state as tables", _TABLES, _WHOLE),
        Rung("noise", Kind.LAW, "Gaussians of the array's noise source", _NOISE, _TABLES),
        Rung("states", Kind.LAW, "states rounded to the array's bits", _ROUNDED, _NOISE),
        Rung("integers", Kind.FORCES, "integer arithmetic", "twin://", _ROUNDED),
        Rung("pysim", Kind.BITS, "gateware, in Amaranth's simulator", "pysim://", segments=1),
        Rung("verilator", Kind.BITS, "gateware, compiled", "verilator://"),
        Rung("netlist", Kind.BITS, "cells of an FPGA", "netlist://ecp5", segments=64),
        Rung("device", Kind.BITS, "the device that was named", ""))


RUNGS = tuple(rung.name for rung in build_ladder(real=True))
"""Names of all rungs, from the equations down."""
