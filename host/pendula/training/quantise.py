"""Quantisation: real coefficients become codes and segment gains of an array."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pendula.contract.graph import OffsetGraph
from pendula.contract.numbers import Interval
from pendula.contract.spec import ArraySpec
from pendula.program import IntArray
from pendula.training.force_matching import FloatArray, SegmentFit

__all__ = ["SegmentCodes", "choose_gain", "quantise_segment", "refit_local", "to_codes"]

_CANDIDATES = 60            # gains tried for the couplings
_SMALLEST = 0.1             # of the gain at which nothing is clipped


@dataclass(frozen=True, eq=False, kw_only=True)
class SegmentCodes:
    """Raw parameters of one segment.

    Parameters
    ----------
    codes, local_codes : array of int, shapes (N, K) and (N, M)
    coupling_gain, noise_gain : int
    local_gains : array of int, shape (M,)
    error : float
        Mean square of the force that quantisation adds, over that of the target.
    """

    codes: IntArray
    local_codes: IntArray
    coupling_gain: int
    noise_gain: int
    local_gains: IntArray
    error: float


def to_codes(values: npt.ArrayLike, gain_val: float, codes: Interval) -> IntArray:
    """Return the codes nearest to ``values / gain_val``, clipped to their range."""
    scaled = np.asarray(values) / gain_val
    return np.clip(np.rint(scaled), codes.lo, codes.hi).astype(np.int64)


def choose_gain(couplings: FloatArray, weight: FloatArray, spec: ArraySpec) -> int:
    """Return the raw coupling gain of least weighted square error.

    Parameters
    ----------
    couplings : array, shape (N, K)
        Real couplings, a step.
    weight : array, shape (N, K)
        Second moment of what each is multiplied with.
    spec : ArraySpec
        Array; the gain is at least 1 and at most its largest.
    """
    unit = spec.coupling_term.unit_val
    whole = np.abs(couplings).max() / (spec.code.hi * unit)
    gains = np.unique(np.clip(np.rint(whole * np.geomspace(_SMALLEST, 1, _CANDIDATES)),
                              1, spec.gain.hi)).astype(np.int64)
    errors = [(weight * (to_codes(couplings, gain * unit, spec.code) * gain * unit
                         - couplings)**2).sum() for gain in gains.tolist()]
    return int(gains[int(np.argmin(errors))])


def refit_local(fit: SegmentFit, graph: OffsetGraph, couplings: FloatArray) -> FloatArray:
    """Return the local coefficients, shape (N, M), that suit quantised couplings best."""
    moments, local = fit.moments, fit.local.copy()
    for node, (mask, offsets) in enumerate(zip(np.array(graph.mask),
                                               node_offsets(graph), strict=True)):
        places = moments.places(offsets[mask], node)
        coupled, own = places[:-3], places[-3:]
        lost = fit.couplings[node, mask] - couplings[node, mask]
        matrix = moments.features[np.ix_(own, own)]
        moved = moments.features[np.ix_(own, coupled)] @ lost
        local[node] += np.linalg.lstsq(matrix, moved)[0]
    return local


def node_offsets(graph: OffsetGraph) -> IntArray:
    """Return the neighbours of every node, shape (N, K); only those within the mask exist."""
    return np.arange(graph.nodes)[:, None] + np.array(graph.offsets)


def _quantise_local(local: FloatArray, spec: ArraySpec) -> tuple[IntArray, IntArray]:
    units = np.array([term.unit_val for term in spec.local_terms])
    needed = np.abs(local).max(axis=0) / (spec.local_code.hi * units)
    gains = np.clip(np.ceil(needed), 1, spec.gain.hi).astype(np.int64)
    return to_codes(local, gains * units, spec.local_code), gains


def quantise_segment(fit: SegmentFit, graph: OffsetGraph, spec: ArraySpec) -> SegmentCodes:
    """Quantise couplings, refit the local terms to them, and quantise those."""
    power = np.diag(fit.moments.features) / fit.moments.count
    neighbours = np.clip(node_offsets(graph), 0, graph.nodes - 1)
    gain = choose_gain(fit.couplings, power[neighbours], spec)
    unit = spec.coupling_term.unit_val
    codes = to_codes(fit.couplings, gain * unit, spec.code) * np.array(graph.mask)
    couplings = codes * (gain * unit)
    local_codes, local_gains = _quantise_local(refit_local(fit, graph, couplings), spec)
    local = local_codes * local_gains * np.array([term.unit_val for term in spec.local_terms])
    noise_gain = min(round(fit.sigma / spec.noise_term.unit_val), spec.gain.hi)
    return SegmentCodes(codes=codes, local_codes=local_codes, coupling_gain=gain,
                        noise_gain=noise_gain, local_gains=local_gains,
                        error=_added_error(fit, graph, couplings, local))


def _added_error(fit: SegmentFit, graph: OffsetGraph, couplings: FloatArray,
                 local: FloatArray) -> float:
    """Return the mean square change of the force, over the mean square target."""
    moments, total = fit.moments, 0.0
    for node, (mask, offsets) in enumerate(zip(np.array(graph.mask), node_offsets(graph),
                                               strict=True)):
        places = moments.places(offsets[mask], node)
        change = np.concatenate([(couplings - fit.couplings)[node, mask],
                                 (local - fit.local)[node]])
        total += float(change @ moments.features[np.ix_(places, places)] @ change)
    return total / (moments.count * graph.nodes * fit.power)
