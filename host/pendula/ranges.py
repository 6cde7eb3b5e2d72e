"""Ranges: what every internal signal of a step may reach, what it does reach, and what lies idle.

The worst case is interval arithmetic over the program's own codes, gains and tables, whatever the
state. What is observed comes from samples, step by step.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from pendula.contract import ArraySpec, InitialState, Interval
from pendula.contract.noise import GAUSSIAN, GAUSSIAN_BITS, SIGMA_RAW, WORD_BITS
from pendula.contract.numbers import Overflow
from pendula.contract.physics import FUNCTIONS, ONE, STATE
from pendula.device import Progress
from pendula.errors import ContractError, ProgramError
from pendula.program import IntArray, Program
from pendula.twin.band import Band, bands
from pendula.twin.engine import exact_float
from pendula.twin.noise import GaussianSampler, NoiseStreams

__all__ = ["Idle", "Ranges", "Signal", "measure_ranges"]

_BLOCK = 256            # samples that run side by side
_COARSE_GAIN = 16       # smaller gains are rounded by more than 3 %
_RARE = 1e-4            # of all updates: saturations that hardly matter


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """One signal of the step, in raw units.

    Parameters
    ----------
    name : str
        What it is.
    unit_val : float
        Real value of one raw unit.
    width : int
        Bits that the array gives it; 0 where it is no register of its own.
    worst_lo, worst_hi : int
        Interval that no state of the program leaves.
    lo, hi : int
        Smallest and largest value seen.
    worst_bits, bits : int
        Bits of two's complement that the one and the other need.
    node, segment : int
        Where the largest magnitude was seen.
    """

    name: str
    unit_val: float
    width: int
    worst_lo: int
    worst_hi: int
    lo: int
    hi: int
    worst_bits: int
    bits: int
    node: int
    segment: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Idle:
    """What the program has and does not use.

    Parameters
    ----------
    codes : tuple of int
        Coupling codes that no edge has, of those that the array offers; zero is not counted.
    nodes : tuple of int
        Nodes that neither listen to others nor are listened to.
    offsets : tuple of int
        Offsets without a single code.
    terms : tuple of str
        Local terms without a single code, and ``coupling`` and ``noise`` without gain.
    rows : int
        Table rows that no state reached.
    """

    codes: tuple[int, ...]
    nodes: tuple[int, ...]
    offsets: tuple[int, ...]
    terms: tuple[str, ...]
    rows: int


@dataclass(frozen=True, eq=False, kw_only=True)
class Ranges:
    """Outcome of :func:`measure_ranges`.

    Parameters
    ----------
    count, seed : int
        Samples that were observed, and their seed.
    program_digest : str
        What was run.
    updates : int
        Node updates that were observed.
    signals : tuple of Signal
        In the order of the step.
    saturations : array of int, shape (S, N)
        Clipped updates of every segment and node; the initial state counts for the first segment.
    idle : Idle
        What is not used.
    clipped_neighbours : float
        Share of states that neighbours see clipped.
    suggestions : tuple of str
        Which formats could be smaller, or should be larger, and why.
    states : array of int, shape (n, N)
        Final raw states, those of the twin.
    """

    count: int
    seed: int
    program_digest: str
    updates: int
    signals: tuple[Signal, ...]
    saturations: IntArray
    idle: Idle
    clipped_neighbours: float
    suggestions: tuple[str, ...]
    states: IntArray

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the states as data that JSON can hold."""
        return {"count": self.count, "seed": self.seed, "program_digest": self.program_digest,
                "updates": self.updates, "signals": [asdict(one) for one in self.signals],
                "saturations": self.saturations.tolist(), "idle": asdict(self.idle),
                "clipped_neighbours": self.clipped_neighbours,
                "suggestions": list(self.suggestions)}


def measure_ranges(program: Program, *, count: int, seed: int,
                   progress: Progress | None = None) -> Ranges:
    """Measure the ranges of all signals over samples of a program.

    Parameters
    ----------
    program : Program
        What to run; it must not keep states.
    count, seed : int
        Samples to observe, and their seed.
    progress : callable, optional
        Called with the number of samples finished since the last call.

    Raises
    ------
    ProgramError
        If the program keeps states, or the number of samples is not positive.
    """
    if program.initial is InitialState.KEEP:
        raise ProgramError("program must start every sample anew, not keep states")
    if count < 1:
        raise ProgramError(f"Number of samples must be positive, not {count}")
    observer = _Observer(program)
    states = []
    for first in range(0, count, _BLOCK):
        indices = range(first, min(first + _BLOCK, count))
        states.append(observer.run(seed, indices))
        if progress:
            progress(len(indices))
    return _report(program, observer, np.concatenate(states, axis=1).T, count, seed)


