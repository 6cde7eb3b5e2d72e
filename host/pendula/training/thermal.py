"""Whitelam's system on the array: constant couplings of few bits, quartic nodes, heat.

Two segments: the uncoupled system equilibrates from 0, then the couplings are switched on. A step
of the array moves x by -dt dV/dx and noise of variance 2 kT dt, so that codes and gains stand for
J dt, b dt and the constants 2 dt and 4 dt of the on-site potential x^2 + x^4.
"""

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from pendula.contract import ArraySpec, InitialState, OffsetGraph
from pendula.contract.physics import QUARTIC
from pendula.program import IntArray, Program, pixel_map
from pendula.training.data import FloatArray
from pendula.training.reverse import Couplings, Thermodynamics

__all__ = ["Rounding", "bonded_pairs", "couplings_of", "thermal_program"]

Rounding = Literal["nearest", "stochastic"]


def bonded_pairs(graph: OffsetGraph, visible: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return the pairs that have a bond: the graph's edges, but not those between visible nodes.

    Returns
    -------
    array of bool, shape (N, N)
        Symmetric, as the offsets of the graph must be.
    """
    pairs = np.zeros((graph.nodes, graph.nodes), dtype=bool)
    node, edge = np.nonzero(np.array(graph.mask))
    pairs[node, node + np.array(graph.offsets)[edge]] = True
    return pairs & ~(visible[:, None] & visible)


def thermal_program(couplings: Couplings, graph: OffsetGraph, visible: npt.NDArray[np.bool_],
                    constants: Thermodynamics, *, code_bits: int = 4, largest: float = 1.0,
                    rounding: Rounding = "nearest", seed: int = 0,
                    image_shape: tuple[int, int] | None = None, white_val: float = 1.0,
                    provenance: dict[str, Any] | None = None) -> Program:
    """Return the program of learnt couplings.

    Parameters
    ----------
    couplings : Couplings
        J and b, with bonds along the graph's edges alone.
    graph : OffsetGraph
        Edges of the array.
    visible : array of bool, shape (N,)
        Nodes that are read out.
    constants : Thermodynamics
        Temperature, time step and number of steps.
    code_bits : int
        Width of the coupling codes; biases have 8 bits.
    largest : float
        The largest code stands for this share of the largest bond; larger bonds are clipped.
    rounding : str
        ``nearest``, or ``stochastic``: up with the probability that keeps the mean. The two
        directions of a bond are rounded alike, so that there is a potential.
    seed : int
        Of stochastic rounding.
    image_shape, white_val
        Picture that the visible nodes are; state of a white pixel, and black is its negative.
    provenance : dict, optional
        Where the couplings come from.
    """
    spec = ArraySpec(physics=QUARTIC, nodes=graph.nodes, offsets=graph.offsets,
                     code_bits=code_bits)
    dt = constants.step_val
    codes, gain, wanted = _bond_codes(spec, graph, couplings.bonds, dt, largest, rounding, seed)
    nodes, hi = spec.nodes, spec.local_code.hi
    unit_x, unit_x3, unit_1 = (term.unit_val for term in spec.local_terms)
    biggest = max(float(np.abs(couplings.biases).max()), 1e-9)
    bias_gain = max(1, int(np.ceil(biggest * dt / (hi * unit_1))))
    gains = [round(2 * dt / (hi * unit_x)), round(4 * dt / (hi * unit_x3)), bias_gain]
    local = np.zeros((2, nodes, 3))
    local[:, :, :2] = -2 * dt / (gains[0] * unit_x), -4 * dt / (gains[1] * unit_x3)
    local[1, :, 2] = -couplings.biases * dt / (bias_gain * unit_1)
    sigma_val = np.sqrt(2 * constants.temperature_val * dt)
    noise_gain = np.full(2, sigma_val / spec.noise_term.unit_val)
    return Program(
        spec=spec, graph=graph, codes=np.stack([np.zeros_like(codes), codes]),
        local_codes=np.clip(np.rint(local), -hi, hi).astype(np.int64),
        steps=np.full(2, constants.steps), coupling_gain=np.array([0, gain]),
        local_gains=np.array([gains, gains]),
        noise_gain=np.rint(noise_gain).astype(np.int64),
        visible=visible, initial=InitialState.ZERO, image_shape=image_shape,
        **pixel_map(spec, -white_val, white_val), provenance=provenance or {},
        unrounded={"codes": np.stack([np.zeros_like(wanted), wanted]), "local_codes": local,
                   "noise_gain": noise_gain})


def _bond_codes(spec: ArraySpec, graph: OffsetGraph, bonds: npt.NDArray[np.floating], dt: float,
                largest: float, rounding: Rounding, seed: int
                ) -> tuple[IntArray, int, FloatArray]:
    """Return the codes of -J dt, shape (N, K), their gain, and what they are before rounding."""
    unit_val = spec.coupling_term.unit_val
    reach = largest * max(float(np.abs(bonds).max()), 1e-9)
    gain = max(1, round(reach * dt / (spec.code.hi * unit_val)))
    wanted = -bonds * dt / (gain * unit_val)
    half = 0.5
    if rounding == "stochastic":
        drawn = np.triu(np.random.default_rng(seed).random(bonds.shape))
        half = drawn + drawn.T
    whole = np.clip(np.floor(wanted + half), -spec.code.hi, spec.code.hi).astype(np.int64)
    mask = np.array(graph.mask)
    node, edge = np.nonzero(mask)
    pairs = node, node + np.array(graph.offsets)[edge]
    codes, unrounded = np.zeros(mask.shape, np.int64), np.zeros(mask.shape)
    codes[node, edge], unrounded[node, edge] = whole[pairs], wanted[pairs]
    return codes, gain, unrounded


def couplings_of(program: Program, constants: Thermodynamics) -> Couplings:
    """Return the couplings that the codes of a program stand for: those its potential has."""
    mask, dt = np.array(program.graph.mask), constants.step_val
    node, edge = np.nonzero(mask)
    bonds: FloatArray = np.zeros((program.spec.nodes,) * 2)
    bonds[node, node + np.array(program.graph.offsets)[edge]] = (
        -program.coupling_val[1][node, edge] / dt)
    return Couplings(bonds, -program.local_val[1, :, 2] / dt)
