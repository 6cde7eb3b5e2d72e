"""Latent parameters, the codes that they round to, and the program that those are.

The forward pass runs on rounded codes and gains, so that what is trained is what the array gets;
the gradient passes the rounding as if it were not there (straight-through).
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jax import Array

from pendula.contract import ArraySpec, InitialState, OffsetGraph
from pendula.contract.numbers import Overflow
from pendula.errors import ProgramError
from pendula.program import IntArray, Program, pixel_map
from pendula.training.ais.array import Parameters, Shape

__all__ = ["Latent", "bounded", "confine", "first_latent", "from_program", "quantised", "real",
           "to_program"]

_HEADROOM = 0.49        # how far beyond the largest code a latent may go


class Latent(NamedTuple):
    """What the optimiser moves.

    Parameters
    ----------
    codes : array of float, shape (S, K, N)
        Coupling codes before they are rounded.
    local_codes : array of float, shape (S, M, N)
        Local codes before they are rounded.
    coupling_gain : array of float, shape (S,)
        Logarithm of the segment gain in raw units.
    local_gains : array of float, shape (S, M)
        The same for the local terms.
    """

    codes: Array
    local_codes: Array
    coupling_gain: Array
    local_gains: Array


def first_latent(shape: Shape, key: Array, *, coupling_val: float, local_val: float) -> Latent:
    """Return random codes, and gains with which they have the given standard deviations.

    Parameters
    ----------
    shape : Shape
        Array and steps.
    key : array
        JAX's random key.
    coupling_val, local_val : float
        Standard deviation of a coupling, and of a local coefficient, in units of x a step.
    """
    spec, segments = shape.spec, len(shape.steps)
    first, second = jax.random.split(key)
    terms = spec.local_terms
    spread, local_spread = spec.code.hi / 3, spec.local_code.hi / 3
    gains = [jnp.log(local_val / (local_spread * term.unit_val)) for term in terms]
    return Latent(
        codes=spread * jax.random.normal(first, (segments, len(spec.offsets), spec.nodes)),
        local_codes=local_spread * jax.random.normal(second, (segments, len(terms), spec.nodes)),
        coupling_gain=jnp.full(segments, jnp.log(
            coupling_val / (spread * spec.coupling_term.unit_val))),
        local_gains=jnp.tile(jnp.stack(gains), (segments, 1)))


def _rounded(values: Array) -> Array:
    """Round, with the gradient of the identity."""
    return values + jax.lax.stop_gradient(jnp.round(values) - values)


def bounded(spec: ArraySpec, latent: Latent) -> Latent:
    """Return codes and gains, not logarithms, within their limits; nothing is rounded."""
    def gain(logarithm: Array) -> Array:
        return jnp.clip(jnp.exp(logarithm), 1, spec.gain.hi)

    return Latent(
        codes=jnp.clip(latent.codes, spec.code.lo, spec.code.hi),
        local_codes=jnp.clip(latent.local_codes, spec.local_code.lo, spec.local_code.hi),
        coupling_gain=gain(latent.coupling_gain), local_gains=gain(latent.local_gains))


def quantised(spec: ArraySpec, latent: Latent) -> Latent:
    """Return codes and gains as the array holds them: whole numbers, in floating point."""
    return jax.tree.map(_rounded, bounded(spec, latent))


def real(spec: ArraySpec, whole: Latent, present: npt.NDArray[np.float32]) -> Parameters:
    """Return the real changes a step that codes and gains stand for.

    Parameters
    ----------
    whole : Latent
        From :func:`quantised`, or :func:`bounded`.
    present : array of float, shape (K, N)
        1 where the graph has an edge, else 0.
    """
    units = jnp.array([term.unit_val for term in spec.local_terms])
    couplings = whole.codes * (whole.coupling_gain * spec.coupling_term.unit_val)[:, None, None]
    return Parameters(couplings * present,
                      whole.local_codes * (whole.local_gains * units)[:, :, None])


def confine(spec: ArraySpec, latent: Latent) -> Latent:
    """Return the latent with codes brought back to where they still round to a legal code."""
    def within(values: Array, hi: int) -> Array:
        return jnp.clip(values, -hi - _HEADROOM, hi + _HEADROOM)

    return latent._replace(codes=within(latent.codes, spec.code.hi),
                           local_codes=within(latent.local_codes, spec.local_code.hi))


def from_program(shape: Shape, program: Program) -> Latent:
    """Return the latent that rounds to a program.

    Raises
    ------
    ProgramError
        If the program is for another array, or has other steps or negative gains.
    """
    steps = tuple(int(count) for count in program.steps)
    if program.spec.digest != shape.spec.digest or steps != shape.steps:
        raise ProgramError(f"program must be for the array {shape.spec.digest[:16]} with steps "
                           f"{shape.steps}, not for {program.spec.digest[:16]} with {steps}")
    gains = [np.asarray(part, np.float32) for part in (program.coupling_gain, program.local_gains)]
    if min(part.min() for part in gains) < 1:
        raise ProgramError("program must have positive gains, not "
                           f"{min(part.min() for part in gains):g}")
    return Latent(*(jnp.asarray(part.transpose(0, 2, 1), jnp.float32)
                    for part in (program.codes, program.local_codes)), *map(jnp.log, gains))


def to_program(shape: Shape, graph: OffsetGraph, latent: Latent, *, visible: Any,
               image_shape: tuple[int, int], provenance: Mapping[str, Any]) -> Program:
    """Return the program that a latent rounds to.

    It starts at uniform states and has no noise; phases are read out folded, so that phase 0 is
    black and half a turn white.

    Parameters
    ----------
    latent : Latent
        What is rounded by :func:`quantised`; the program keeps it as well.
    visible : array of bool, shape (N,)
        Nodes that are read out.
    image_shape : tuple of int
        Rows and columns of the visible nodes.
    provenance : mapping
        Where the program comes from.
    """
    spec, segments = shape.spec, len(shape.steps)
    codes, local_codes, coupling_gain, local_gains = (
        np.rint(np.asarray(part)).astype(np.int64) for part in quantised(spec, latent))
    present = np.array(graph.mask)
    black_val = 0.0 if spec.physics.overflow is Overflow.WRAP else -1.0
    return Program(
        spec=spec, graph=graph, codes=codes.transpose(0, 2, 1) * present,
        local_codes=local_codes.transpose(0, 2, 1),
        steps=np.array(shape.steps), coupling_gain=coupling_gain, local_gains=local_gains,
        noise_gain=np.zeros(segments, np.int64), visible=visible, initial=InitialState.UNIFORM,
        **pixel_map(spec, black_val, 1.0), image_shape=image_shape, provenance=dict(provenance),
        unrounded={
            "codes": _unrounded(latent.codes, latent.coupling_gain, coupling_gain) * present,
            "local_codes": _unrounded(latent.local_codes, latent.local_gains, local_gains),
            "noise_gain": np.zeros(segments)})


def _unrounded(codes: Array, logarithm: Array, gain: IntArray) -> npt.NDArray[np.float64]:
    """Return latent codes in units of codes at the whole gains; node before neighbour or term."""
    share = np.exp(np.asarray(logarithm, np.float64)) / gain
    turned = np.asarray(codes, np.float64).transpose(0, 2, 1)
    return turned * share.reshape(len(share), 1, -1)
