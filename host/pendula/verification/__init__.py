"""The ladder from the equations to the hardware: where do a device's samples part from the model's?

Each rung changes one thing. Where laws alone can agree, both sides run on the same noise, so that
the shift of the law is measured pair by pair; where bits must agree, the first integer that differs
is named.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from pendula.comparison import Exact
from pendula.comparison import plain as to_plain
from pendula.comparison.exact import Check, Difference, compare_exact
from pendula.contract import CONTRACT_ID
from pendula.contract.numbers import Overflow
from pendula.contract.step import InitialState
from pendula.device import AbstractDevice, Progress, open_device, recorded
from pendula.errors import BuildError, LinkError, MissingExtraError, PendulaError, ProgramError
from pendula.metrics.samples import FloatArray
from pendula.metrics.two_sample import LEAST_SAMPLES, TwoSample, compare_samples
from pendula.program import IntArray, Program
from pendula.verification.ladder import PARAMETERS, RUNGS, Kind, Rung, build_ladder
from pendula.verification.shift import Shift, measure_shift

__all__ = ["RUNGS", "Kind", "Result", "Rung", "Shift", "Verification", "build_ladder", "choose",
           "measure_shift", "verify"]

_BIT_SAMPLES = 256          # of devices that run whole programs; a bit that is wrong shows early
_SHORT_SAMPLES = 2
_FORCE_STATES = 30          # random states a segment
_PAIR_NODES = 128           # arrays up to this size have all their covariances tested
_NO_PARAMETERS = ("the file holds codes alone, so that no law without them can be drawn: "
                  "train the model again")


@dataclass(frozen=True, eq=False, kw_only=True)
class Result:
    """Verdict on one rung.

    Parameters
    ----------
    rung : Rung
        What was compared.
    url : str
        Device that was compared with ``rung.against``.
    agrees : bool or None
        Whether what must agree does; None if the rung was not run.
    finding : str
        The figure behind it, or why it was not run.
    applies : bool
        Whether the program has what the rung changes.
    count : int
        Samples of each side.
    seconds : float
        Time that the rung took.
    exact : Exact or None
        Integers compared, where integers must agree.
    law : TwoSample or None
        Test of the laws, where laws must agree.
    shift : Shift or None
        Shift of the law.
    share : float or None
        The rung's part of the sum of all energy distances on the ladder.
    """

    rung: Rung
    url: str
    agrees: bool | None
    finding: str
    applies: bool = True
    count: int = 0
    seconds: float = 0.0
    exact: Exact | None = None
    law: TwoSample | None = field(default=None, metadata={"plain": False})
    shift: Shift | None = None
    share: float | None = None


@dataclass(frozen=True, eq=False, kw_only=True)
class Verification:
    """Outcome of :func:`verify`.

    Parameters
    ----------
    count, seed : int
        Samples of each law, and their seed.
    program_digest, spec_digest, contract_id : str
        What was run.
    results : tuple of Result
        One a rung, in order.
    total : Shift or None
        From the first law to the last.
    """

    count: int
    seed: int
    program_digest: str
    spec_digest: str
    contract_id: str
    results: tuple[Result, ...]
    total: Shift | None

    @property
    def different(self) -> Result | None:
        """First rung that does not agree though it must."""
        return next((result for result in self.results
                     if result.agrees is False and result.rung.kind is not Kind.COST), None)

    @property
    def missing(self) -> tuple[Result, ...]:
        """Rungs that were not run."""
        return tuple(result for result in self.results if result.agrees is None)

    @property
    def verdict(self) -> str:
        """The outcome in one sentence."""
        ran, rest = len(self.results) - len(self.missing), self._unsaid
        if self.different:
            return (f"The ladder breaks at {self.different.rung.name}: "
                    f"{self.different.finding}{rest}.")
        if not ran:
            return f"Nothing was run{rest}."
        return f"All rungs agree that must, of {ran} that were run{rest}."

    @property
    def _unsaid(self) -> str:
        """What the verdict says nothing about."""
        absent = [one.rung.name for one in self.missing if not one.applies]
        failed = [one.rung for one in self.missing if one.applies]
        rest = f"; not in the file: {', '.join(absent)}" if absent else ""
        if failed:
            rest += f"; could not run: {', '.join(rung.name for rung in failed)}"
        bits = [one for one in self.results if one.rung.kind is Kind.BITS]
        if bits and all(one.agrees is None for one in bits):
            rest += ", so that no gateware was compared"
        return rest

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the samples as data that JSON can hold."""
        data = to_plain(self)
        for result, item in zip(self.results, data["results"], strict=True):
            if result.law:
                item["law"] = {"alpha": result.law.alpha, "different": result.law.different,
                               "families": to_plain(result.law.families),
                               "power": to_plain(result.law.power)}
        return {"verdict": self.verdict, **data}


