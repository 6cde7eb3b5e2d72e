"""Tang Nano 9K of Sipeed."""

from amaranth_boards.tang_nano_9k import TangNano9kPlatform

from pendula_boards.board import Board, Led, Port
from pendula_boards.parts import GW1NR_9C

__all__ = ["BOARDS"]

BOARDS = (Board(
    name="tang-nano-9k", title="Tang Nano 9K", platform=TangNano9kPlatform, part=GW1NR_9C,
    place_options=("--device", "GW1NR-LV9QN88PC6/I5", "--vopt", "family=GW1N-9C"),
    pack_options=("-d", "GW1N-9C", "--sspi_as_gpio", "--mspi_as_gpio"),
    clocks_mhz=(27, 40.5, 36, 54),
    port=Port(bridge="BL702", baud_hz=115_200, max_baud_hz=1_000_000, usb=(0x0403, 0x6010),
              interface=1),
    busy=Led("led", 0), error=Led("led", 1),
    loader="tangnano9k",
    note="Which rates its bridge can do is not documented: it is built for 115,200 baud, and "
         "--baud asks for more."),)