# Worst case

Bounds = tuple[npt.NDArray[Any], npt.NDArray[Any]]
"""Smallest and largest values, of arrays of Python integers that cannot overflow."""


def _exact(array: npt.ArrayLike) -> npt.NDArray[Any]:
    return np.asarray(array).astype(object)


def _times(factor: npt.NDArray[Any], bounds: Bounds) -> Bounds:
    ends = factor * bounds[0], factor * bounds[1]
    return np.minimum(*ends), np.maximum(*ends)


def _product(a: Bounds, b: Bounds) -> Bounds:
    ends = [one * other for one in a for other in b]
    return np.minimum.reduce(ends), np.maximum.reduce(ends)


def _plus(a: Bounds, b: Bounds) -> Bounds:
    return a[0] + b[0], a[1] + b[1]


def _table(program: Program, column: str) -> Bounds:
    values = program.tables[column]
    return _exact(values.min()), _exact(values.max())


def _value(program: Program, m: int, name: str) -> Bounds:
    """Return the bounds of a basis function."""
    if name == ONE:
        return _exact(1), _exact(1)
    if name == STATE:
        state = program.spec.state
        return _exact(state.lo), _exact(state.hi)
    return _table(program, f"h{m}")


def _worst(program: Program) -> dict[str, Bounds]:
    """Return the bounds of every signal, each of shape (S, N) or that broadcasts to it."""
    spec = program.spec
    rank, codes = range(spec.physics.rank), _exact(program.codes)
    found: dict[str, Bounds] = {"state": (_exact(spec.state.lo), _exact(spec.state.hi))}
    coupling: Bounds = (_exact(0), _exact(0))
    for r in rank:
        v = _table(program, f"v{r}")
        products = _times(codes, v)
        partial = products[0].sum(axis=2), products[1].sum(axis=2)
        found |= {f"v{r}": v, f"w v{r}": (products[0].min(axis=2), products[1].max(axis=2)),
                  f"partial {r}": partial}
        if spec.physics.u:
            found[f"u{r}"] = _table(program, f"u{r}")
            partial = _product(partial, found[f"u{r}"])
            found[f"u{r} partial {r}"] = partial
        coupling = _plus(coupling, partial)
    found["coupling"] = coupling
    drift = _times(_aligned(spec, program.coupling_gain, spec.coupling_term)[:, None], coupling)
    found["coupling term"] = drift
    for m, (name, term) in enumerate(zip(spec.physics.basis, spec.local_terms, strict=True)):
        value = _value(program, m, name)
        product = _times(_exact(program.local_codes[:, :, m]), value)
        local = _times(_aligned(spec, program.local_gains[:, m], term)[:, None], product)
        found |= {f"h({name})": value, f"p h({name})": product, f"local term {name}": local}
        drift = _plus(drift, local)
    found["drift"] = drift
    found["xi"] = _exact(GAUSSIAN.lo), _exact(GAUSSIAN.hi)
    noise = _times(_aligned(spec, program.noise_gain, spec.noise_term)[:, None], found["xi"])
    found["noise term"] = noise
    state = tuple(bound << spec.drift_f_bits for bound in found["state"])
    half = _exact(1 << spec.drift_f_bits >> 1)
    total = _plus(_plus(drift, noise), (state[0] + half, state[1] + half))
    found["total"] = total
    found["rounded"] = total[0] >> spec.drift_f_bits, total[1] >> spec.drift_f_bits
    return found


def _aligned(spec: ArraySpec, gains: IntArray, term: Any) -> npt.NDArray[Any]:
    return _exact(gains) << spec.align_bits(term)


# Observation