def verify(program: Program, *, count: int, seed: int, device: str = "",
           record: Path | None = None, rungs: Sequence[str] | None = None,
           progress: Progress | None = None,
           say: Callable[[str], None] = lambda _: None) -> Verification:
    """Climb down the ladder.

    Parameters
    ----------
    program : Program
        What to run; it must not keep states (``InitialState.KEEP``).
    count : int
        Samples of each law, at least 32.
    seed : int
        Seed of all samples.
    device : str
        URL of a further device whose bits must be the twin's.
    record : path, optional
        New file, into which that device is recorded.
    rungs : sequence of str, optional
        Names of the rungs to run; all without it.
    progress : callable, optional
        Called with 1 after each rung.
    say : callable, optional
        Told what is done next.

    Raises
    ------
    ProgramError
        If a rung is unknown or lacks its device, the program keeps states, the device is not exact,
        or there are too few samples.
    MissingExtraError
        If SciPy is missing.
    """
    chosen = choose(program, rungs, device)
    if program.initial is InitialState.KEEP:
        raise ProgramError("program must start every sample anew, not keep states: its samples "
                           "have no law of their own")
    if count < LEAST_SAMPLES:
        raise ProgramError(f"Number of samples must be at least {LEAST_SAMPLES}, not {count}")
    run = _Run(program, count, seed, record)
    results = []
    for rung in chosen:
        say(f"{rung.name}: {rung.adds}")
        start = time.perf_counter()
        result = run.climb(rung, device if rung.name == "device" else rung.url)
        results.append(replace(result, seconds=time.perf_counter() - start))
        if progress:
            progress(1)
    return Verification(
        count=count, seed=seed, program_digest=program.digest, spec_digest=program.spec.digest,
        contract_id=CONTRACT_ID, results=tuple(_with_shares(results)), total=run.total())


def choose(program: Program, names: Sequence[str] | None, device: str) -> list[Rung]:
    """Return a program's rungs called `names`, or all, in order; the last one if a device is named.

    Raises
    ------
    ProgramError
        If one is unknown, or the last one is called and no device is named.
    """
    for name in names or ():
        if name not in RUNGS:
            raise ProgramError(f"rung must be one of {', '.join(RUNGS)}, not {name!r}")
    if names and "device" in names and not device:
        raise ProgramError("rung 'device' needs a device: name its URL, --device")
    wanted = RUNGS if names is None else [*names, *(["device"] if device else [])]
    return [rung for rung in build_ladder(real=bool(program.unrounded))
            if rung.name in wanted and (rung.name != "device" or device)]


def _with_shares(results: list[Result]) -> list[Result]:
    energies = [max(0.0, result.shift.energy) if result.shift else 0.0 for result in results]
    whole = sum(energies)
    return [replace(result, share=energy / whole) if result.shift and whole else result
            for result, energy in zip(results, energies, strict=True)]


