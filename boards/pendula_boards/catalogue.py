"""All boards by name."""

from pendula.errors import BoardError
from pendula_boards import colorlight_i5, ecpix5, icebreaker, orangecrab, tang_nano_9k, ulx3s
from pendula_boards.board import Board

__all__ = ["BOARDS", "find_board"]

BOARDS: dict[str, Board] = {
    board.name: board
    for module in (icebreaker, tang_nano_9k, ulx3s, colorlight_i5, orangecrab, ecpix5)
    for board in module.BOARDS
}
"""All boards by name."""


def find_board(name: str) -> Board:
    """Return the board of a name.

    Raises
    ------
    BoardError
        If there is none.
    """
    try:
        return BOARDS[name]
    except KeyError:
        raise BoardError(f"board must be one of {', '.join(BOARDS)}, not {name!r}") from None
