"""Load a bitstream into a board, and make sure that it is the one that answers."""

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from subprocess import DEVNULL, PIPE, STDOUT, run
from typing import Any

from serial.tools import list_ports

from pendula.contract.digest import DIGEST_BYTES
from pendula.device import open_device
from pendula.errors import BoardError, FlashError, LinkDownError, WrongBuildError
from pendula_boards.board import Board
from pendula_boards.build import REPORT
from pendula_boards.tools import find_tool

__all__ = ["Bitstream", "check", "find_port", "load", "load_command"]

LOADER = "openFPGALoader"
_ID_DIGITS = 2 * DIGEST_BYTES
_APPEAR_S = 5.0             # for a port to come back after the board was loaded
_RETRY_S = 0.25
_SHOWN_LINES = 3


@dataclass(frozen=True, slots=True)
class Bitstream:
    """A bitstream with its report.

    Parameters
    ----------
    path : Path
        The file.
    report : mapping
        What ``pendula build`` has written beside it.
    """

    path: Path
    report: Mapping[str, Any]

    @classmethod
    def read(cls, path: Path, board: Board) -> "Bitstream":
        """Find the bitstream in a folder, or the report beside a bitstream.

        Raises
        ------
        FlashError
            If one of them is missing, or they do not belong together.
        BoardError
            If it is for another board.
        """
        folder = path if path.is_dir() else path.parent
        try:
            report = json.loads((folder / REPORT).read_text())
            found = cls(folder / report["bitstream"] if path.is_dir() else path, report)
            content = found.path.read_bytes()
            name, expected = report["board"], report["bitstream_sha256"]
        except (OSError, ValueError, KeyError) as error:
            raise FlashError(f"{path} must be what 'pendula build' wrote, a bitstream with its "
                             f"{REPORT} beside it: {error!r}") from None
        if name != board.name:
            raise BoardError(f"{found.path} is for the board {name!r}, not {board.name!r}: "
                             f"'pendula build {board.name}' makes one for it")
        if hashlib.sha256(content).hexdigest() != expected:
            raise FlashError(f"{found.path} is not the bitstream that {folder / REPORT} "
                             "describes: build it again")
        return found


def load_command(board: Board, bitstream: Bitstream, *, flash: bool) -> tuple[str, ...]:
    """Return the arguments of openFPGALoader."""
    return "-b", board.loader, *(("-f",) if flash else ()), str(bitstream.path)


def load(board: Board, bitstream: Bitstream, *, flash: bool) -> None:
    """Load a bitstream into the FPGA, or write it into the flash that the FPGA starts from.

    Raises
    ------
    FlashError
        If openFPGALoader fails; the message ends with its last lines.
    MissingExtraError
        If it is not installed.
    """
    command = [find_tool(LOADER).command, *load_command(board, bitstream, flash=flash)]
    try:
        done = run(command, stdin=DEVNULL, stdout=PIPE, stderr=STDOUT, text=True,
                   errors="replace", check=False)
    except OSError as error:
        raise FlashError(f"{command[0]} must be a program that starts, not fail with: "
                         f"{error}") from None
    if done.returncode:
        lines = [line.strip() for line in done.stdout.splitlines() if line.strip()]
        advice = ("install libusb-1.0-0, libftdi1-2 and libhidapi-hidraw0"
                  if "shared libraries" in done.stdout else
                  f"check that {board.title} is plugged in and yours to open")
        raise FlashError(f"{LOADER} failed with code {done.returncode}: "
                         f"{' | '.join(lines[-_SHOWN_LINES:])}. To mend it, {advice}")


def find_port(board: Board) -> str:
    """Return the serial port of the board that is plugged in.

    Raises
    ------
    LinkDownError
        If there is none, or more than one.
    """
    if board.port.usb is None:
        raise LinkDownError(f"{board.title} has no USB bridge of its own ({board.port.bridge}): "
                            "name the adapter's port with --port")
    vendor, product = board.port.usb
    ports = [port for port in list_ports.comports() if (port.vid, port.pid) == board.port.usb]
    if board.port.interface is not None and len(ports) > 1:
        suffix = f".{board.port.interface}"
        ports = [port for port in ports if (port.location or "").endswith(suffix)]
    if len(ports) != 1:
        found = ", ".join(port.device for port in ports) or "none"
        raise LinkDownError(
            f"one serial port of {board.title} (USB {vendor:04x}:{product:04x}) must be there, "
            f"not {found}: plug it in, or name it with --port")
    return ports[0].device


def check(url: str, bitstream: Bitstream) -> Mapping[str, Any]:
    """Return who answers at a device URL, if that runs a bitstream.

    Raises
    ------
    WrongBuildError
        If it runs another.
    LinkError
        If nothing answers in time.
    """
    info = _ask(url, time.monotonic() + _APPEAR_S)
    expected = bitstream.report["build_id"][:_ID_DIGITS]
    if info["build_id"] != expected:
        raise WrongBuildError(
            f"board at {url} must run build {expected}, as was loaded, not {info['build_id']}: "
            "check that it is the board that was loaded, or power it off and on")
    return info


def _ask(url: str, deadline_s: float) -> Mapping[str, Any]:
    """Return who answers; a bridge may go away for a moment while its board is loaded."""
    while True:
        try:
            with open_device(url) as device:
                return device.info()
        except LinkDownError:
            if time.monotonic() > deadline_s:
                raise
            time.sleep(_RETRY_S)
