"""Colorlight i5 v7.0 on its extension board.

Pins of clock, light and UART are those of the community's documentation, in which two independent
sources agree: the pin tables of github.com/wuxx/Colorlight-FPGA-Projects, as used by LiteX-Boards,
and the constraints of github.com/FPiorski/colorlight-i5-vhdl-examples.
"""

from typing import ClassVar

from amaranth.build import Attrs, Clock, Pins, Resource
from amaranth.vendor import LatticeECP5Platform
from amaranth_boards.resources import LEDResources, UARTResource

from pendula_boards.board import Board, Led, Port
from pendula_boards.parts import LFE5U_25F

__all__ = ["BOARDS", "ColorlightI5Platform"]


class ColorlightI5Platform(LatticeECP5Platform):
    """Pins that a Pendula needs."""

    device = "LFE5U-25F"
    package = "BG381"
    speed = "6"
    default_clk = "clk25"
    resources: ClassVar = [
        Resource("clk25", 0, Pins("P3", dir="i"), Clock(25e6), Attrs(IO_TYPE="LVCMOS33")),
        *LEDResources(pins="U16", invert=True, attrs=Attrs(IO_TYPE="LVCMOS33")),
        UARTResource(0, rx="H18", tx="J17", attrs=Attrs(IO_TYPE="LVCMOS33", PULLMODE="UP")),
    ]
    connectors: ClassVar = []


BOARDS = (Board(
    name="colorlight-i5", title="Colorlight i5 v7.0", platform=ColorlightI5Platform,
    part=LFE5U_25F,
    place_options=("--25k", "--package", "CABGA381", "--speed", "6"),
    clocks_mhz=(100, 87.5, 75, 62.5, 50, 25),
    port=Port(bridge="DAPLink of the extension board", baud_hz=115_200, max_baud_hz=1_000_000,
              usb=(0x0D28, 0x0204)),
    busy=Led("led", 0),
    loader="colorlight-i5",
    note="One light, for busy. Which rates the extension board's bridge can do is not documented: "
         "it is built for 115,200 baud, and --baud asks for more."),)
