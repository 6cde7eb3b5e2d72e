"""``pendula build``: a bitstream for a board."""

from dataclasses import asdict
from fractions import Fraction
from pathlib import Path

import click

from pendula import modelfile
from pendula.cli.boards import baud_option, clock_option, import_boards, stages, summarise
from pendula.cli.common import emit, json_option

__all__ = ["command"]


@click.command("build")
@click.argument("board")
@click.option("--model", metavar="MODEL",
              help="Model file or shipped model whose array to build; the board's default without "
                   "it.")
@click.option("--lanes", type=click.IntRange(1), metavar="P",
              help="Samples drawn side by side; as many as fit without it.")
@clock_option
@baud_option
@click.option("--seeds", type=click.IntRange(1, 64), default=4, show_default=True,
              help="Placements to try; the fastest is kept.")
@click.option("-o", "--output", type=click.Path(file_okay=False, path_type=Path), metavar="DIR",
              help="Folder to write to; build/BOARD without it.")
@json_option
def command(board: str, model: str | None, lanes: int | None, clock_hz: Fraction | None,
            baud_hz: int | None, seeds: int, output: Path | None, as_json: bool) -> None:
    """Build the bitstream of a model's array for BOARD, and report.json beside it.

    Tools on PATH are taken before those of the Python packages. What was built once is kept in the
    cache. Programs with the same array run on one bitstream: the model's parameters are loaded
    later, by 'pendula sample'.

    \b
    Examples:
      pendula build ulx3s-85f --model digits
      pendula build icebreaker --clock-mhz 24 --lanes 1 -o out --json
    """
    boards = {module: import_boards(module) for module in ("build", "catalogue", "design", "rates")}
    record = boards["catalogue"].find_board(board)
    name = model or str(record.model)
    program = modelfile.load(name)
    with stages() as say:
        if lanes is None:
            lanes = import_boards("fit").most_lanes(record, program.spec, clock_hz=clock_hz,
                                                    baud_hz=baud_hz, say=say)
        design = boards["design"].Design.of(record, program.spec, lanes=lanes, clock_hz=clock_hz,
                                            baud_hz=baud_hz)
        kept = boards["build"].build(design, seeds=seeds, say=say)
    rates = boards["rates"].Rates.of(design, steps=program.total_steps,
                                     visible=int(program.visible.sum()))
    output = output or Path("build", board)
    report = boards["build"].deliver(kept, output, {"model": name, **asdict(rates)})
    emit(report if as_json else summarise(report | {"output": str(output)}), as_json)
