"""The graph: neighbour k of node i is node ``i + offsets[k]``, unless a mask removes the edge."""

from collections.abc import Sequence
from dataclasses import dataclass

from pendula.errors import ContractError

__all__ = ["DEGREE_HI", "NODES_HI", "OffsetGraph", "check_offsets", "grid"]

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
