"""ULX3S of Radiona, in four sizes."""

from amaranth_boards.ulx3s import (
    ULX3S_12F_Platform,
    ULX3S_25F_Platform,
    ULX3S_45F_Platform,
    ULX3S_85F_Platform,
)

from pendula_boards.board import Board, Led, Part, Port
from pendula_boards.parts import LFE5U_12F, LFE5U_25F, LFE5U_45F, LFE5U_85F

__all__ = ["BOARDS"]


def _board(size: str, platform: type, part: Part, option: str, note: str = "") -> Board:
    return Board(
        name=f"ulx3s-{size}f", title=f"ULX3S {size}F", platform=platform, part=part,
        place_options=(option, "--package", "CABGA381", "--speed", "6"),
        clocks_mhz=(100, 87.5, 75, 62.5, 50, 25),
        port=Port(bridge="FT231X", baud_hz=3_000_000, max_baud_hz=3_000_000,
                  usb=(0x0403, 0x6015)),
        busy=Led("led", 0), error=Led("led", 1),
        loader="ulx3s", note=note)


BOARDS = (
    _board("12", ULX3S_12F_Platform, LFE5U_12F, "--12k",
           "The tools use all 24,288 LUTs of the die; the vendor promises 12,000."),
    _board("25", ULX3S_25F_Platform, LFE5U_25F, "--25k"),
    _board("45", ULX3S_45F_Platform, LFE5U_45F, "--45k"),
    _board("85", ULX3S_85F_Platform, LFE5U_85F, "--85k"),
)
