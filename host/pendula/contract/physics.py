"""The three physics that one engine runs: which functions couple, act locally, and how x overflows.

A coupling is separable: node i feels ``sum_r u_r(x_i) * v_r(x_j)`` from node j.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from pendula.contract.numbers import Overflow
from pendula.errors import ContractError

__all__ = ["FUNCTIONS", "ISING", "KURAMOTO", "ONE", "PHYSICS", "QUARTIC", "STATE", "Function",
           "Physics", "get_physics"]

STATE = "x"    # basis function that is the state itself, exact, without a table
ONE = "1"      # basis function that is constant


@dataclass(frozen=True, slots=True)
class Function:
    """Real function of the state that is shipped as a table.

    Parameters
    ----------
    evaluate : callable
        Real value at a real state.
    reach : Fraction
        Magnitude that the table's largest entry stands for; larger values are clipped.
    """

    evaluate: Callable[[float], float]
    reach: Fraction

    def scale(self, bits: int) -> Fraction:
        """Raw units per real unit in a signed table of `bits` bits, symmetric about zero."""
        return Fraction((1 << (bits - 1)) - 1) / self.reach


# Phases are in half turns, so that the full turn [-1, 1) is the full integer range.
FUNCTIONS: dict[str, Function] = {
    "sin": Function(lambda x: math.sin(math.pi * x), Fraction(1)),
    "-cos": Function(lambda x: -math.cos(math.pi * x), Fraction(1)),
    "cos": Function(lambda x: math.cos(math.pi * x), Fraction(1)),
    "sin2": Function(lambda x: math.sin(2 * math.pi * x), Fraction(1)),
    "tanh": Function(math.tanh, Fraction(1)),
    "clip": Function(lambda x: x, Fraction(2)),      # x as seen by a neighbour
    "x3": Function(lambda x: x**3, Fraction(64)),
}


@dataclass(frozen=True, slots=True)
class Physics:
    """One kind of node dynamics.

    Parameters
    ----------
    name : str
        Name in files and on the command line.
    code : int
        Number of the physics in HELLO.
    i_bits : int
        Integer bits of the state, sign included.
    overflow : Overflow
        Overflow rule of the state.
    u : tuple of str
        Functions of the node itself, one a rank; empty where u is 1.
    v : tuple of str
        Functions of the neighbour, one a rank.
    basis : tuple of str
        Local terms.
    coupling_full : Fraction
        Change of x in one step that one coupling of code 1 with u = v = 1 must be able to make.
    local_full : Fraction
        Change of x in one step that one local term of the largest code with h = 1 must be able
        to make.
    noise_full : Fraction
        Standard deviation of one step that the noise must be able to have.

    Notes
    -----
    Gains have as many fraction bits as these full scales allow, so they reach less than twice them.
    """

    name: str
    code: int
    i_bits: int
    overflow: Overflow
    u: tuple[str, ...]
    v: tuple[str, ...]
    basis: tuple[str, ...]
    coupling_full: Fraction
    local_full: Fraction
    noise_full: Fraction

    @property
    def rank(self) -> int:
        """Number of separable products in a coupling."""
        return len(self.v)


KURAMOTO = Physics("kuramoto", 1, 1, Overflow.WRAP, ("sin", "-cos"), ("cos", "sin"),
                   ("sin", "sin2", ONE), Fraction(1, 32), Fraction(1, 2), Fraction(1, 2))
QUARTIC = Physics("quartic", 2, 3, Overflow.SATURATE, (), ("clip",),
                  (STATE, "x3", ONE), Fraction(1, 16), Fraction(1), Fraction(1))
ISING = Physics("ising", 3, 3, Overflow.SATURATE, (), ("tanh",),
                (STATE, "x3", ONE), Fraction(1, 16), Fraction(1), Fraction(1))

PHYSICS = {physics.name: physics for physics in (KURAMOTO, QUARTIC, ISING)}


def get_physics(name: str) -> Physics:
    """Return the physics called `name`.

    Raises
    ------
    ContractError
        If there is none.
    """
    if name not in PHYSICS:
        raise ContractError(f"Physics must be one of {', '.join(PHYSICS)}, not {name!r}")
    return PHYSICS[name]
