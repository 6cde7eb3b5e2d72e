"""The link's checksum in hardware."""

from typing import Any

from amaranth.lib.crc import catalog

from pendula_gateware.interfaces import Byte

__all__ = ["crc32"]


def crc32() -> Any:
    """Return a CRC-32/ISO-HDLC processor (:class:`amaranth.lib.crc.Processor`) for bytes."""
    return catalog.CRC32_ISO_HDLC(data_width=Byte.width).create()
