"""The graph: neighbour k of node i is node ``i + offsets[k]``, unless a mask removes the edge."""

from collections.abc import Sequence
from dataclasses import dataclass

from pendula.errors import ContractError

__all__ = ["DEGREE_HI", "NODES_HI", "OffsetGraph", "cells", "check_offsets", "grid"]

NODES_HI = 1 << 19       # rows of all memories have 32-bit numbers, at any number of segments
DEGREE_HI = 1000         # a node's codes fit one request of the link, at any width


def check_offsets(nodes: int, offsets: Sequence[int]) -> None:
    """Check that `offsets` can connect `nodes` nodes on a line.

    Raises
    ------
    ContractError
        If there are too few or too many nodes or offsets, or an offset is zero, repeated, unsorted
        or out of range.
    """
    if not 2 <= nodes <= NODES_HI:
        raise ContractError(f"nodes must be within 2..{NODES_HI}, not {nodes}")
    if not 1 <= len(offsets) <= DEGREE_HI:
        raise ContractError(f"offsets must hold 1..{DEGREE_HI} offsets, not {len(offsets)}")
    for offset in offsets:
        if offset == 0 or abs(offset) >= nodes:
            raise ContractError(f"Offset must be non-zero and within +-{nodes - 1}, not {offset}")
    if list(offsets) != sorted(set(offsets)):
        raise ContractError(f"offsets must ascend without repetition, not {tuple(offsets)}")


@dataclass(frozen=True, slots=True)
class OffsetGraph:
    """Directed graph on a line of nodes with one list of offsets shared by all of them.

    Parameters
    ----------
    nodes : int
        Number of nodes N.
    offsets : tuple of int
        The K offsets, ascending, none of them zero.
    mask : tuple of tuple of bool
        Shape (N, K): whether node i listens to node ``i + offsets[k]``. Edges that would leave
        the line are absent whatever the mask says.
    """

    nodes: int
    offsets: tuple[int, ...]
    mask: tuple[tuple[bool, ...], ...]

    def __post_init__(self) -> None:
        check_offsets(self.nodes, self.offsets)
        if len(self.mask) != self.nodes or any(len(row) != len(self.offsets) for row in self.mask):
            raise ContractError(f"mask must have shape ({self.nodes}, {len(self.offsets)})")
        inside = tuple(
            tuple(keep and 0 <= i + offset < self.nodes
                  for keep, offset in zip(row, self.offsets, strict=True))
            for i, row in enumerate(self.mask))
        object.__setattr__(self, "mask", inside)

    @classmethod
    def full(cls, nodes: int, offsets: Sequence[int]) -> "OffsetGraph":
        """Return the graph with every edge that stays on the line."""
        return cls(nodes, tuple(offsets), ((True,) * len(offsets),) * nodes)


def grid(rows: int, columns: int, radius: int, cell: int = 1) -> OffsetGraph:
    """Return a 2-D grid where a node listens to all nodes within `radius` rows and columns.

    Parameters
    ----------
    rows, columns : int
        Size of the grid in cells.
    radius : int
        Chebyshev radius of the neighbourhood in cells.
    cell : int
        Nodes a cell (visible first, then hidden); all of them see each other.

    Notes
    -----
    Node ``(row * columns + column) * cell + member``; edges that wrap round a row are masked.
    """
    if min(rows, columns, radius, cell) < 1:
        raise ContractError("rows, columns, radius and cell must be positive, "
                            f"not {rows}, {columns}, {radius}, {cell}")
    nodes = rows * columns * cell
    span = range(-radius, radius + 1)
    offsets = sorted({(dy * columns + dx) * cell + dm
                      for dy in span for dx in span for dm in range(1 - cell, cell)} - {0})
    offsets = [offset for offset in offsets if abs(offset) < nodes]

    def adjacent(i: int, j: int) -> bool:
        (yi, xi), (yj, xj) = divmod(i // cell, columns), divmod(j // cell, columns)
        return abs(yi - yj) <= radius and abs(xi - xj) <= radius

    mask = tuple(tuple(0 <= i + offset < nodes and adjacent(i, i + offset) for offset in offsets)
                 for i in range(nodes))
    return OffsetGraph(nodes, tuple(offsets), mask)


def cells(rows: int, columns: int, cell: int, links: Sequence[tuple[int, int, int]]) -> OffsetGraph:
    """Return a 2-D grid of cells whose nodes listen along a list of links, long ones among them.

    Parameters
    ----------
    rows, columns : int
        Size of the grid in cells.
    cell : int
        Nodes a cell (visible first, then hidden).
    links : sequence of tuple of int
        Rows down, columns right and members onwards that a node listens to; the opposite link
        comes with each.

    Raises
    ------
    ContractError
        If a link is longer than the grid, or two links are the same offset on the line.

    Notes
    -----
    Node ``(row * columns + column) * cell + member``. A link is one offset on the line for all
    members: where it leads beyond a cell's last member, it goes on into the next cell, so that no
    link is lost on some of the members. Edges that wrap round a row are masked.
    """
    if min(rows, columns, cell) < 1:
        raise ContractError("rows, columns and cell must be positive, "
                            f"not {rows}, {columns}, {cell}")
    widest = (columns - 1) // 2 - (cell > 1)        # else a way round the row would look as long
    for down, right, onwards in links:
        if abs(down) >= rows or abs(right) > widest or abs(onwards) >= cell:
            raise ContractError(f"Link must be within {rows - 1} rows, {widest} columns "
                                f"and {cell - 1} members, not {(down, right, onwards)}")
    half = [(down * columns + right) * cell + onwards for down, right, onwards in links]
    offsets = sorted(sign * offset for offset in half for sign in (-1, 1))
    nodes = rows * columns * cell
    check_offsets(nodes, offsets)

    def column(i: int) -> int:
        return i // cell % columns

    mask = tuple(tuple(0 <= i + offset < nodes
                       and 2 * abs(column(i + offset) - column(i)) < columns
                       for offset in offsets) for i in range(nodes))
    return OffsetGraph(nodes, tuple(offsets), mask)
