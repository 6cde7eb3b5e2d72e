"""What the commands share: options, output, progress."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import click

from pendula.device import Progress

__all__ = ["device_option", "emit", "json_option", "progress_bar"]

device_option = click.option(
    "--device", "url", metavar="URL", default="verilator://", show_default=True,
    help="Device that runs the model: float://, twin://, pysim:// or verilator://.")

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for a script.")


def emit(data: Mapping[str, Any], as_json: bool) -> None:
    """Print plain data on stdout: as JSON, or one aligned line an entry."""
    if as_json:
        click.echo(json.dumps(data, indent=2))
        return
    width = max(map(len, data))
    for name, value in data.items():
        click.echo(f"{name.replace('_', ' '):{width}}  {value}")


@contextmanager
def progress_bar(description: str, total: int) -> Iterator[Progress]:
    """Yield a function that advances a bar on stderr; there is none if that is no terminal."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
               TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bars:
        task = bars.add_task(description, total=total)
        yield lambda count: bars.advance(task, count)
