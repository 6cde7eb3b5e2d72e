"""What the commands for boards share: the package of boards, options, progress."""

import importlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from fractions import Fraction
from typing import Any

import click

from pendula.contract.memory import BUFFERS_HI
from pendula.contract.statistics import SUMS_HI
from pendula.errors import MissingExtraError

__all__ = ["FrequencyType", "design_options", "import_boards", "stages", "summarise"]

MHZ = 1_000_000


def import_boards(module: str) -> Any:
    """Import a module of the package of boards, which comes with ``pip install 'pendula[fpga]'``.

    Raises
    ------
    MissingExtraError
        If that, or a library that it needs, is not installed.
    """
    try:
        return importlib.import_module(f"pendula_boards.{module}")
    except ModuleNotFoundError as error:
        raise MissingExtraError(f"{error.name} must be installed for this: "
                                "pip install 'pendula[fpga]'") from error


class FrequencyType(click.ParamType):
    """A frequency in MHz, exact."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None,
                ctx: click.Context | None) -> Fraction:
        """Return the frequency in Hz that a text names."""
        try:
            hz = Fraction(value) * MHZ
        except (ValueError, ZeroDivisionError):
            self.fail(f"{value!r} is not a number of MHz.", param, ctx)
        if hz <= 0:
            self.fail(f"{value!r} must be positive.", param, ctx)
        return hz


_DESIGN_OPTIONS = (
    click.option("--clock-mhz", "clock_hz", type=FrequencyType(), metavar="F",
                 help="Clock of the array; the board's default without it."),
    click.option("--baud", "baud_hz", type=int, metavar="N",
                 help="Bits a second of the serial port; the board's default without it."),
    click.option("--sums", type=click.IntRange(0, SUMS_HI), metavar="N", default=0,
                 show_default=True, help="Sums of the statistics on the chip ('pendula moments')."),
    click.option("--fold", type=click.IntRange(1), metavar="F", default=1, show_default=True,
                 help="Cycles that a lane takes for a node: a multiplier serves F neighbours."),
    click.option("--buffers", type=click.IntRange(1, BUFFERS_HI), metavar="B", default=1,
                 show_default=True,
                 help="Programs held: with 2, the next is taken in while samples are drawn."),
    click.option("--jitter", is_flag=True,
                 help="Add a jitter seeder ('pendula sample --seed jitter')."),
)


def design_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add what a design is made of, besides array and lanes: keywords of ``Design.of``."""
    for option in reversed(_DESIGN_OPTIONS):
        command = option(command)
    return command


@contextmanager
def stages() -> Iterator[Callable[[str], None]]:
    """Yield a function that says on stderr what begins: in one line, if that is a terminal."""
    from rich.console import Console
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda text: click.echo(text, err=True)
        return
    with console.status("Beginning") as status:
        yield status.update


def summarise(report: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts of a report that a person wants, as text."""
    resources = {name: f"{count['used']:,} of {count['available']:,}, "
                       f"{count['used'] / count['available']:.0%}"
                 for name, count in report["resources"].items() if count["available"]}
    clocks = {name.removesuffix("_hz"): f"{report[name] / MHZ:.6g} MHz"
              for name in ("clock_hz", "fmax_hz") if name in report}
    rates = {name: f"{report[name]:,.4g}" for name in (
        "cycles_per_sample", "samples_per_s", "link_samples_per_s", "node_updates_per_s",
        "edge_updates_per_s")}
    plain = {name: report[name] for name in (
        "board", "part", "model", "lanes", "fold", "buffers", "limit", "build_id", "baud_hz",
        "seed", "output")
        if name in report}
    return plain | resources | clocks | rates
