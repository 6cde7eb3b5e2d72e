"""Whether two devices draw what they should: bit for bit, or from one law."""

import dataclasses
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from pendula.comparison.exact import Check, Difference, Exact, compare_exact
from pendula.contract import CONTRACT_ID
from pendula.contract.numbers import Overflow
from pendula.contract.step import InitialState
from pendula.device import AbstractDevice, Batch, Progress, open_device
from pendula.errors import ProgramError
from pendula.extras import import_extra
from pendula.metrics.samples import FloatArray
from pendula.metrics.two_sample import LEAST_SAMPLES, TwoSample, compare_samples
from pendula.program import Program

__all__ = ["Check", "Comparison", "Difference", "Exact", "Mode", "Side", "compare", "lattice_val",
           "plain"]

Mode = Literal["auto", "exact", "statistical"]

_SEEDS = 1 << 64
_PAIR_NODES = 128       # arrays up to this size have all their covariances tested


@dataclass(frozen=True, eq=False, kw_only=True)
class Side:
    """One of the two devices.

    Parameters
    ----------
    url : str
        Address.
    exact : bool
        Whether equal seeds give the same bits as every other exact device.
    seed : int
        Seed of the samples.
    saturations : int
        Clipped node updates of the samples.
    cycles : int or None
        Clock cycles of the samples, where there is a clock.
    times : mapping of str to float
        Seconds spent on build, load, run and read since the device was opened.
    info : mapping
        Who the device is.
    states_val : array, shape (n, N)
        Real states of all nodes; not part of :meth:`Comparison.to_dict`.
    """

    url: str
    exact: bool
    seed: int
    saturations: int
    cycles: int | None
    times: Mapping[str, float]
    info: Mapping[str, Any]
    states_val: FloatArray = field(repr=False, metadata={"plain": False})


@dataclass(frozen=True, eq=False, kw_only=True)
class Comparison:
    """Outcome of :func:`compare`.

    Parameters
    ----------
    count : int
        Samples drawn from each device.
    nodes : int
        Number of nodes N.
    program_digest, spec_digest, contract_id : str
        What was run.
    device, against : Side
        The two devices.
    outcome : Exact or TwoSample
        Bit for bit, or in distribution.
    """

    count: int
    nodes: int
    program_digest: str
    spec_digest: str
    contract_id: str
    device: Side
    against: Side
    outcome: Exact | TwoSample

    @property
    def mode(self) -> str:
        """``exact`` or ``statistical``."""
        return "exact" if isinstance(self.outcome, Exact) else "statistical"

    @property
    def equal(self) -> bool:
        """Whether no difference was found."""
        return not self.outcome.different

    @property
    def verdict(self) -> str:
        """The outcome in one sentence."""
        return f"{self.device.url} and {self.against.url} {self._finding}."

    @property
    def _finding(self) -> str:
        outcome = self.outcome
        if isinstance(outcome, Exact):
            if outcome.different:
                return f"differ: {outcome.differences[0]}"
            return f"are equal: every bit of {self.count} samples x {self.nodes} nodes agrees"
        level = f"(alpha = {outcome.alpha:g})"
        if outcome.different:
            found = [family.name for family in outcome.families if family.different]
            return f"differ in {', '.join(found)} {level}"
        power = outcome.power[0]
        return (f"do not differ {level}: a shift of one node's mean by {power.mean_shift_sd:.2g} "
                f"standard deviations would be found with probability {power.probability:g}")

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the samples as data that JSON can hold."""
        return {"mode": self.mode, "equal": self.equal, "verdict": self.verdict, **plain(self)}


def plain(value: Any) -> Any:
    """Return dataclasses and arrays as data that JSON can hold, without fields marked so."""
    if dataclasses.is_dataclass(value):
        return {item.name: plain(getattr(value, item.name)) for item in dataclasses.fields(value)
                if item.metadata.get("plain", True)}
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    return value


def compare(program: Program, device: AbstractDevice | str, against: AbstractDevice | str, *,
            count: int, seed: int, mode: Mode = "auto",
            uploaded: npt.ArrayLike | None = None, clamped: npt.ArrayLike | None = None,
            progress: Progress | None = None) -> Comparison:
    """Compare what two devices make of a program.

    Parameters
    ----------
    program : Program
        Loaded into both.
    device, against : AbstractDevice or str
        Open devices, or URLs of devices that are opened and closed here.
    count : int
        Samples to draw from each.
    seed : int
        Seed of the samples. The statistical comparison draws from `against` with the next seed, so
        that the two are independent; it also seeds its permutations.
    mode : str
        ``exact`` demands equal bits, ``statistical`` equal laws; ``auto`` is exact if both devices
        are.
    uploaded, clamped : array, shape (N,), optional
        Raw states and clamped nodes, as for :meth:`pendula.device.AbstractDevice.set_nodes`.
    progress : callable, optional
        Called with the number of samples finished on either device, 2 * `count` in all.

    Raises
    ------
    ProgramError
        If the mode does not suit the devices or the number of samples.
    MissingExtraError
        If SciPy is missing for a statistical comparison; an exact one needs none.

    Notes
    -----
    The statistical comparison is that of :func:`pendula.metrics.compare_samples` on all nodes, with
    the real states of ``float://`` rounded to the array's lattice. Above 128 nodes it tests the
    variances and the covariances of coupled nodes alone. Programs that keep states
    (``InitialState.KEEP``) start at zero and give correlated samples.
    """
    if mode not in get_args(Mode):
        raise ProgramError(f"mode must be one of {', '.join(get_args(Mode))}, not {mode!r}")
    with ExitStack() as stack:
        first, second = (stack.enter_context(open_device(one)) if isinstance(one, str) else one
                         for one in (device, against))
        exact = _is_exact(mode, first, second)
        if not exact:
            import_extra("scipy", "report")     # before anything long begins
        if not exact and count < LEAST_SAMPLES:
            raise ProgramError(f"Number of samples must be at least {LEAST_SAMPLES} for a "
                               f"statistical comparison, not {count}")
        for one in (first, second):
            one.load(program)
            one.set_nodes(uploaded, clamped)
        run = _run_exact if exact else _run_statistical
        return run(program, first, second, count, seed, progress)


def _is_exact(mode: Mode, *devices: AbstractDevice) -> bool:
    inexact = [device.url for device in devices if not device.exact]
    if mode == "exact" and inexact:
        raise ProgramError(f"mode must be statistical for {inexact[0]}, whose noise is its own, "
                           f"not {mode!r}")
    return mode != "statistical" and not inexact


def lattice_val(program: Program, batch: Batch) -> FloatArray:
    """Return the real states of a batch on the lattice of the array's states, shape (n, V)."""
    if batch.values.dtype.kind != "f":
        return program.states_val(batch.values)
    state = program.spec.state
    raw = np.floor(batch.values * 2.0**state.f_bits + 0.5)
    if state.overflow is Overflow.WRAP:
        raw = (raw - state.lo) % 2.0**state.width + state.lo
    return program.states_val(np.clip(raw, state.lo, state.hi))


