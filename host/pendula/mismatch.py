"""A device that is not quite what its program says: parts that differ, fixed by a seed.

Hardware with analog couplings does not hold the codes that it is sent: every coupler, local term,
table and segment gain is off by a few per cent. ``twin://?mismatch=0.05&mismatch_seed=1`` is any
device with such an error. The array stays made of integers: the codes that it is sent are spread
over wider codes, which leave room for errors, and all of them are perturbed before they are loaded.
So the couplings, tables and gains that really run are known to nobody but this module.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from pendula.contract.numbers import Interval, signed_format
from pendula.device import AbstractDevice, Batch, NodeMemory, Progress, SampleRequest
from pendula.errors import UrlError
from pendula.program import IntArray, Program

__all__ = ["MISMATCH_HI", "Mismatch", "MismatchDevice"]

MISMATCH_HI = 0.2
"""Largest relative standard deviation: wider codes have room for four of them."""

_REACH = 4              # draws end at this many standard deviations
_CODE_BITS = 8          # of the array that runs


@dataclass(frozen=True, slots=True)
class Mismatch:
    """Relative errors of all parts, drawn from one seed.

    Parameters
    ----------
    sigma : float
        Standard deviation of every relative error, from 0 to `MISMATCH_HI`.
    seed : int
        64-bit seed of the draws.

    Raises
    ------
    UrlError
        If a number is out of range.
    """

    sigma: float
    seed: int

    def __post_init__(self) -> None:
        if not 0 <= self.sigma <= MISMATCH_HI:
            raise UrlError(f"mismatch must be within 0..{MISMATCH_HI}, not {self.sigma}")
        if not 0 <= self.seed < 1 << 64:
            raise UrlError(f"mismatch_seed must be within 0..2**64-1, not {self.seed}")

    @classmethod
    def from_options(cls, sigma: str, seed: str) -> "Mismatch":
        """Return the mismatch that the options of a URL name.

        Raises
        ------
        UrlError
            If one is no number, or out of range.
        """
        try:
            return cls(float(sigma), int(seed))
        except ValueError as error:
            if isinstance(error, UrlError):
                raise
            raise UrlError("mismatch and mismatch_seed must be a number and an integer, "
                           f"not {sigma!r} and {seed!r}") from error

    def program(self, program: Program) -> Program:
        """Return what runs in place of `program`.

        Every coupling and every local coefficient of a node is multiplied by 1 + e, the same in
        all segments; every segment gain by 1 + e; every table by 1 + e, after which e' times its
        largest value is added. All e are normal, of standard deviation `sigma`.
        """
        rng = np.random.Generator(np.random.Philox(self.seed))
        spec, wide = program.spec, replace(program.spec, code_bits=_CODE_BITS)
        N, K, M = spec.nodes, len(spec.offsets), len(spec.physics.basis)
        coupling_share = self._headroom(spec.code, wide.code)
        local_share = self._headroom(spec.local_code, wide.local_code)
        coupling, local = self._factors(rng, N, K), self._factors(rng, N, M)
        tables = {name: self._table(rng, np.asarray(program.tables[name]), width)
                  for name, (_, width) in spec.columns.items()}
        gains = self._factors(rng, spec.segments, 1 + M)[:program.segments]
        return replace(
            program, spec=wide, tables=tables, unrounded={},
            codes=_whole(program.codes * coupling * coupling_share, wide.code),
            local_codes=_whole(program.local_codes * local * local_share, wide.local_code),
            coupling_gain=_whole(program.coupling_gain * gains[:, 0] / coupling_share, spec.gain),
            local_gains=_whole(program.local_gains * gains[:, 1:] / local_share, spec.gain))

    def _headroom(self, narrow: Interval, wide: Interval) -> float:
        """Return how many wide codes stand for a narrow one, with room for the errors."""
        return wide.hi / (narrow.hi * (1 + _REACH * self.sigma))

    def _factors(self, rng: np.random.Generator, *shape: int) -> npt.NDArray[np.float64]:
        return 1 + self._errors(rng, *shape)

    def _errors(self, rng: np.random.Generator, *shape: int) -> npt.NDArray[np.float64]:
        return self.sigma * np.clip(rng.standard_normal(shape), -_REACH, _REACH)

    def _table(self, rng: np.random.Generator, table: IntArray, width: int) -> IntArray:
        hi = signed_format(width).hi
        gain, offset = self._errors(rng, 2)
        return _whole(table * (1 + gain) + offset * hi, Interval.symmetric(hi))


def _whole(values: npt.NDArray[np.float64], within: Interval) -> IntArray:
    return np.clip(np.rint(values), within.lo, within.hi).astype(np.int64)


class MismatchDevice(AbstractDevice):
    """A device whose parts differ from what it is told.

    Parameters
    ----------
    url : str
        Address that the device was opened with.
    inner : AbstractDevice
        What runs the perturbed programs; it is closed with this device.
    mismatch : Mismatch
        Errors of the parts.
    """

    def __init__(self, url: str, inner: AbstractDevice, mismatch: Mismatch) -> None:
        super().__init__(url)
        self.exact = inner.exact
        self.times, self.health = inner.times, inner.health
        self._inner, self._mismatch = inner, mismatch

    def _load(self, program: Program) -> None:
        self._inner.load(self._mismatch.program(program))

    def _set_nodes(self, nodes: NodeMemory) -> None:
        self._inner.set_nodes(nodes.uploaded, nodes.clamped)

    def _sample(self, program: Program, request: SampleRequest, progress: Progress) -> Batch:
        return self._inner.sample(
            request.count, seed=request.seed, first=request.first, pixels=request.pixels,
            hidden=request.hidden, stop_step=request.stop_step, progress=progress)

    def _forces(self, program: Program, states: IntArray, segment: int) -> npt.NDArray[Any]:
        return self._inner.forces(states, segment=segment)

    def _note(self, drawn: Any) -> None:
        """Do nothing: the inner device has counted what was drawn, and its health is this one's."""

    def info(self) -> Mapping[str, Any]:
        """Return who the device is, and how far its parts are off."""
        return {**self._inner.info(), "url": self.url, "mismatch": self._mismatch.sigma,
                "mismatch_seed": self._mismatch.seed}

    def close(self) -> None:
        """Release the device."""
        super().close()
        self._inner.close()