class _Run:
    """Samples of the laws, drawn once each, and the rungs."""

    def __init__(self, program: Program, count: int, seed: int, record: Path | None) -> None:
        self._program, self._count, self._seed, self._record = program, count, seed, record
        self._drawn: dict[str, FloatArray] = {}
        self._forces: dict[str, list[IntArray]] = {}

    def climb(self, rung: Rung, url: str) -> Result:
        """Return the verdict on one rung."""
        if rung.name == PARAMETERS and not self._program.unrounded:
            return Result(rung=rung, url=url, agrees=None, finding=_NO_PARAMETERS,
                          applies=False)
        try:
            return (self._bits if rung.kind is Kind.BITS else self._law)(rung, url)
        except (MissingExtraError, BuildError, LinkError) as error:
            return Result(rung=rung, url=url, agrees=None, finding=_line(error))

    def total(self) -> Shift | None:
        """Return the shift over all rungs that were run."""
        if len(self._drawn) < 2:
            return None
        samples = list(self._drawn.values())
        return measure_shift(self._features(samples[0]), self._features(samples[-1]))

    # Laws

    def _law(self, rung: Rung, url: str) -> Result:
        before, after = self._samples(rung.against), self._samples(url)
        periodic = self._program.spec.physics.overflow is Overflow.WRAP
        shift = measure_shift(self._features(before), self._features(after))
        law = compare_samples(before, after, seed=self._seed, periodic=periodic,
                              node_pairs=_node_pairs(self._program))
        exact = self._compare_forces(rung, url) if rung.kind is Kind.FORCES else None
        different = law.different or bool(exact and exact.different)
        finding = _law_finding(law, shift, exact)
        if rung.name == PARAMETERS:
            finding = f"{finding}; {_rounding_figure(self._program)}"
        return Result(rung=rung, url=url, agrees=not different, count=self._count, law=law,
                      shift=shift, exact=exact, finding=finding)

    def _samples(self, url: str) -> FloatArray:
        if url not in self._drawn:
            with self._opened(url, self._program) as device:
                batch = device.sample(self._count, seed=self._seed, hidden=True)
                self._drawn[url] = (self._program.states_val(batch.values) if device.exact else
                                    batch.values)
                self._forces[url] = self._evaluate(device)
        return self._drawn[url]

    def _features(self, x: FloatArray) -> FloatArray:
        if self._program.spec.physics.overflow is not Overflow.WRAP:
            return x
        return np.concatenate([np.cos(np.pi * x), np.sin(np.pi * x)], axis=1)

    def _evaluate(self, device: AbstractDevice) -> list[IntArray]:
        """Return the forces of every segment in raw integers, shape (n, N)."""
        state, nodes = self._program.spec.state, self._program.spec.nodes
        rng = np.random.default_rng(self._seed)
        found = []
        for segment in range(self._program.segments):
            states = rng.integers(state.lo, state.hi + 1, (_FORCE_STATES, nodes))
            forces = device.forces(states, segment=segment)
            unit = 1.0 if device.exact else self._program.spec.force_unit_val
            found.append(np.rint(forces / unit).astype(np.int64))
        return found

    def _compare_forces(self, rung: Rung, url: str) -> Exact:
        """Compare forces as integers: products of reals are off by far less than a half."""
        sides = np.array([self._forces[url], self._forces[rung.against]])
        unequal = sides[0] != sides[1]
        check = Check(field="force", compared=unequal.size, different=int(unequal.sum()))
        if not unequal.any():
            return Exact(checks=(check,), differences=())
        segment, row, node = (int(i) for i in np.argwhere(unequal)[0])
        first = Difference(field="force", segment=segment, node=node,
                           nodes=int(unequal[segment, row].sum()),
                           device=int(sides[0, segment, row, node]),
                           against=int(sides[1, segment, row, node]))
        return Exact(checks=(check,), differences=(first,))

    # Bits

    def _bits(self, rung: Rung, url: str) -> Result:
        program, count = self._program, min(self._count, _BIT_SAMPLES)
        ends = _ends(program, rung)
        if rung.segments:
            program, count = _shortened(program, ends), _SHORT_SAMPLES
        opened = recorded(url, self._record if rung.name == "device" else None)
        with self._opened(opened, program) as device, self._opened(rung.against, program) as twin:
            if not device.exact:
                raise ProgramError(f"device must be one whose bits can be the twin's, not {url}")
            exact, _ = compare_exact(device, twin, program, count=count, seed=self._seed)
        exact = _in_whole_program(exact, ends)
        return Result(rung=rung, url=url, agrees=not exact.different, count=count, exact=exact,
                      finding=_bits_finding(exact, count, program, rung))

    @contextmanager
    def _opened(self, url: str, program: Program) -> Iterator[AbstractDevice]:
        with open_device(url) as device:
            device.load(program)
            yield device


def _node_pairs(program: Program) -> list[tuple[int, int]] | None:
    nodes = program.spec.nodes
    return None if nodes <= _PAIR_NODES else [(node, node) for node in range(nodes)]


def _line(error: PendulaError) -> str:
    return " ".join(str(error).split())


def _law_finding(law: TwoSample, shift: Shift, exact: Exact | None) -> str:
    if exact and exact.different:
        return str(exact.differences[0])
    moved = (f"mean shifts by up to {shift.mean_sd:+.2g} +- {shift.mean_half_width_sd:.1g} sd, "
             f"spread by {100 * shift.spread:+.2g} +- {100 * shift.spread_half_width:.1g} %")
    if not law.different:
        return moved + (f"; all {exact.checks[0].compared} forces equal" if exact else "")
    found = [family.name for family in law.families if family.different]
    return f"laws differ in {', '.join(found)} (alpha = {law.alpha:g}); {moved}"


def _ends(program: Program, rung: Rung) -> IntArray:
    """Return the segments that a rung runs."""
    every = np.arange(program.segments)
    return every[(every < rung.segments) | (every >= program.segments - rung.segments)
                 | (rung.segments == 0)]


def _in_whole_program(exact: Exact, segments: IntArray) -> Exact:
    """Return a comparison with the segments numbered as in the program that was shortened."""
    return replace(exact, differences=tuple(
        one if one.segment is None else replace(one, segment=int(segments[one.segment]))
        for one in exact.differences))


def _shortened(program: Program, ends: IntArray) -> Program:
    """Return some segments of a program, of one step each."""
    arrays = {name: getattr(program, name)[ends] for name in (
        "codes", "local_codes", "coupling_gain", "local_gains", "noise_gain")}
    return replace(program, steps=np.ones_like(ends), unrounded={}, **arrays)


def _bits_finding(exact: Exact, count: int, program: Program, rung: Rung) -> str:
    whole = (f"of one step of {program.segments} segments" if rung.segments else
             "of the whole program")
    if exact.different:
        return f"{exact.differences[0]}" + (f", in samples {whole}" if rung.segments else "")
    compared = sum(check.compared for check in exact.checks)
    return f"{compared} integers equal, in {count} samples {whole}, pixels and forces"


def _rounding_figure(program: Program) -> str:
    """Return how far the codes of couplings are from what they were rounded from."""
    off = (program.unrounded["codes"] - program.codes)[:, np.array(program.graph.mask)]
    return (f"couplings are off by {np.sqrt((off**2).mean()):.2g} codes (root mean square), by "
            f"{np.abs(off).max():.2g} at most")
