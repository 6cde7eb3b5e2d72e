"""The functions of the physics with their slopes, for JAX arrays.

The functions are those that the program's tables stand for (:mod:`pendula.contract.physics`), not
the tables. Sine and cosine are polynomials of the phase's distance to the next half turn: a phase
counts in half turns already, so that reducing it is a rounding. It is many times faster than
``jnp.sin`` and ``jnp.cos`` (:file:`benchmarks/gradient.py`).
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

from pendula.contract.physics import FUNCTIONS, ONE, STATE, Physics

__all__ = ["Response", "Sloped", "Values", "evaluate", "respond", "sin_cos"]


class Sloped(NamedTuple):
    """A function of the state and its derivative, of the state's shape."""

    value: Array
    slope: Array


class Response(NamedTuple):
    """How a device answers, in terms of ideal functions; plain numbers, so that it is hashable.

    Parameters
    ----------
    coupling : tuple, shape (S, U, R + 1)
        Matrix G of each segment: a coupling is ``sum_ab u_a(x_i) G_ab v_b(x_j)``, where the
        constant 1 follows after u and after v. Where the physics has no u, U = 1 and u is 1.
    local : tuple, shape (S, M, 2)
        Gain and offset of each local function.
    """

    coupling: tuple[tuple[tuple[float, ...], ...], ...]
    local: tuple[tuple[tuple[float, float], ...], ...]


class Values(NamedTuple):
    """All functions of a physics at one state."""

    u: tuple[Sloped, ...]
    v: tuple[Sloped, ...]
    h: tuple[Sloped, ...]


def _minimax(function: np.ufunc, powers: Sequence[int]) -> list[float]:
    """Return coefficients of a polynomial near ``function(pi f)`` for |f| <= 1/2."""
    f = np.cos(np.linspace(0, np.pi, 400)) / 2          # dense at the ends, as Chebyshev's nodes
    columns = np.stack([f**power for power in powers], axis=1)
    return np.linalg.lstsq(columns, function(np.pi * f), rcond=None)[0].tolist()


_SIN, _COS = _minimax(np.sin, range(1, 10, 2)), _minimax(np.cos, range(0, 11, 2))


def _horner(coefficients: Sequence[float], square: Array) -> Array:
    result = jnp.full_like(square, coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        result = result * square + coefficient
    return result


def sin_cos(x: Array) -> tuple[Array, Array]:
    """Return sin(pi x) and cos(pi x) within 3e-7, for float32 phases of any size."""
    half_turns = jnp.round(x)
    f = x - half_turns
    sign = 1 - 2 * (half_turns - 2 * jnp.floor(half_turns / 2))
    return sign * f * _horner(_SIN, f * f), sign * _horner(_COS, f * f)


def _phase_functions(x: Array) -> dict[str, Sloped]:
    s, c = sin_cos(x)
    return {"sin": Sloped(s, jnp.pi * c), "cos": Sloped(c, -jnp.pi * s),
            "-cos": Sloped(-c, jnp.pi * s),
            "sin2": Sloped(2 * s * c, 2 * jnp.pi * (c * c - s * s))}


def _clipped(name: str, value: Array, slope: Array) -> Sloped:
    reach_val = float(FUNCTIONS[name].reach)
    inside = jnp.abs(value) <= reach_val
    return Sloped(jnp.clip(value, -reach_val, reach_val), jnp.where(inside, slope, 0.0))


def _position_functions(x: Array) -> dict[str, Sloped]:
    t = jnp.tanh(x)
    return {STATE: Sloped(x, jnp.ones_like(x)), "clip": _clipped("clip", x, jnp.ones_like(x)),
            "x3": _clipped("x3", x**3, 3 * x * x), "tanh": Sloped(t, 1 - t * t)}


def evaluate(physics: Physics, x: Array) -> Values:
    """Return u, v and the local basis of `physics` at the states `x`, with their slopes."""
    phases = "sin" in physics.basis
    known = _phase_functions(x) if phases else _position_functions(x)
    known[ONE] = Sloped(jnp.ones_like(x), jnp.zeros_like(x))
    u, v, h = (tuple(known[name] for name in names)
               for names in (physics.u, physics.v, physics.basis))
    return Values(u or (known[ONE],), v, h)


def respond(values: Values, coupling: Array, local: Array) -> Values:
    """Return the functions that a device has in one segment.

    Parameters
    ----------
    coupling : array of float, shape (U, R + 1)
        Matrix G of :class:`Response`; the new v are ``sum_b G_ab v_b``.
    local : array of float, shape (M, 2)
        Gains and offsets.
    """
    one = Sloped(jnp.ones_like(values.v[0].value), jnp.zeros_like(values.v[0].value))
    u = (*values.u, one)[:len(coupling)]
    v = (*values.v, one)
    mixed = tuple(Sloped(sum((g * f.value for g, f in zip(row, v)), jnp.zeros(())),
                         sum((g * f.slope for g, f in zip(row, v)), jnp.zeros(())))
                  for row in coupling)
    h = tuple(Sloped(gain * f.value + offset, gain * f.slope)
              for f, (gain, offset) in zip(values.h, local))
    return Values(u, mixed, h)
