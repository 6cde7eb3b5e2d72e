"""What the commands share: options, output, progress."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import click

from pendula.device import Progress

__all__ = ["JITTER", "SeedType", "check_folder", "device_option", "emit", "json_option",
           "output_option", "progress_bar", "record_option"]

JITTER: Literal["jitter"] = "jitter"
"""What stands for a seed that the device draws."""

device_option = click.option(
    "--device", "url", metavar="URL", default="verilator://", show_default=True,
    help="Device that runs the model: float://, twin://, pysim:// or verilator://; "
         "verilator://?jitter=model adds a jitter seeder.")


class SeedType(click.ParamType):
    """A seed, or :data:`JITTER`."""

    name = f"integer|{JITTER}"

    def convert(self, value: Any, param: click.Parameter | None,
                ctx: click.Context | None) -> int | Literal["jitter"]:
        """Return the seed that a text names."""
        try:
            return JITTER if value == JITTER else int(value)
        except ValueError:
            self.fail(f"{value!r} is not a valid integer, and not {JITTER!r}.", param, ctx)


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for a script.")


def emit(data: Mapping[str, Any], as_json: bool) -> None:
    """Print plain data on stdout: as JSON, or one aligned line an entry."""
    if as_json:
        click.echo(json.dumps(data, indent=2))
        return
    width = max(map(len, data))
    for name, value in data.items():
        click.echo(f"{name.replace('_', ' '):{width}}  {value}")


def check_folder(_: click.Context, __: click.Parameter, path: Path | None) -> Path | None:
    """Refuse a file whose folder is missing before any work is done; a click callback."""
    if path and not path.parent.is_dir():
        raise click.BadParameter(f"folder {path.parent} must exist")
    return path


record_option = click.option(
    "--record", type=click.Path(dir_okay=False, path_type=Path), metavar="F.jsonl",
    callback=check_folder,
    help="Record all bytes between host and device into a new file; replay://F.jsonl plays it.")


def output_option(text: str) -> Callable[[Any], Any]:
    """Return the option ``-o FILE``, which must be given."""
    return click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path),
                        required=True, callback=check_folder, help=text)


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
