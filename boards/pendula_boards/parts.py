"""FPGAs of the boards. How much there is of everything is what nextpnr says."""

from pendula_boards.board import Part
from pendula_boards.clocking import Ecp5Clock, GowinClock, Ice40Clock
from pendula_boards.flow import ECP5_FLOW, GOWIN_FLOW, ICE40_FLOW
from pendula_boards.pll import ECP5_PLL, GOWIN_PLL, ICE40_PLL
from pendula_gateware.fabric import ECP5, GOWIN, ICE40

__all__ = ["GW1NR_9C", "LFE5U_12F", "LFE5U_25F", "LFE5U_45F", "LFE5U_85F", "UP5K", "ecp5"]


def ecp5(name: str, *, luts: int, ebr: int, dsp: int) -> Part:
    """Return an ECP5: as many flip-flops as look-up tables."""
    return Part(name=name, fabric=ECP5, flow=ECP5_FLOW, pll=ECP5_PLL, clock_source=Ecp5Clock,
                capacity={"LUT": luts, "FF": luts, "EBR": ebr, "DSP": dsp})


LFE5U_25F = ecp5("LFE5U-25F", luts=24_288, ebr=56, dsp=28)
LFE5U_12F = ecp5("LFE5U-12F", luts=24_288, ebr=56, dsp=28)
"""The open tools use the whole die, which is the 25F's; the vendor promises 12,000 LUTs of it."""
LFE5U_45F = ecp5("LFE5U-45F", luts=43_848, ebr=108, dsp=72)
LFE5U_85F = ecp5("LFE5U-85F", luts=83_640, ebr=208, dsp=156)

UP5K = Part(name="iCE40UP5K", fabric=ICE40, flow=ICE40_FLOW, pll=ICE40_PLL,
            clock_source=Ice40Clock,
            capacity={"LC": 5280, "EBR": 30, "DSP": 8, "SPRAM": 4})

GW1NR_9C = Part(name="GW1NR-9C", fabric=GOWIN, flow=GOWIN_FLOW, pll=GOWIN_PLL,
                clock_source=GowinClock,
                capacity={"LUT": 8640, "FF": 6480, "EBR": 26, "DSP": 20})
