"""Boards: facts from pendula_boards, figures from docs/figures/boards.json, which
benchmarks/bitstreams.py writes."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from pendula_boards.board import Board
from pendula_boards.catalogue import BOARDS
from pendula_boards.pll import MHZ

__all__ = ["boards_page"]

Table = Callable[[Iterable[str], Iterable[Iterable[Any]]], str]

ROOT = Path(__file__).parents[1]
FIGURES = ROOT / "docs" / "figures" / "boards.json"


def figures() -> dict[str, Any]:
    """Return what was built last for each board."""
    return json.loads(FIGURES.read_text()) if FIGURES.exists() else {}


def facts(board: Board) -> tuple[object, ...]:
    """Return what a board is."""
    clocks = ", ".join(f"{mhz:g}" for mhz in board.clocks_mhz)
    return (f"`{board.name}`", board.title, board.part.name, f"{board.input_hz / MHZ}", clocks,
            f"{board.port.bridge}, {board.port.baud_hz:,} baud",
            "FPGA or flash" if board.volatile else "flash")


def built(name: str, report: dict[str, Any]) -> tuple[object, ...]:
    """Return what was built for a board."""
    used = ", ".join(f"{count['used'] / count['available']:.0%} {kind}"
                     for kind, count in report["resources"].items() if count["used"])
    return (f"`{name}`", report["model"], report["lanes"], used,
            ", ".join(f"{hz / MHZ:.1f}" for hz in report["seeds"].values()),
            f"{report['clock_hz'] / MHZ:g}",
            f"{report['cycles_per_sample']:,.0f}", f"{report['samples_per_s']:,.0f}",
            f"{report['link_samples_per_s']:,.0f}", f"{report['edge_updates_per_s'] / 1e9:.2f}")


def slower(name: str, report: dict[str, Any]) -> str:
    """Return which clocks of a board were missed."""
    missed = ", ".join(f"{mhz} MHz ({hz / MHZ:.1f} at best)"
                       for mhz, hz in report["missed"].items())
    return f"- `{name}` missed {missed}. Its worst path: {report['critical_path']}."


def boards_page(table: Table) -> str:
    """Return the page of boards."""
    reports = figures()
    done = {name: reports[name] for name in BOARDS if "lanes" in reports.get(name, {})}
    refused = {name: reports[name]["refused"] for name in BOARDS
               if "refused" in reports.get(name, {})}
    missing = [f"`{name}`" for name in BOARDS if name not in reports]
    notes = [f"- `{board.name}`: {board.note}" for board in BOARDS.values() if board.note]
    versions = sorted({f"{name}: {version}" for report in done.values()
                       for name, version in report["versions"].items()})
    return f"""# Boards

How to use them: [guide](../guide/boards.md). None of them was attached to anything yet: what
follows is facts and the word of the tools.

{table(("name", "board", "FPGA", "own clock, MHz", "clocks, MHz, the first by default",
        "serial port", "loaded into"), map(facts, BOARDS.values()))}
{chr(10).join(notes)}

## What was built

By `make boards`, or `python benchmarks/bitstreams.py BOARD`, which says what each model is. Fmax is
that of each placement. Samples a second are the array's; the UART carries as many as the column
after it says, as pixels. More lanes of the digits would fit most boards: `pendula fit` says how
many.

{table(("name", "model", "lanes", "used", "Fmax, MHz", "clock, MHz", "cycles a sample",
        "samples/s", "over the UART", "G edge updates/s"),
       [built(name, report) for name, report in done.items()])}
{chr(10).join(slower(name, report) for name, report in done.items() if "missed" in report)}
{chr(10).join(f"- `{name}` was refused: {reason}" for name, reason in refused.items())}
{"Not built yet: " + ", ".join(missing) + "." if missing else ""}

Tools: {"; ".join(versions) or "none yet"}.
"""
