"""``pendula compare``: whether two devices draw the same."""

import shlex
from pathlib import Path
from typing import Any, get_args

import click

from pendula import modelfile
from pendula.cli.common import (
    check_folder,
    device_option,
    emit,
    json_option,
    progress_bar,
    record_option,
)
from pendula.comparison import Comparison, Exact, Mode, compare
from pendula.device import recorded
from pendula.extras import import_extra
from pendula.program import Program

__all__ = ["command"]

EXIT_DIFFERENT = 1


@click.command("compare")
@click.argument("model")
@device_option
@click.option("--against", metavar="URL", default="twin://", show_default=True,
              help="Device to compare with.")
@click.option("-n", "--count", type=int, default=256, show_default=True,
              help="Number of samples from each device.")
@click.option("--seed", type=int, default=0, show_default=True, help="64-bit seed of the noise.")
@click.option("--mode", type=click.Choice(get_args(Mode)), default="auto", show_default=True,
              help="Equal bits, equal laws, or equal bits where both devices can give them.")
@click.option("--report", type=click.Path(dir_okay=False, path_type=Path), callback=check_folder,
              help="Also write a report (.html).")
@record_option
@json_option
def command(model: str, url: str, against: str, count: int, seed: int, mode: Mode,
            report: Path | None, record: Path | None, as_json: bool) -> int:
    """Compare what two devices make of MODEL, a file or a shipped model.

    Exact devices must agree in every bit: states, pixels, saturations and forces; otherwise the
    first sample, step and node that differ are named. float:// is compared in distribution, with
    the size of the deviations that would have been found.

    Exit code: 0 equal (or no difference found), 1 different, 2 could not run.

    \b
    Examples:
      pendula compare digits --device verilator:// --against twin://
      pendula compare my.pendula --device twin:// --against float:// -n 5000 --report report.html
    """
    if report:
        for library in ("jinja2", "matplotlib", "scipy"):
            import_extra(library, "report")
    program = modelfile.load(model)
    with progress_bar("Comparing", 2 * count) as progress:
        comparison = compare(program, recorded(url, record), against, count=count, seed=seed,
                             mode=mode, progress=progress)
    if report:
        options = ["--device", url, "--against", against, "-n", str(count), "--seed", str(seed),
                   "--mode", mode, "--report", report.name]
        _write_report(report, program, comparison, ["compare", Path(model).name, *options])
    emit(comparison.to_dict() if as_json else _summary(comparison, report), as_json)
    return 0 if comparison.equal else EXIT_DIFFERENT


def _summary(comparison: Comparison, report: Path | None) -> dict[str, Any]:
    """Return the lines that a person reads."""
    outcome = comparison.outcome
    lines: dict[str, Any] = {"verdict": comparison.verdict}
    if isinstance(outcome, Exact):
        for check in outcome.checks:
            lines[check.field] = f"{check.different} of {check.compared} differ"
        for difference in outcome.differences[1:]:
            lines[f"first {difference.field}"] = str(difference)
    else:
        for family in outcome.families:
            lines[family.name] = (f"smallest p {family.p_value:.2g}, corrected for {family.tests} "
                                  f"tests; level {family.level:g}")
        for power in outcome.power:
            lines[f"power {power.probability:g}"] = (
                f"mean off by {power.mean_shift_sd:.3f} standard deviations, or "
                f"Kolmogorov-Smirnov distance {power.ks_distance:.3f}, of one node")
        lines["effective samples"] = f"{outcome.ess_a.min():.0f} and {outcome.ess_b.min():.0f}"
    return lines | ({"report": str(report)} if report else {})


def _write_report(path: Path, program: Program, comparison: Comparison,
                  arguments: list[str]) -> None:
    from pendula.report import Grid, state_images, write_report

    sides = (comparison.device, comparison.against)
    grids = [Grid(title=side.url, images=state_images(program, side.states_val),
                  note=f"seed {side.seed}") for side in sides if program.image_shape]
    write_report(path, title=f"{comparison.device.url} against {comparison.against.url}",
                 program=program, comparisons=[comparison], grids=grids,
                 command=shlex.join(["pendula", *arguments]))