class _Observer:
    """The integer step with every signal in the open; slower than the twin, and equal to it."""

    def __init__(self, program: Program) -> None:
        spec = program.spec
        self._program, self._spec = program, spec
        self._shape = program.segments, spec.nodes
        self._bands = [bands(codes, spec.offsets, exact_float(spec)) for codes in program.codes]
        self.lo: dict[str, IntArray] = {}
        self.hi: dict[str, IntArray] = {}
        self.saturations = np.zeros(self._shape, np.int64)
        self.rows = np.zeros(spec.table_rows, np.int64)

    def run(self, seed: int, indices: range) -> IntArray:
        """Run samples from start to end; return final states, shape (N, B)."""
        spec, program = self._spec, self._program
        shape = spec.nodes, len(indices)
        streams = NoiseStreams(seed, indices, spec.nodes * (program.total_steps + 1))
        sampler, words, sides = GaussianSampler(shape), *np.empty((2, *shape), np.uint32)
        xi = np.empty(shape, np.int16)

        def draw() -> IntArray:
            streams.draw(words, sides)
            sampler.gaussians(words, sides, xi)
            return xi.astype(np.int64)

        xi_start = draw()
        x = self._start(words, xi_start)
        for segment in range(program.segments):
            for _ in range(int(program.steps[segment])):
                x = self._step(segment, x, draw())
        return x

    def _start(self, words: npt.NDArray[np.uint32], xi: IntArray) -> IntArray:
        spec, program = self._spec, self._program
        if program.initial is InitialState.UNIFORM:
            top = words >> np.uint32(WORD_BITS - spec.state_bits)
            return top.astype(np.int64) + spec.state.lo
        if program.initial is not InitialState.GAUSSIAN:
            return np.zeros(words.shape, np.int64)      # nothing is uploaded here
        align = spec.align_bits(spec.noise_term)
        return self._fit(0, self._round(program.initial_gain * xi << align))

    def _step(self, segment: int, x: IntArray, xi: IntArray) -> IntArray:
        spec, program = self._spec, self._program
        index = (x >> (spec.state_bits - spec.table_bits)) & (spec.table_rows - 1)
        self.rows += np.bincount(index.ravel(), minlength=spec.table_rows)
        row = {name: table[index] for name, table in program.tables.items()}
        self._see(segment, "state", x)
        coupling = self._couple(segment, row)
        self._see(segment, "coupling", coupling)
        drift = coupling * (program.coupling_gain[segment] << spec.align_bits(spec.coupling_term))
        self._see(segment, "coupling term", drift)
        for m, (name, term) in enumerate(zip(spec.physics.basis, spec.local_terms, strict=True)):
            exact = {STATE: x, ONE: np.ones_like(x)}
            value = exact[name] if name in exact else row[f"h{m}"]
            product = program.local_codes[segment, :, m, None] * value
            local = product * (program.local_gains[segment, m] << spec.align_bits(term))
            self._see(segment, f"h({name})", value)
            self._see(segment, f"p h({name})", product)
            self._see(segment, f"local term {name}", local)
            drift = drift + local
        self._see(segment, "drift", drift)
        noise = xi * (program.noise_gain[segment] << spec.align_bits(spec.noise_term))
        self._see(segment, "xi", xi)
        self._see(segment, "noise term", noise)
        total = (x << spec.drift_f_bits) + drift + noise
        self._see(segment, "total", total + (1 << spec.drift_f_bits >> 1))
        rounded = self._round(total)
        self._see(segment, "rounded", rounded)
        return self._fit(segment, rounded)

    def _couple(self, segment: int, row: dict[str, IntArray]) -> IntArray:
        spec, codes = self._spec, self._program.codes[segment]
        coupling = np.zeros_like(row["v0"])
        for r in range(spec.physics.rank):
            v = row[f"v{r}"]
            self._see(segment, f"v{r}", v)
            for k, offset in enumerate(spec.offsets):
                here = slice(max(0, -offset), min(spec.nodes, spec.nodes - offset))
                there = slice(here.start + offset, here.stop + offset)
                self._see(segment, f"w v{r}", codes[here, k, None] * v[there], here)
            partial = self._multiply(self._bands[segment], v)
            self._see(segment, f"partial {r}", partial)
            if spec.physics.u:
                self._see(segment, f"u{r}", row[f"u{r}"])
                partial = partial * row[f"u{r}"]
                self._see(segment, f"u{r} partial {r}", partial)
            coupling += partial
        return coupling

    def _multiply(self, parts: tuple[Band, ...], v: IntArray) -> IntArray:
        """Return W v: sums in floating point that are exact, as the twin's."""
        real = v.astype(exact_float(self._spec))
        return np.concatenate([part.weights @ real[part.columns] for part in parts]).astype(
            np.int64)

    def _round(self, total: IntArray) -> IntArray:
        f_bits = self._spec.drift_f_bits
        return (total + (1 << f_bits >> 1)) >> f_bits

    def _fit(self, segment: int, raw: IntArray) -> IntArray:
        state = self._spec.state
        if state.overflow is Overflow.WRAP:
            return ((raw - state.lo) & ((1 << state.width) - 1)) + state.lo
        fitted = raw.clip(state.lo, state.hi)
        self.saturations[segment] += (fitted != raw).sum(axis=1)
        return fitted

    def _see(self, segment: int, name: str, values: IntArray, nodes: slice = slice(None)) -> None:
        if name not in self.lo:
            self.lo[name] = np.full(self._shape, np.iinfo(np.int64).max)
            self.hi[name] = np.full(self._shape, np.iinfo(np.int64).min)
        lo, hi = self.lo[name][segment], self.hi[name][segment]
        lo[nodes] = np.minimum(lo[nodes], values.min(axis=1))
        hi[nodes] = np.maximum(hi[nodes], values.max(axis=1))


