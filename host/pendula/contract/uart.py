"""UART: how the bytes of the link travel on two wires, where a board has no better way.

A byte is a start bit (low), eight data bits, the lowest first, and a stop bit (high). No parity, no
flow control: the link repeats what is lost. None of this changes what the bytes mean, so it is not
part of the contract id.
"""

__all__ = ["DATA_BITS", "DEFAULT_BAUD_HZ", "FRAME_BITS"]

DATA_BITS = 8
FRAME_BITS = 1 + DATA_BITS + 1

DEFAULT_BAUD_HZ = 1_000_000
"""Divides the usual clocks of boards (12, 25, 27, 48, 50, 100 MHz) without a rest, and the usual
USB adapters know it."""
