"""``pendula score``: how good samples are, beside floor and controls."""

import json
import shlex
from pathlib import Path
from typing import Any

import click

from pendula import modelfile
from pendula.cli.common import check_folder, json_option, progress_bar, record_option
from pendula.device import recorded
from pendula.errors import DataError
from pendula.extras import import_extra
from pendula.metrics.referee import COLUMNS, LIMIT, ImageScore
from pendula.program import Program

__all__ = ["command"]

_NAME_WIDTH, _WIDTH = 26, 12


def _check_weights(_: click.Context, __: click.Parameter, path: Path | None) -> Path | None:
    """Refuse weights that cannot be used before any work is done; a click callback."""
    if path and not path.is_file():
        raise click.BadParameter(f"file {path} must exist")
    if path:
        import_extra("torch_fidelity", "fid")
    return path


@click.command("score")
@click.argument("source")
@click.option("--data", type=click.Path(path_type=Path), metavar="FOLDER",
              help="Folder with the data set's files, for those that need one.")
@click.option("--dataset", metavar="NAME",
              help="Data set to judge by; that of the model's training where not given.")
@click.option("--device", "url", metavar="URL", default="twin://", show_default=True,
              help="Device that draws a model's samples.")
@click.option("-n", "--count", type=click.IntRange(20), default=LIMIT, show_default=True,
              help="Most images of each set; held-out data may hold fewer.")
@click.option("--seed", type=int, default=1, show_default=True,
              help="64-bit seed of samples, controls and the choice of held-out images.")
@click.option("--inception", "weights", metavar="FILE", callback=_check_weights,
              type=click.Path(dir_okay=False, path_type=Path),
              help="Inception's weights (weights-inception-2015-12-05-6726825d.pth), for a Frechet "
                   "distance over its features too; needs pip install 'pendula[fid]'.")
@click.option("--report", type=click.Path(dir_okay=False, path_type=Path), callback=check_folder,
              help="Also write a report (.html); for models.")
@record_option
@json_option
def command(source: str, data: Path | None, dataset: str | None, url: str, count: int, seed: int,
            weights: Path | None, report: Path | None, record: Path | None, as_json: bool) -> None:
    """Score SOURCE, a model or a file of samples (.npz), by images it has not seen.

    Distances are taken in pixels (energy) and in the last hidden layer of a small classifier that
    comes with the package (frechet, kernel, precision, recall, density, coverage): they compare
    with each other, not with published Inception scores. +- is half of the 95 % interval.
    Read every figure beside the rows below it: training images are as good as it gets; pixels
    without couplings, a linear Gaussian, a perceptron with as many parameters, and the same array
    with its codes dealt out at random cost nothing to make.

    \b
    Examples:
      pendula score digits
      pendula score mnist01-12 --data ~/mnist --report report.html
      pendula sample digits -n 500 -o S.npz && pendula score S.npz --dataset digits --json
    """
    from pendula.samplefile import load_pixels
    from pendula.scores import ROWS, score
    import_extra("scipy", "report")
    is_file = Path(source).suffix == ".npz"
    if report and is_file:
        raise click.UsageError("--report needs a model, not a file of samples.")
    if record and is_file:
        raise click.UsageError("--record needs a model, not a file of samples.")
    given = load_pixels(Path(source)) if is_file else modelfile.load(source)
    chosen = dataset or _trained_on(given)
    with progress_bar("Scoring", ROWS) as progress:
        scores = score(given, chosen, data=data, url=recorded(url, record), seed=seed, limit=count,
                       weights=weights, progress=progress)
    if report and isinstance(given, Program):
        _write_report(report, given, scores, source, url)
    if as_json:
        click.echo(json.dumps(scores.to_dict(), indent=2))
        return
    click.echo(f"{chosen}: {scores.rows[0].count} samples, {len(scores.held_out)} held-out images; "
               f"classifier {scores.classifier.name}, {scores.classifier.accuracy:.1%} right")
    for line in _lines(scores.rows):
        click.echo(line)
    if scores.inception is not None:
        click.echo(f"Inception: {scores.inception:.2f} ({scores.protocol})")


def _trained_on(given: Any) -> str:
    """Return the data set that a model was trained on."""
    name = given.provenance.get("data", {}).get("name") if isinstance(given, Program) else None
    if not isinstance(name, str):
        raise DataError("data set must be named with --dataset, this source does not say it")
    return name


def _lines(rows: tuple[ImageScore, ...]) -> list[str]:
    """Return the table: two lines a row, values and half intervals."""
    lines = [" " * _NAME_WIDTH + "".join(f"{name:>{_WIDTH}}" for name in COLUMNS)]
    for row in rows:
        ends = row.figures.values()
        halves = [f"+-{_short((one.hi - one.lo) / 2)}" for one in ends]
        lines += [f"{row.name:{_NAME_WIDTH}}"
                  + "".join(f"{_short(one.value):>{_WIDTH}}" for one in ends),
                  f"  {row.role:{_NAME_WIDTH - 2}}" + "".join(f"{one:>{_WIDTH}}" for one in halves)]
    shares = " ".join(f"{one:.2f}" for one in rows[0].classes)
    return [*lines, f"classes of the samples: {shares}"]


def _short(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"


def _write_report(path: Path, program: Program, scores: Any, source: str, url: str) -> None:
    from pendula.report import Grid, Table, write_report
    figures = [[f"{_short(one.value)} ({_short(one.lo)} to {_short(one.hi)})"
                for one in row.figures.values()] for row in scores.rows]
    table = Table(title="Scores", header=("images", "role", *COLUMNS),
                  rows=[(row.name, row.role, *cells)
                        for row, cells in zip(scores.rows, figures, strict=True)],
                  note="95 % intervals in brackets. " + "; ".join(
                      f"{name}: {meaning}" for name, meaning in COLUMNS.items()) + ".")
    write_report(path, title=f"Scores of {source}", program=program, tables=(table,),
                 grids=(Grid(title=url, images=scores.samples),
                        Grid(title="held-out data", images=scores.held_out)),
                 summary=f"Judged by {len(scores.held_out)} held-out images of {scores.dataset}, "
                         f"through the classifier {scores.classifier.name} "
                         f"({scores.classifier.accuracy:.1%} right on held-out images).",
                 command=shlex.join(["pendula", "score", source, "--device", url]))
