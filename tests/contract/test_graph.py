"""Offset graphs and grids, against a brute-force neighbourhood."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pendula.contract.graph import DEGREE_HI, NODES_HI, OffsetGraph, check_offsets, grid
from pendula.errors import ContractError
from strategies import offset_lists


def edges(graph: OffsetGraph) -> set[tuple[int, int]]:
    return {(i, i + offset) for i, row in enumerate(graph.mask)
            for keep, offset in zip(row, graph.offsets, strict=True) if keep}


@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 3), st.integers(1, 2))
def test_grid_connects_exactly_the_cells_within_the_radius(rows: int, columns: int, radius: int,
                                                           cell: int) -> None:
    if rows * columns * cell < 2:
        return
    graph = grid(rows, columns, radius, cell)
    places = [(y, x, m) for y in range(rows) for x in range(columns) for m in range(cell)]
    expected = {(i, j) for i, a in enumerate(places) for j, b in enumerate(places)
                if i != j and abs(a[0] - b[0]) <= radius and abs(a[1] - b[1]) <= radius}
    assert graph.nodes == len(places)
    assert edges(graph) == expected


def test_grid_of_the_default_neighbourhood_has_24_offsets() -> None:
    graph = grid(12, 12, 2)
    assert len(graph.offsets) == 24
    assert graph.offsets[0] == -26


@given(st.integers(2, 9), st.data())
def test_full_graph_has_every_edge_that_stays_on_the_line(nodes: int, data: st.DataObject) -> None:
    offsets = data.draw(offset_lists(nodes))
    assert edges(OffsetGraph.full(nodes, offsets)) == {
        (i, i + o) for i in range(nodes) for o in offsets if 0 <= i + o < nodes}


def test_mask_removes_edges() -> None:
    graph = OffsetGraph(3, (-1, 1), ((True, True), (False, True), (True, True)))
    assert edges(graph) == {(0, 1), (1, 2), (2, 1)}


@pytest.mark.parametrize(("nodes", "offsets", "message"), [
    (1, (1,), rf"nodes must be within 2\.\.{NODES_HI}, not 1"),
    (NODES_HI + 1, (1,), f"not {NODES_HI + 1}"),
    (4, (), rf"offsets must hold 1\.\.{DEGREE_HI} offsets, not 0"),
    (5000, tuple(range(1, DEGREE_HI + 2)), f"not {DEGREE_HI + 1}"),
    (4, (0,), "non-zero and within"),
    (4, (4,), "within .*3, not 4"),
    (4, (-4, 1), "within .*3, not -4"),
    (4, (1, 1), "must ascend without repetition"),
    (4, (2, 1), "must ascend without repetition"),
])
def test_offsets_that_make_no_graph_are_refused(nodes: int, offsets: tuple[int, ...],
                                                message: str) -> None:
    with pytest.raises(ContractError, match=message):
        check_offsets(nodes, offsets)
    with pytest.raises(ContractError, match=message):
        OffsetGraph.full(nodes, offsets)


@pytest.mark.parametrize("mask", [((True,),), ((True, True), (True,))])
def test_mask_of_another_shape_is_refused(mask: tuple[tuple[bool, ...], ...]) -> None:
    with pytest.raises(ContractError, match=r"mask must have shape \(2, 1\)"):
        OffsetGraph(2, (1,), mask)


@pytest.mark.parametrize("size", [(0, 2, 1, 1), (2, 0, 1, 1), (2, 2, 0, 1), (2, 2, 1, 0)])
def test_grid_without_extent_is_refused(size: tuple[int, int, int, int]) -> None:
    with pytest.raises(ContractError, match="must be positive"):
        grid(*size)
