"""``pendula fit``: whether an array fits a board."""

from dataclasses import asdict
from typing import Any

import click

from pendula import modelfile
from pendula.cli.boards import design_options, import_boards, stages, summarise
from pendula.cli.common import emit, json_option

__all__ = ["command"]


@click.command("fit")
@click.argument("board")
@click.option("--model", metavar="MODEL", help="Model file or shipped model whose array to fit; "
                                               "the board's default without it.")
@design_options
@json_option
def command(board: str, model: str | None, as_json: bool, **options: Any) -> None:
    """Say how many lanes of a model's array fit BOARD, and how fast they are.

    One lane and two are synthesised, once, and each further one is taken to need as much as the
    second. Whether the clock is met, only 'pendula build' can say. What does not fit is refused,
    with what would.

    \b
    Examples:
      pendula fit ulx3s-85f --model digits
    """
    catalogue, designs, fitting, rates = (
        import_boards(part) for part in ("catalogue", "design", "fit", "rates"))
    record = catalogue.find_board(board)
    name = model or str(record.model)
    program = modelfile.load(name)
    with stages() as say:
        found = fitting.fit(designs.Design.of(record, program.spec, **options), say)
        fitting.require(found, say)
    speed = rates.Rates.of(found.design, steps=program.total_steps,
                           visible=int(program.visible.sum()))
    report = {"model": name, **found.describe(), **asdict(speed)}
    emit(report if as_json else summarise(report), as_json)