# Report

def _units(spec: ArraySpec) -> dict[str, tuple[float, int]]:
    """Return the real unit and the width of every signal."""
    edge = {name: (1 / float(FUNCTIONS[function].scale(width)), width)
            for name, (function, width) in spec.columns.items()}
    state_unit = 2.0**-spec.state.f_bits
    units = {"state": (state_unit, spec.state_bits)}
    u_unit = edge["u0"][0] if spec.physics.u else 1.0
    for r in range(spec.physics.rank):
        v_unit = edge[f"v{r}"][0]
        units |= {f"v{r}": edge[f"v{r}"], f"w v{r}": (v_unit, 0),
                  f"partial {r}": (v_unit, spec.accumulator_width("partial"))}
        if spec.physics.u:
            units |= {f"u{r}": edge[f"u{r}"], f"u{r} partial {r}": (v_unit * u_unit, 0)}
    units["coupling"] = edge["v0"][0] * u_unit, spec.accumulator_width("coupling")
    units["coupling term"] = spec.force_unit_val, 0
    for m, name in enumerate(spec.physics.basis):
        exact = {STATE: (state_unit, spec.state_bits), ONE: (1.0, 0)}
        value = exact[name] if name in exact else edge[f"h{m}"]
        units |= {f"h({name})": value, f"p h({name})": (value[0], 0),
                  f"local term {name}": (spec.force_unit_val, 0)}
    drift = spec.accumulator_width("drift"), spec.accumulator_width("total")
    return units | {"drift": (spec.force_unit_val, drift[0]),
                    "xi": (1 / SIGMA_RAW, GAUSSIAN_BITS),
                    "noise term": (spec.force_unit_val, 0),
                    "total": (spec.force_unit_val, drift[1]), "rounded": (state_unit, 0)}


def _signals(program: Program, observer: _Observer) -> Iterator[Signal]:
    worst, units = _worst(program), _units(program.spec)
    for name, (lo, hi) in ((name, (observer.lo[name], observer.hi[name])) for name in units):
        bounds = Interval(int(np.min(worst[name][0])), int(np.max(worst[name][1])))
        seen = hi >= lo
        low, high = int(lo[seen].min()), int(hi[seen].max())
        size = np.where(seen, np.maximum(np.abs(lo), np.abs(hi)), -1)
        segment, node = (int(i) for i in np.unravel_index(int(size.argmax()), size.shape))
        unit, width = units[name]
        yield Signal(name=name, unit_val=unit, width=width, worst_lo=bounds.lo,
                     worst_hi=bounds.hi, lo=low, hi=high, worst_bits=bounds.signed_bits,
                     bits=Interval(low, high).signed_bits, node=node, segment=segment)


def _idle(program: Program, observer: _Observer) -> Idle:
    spec, codes = program.spec, program.codes
    present = set(np.unique(codes).tolist())
    edges = np.argwhere((codes != 0).any(axis=0))
    heard = {int(node) + spec.offsets[int(k)] for node, k in edges}
    listening = {int(node) for node, _ in edges}
    terms = [f"local {name}" for m, name in enumerate(spec.physics.basis)
             if not _acts(program, m)]
    terms += [name for name, gain in (("coupling", program.coupling_gain),
                                      ("noise", program.noise_gain)) if not gain.any()]
    return Idle(
        codes=tuple(code for code in range(spec.code.lo, spec.code.hi + 1)
                    if code and code not in present),
        nodes=tuple(node for node in range(spec.nodes) if node not in heard | listening),
        offsets=tuple(offset for k, offset in enumerate(spec.offsets)
                      if not codes[:, :, k].any()),
        terms=tuple(terms), rows=int((observer.rows == 0).sum()))


