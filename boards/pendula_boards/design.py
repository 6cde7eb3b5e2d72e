"""What is built for a board, and a digest of everything that it is made from."""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from functools import cached_property
from importlib import metadata, resources
from pathlib import Path
from typing import Any

from pendula.contract.digest import digest
from pendula.contract.spec import ArraySpec
from pendula.contract.uart import DEFAULT_BAUD_HZ
from pendula.errors import BoardError, ClockError, ContractError
from pendula_boards.board import Board
from pendula_boards.flow import Plan
from pendula_boards.pll import MHZ, PllSetting, megahertz
from pendula_boards.tools import Tool, find_tool
from pendula_boards.top import BoardTop
from pendula_gateware.fabric import Fabric
from pendula_gateware.link.uart import baud_error, baud_tolerance
from pendula_gateware.noise.jitter import TECHNOLOGIES, RingSource
from pendula_gateware.top import Top

__all__ = ["BAUD_ERROR_BOUND", "Design"]

BAUD_ERROR_BOUND = 0.01
"""By which fraction the generated baud rate may be wrong: a fifth of what ends a byte too early."""

_SOURCES = ("pendula.contract", "pendula_gateware", "pendula_boards")
_PACKAGES = ("amaranth", "amaranth-boards")
_RING_OPTIONS = ("--ignore-loops",)     # of nextpnr: rings are loops on purpose


@dataclass(frozen=True, kw_only=True)       # no slots: the identity is cached
class Design:
    """An array on a board.

    Parameters
    ----------
    board : Board
        Board.
    spec : ArraySpec
        Array.
    lanes : int
        Samples drawn side by side.
    setting : PllSetting
        Clock.
    baud_hz : int
        Bits a second of the UART.
    sums : int
        Sums of the statistics on the chip; there are none at 0.
    jitter : bool
        Whether it has a jitter seeder.
    fold : int
        Cycles that a lane takes for a node; the more, the smaller it is.
    buffers : int
        Programs that it holds.
    """

    board: Board
    spec: ArraySpec
    lanes: int
    setting: PllSetting
    baud_hz: int
    sums: int = 0
    jitter: bool = False
    fold: int = 1
    buffers: int = 1

    @classmethod
    def of(cls, board: Board, spec: ArraySpec, *, lanes: int = 1,
           clock_hz: Fraction | int | None = None, baud_hz: int | None = None,
           sums: int = 0, jitter: bool = False, fold: int = 1, buffers: int = 1) -> "Design":
        """Return a design, with the board's clock and baud rate where none is given.

        Raises
        ------
        ClockError
            If the board cannot make the clock, or the baud rate from it.
        BoardError
            If the rings of a jitter seeder cannot be made of its cells, or a node has fewer
            neighbours than cycles.
        """
        if jitter and board.part.fabric.name not in TECHNOLOGIES:
            raise BoardError(f"board must be of {' or '.join(TECHNOLOGIES)} for a jitter seeder, "
                             f"not {board.name}")
        degree = len(spec.offsets)
        if not 1 <= fold <= degree:
            raise BoardError(f"fold must be within 1..{degree}, as the array has so many "
                             f"neighbours, not {fold}")
        setting = board.part.pll.solve(board.input_hz, clock_hz or board.clock_hz)
        design = cls(board=board, spec=spec, lanes=lanes, setting=setting,
                     baud_hz=baud_hz or board.port.baud_hz, sums=sums, jitter=jitter, fold=fold,
                     buffers=buffers)
        design.check_baud()
        return design

    @property
    def fabric(self) -> Fabric:
        """What the array is built for, folded and buffered."""
        return replace(self.board.part.fabric.synthesised, fold=self.fold, buffers=self.buffers)

    @property
    def clock_hz(self) -> int:
        """Rate of the clock, to the nearest Hz."""
        return round(self.setting.output_hz)

    @property
    def baud_error(self) -> float:
        """By which fraction the generated baud rate is too high."""
        return baud_error(self.clock_hz, self.baud_hz)

    def check_baud(self) -> None:
        """Refuse a baud rate that the bridge does not know, or the clock cannot make.

        Raises
        ------
        ClockError
            If so.
        """
        port = self.board.port
        if not 1 <= self.baud_hz <= port.max_baud_hz:
            raise ClockError(f"baud rate must be within 1..{port.max_baud_hz} on "
                             f"{self.board.name}, not {self.baud_hz}")
        try:
            error = self.baud_error
            tolerance = baud_tolerance(self.clock_hz, self.baud_hz)
        except ContractError as refusal:
            raise ClockError(f"{refusal}; {DEFAULT_BAUD_HZ} is usual") from None
        if abs(error) > BAUD_ERROR_BOUND or tolerance < BAUD_ERROR_BOUND:
            raise ClockError(
                f"baud rate must be right within {BAUD_ERROR_BOUND:.0%} at a clock of "
                f"{megahertz(self.clock_hz)}, and {self.baud_hz} is off by {error:+.2%}; "
                f"{DEFAULT_BAUD_HZ} is usual")

    @property
    def tools(self) -> Mapping[str, Tool]:
        """Tools that build it."""
        return {name: find_tool(name) for name in self.board.part.flow.tools}

    @property
    def versions(self) -> dict[str, str]:
        """Versions of everything that turns sources into a bitstream."""
        return ({name: metadata.version(name) for name in _PACKAGES}
                | {name: tool.version for name, tool in self.tools.items()})

    @cached_property
    def build_id(self) -> str:
        """Digest of the sources, the array, the board, the options and the tools."""
        setting = {name: str(value) for name, value in asdict(self.setting).items()}
        return digest({"sources": _sources(), "spec": self.spec.describe(),
                       "board": self.board.name, "lanes": self.lanes, "setting": setting,
                       "baud_hz": self.baud_hz, "sums": self.sums, "jitter": self.jitter,
                       "fold": self.fold, "buffers": self.buffers, "versions": self.versions})

    def plan(self) -> Plan:
        """Elaborate it, and return how its bitstream is made."""
        board, fabric = self.board, self.fabric
        jitter = RingSource(technology=fabric.name) if self.jitter else None
        top = Top(spec=self.spec, build_id=self.build_id, lanes=self.lanes, jitter=jitter,
                  fabric=fabric, sums=self.sums)
        return Plan.of(
            BoardTop(board=board, top=top, setting=self.setting, baud_hz=self.baud_hz),
            board.make_platform(), board.part.flow,
            place_options=(*board.place_options, *(_RING_OPTIONS if jitter else ())),
            pack_options=board.pack_options,
            clock_mhz=float(self.setting.output_hz / MHZ))


def _sources() -> dict[str, Any]:
    """Return the digest of every source file, by package and path."""
    return {package: {path.relative_to(folder).as_posix():
                      hashlib.sha256(path.read_bytes()).hexdigest()
                      for path in sorted(folder.rglob("*.py"))}
            for package in _SOURCES for folder in [Path(str(resources.files(package)))]}
