"""From real coefficients to codes and segment gains, with the least harm to the force."""

from dataclasses import dataclass

import numpy as np

from pendula.contract import ArraySpec, Term
from pendula.program import IntArray
from pendula.training.data import FloatArray
from pendula.training.force_matching import Fit

__all__ = ["Quantised", "quantise", "round_codes"]

_SCALES = np.geomspace(0.25, 1.0, 13)      # tried coupling gains, as shares of the largest needed
_SWEEPS = 4


@dataclass(frozen=True, eq=False, kw_only=True)
class Quantised:
    """Codes and gains of one segment.

    Parameters
    ----------
    codes : array of int, shape (N, K)
        Coupling codes.
    local_codes : array of int, shape (N, M)
        Local codes.
    coupling_gain : int
        Segment gain of the couplings.
    local_gains : array of int, shape (M,)
        Segment gains of the local terms.
    coefficients : array of float, shape (N, K + M)
        What they stand for.
    unrounded : array of float, shape (N, K + M)
        What the codes were rounded from, in units of codes.
    excess : array of float, shape (N,)
        How much the mean squared error of the force grows.
    """

    codes: IntArray
    local_codes: IntArray
    coupling_gain: int
    local_gains: IntArray
    coefficients: FloatArray
    unrounded: FloatArray
    excess: FloatArray


def quantise(spec: ArraySpec, fit: Fit) -> Quantised:
    """Round the coefficients of a segment to what the array can hold.

    Every code is rounded in turn to what is best given all others of its node, so that
    correlated features make up for each other's rounding (coordinate descent on the loss); the
    coupling gain is the one with the least loss.

    Parameters
    ----------
    spec : ArraySpec
        Widths and units of codes and gains.
    fit : Fit
        Coefficients, and what errors in them cost.
    """
    K = len(spec.offsets)
    couplings, local = fit.coefficients[:, :K], fit.coefficients[:, K:]
    local_gains = np.array([_covering_gain(spec, term, local[:, m])
                            for m, term in enumerate(spec.local_terms)])
    largest = _covering_gain(spec, spec.coupling_term, couplings)
    gains = np.unique(np.maximum(1, np.rint(_SCALES * largest))).astype(np.int64)
    return min((_with_gains(spec, fit, int(gain), local_gains) for gain in gains),
               key=lambda found: found.excess.sum())


def round_codes(spec: ArraySpec, coefficients: FloatArray) -> Quantised:
    """Round the coefficients of a segment one by one, with gains that reach the largest.

    Parameters
    ----------
    spec : ArraySpec
        Widths and units of codes and gains.
    coefficients : array, shape (N, K + M)
        Of couplings and local terms; `excess` of the result is not known and 0.
    """
    K = len(spec.offsets)
    gains = [_covering_gain(spec, spec.coupling_term, coefficients[:, :K])]
    gains += [_covering_gain(spec, term, coefficients[:, K + m])
              for m, term in enumerate(spec.local_terms)]
    scale = np.array([gains[0] * spec.coupling_term.unit_val] * K + [
        gain * term.unit_val for gain, term in zip(gains[1:], spec.local_terms, strict=True)])
    limits = np.array([spec.code.hi] * K + [spec.local_code.hi] * len(spec.local_terms))
    codes = np.clip(np.rint(coefficients / scale), -limits, limits).astype(np.int64)
    return Quantised(codes=codes[:, :K], local_codes=codes[:, K:], coupling_gain=gains[0],
                     local_gains=np.array(gains[1:]), excess=np.zeros(len(codes)),
                     coefficients=(codes * scale).astype(np.float64),
                     unrounded=(coefficients / scale).astype(np.float64))


def _covering_gain(spec: ArraySpec, term: Term, coefficients: FloatArray) -> int:
    """Return the smallest gain with which the codes reach every coefficient."""
    needed = np.ceil(np.abs(coefficients).max() / (term.code.hi * term.unit_val))
    return int(np.clip(needed, 1, spec.gain.hi))


def _with_gains(spec: ArraySpec, fit: Fit, gain: int, local_gains: IntArray) -> Quantised:
    K = len(spec.offsets)
    units = [gain * spec.coupling_term.unit_val] * K
    units += [local_gain * term.unit_val
              for local_gain, term in zip(local_gains, spec.local_terms, strict=True)]
    limits = [spec.code.hi] * K + [spec.local_code.hi] * len(local_gains)
    scale = np.array(units, dtype=np.float64)
    codes = _descend(fit, scale, np.array(limits))
    return Quantised(codes=codes[:, :K], local_codes=codes[:, K:], coupling_gain=gain,
                     local_gains=local_gains, coefficients=codes * scale,
                     unrounded=fit.coefficients / scale,
                     excess=fit.excess(codes * scale))


def _descend(fit: Fit, units: FloatArray, limits: IntArray) -> IntArray:
    """Return the codes after a few sweeps of coordinate descent from plain rounding."""
    ideal = fit.coefficients
    codes = np.clip(np.rint(ideal / units), -limits, limits)
    curvature = np.einsum("iff->if", fit.gram)
    for _ in range(_SWEEPS):
        before = codes.copy()
        for f, unit in enumerate(units):
            slope = np.einsum("ig,ig->i", fit.gram[:, f], codes * units - ideal)
            best = codes[:, f] - slope / (curvature[:, f] * unit)
            codes[:, f] = np.clip(np.rint(best), -limits[f], limits[f])
        if np.array_equal(codes, before):
            break
    return codes.astype(np.int64)
