"""Couplings as products of small dense matrices: the graph's offsets make a band."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["BAND_ROWS", "Band", "bands"]

BAND_ROWS = 64      # nodes of one band; measured: benchmarks/twin.py


@dataclass(frozen=True, slots=True)
class Band:
    """The couplings into a few successive nodes.

    Parameters
    ----------
    rows : slice
        Nodes that listen.
    columns : slice
        Nodes that they may listen to.
    weights : array of float, shape (rows, columns)
        Coupling of each pair, zero where there is no edge.
    """

    rows: slice
    columns: slice
    weights: npt.NDArray[Any]


def bands(couplings: npt.NDArray[Any], offsets: Sequence[int],
          dtype: npt.DTypeLike) -> tuple[Band, ...]:
    """Cut couplings of shape (N, K) into bands of `BAND_ROWS` nodes, in order."""
    nodes = len(couplings)
    result = []
    for start in range(0, nodes, BAND_ROWS):
        stop = min(start + BAND_ROWS, nodes)
        first = max(0, start + min(0, *offsets))
        last = min(nodes, stop + max(0, *offsets))
        weights = np.zeros((stop - start, last - first), dtype)
        for k, offset in enumerate(offsets):
            listeners = np.arange(max(start, -offset), min(stop, nodes - offset))
            weights[listeners - start, listeners + offset - first] = couplings[listeners, k]
        result.append(Band(slice(start, stop), slice(first, last), weights))
    return tuple(result)
