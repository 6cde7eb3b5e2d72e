"""``pendula build``: a bitstream for a board."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import click

from pendula import modelfile
from pendula.cli.boards import design_options, import_boards, stages, summarise
from pendula.cli.common import emit, json_option

__all__ = ["command"]


@click.command("build")
@click.argument("board")
@click.option("--model", metavar="MODEL",
              help="Model file or shipped model whose array to build; the board's default without "
                   "it.")
@click.option("--lanes", type=click.IntRange(1), metavar="P",
              help="Samples drawn side by side; as many as fit without it.")
@design_options
@click.option("--seeds", type=click.IntRange(1, 64), default=4, show_default=True,
              help="Placements to try; the fastest is kept.")
@click.option("-o", "--output", type=click.Path(file_okay=False, path_type=Path), metavar="DIR",
              help="Folder to write to; build/BOARD without it.")
@json_option
def command(board: str, model: str | None, lanes: int | None, seeds: int, output: Path | None,
            as_json: bool, **options: Any) -> None:
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
    design = boards["design"].Design.of(record, program.spec, lanes=lanes or 1, **options)
    with stages() as say:
        if lanes is None:
            design = replace(design, lanes=import_boards("fit").most_lanes(design, say))
        kept = boards["build"].build(design, seeds=seeds, say=say)
    rates = boards["rates"].Rates.of(design, steps=program.total_steps,
                                     visible=int(program.visible.sum()))
    output = output or Path("build", board)
    report = boards["build"].deliver(kept, output, {"model": name, **asdict(rates)})
    emit(report if as_json else summarise(report | {"output": str(output)}), as_json)
