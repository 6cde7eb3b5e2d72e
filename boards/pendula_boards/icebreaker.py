"""iCEBreaker of 1BitSquared."""

from amaranth_boards.icebreaker import ICEBreakerPlatform

from pendula_boards.board import Board, Led, Port
from pendula_boards.parts import UP5K

__all__ = ["BOARDS"]

BOARDS = (Board(
    name="icebreaker", title="iCEBreaker", platform=ICEBreakerPlatform, part=UP5K,
    place_options=("--up5k", "--package", "sg48"),
    clocks_mhz=(24, 36, 30, 21, 18, 12),
    port=Port(bridge="FT2232H, port B", baud_hz=3_000_000, max_baud_hz=12_000_000,
              usb=(0x0403, 0x6010), interface=1),
    busy=Led("led_g"), error=Led("led_r"),
    loader="ice40_generic", volatile=False,
    note="openFPGALoader writes its flash only."),)
