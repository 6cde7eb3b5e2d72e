"""Bands against the sums that they stand for."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pendula.twin.band import BAND_ROWS, bands
from strategies import offset_lists


@given(st.data(), st.integers(2, 3 * BAND_ROWS))
def test_bands_are_the_coupling_sums(data: st.DataObject, nodes: int) -> None:
    offsets = data.draw(offset_lists(nodes))
    rng = np.random.default_rng(nodes)
    couplings = rng.integers(-7, 8, (nodes, len(offsets)))
    v = rng.integers(-127, 128, (nodes, 3))
    sums = np.zeros((nodes, 3))
    for band in bands(couplings, offsets, np.float32):
        assert band.weights.dtype == np.float32
        sums[band.rows] = band.weights @ v[band.columns]
    expected = np.zeros((nodes, 3))
    for k, offset in enumerate(offsets):
        for node in range(max(0, -offset), min(nodes, nodes - offset)):
            expected[node] += couplings[node, k] * v[node + offset]
    assert np.array_equal(sums, expected)


def test_bands_are_no_wider_than_the_offsets_reach() -> None:
    for band in bands(np.ones((500, 2)), (-3, 5), np.float64):
        rows, columns = band.weights.shape
        assert rows <= BAND_ROWS
        assert columns <= rows + 8
