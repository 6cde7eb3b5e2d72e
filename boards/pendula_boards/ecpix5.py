"""ECPIX-5 of LambdaConcept, in two sizes."""

from amaranth_boards.ecpix5 import ECPIX545Platform, ECPIX585Platform

from pendula_boards.board import Board, Led, Part, Port
from pendula_boards.parts import ecp5

__all__ = ["BOARDS"]


def _board(size: str, platform: type, part: Part) -> Board:
    return Board(
        name=f"ecpix5-{size}", title=f"ECPIX-5 {size}F", platform=platform, part=part,
        place_options=(f"--um5g-{size}k", "--package", "CABGA554", "--speed", "8"),
        clocks_mhz=(100, 90, 80, 70, 60, 50),
        port=Port(bridge="FT2232H, port B", baud_hz=3_000_000, max_baud_hz=12_000_000,
                  usb=(0x0403, 0x6010), interface=1),
        busy=Led("rgb_led", 0, "g"), error=Led("rgb_led", 1, "r"),
        loader="ecpix5")


BOARDS = (
    _board("45", ECPIX545Platform, ecp5("LFE5UM5G-45F", luts=43_848, ebr=108, dsp=72)),
    _board("85", ECPIX585Platform, ecp5("LFE5UM5G-85F", luts=83_640, ebr=208, dsp=156)),
)
