"""Offset graphs and grids, against a brute-force neighbourhood."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pendula.contract.graph import DEGREE_HI, NODES_HI, OffsetGraph, cells, check_offsets, grid
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


# Cells with links

def test_links_go_both_ways_and_on_into_the_next_cell() -> None:
    graph = cells(4, 7, 2, [(0, 0, 1), (1, 2, 0), (1, -1, 1)])
    places = [(y, x, m) for y in range(4) for x in range(7) for m in range(2)]
    expected = set()
    for i, (y, x, m) in enumerate(places):
        for down, right, onwards in ((0, 0, 1), (1, 2, 0), (1, -1, 1)):
            carried, member = divmod(m + onwards, 2)
            target = (y + down, x + right + carried, member)
            if target in places:
                expected |= {(i, places.index(target)), (places.index(target), i)}
    assert edges(graph) == expected
    assert graph.offsets == (-18, -13, -1, 1, 13, 18)


def test_single_nodes_are_cells_too() -> None:
    assert edges(cells(3, 3, 1, [(0, 1, 0), (1, 0, 0)])) == {
        (i, j) for i in range(9) for j in range(9)
        if abs(i // 3 - j // 3) + abs(i % 3 - j % 3) == 1}


@pytest.mark.parametrize(("shape", "link", "text"), [
    ((4, 8, 2), (4, 0, 0), r"within 3 rows, 2 columns and 1 members, not \(4, 0, 0\)"),
    ((4, 8, 2), (0, 3, 0), "2 columns"),
    ((4, 8, 1), (0, 4, 0), "3 columns"),
    ((4, 8, 2), (0, 1, 2), "1 members"),
    ((4, 8, 2), (0, 0, 0), "must be non-zero"),
    ((4, 0, 2), (0, 0, 1), "must be positive, not 4, 0, 2"),
])
def test_links_that_make_no_graph_are_refused(shape: tuple[int, int, int],
                                              link: tuple[int, int, int], text: str) -> None:
    with pytest.raises(ContractError, match=text):
        cells(*shape, [link])


def test_two_links_that_are_one_offset_are_refused() -> None:
    with pytest.raises(ContractError, match="without repetition"):
        cells(4, 8, 2, [(0, 1, 0), (0, -1, 0)])


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
