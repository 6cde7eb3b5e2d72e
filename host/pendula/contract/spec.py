"""The array spec: all that fixes the hardware, with the proof that no accumulator overflows."""

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

from pendula.contract import noise
from pendula.contract.digest import digest
from pendula.contract.graph import check_offsets
from pendula.contract.numbers import Interval, NumberFormat, signed_format
from pendula.contract.physics import FUNCTIONS, ONE, STATE, Physics, get_physics
from pendula.errors import ContractError

__all__ = ["ArraySpec", "Term"]

_WIDTH_RULES = {  # smallest and largest sensible width of each format
    "state_bits": (8, 24),
    "edge_bits": (2, 12),
    "code_bits": (2, 8),
    "local_code_bits": (2, 8),
    "basis_bits": (4, 18),
    "gain_bits": (4, 18),
    "table_bits": (3, 12),
    "accumulator_bits": (8, 62),
}


@dataclass(frozen=True, slots=True)
class Term:
    """One product ``gain * code * value`` that is added to the drift.

    Parameters
    ----------
    name : str
        Name in messages.
    code : Interval
        Codes the host may send.
    value : Interval
        What the code is multiplied with.
    gain_f_bits : int
        Fraction bits of the segment gain, relative to one raw unit of the state.
    unit_val : float
        Real coefficient that ``gain_raw = code_raw = 1`` stands for, a step.
    """

    name: str
    code: Interval
    value: Interval
    gain_f_bits: int
    unit_val: float


