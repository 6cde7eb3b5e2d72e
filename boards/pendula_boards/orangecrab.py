"""OrangeCrab r0.2 of Greg Davill and GroupGets, with the large FPGA."""

from amaranth.build import Attrs
from amaranth_boards.orangecrab_r0_2 import OrangeCrabR0_2_85FPlatform
from amaranth_boards.resources import UARTResource

from pendula_boards.board import Board, Led, Port
from pendula_boards.parts import LFE5U_85F

__all__ = ["BOARDS"]

BOARDS = (Board(
    name="orangecrab-85f", title="OrangeCrab r0.2 85F", platform=OrangeCrabR0_2_85FPlatform,
    part=LFE5U_85F,
    place_options=("--85k", "--package", "CSFBGA285", "--speed", "8"),
    pack_options=("--freq", "38.8"),      # at which the flash is read
    clocks_mhz=(96, 84, 72, 60, 48),
    port=Port(bridge="none: a 3.3 V adapter at pins 0 (in) and 1 (out)", baud_hz=3_000_000,
              max_baud_hz=3_000_000),
    busy=Led("rgb_led", 0, "g"), error=Led("rgb_led", 0, "r"),
    loader="orangeCrab", volatile=False,
    resources=(UARTResource(0, rx="0", tx="1", conn=("io", 0),
                            attrs=Attrs(IO_TYPE="LVCMOS33", PULLMODE="UP")),),
    note="The pins of its UART are those of a Feather, RX and TX; there is no USB bridge. The "
         "bootloader takes bitstreams by DFU, into flash: hold the button while plugging it in."),)