def _clipped(program: Program, observer: _Observer) -> float:
    """Return the share of states that are clipped for the sake of their neighbours."""
    if program.spec.physics.v != ("clip",):
        return 0.0
    at_end = np.abs(program.tables["v0"]) == np.abs(program.tables["v0"]).max()
    return float(observer.rows[at_end].sum() / max(1, observer.rows.sum()))


def _report(program: Program, observer: _Observer, states: IntArray, count: int,
            seed: int) -> Ranges:
    signals, idle = tuple(_signals(program, observer)), _idle(program, observer)
    updates = count * program.total_steps * program.spec.nodes
    clipped = _clipped(program, observer)
    return Ranges(
        count=count, seed=seed, program_digest=program.digest, updates=updates, signals=signals,
        saturations=observer.saturations, idle=idle, clipped_neighbours=clipped, states=states,
        suggestions=tuple(_suggest(program, {one.name: one for one in signals}, observer,
                                   clipped, updates)))


def _suggest(program: Program, signals: dict[str, Signal], observer: _Observer, clipped: float,
             updates: int) -> Iterator[str]:
    """Yield what could be smaller, or should be larger."""
    spec = program.spec
    yield from _suggest_states(spec, signals["state"], signals["rounded"], observer,
                               updates)
    if clipped > _RARE:
        yield (f"scale the states down: {100 * clipped:.2g} % of the states are seen by their "
               f"neighbours clipped at {float(FUNCTIONS['clip'].reach):g}")
    for name, width, codes in [
            ("code_bits", spec.code_bits, program.codes),
            ("local_code_bits", spec.local_code_bits, program.local_codes)]:
        needed = max(2, 1 + int(np.abs(codes).max()).bit_length())
        if needed < width:
            yield (f"{name} = {needed} would do instead of {width}: the largest code is "
                   f"{int(np.abs(codes).max())}")
    yield from _suggest_functions(program, signals)
    yield from _suggest_rows(program, observer)
    yield from _suggest_gains(program)
    for name, signal in signals.items():
        if signal.width and signal.worst_bits < signal.width and name in ("drift", "total"):
            yield (f"accumulator {name} needs {signal.worst_bits} bits for this program, of "
                   f"{signal.width} that any program may need")


def _suggest_states(spec: ArraySpec, state: Signal, rounded: Signal, observer: _Observer,
                    updates: int) -> Iterator[str]:
    saturated = int(observer.saturations.sum())
    if saturated > _RARE * updates:
        yield (f"scale the states down: {saturated} of {updates} updates saturate "
               f"({100 * saturated / updates:.2g} %)")
    if spec.physics.overflow is not Overflow.SATURATE:
        return
    over = rounded.bits - spec.state_bits        # initial states saturate too, and are not seen
    if (over > 0 and saturated > _RARE * updates
            and _is_allowed(spec, state_bits=spec.state_bits + over)):
        yield (f"state_bits = {spec.state_bits + over} would keep the resolution of states scaled "
               f"down by {1 << over}: before they saturate they reach "
               f"{rounded.lo * rounded.unit_val:.3g} to {rounded.hi * rounded.unit_val:.3g}")
    free = spec.state_bits - state.bits
    if free > 0:
        yield (f"scale the states up by {1 << free}: they reach {state.lo * state.unit_val:.3g} to "
               f"{state.hi * state.unit_val:.3g} alone, so that {free} of {spec.state_bits} bits "
               "tell nothing")
        if _is_allowed(spec, state_bits=spec.state_bits - free):
            yield (f"state_bits = {spec.state_bits - free} would do instead of {spec.state_bits} "
                   f"for states scaled up by {1 << free}")


def _is_allowed(spec: ArraySpec, **widths: int) -> bool:
    try:
        replace(spec, **widths)
    except ContractError:
        return False
    return True


def _suggest_functions(program: Program, signals: dict[str, Signal]) -> Iterator[str]:
    """Yield widths of tables whose values use less than half of them."""
    spec, used = program.spec, _used_columns(program)
    for width, prefixes, what in (("edge_bits", "uv", "u and v"),
                                  ("basis_bits", "h", "tabled local functions")):
        seen = [signals[name].bits for column, name in used.items() if column[0] in prefixes]
        bits, needed = getattr(spec, width), max(seen, default=0)
        if 0 < needed < bits and _is_allowed(spec, **{width: needed}):
            yield (f"{width} = {needed} would do instead of {bits} for states, or functions, "
                   f"scaled to it: {what} stay below 1/{1 << bits - needed} of their range")