@dataclass(frozen=True, kw_only=True)       # no slots: what follows from the fields is cached
class ArraySpec:
    """Shape and number formats of an array; two devices with one digest run the same programs.

    Parameters
    ----------
    physics : Physics
        Node dynamics.
    nodes : int
        Number of nodes N.
    offsets : tuple of int
        The K offsets of the graph, ascending.
    segments : int
        Capacity in time segments S; not part of the digest, since a program may use fewer.
    state_bits, edge_bits, code_bits, local_code_bits, basis_bits, gain_bits : int
        Widths of x, of u and v, of coupling codes, of local codes, of tabled basis functions and
        of segment gains.
    table_bits : int
        Tables are addressed by this many top bits of the state.
    accumulator_bits : int
        No accumulator may need more than this; at most 62, so that 64-bit hosts stay exact.

    Raises
    ------
    ContractError
        If a width is out of range, or an accumulator would overflow (the message names it).
    """

    physics: Physics
    nodes: int
    offsets: tuple[int, ...]
    segments: int = 32
    state_bits: int = 18
    edge_bits: int = 8
    code_bits: int = 4
    local_code_bits: int = 8
    basis_bits: int = 16
    gain_bits: int = 16
    table_bits: int = 10
    accumulator_bits: int = 62

    def __post_init__(self) -> None:
        check_offsets(self.nodes, self.offsets)
        if not 1 <= self.segments <= 4096:
            raise ContractError(f"segments must be within 1..4096, not {self.segments}")
        for name, (lo, hi) in _WIDTH_RULES.items():
            if not lo <= getattr(self, name) <= hi:
                raise ContractError(f"{name} must be within {lo}..{hi}, not {getattr(self, name)}")
        if self.table_bits > self.state_bits:
            raise ContractError(
                f"table_bits must not exceed state_bits {self.state_bits}, not {self.table_bits}")
        for name, interval in self.accumulators.items():
            if interval.signed_bits > self.accumulator_bits:
                raise ContractError(
                    f"Accumulator {name!r} must fit accumulator_bits = {self.accumulator_bits}, "
                    f"not need {interval.signed_bits} bits for {interval.lo}..{interval.hi}")

    # Formats

    @cached_property
    def state(self) -> NumberFormat:
        """Type of x."""
        i_bits = self.physics.i_bits
        return NumberFormat(i_bits, self.state_bits - i_bits, self.physics.overflow)

    @cached_property
    def code(self) -> Interval:
        """Coupling codes: symmetric, so that negation is exact."""
        return Interval.symmetric(signed_format(self.code_bits).hi)

    @cached_property
    def local_code(self) -> Interval:
        """Local codes: symmetric."""
        return Interval.symmetric(signed_format(self.local_code_bits).hi)

    @cached_property
    def gain(self) -> Interval:
        """Segment gains: symmetric."""
        return Interval.symmetric(signed_format(self.gain_bits).hi)

    @cached_property
    def edge(self) -> Interval:
        """Entries of the u and v tables: symmetric."""
        return Interval.symmetric(signed_format(self.edge_bits).hi)

    @cached_property
    def basis_value(self) -> Interval:
        """Entries of the tabled basis functions: symmetric."""
        return Interval.symmetric(signed_format(self.basis_bits).hi)

    @cached_property
    def table_rows(self) -> int:
        """Number of rows of the table memory."""
        return 1 << self.table_bits

    @cached_property
    def columns(self) -> dict[str, tuple[str, int]]:
        """Columns of the table memory: name to (function, width)."""
        physics = self.physics
        columns = {f"u{r}": (name, self.edge_bits) for r, name in enumerate(physics.u)}
        columns |= {f"v{r}": (name, self.edge_bits) for r, name in enumerate(physics.v)}
        columns |= {f"h{m}": (name, self.basis_bits)
                    for m, name in enumerate(physics.basis) if name not in (STATE, ONE)}
        return columns

    # Terms of the drift and their accumulators

    def _gain_f_bits(self, full: Fraction, code_hi: int, scale: Fraction) -> int:
        """Largest number of fraction bits with which the gain still reaches the full scale."""
        lsb_raw = full * 2**self.state.f_bits / (code_hi * scale)
        return max(0, int((self.gain.hi + 1) / lsb_raw).bit_length() - 1)

    def _term(self, name: str, code: Interval, value: Interval, full: Fraction, code_hi: int,
              scale: Fraction) -> Term:
        f_bits = self._gain_f_bits(full, code_hi, scale)
        unit_val = float(scale / 2 ** (f_bits + self.state.f_bits))
        return Term(name, code, value, f_bits, unit_val)

    @cached_property
    def coupling_term(self) -> Term:
        """Term ``gc * c_i``; its value is one edge ``<u, v>`` and its code one w."""
        physics = self.physics
        scale = FUNCTIONS[physics.v[0]].scale(self.edge_bits)
        if physics.u:
            scale *= FUNCTIONS[physics.u[0]].scale(self.edge_bits)
        edge = self.edge * self.edge if physics.u else self.edge
        return self._term("coupling", self.code, edge.times(physics.rank), physics.coupling_full,
                          1, scale)

    @cached_property
    def local_terms(self) -> tuple[Term, ...]:
        """Terms ``gl_m * p_im * h_m(x_i)``, one a basis function."""
        values = {STATE: (self.state.interval, Fraction(2**self.state.f_bits)),
                  ONE: (Interval(1, 1), Fraction(1))}
        terms = []
        for name in self.physics.basis:
            value, scale = values.get(name) or (self.basis_value,
                                                FUNCTIONS[name].scale(self.basis_bits))
            terms.append(self._term(f"local {name}", self.local_code, value,
                                    self.physics.local_full, self.local_code.hi, scale))
        return tuple(terms)

    @cached_property
    def noise_term(self) -> Term:
        """Term ``sigma * xi``."""
        return self._term("noise", Interval(1, 1), noise.GAUSSIAN, self.physics.noise_full, 1,
                          Fraction(noise.SIGMA_RAW))

    @cached_property
    def drift_f_bits(self) -> int:
        """Fraction bits of the drift and total accumulators below one raw unit of the state."""
        terms = (self.coupling_term, *self.local_terms, self.noise_term)
        return max(term.gain_f_bits for term in terms)

    def align_bits(self, term: Term) -> int:
        """Left shift that brings a term to the accumulators' binary point."""
        return self.drift_f_bits - term.gain_f_bits

    @cached_property
    def accumulators(self) -> dict[str, Interval]:
        """Interval of every accumulator, from the intervals of what is added up in it."""
        partial = (self.code * self.edge).times(len(self.offsets))
        coupling = (partial * self.edge).times(self.physics.rank) if self.physics.u else partial
        drift = (self.gain * coupling) << self.align_bits(self.coupling_term)
        for term in self.local_terms:
            drift += (self.gain * term.code * term.value) << self.align_bits(term)
        noise_term = self.noise_term
        total = drift + (self.state.interval << self.drift_f_bits)
        total += (self.gain * noise_term.value) << self.align_bits(noise_term)
        if self.drift_f_bits:
            total += Interval(0, 1 << (self.drift_f_bits - 1))     # the rounding constant
        return {"partial": partial, "coupling": coupling, "drift": drift, "total": total}

    def accumulator_width(self, name: str) -> int:
        """Width in bits of the accumulator called `name`."""
        return self.accumulators[name].signed_bits

    @cached_property
    def force_unit_val(self) -> float:
        """Real change of x in one step that one raw unit of a force stands for."""
        return 2.0 ** -(self.drift_f_bits + self.state.f_bits)

    # Identity

    def describe(self) -> dict[str, Any]:
        """Return the spec as plain data; :meth:`from_description` reads it back."""
        fields = {name: getattr(self, name) for name in _WIDTH_RULES}
        return {"physics": self.physics.name, "nodes": self.nodes, "offsets": list(self.offsets),
                "segments": self.segments, **fields}

    @classmethod
    def from_description(cls, description: dict[str, Any]) -> "ArraySpec":
        """Build a spec from :meth:`describe`'s plain data.

        Raises
        ------
        ContractError
            If a field is missing, unknown, of the wrong type or out of range.
        """
        expected = {"physics", "nodes", "offsets", "segments", *_WIDTH_RULES}
        if not isinstance(description, dict) or set(description) != expected:
            raise ContractError(f"Array spec must have exactly the fields {sorted(expected)}")
        plain = dict(description)
        physics, offsets = plain.pop("physics"), plain.pop("offsets")
        if not isinstance(physics, str):
            raise ContractError(f"physics must be a name, not {physics!r}")
        for name, value in plain.items():
            if type(value) is not int:
                raise ContractError(f"{name} must be an integer, not {value!r}")
        if not isinstance(offsets, list) or any(type(offset) is not int for offset in offsets):
            raise ContractError(f"offsets must be a list of integers, not {offsets!r}")
        return cls(physics=get_physics(physics), offsets=tuple(offsets), **plain)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of everything that a program depends on."""
        description = self.describe()
        del description["segments"], description["accumulator_bits"]
        return digest(description)