def _side(program: Program, device: AbstractDevice, batch: Batch) -> Side:
    return Side(url=device.url, exact=device.exact, seed=batch.request.seed,
                saturations=batch.saturations, cycles=batch.cycles, times=asdict(device.times),
                info=dict(device.info()), states_val=lattice_val(program, batch))


def _identity(program: Program) -> dict[str, str]:
    return {"program_digest": program.digest, "spec_digest": program.spec.digest,
            "contract_id": CONTRACT_ID}


def _run_exact(program: Program, device: AbstractDevice, against: AbstractDevice, count: int,
               seed: int, progress: Progress | None) -> Comparison:
    outcome, batches = compare_exact(device, against, program, count=count, seed=seed,
                                     progress=progress)
    return Comparison(
        count=count, nodes=program.spec.nodes,
        device=_side(program, device, batches[0]), against=_side(program, against, batches[1]),
        outcome=outcome, **_identity(program))


def _run_statistical(program: Program, device: AbstractDevice, against: AbstractDevice, count: int,
                     seed: int, progress: Progress | None) -> Comparison:
    sides = []
    for offset, one in enumerate((device, against)):
        if program.initial is InitialState.KEEP:
            one.forces(np.zeros((1, program.spec.nodes), np.int64))
        batch = one.sample(count, seed=(seed + offset) % _SEEDS, hidden=True, progress=progress)
        sides.append(_side(program, one, batch))
    outcome = compare_samples(
        sides[0].states_val, sides[1].states_val, seed=seed,
        periodic=program.spec.state.overflow is Overflow.WRAP, node_pairs=_node_pairs(program))
    return Comparison(count=count, nodes=program.spec.nodes, device=sides[0], against=sides[1],
                      outcome=outcome, **_identity(program))


def _node_pairs(program: Program) -> list[tuple[int, int]] | None:
    """Return each node with itself and with those it is coupled to; None for all pairs."""
    nodes = program.spec.nodes
    if nodes <= _PAIR_NODES:
        return None
    coupled = np.argwhere((program.codes != 0).any(axis=0))
    pairs = {(node, node) for node in range(nodes)}
    for node, k in coupled.tolist():
        other = node + program.spec.offsets[k]
        pairs.add((min(node, other), max(node, other)))
    return sorted(pairs)
