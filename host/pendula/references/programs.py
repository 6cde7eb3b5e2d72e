"""Programs of one time segment from real coefficients, for systems whose laws are known."""

import numpy as np
import numpy.typing as npt

from pendula.contract import ArraySpec, InitialState, OffsetGraph, Term
from pendula.errors import ProgramError
from pendula.metrics.samples import FloatArray
from pendula.program import IntArray, Program

__all__ = ["autonomous_program", "neighbour_matrix"]


def autonomous_program(spec: ArraySpec, *, local_val: npt.ArrayLike, noise_val: float, steps: int,
                       coupling_val: npt.ArrayLike | None = None,
                       initial: InitialState = InitialState.ZERO,
                       initial_val: float = 0.0) -> Program:
    """Return a program of one segment with the nearest parameters that the array can hold.

    Parameters
    ----------
    spec : ArraySpec
        Array; all edges that stay on the line are present, all nodes are visible.
    local_val : array, shape (M,) or (N, M)
        Coefficient a step of every local term, the same for all nodes or one row each.
    noise_val : float
        Standard deviation of the noise a step.
    steps : int
        Steps of a sample.
    coupling_val : array, shape (N, N), optional
        What node i (row) takes a step from node j (column).
    initial : InitialState
        Where samples start.
    initial_val : float
        Standard deviation of a Gaussian initial state.

    Raises
    ------
    ProgramError
        If a coupling needs an edge that the graph lacks, or a gain is out of range.

    Notes
    -----
    Segment gains are chosen so that the largest coefficient of a term takes the largest code. What
    the program then holds is read back from it (`Program.coupling_val` and so on).
    """
    N, K, M = spec.nodes, len(spec.offsets), len(spec.physics.basis)
    local = np.broadcast_to(np.asarray(local_val, np.float64), (N, M))
    couplings = np.zeros((N, K)) if coupling_val is None else _on_edges(spec, coupling_val)
    codes, coupling_gain = _quantise(spec.coupling_term, couplings)
    columns = [_quantise(term, local[:, m]) for m, term in enumerate(spec.local_terms)]
    noise_unit = spec.noise_term.unit_val
    return Program(
        spec=spec, graph=OffsetGraph.full(N, spec.offsets), codes=codes[None],
        local_codes=np.stack([column for column, _ in columns], axis=1)[None],
        steps=np.array([steps]), coupling_gain=np.array([coupling_gain]),
        local_gains=np.array([[gain for _, gain in columns]]),
        noise_gain=np.array([round(noise_val / noise_unit)]), visible=np.ones(N, dtype=bool),
        initial=initial, initial_gain=round(initial_val / noise_unit),
        provenance={"rule": "reference"})


def neighbour_matrix(program: Program, segment: int = 0) -> FloatArray:
    """Return what node i (row) takes a step from node j (column), shape (N, N)."""
    nodes, matrix = program.spec.nodes, np.zeros((program.spec.nodes,) * 2)
    for k, offset in enumerate(program.spec.offsets):
        rows = np.arange(max(0, -offset), min(nodes, nodes - offset))
        matrix[rows, rows + offset] = program.coupling_val[segment, rows, k]
    return matrix


def _on_edges(spec: ArraySpec, coupling_val: npt.ArrayLike) -> FloatArray:
    """Return couplings by edge, shape (N, K)."""
    left = np.array(coupling_val, dtype=np.float64)
    edges = np.zeros((spec.nodes, len(spec.offsets)))
    for k, offset in enumerate(spec.offsets):
        rows = np.arange(max(0, -offset), min(spec.nodes, spec.nodes - offset))
        edges[rows, k] = left[rows, rows + offset]
        left[rows, rows + offset] = 0
    if left.any():
        i, j = (int(node) for node in np.argwhere(left)[0])
        raise ProgramError(f"coupling_val[{i}, {j}] must be 0, not {left[i, j]:g}: the graph has "
                           f"the offsets {spec.offsets} alone")
    return edges


def _quantise(term: Term, values: FloatArray) -> tuple[IntArray, int]:
    """Return codes and the gain that stand for real coefficients best."""
    gain = max(1, round(float(np.abs(values).max()) / (term.code.hi * term.unit_val)))
    codes = np.rint(values / (gain * term.unit_val)).clip(term.code.lo, term.code.hi)
    return codes.astype(np.int64), gain