def _used_columns(program: Program) -> dict[str, str]:
    """Return the table columns that count, and the signals that show them."""
    columns = {name: name for name in program.tables if name[0] in "uv"}
    return columns | {f"h{m}": f"h({name})" for m, name in enumerate(program.spec.physics.basis)
                      if f"h{m}" in program.tables and _acts(program, m)}


def _acts(program: Program, m: int) -> bool:
    return bool((program.local_codes[:, :, m] * program.local_gains[:, m, None]).any())


def _suggest_rows(program: Program, observer: _Observer) -> Iterator[str]:
    table_bits = program.spec.table_bits
    spare = _spare_row_bits(program, observer)
    if spare and _is_allowed(program.spec, table_bits=table_bits - spare):
        yield (f"table_bits = {table_bits - spare} would do instead of {table_bits}: rows that "
               f"{1 << spare} share then are equal wherever states were seen")
    jump, segment, node, name = max(_jumps(program, observer), default=(0.0, 0, 0, ""))
    if jump > 1:
        yield (f"table_bits should be larger than {table_bits}: from row to row, local term {name} "
               f"of node {node} jumps by up to {jump:.2g} times the noise of segment {segment}")


def _spare_row_bits(program: Program, observer: _Observer) -> int:
    """Return how many low bits of a row's number tell apart nothing where states were seen."""
    values = np.stack([program.tables[name] for name in _used_columns(program)])
    for spare in range(1, program.spec.table_bits):
        shared = values.reshape(len(values), -1, 1 << spare)
        seen = observer.rows.reshape(-1, 1 << spare).any(axis=1)
        if (np.ptp(shared, axis=2).any(axis=0) & seen).any():
            return spare - 1
    return 0


def _jumps(program: Program, observer: _Observer) -> Iterator[tuple[float, int, int, str]]:
    """Yield the largest jump of every local term, in standard deviations of a step's noise.

    Those of a node count within the states that it was seen in; segment, node and name follow.
    """
    spec = program.spec
    noise = program.noise_gain * SIGMA_RAW << spec.align_bits(spec.noise_term)
    shift, half = spec.state_bits - spec.table_bits, spec.table_rows // 2
    rows = [(observer.lo["state"] >> shift) + half, (observer.hi["state"] >> shift) + half]
    for m, (name, term) in enumerate(zip(spec.physics.basis, spec.local_terms, strict=True)):
        if f"h{m}" not in _used_columns(program):
            continue
        steps = np.abs(np.diff(np.roll(program.tables[f"h{m}"], half)))
        factor = np.abs(program.local_codes[:, :, m]
                        * (program.local_gains[:, m] << spec.align_bits(term))[:, None])
        for segment, node in np.argwhere(factor * (noise > 0)[:, None]):
            within = steps[rows[0][segment, node]:rows[1][segment, node]]
            jump = factor[segment, node] * within.max(initial=0) / noise[segment]
            yield float(jump), int(segment), int(node), name


def _suggest_gains(program: Program) -> Iterator[str]:
    spec = program.spec
    gains = {"coupling_gain": program.coupling_gain, "noise_gain": program.noise_gain} | {
        f"local gain of {name}": program.local_gains[:, m] * program.local_codes[:, :, m].any(
            axis=1) for m, name in enumerate(spec.physics.basis)}
    every = np.abs(np.concatenate(list(gains.values())))
    least = int(every[every > 0].min(initial=spec.gain.hi))
    spare = (least // _COARSE_GAIN).bit_length() - 1
    if spare > 0 and _is_allowed(spec, gain_bits=spec.gain_bits - spare):
        yield (f"gain_bits = {spec.gain_bits - spare} would do instead of {spec.gain_bits}: the "
               f"smallest gain is {least}, and {50 / _COARSE_GAIN:.2g} % may be "
               "rounded off")
    for name, values in gains.items():
        used = np.abs(values[values != 0])
        if len(used) and used.min() < _COARSE_GAIN:
            segment = int(np.flatnonzero(np.abs(values) == used.min())[0])
            yield (f"gain_bits should be larger than {spec.gain_bits}: {name} is {used.min()} in "
                   f"segment {segment}, which rounding is {50 / used.min():.2g} % of")
