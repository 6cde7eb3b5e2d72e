"""What a board is: a record of facts."""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from pendula_boards.clocking import ClockSource
from pendula_boards.flow import Flow
from pendula_boards.pll import MHZ, PllLimits
from pendula_gateware.fabric import Fabric

__all__ = ["Board", "Led", "Part", "Port"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """An FPGA, as the tools know it.

    Parameters
    ----------
    name : str
        Name as sold, without package.
    fabric : Fabric
        What the array is built from.
    flow : Flow
        Tools that make its bitstream.
    pll : PllLimits
        What its loops can do.
    clock_source : type
        Gateware around a loop.
    capacity : mapping of str to int
        How many there are of each resource of the flow.
    """

    name: str
    fabric: Fabric
    flow: Flow
    pll: PllLimits
    clock_source: type[ClockSource]
    capacity: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Led:
    """A light.

    Parameters
    ----------
    resource : str
        Resource of the platform.
    number : int
        Its number.
    colour : str, optional
        Part of it, where it has several.
    """

    resource: str
    number: int = 0
    colour: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """The serial port, and the bridge that leads to it.

    Parameters
    ----------
    bridge : str
        What turns USB into two wires.
    baud_hz : int
        Rate at which the board is built.
    max_baud_hz : int
        Fastest rate of the bridge.
    usb : tuple of int, optional
        Vendor and product; None where the board has no bridge of its own.
    interface : int, optional
        Which of the bridge's ports it is, where it has several.
    """

    bridge: str
    baud_hz: int
    max_baud_hz: int
    usb: tuple[int, int] | None = None
    interface: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """A board, its pins apart: those are its platform's.

    Parameters
    ----------
    name : str
        Name on the command line.
    title : str
        Name as sold.
    platform : type
        Platform of Amaranth: pins, clock, package.
    part : Part
        Its FPGA.
    place_options : tuple of str
        Options of nextpnr: device, package, speed grade.
    pack_options : tuple of str
        Options of the packer.
    clocks_mhz : tuple of float
        Clocks to build for, the first by default; any other that the loop can make is allowed.
    port : Port
        Where the host is.
    busy : Led
        Lit while the device works.
    error : Led, optional
        Lit since a byte was lost or a frame dropped.
    loader : str
        Name for openFPGALoader.
    volatile : bool
        Whether it can load the FPGA without writing the flash.
    resources : tuple
        Resources that are added to the platform's.
    model : str
        Shipped model that it is built for by default.
    note : str
        What a user must know.
    """

    name: str
    title: str
    platform: type[Any]
    part: Part
    place_options: tuple[str, ...]
    clocks_mhz: tuple[float, ...]
    port: Port
    busy: Led
    error: Led | None = None
    loader: str
    volatile: bool = True
    pack_options: tuple[str, ...] = ()
    resources: tuple[Any, ...] = ()
    model: str = "digits"
    note: str = ""

    @property
    def input_hz(self) -> Fraction:
        """Rate of the board's own clock."""
        return Fraction(self.platform().default_clk_frequency)

    @property
    def clock_hz(self) -> Fraction:
        """Rate at which it is built by default."""
        return Fraction(self.clocks_mhz[0]) * MHZ

    def make_platform(self) -> Any:
        """Return a fresh platform: one serves one design."""
        platform = self.platform()
        platform.add_resources(self.resources)
        return platform
