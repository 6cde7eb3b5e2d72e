"""Local rules that learn from a device: from its forces, or from its observed dynamics alone.

Rules of the form of Boesch, Roeder, Serra-Garcia and Adams, "Local learning rules for
out-of-equilibrium physical generative models" (arXiv 2506.19136); the exact form is ours.

The array runs a diffusion backwards, as in :mod:`pendula.training.force_matching`: in the segment
of time t its state should move from x to x' as noisy data move from t to t' < t. A node's force is
linear in its coefficients, f_i = sum_m theta_im phi_im, with features of its neighbours and its own
state. So the log-likelihood of moves that the data make rises along the products of what is missing
from the move with the features:

- *force matching*: theta_im += rate E[(y_i - f_i(x)) phi_im] / E[phi_im^2], where y is the mean
  move and f the force that the device measures at uploaded states;
- *cd1*: theta_im += rate (E_data[(x'_i - x_i) phi_im] - E_device[(x''_i - x_i) phi_im])
  / E[phi_im^2], where x' is the next state of the noisy data, and x'' what the device made of x in
  one step of its own: a contrast of one step between data and device, without forces.

What a coefficient needs is known at its node and its neighbour. The host keeps real coefficients;
the device always runs the codes that they round to, so that rounding, tables and whatever else the
device does are inside the loop. Nothing is differentiated.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

import pendula
from pendula.contract import ArraySpec, InitialState, OffsetGraph
from pendula.contract.noise import check_seed
from pendula.device import AbstractDevice
from pendula.errors import DataError
from pendula.program import IntArray, Program
from pendula.training.assembly import assemble, make_array
from pendula.training.data import FloatArray
from pendula.training.force_matching import (
    Float32Array,
    Stretch,
    add_noise,
    feature_columns,
    features,
    schedule,
)
from pendula.training.presets import Preset
from pendula.training.quantise import Quantised, round_codes

__all__ = ["LocalRule", "RuleName", "train_locally"]

RuleName = Literal["force-matching", "cd1"]


@dataclass(frozen=True, kw_only=True)
class LocalRule:
    """How a local rule learns.

    Parameters
    ----------
    name : str
        ``force-matching`` or ``cd1``.
    updates : int
        Updates of each segment.
    batch : int
        States that an update uploads to the device: it measures as many forces, or makes as many
        steps.
    rate : float
        Length of an update; it falls linearly to a tenth within each segment.
    momentum : float
        Share of the last update that is added to the next.

    Raises
    ------
    DataError
        If the name is unknown or a number is out of range.
    """

    name: RuleName = "force-matching"
    updates: int = 40
    batch: int = 256
    rate: float = 0.5
    momentum: float = 0.9

    def __post_init__(self) -> None:
        if self.name not in get_args(RuleName):
            raise DataError(f"rule must be one of {', '.join(get_args(RuleName))}, "
                            f"not {self.name!r}")
        for name in ("updates", "batch"):
            if getattr(self, name) < 1:
                raise DataError(f"{name} must be positive, not {getattr(self, name)}")


def train_locally(preset: Preset, device: AbstractDevice, rule: LocalRule, *,
                  data: Any = None, seed: int = 0,
                  progress: Callable[[int], None] | None = None) -> Program:
    """Train a program by a local rule, on a device that runs its codes all along.

    Parameters
    ----------
    preset : Preset
        Data, array and schedule; its feedback, draws and ridge have no part in this.
    device : AbstractDevice
        Measures forces or makes steps. It is left with the program of the last segment.
    rule : LocalRule
        How to learn.
    data : path, optional
        Folder with the data set's files.
    seed : int
        64-bit seed of noise and batches.
    progress : callable, optional
        Called with 1 after each segment, ``preset.segments + 1`` times.

    Returns
    -------
    Program
        Its provenance holds rule, preset, seed, data hash and the device's address.
    """
    images = preset.load(data)
    spec, graph = make_array(preset, images.shape)
    states = ((2 * images.train - 1) * preset.white_val).astype(np.float32)
    learner = _Learner(spec, graph, device, rule, states, np.random.default_rng(check_seed(seed)))
    found = []
    with threadpool_limits(1):
        for stretch in schedule(preset):
            found.append(learner.learn(stretch))
            if progress:
                progress(1)
    return assemble(preset, spec, graph, images.shape, found, {
        "rule": f"{rule.name}, online", "local_rule": asdict(rule), "preset": asdict(preset),
        "seed": seed, "device": device.url,
        "data": {"name": preset.data, "sha256": images.sha256, "images": len(images.train)},
        "versions": {"pendula": pendula.__version__, "numpy": np.__version__}})


class _Learner:
    """Coefficients of one segment after another, each started from those of the last."""

    def __init__(self, spec: ArraySpec, graph: OffsetGraph, device: AbstractDevice,
                 rule: LocalRule, states: Float32Array, rng: np.random.Generator) -> None:
        self._spec, self._graph, self._device, self._rule = spec, graph, device, rule
        self._states, self._rng = states, rng
        self._columns = feature_columns(spec, graph)
        self._coefficients = np.zeros(self._columns.shape)
        self._seed = int(rng.integers(1 << 63))     # of the device's own noise
        self._steps = 0                             # that the device has made

    def learn(self, stretch: Stretch) -> Quantised:
        """Return the codes of a segment."""
        rule, moved = self._rule, np.zeros_like(self._coefficients)
        for update in range(rule.updates):
            codes = round_codes(self._spec, self._coefficients)
            x, missing = self._missing(stretch, codes)
            moved = rule.momentum * moved + (1 - rule.momentum) * self._slope(x, missing)
            rate = rule.rate * (1 - 0.9 * update / rule.updates)
            self._coefficients = self._coefficients + rate * moved
        return round_codes(self._spec, self._coefficients)

    def _missing(self, stretch: Stretch, codes: Quantised) -> tuple[Float32Array, FloatArray]:
        """Return states as the device holds them, and what is missing from their moves."""
        rule, rng, spec = self._rule, self._rng, self._spec
        batch = self._states[rng.integers(len(self._states), size=rule.batch)]
        step = rng.integers(stretch.steps, size=(rule.batch, 1))
        raw = _to_raw(spec, add_noise(batch, stretch, step, rng))
        x = (raw * 2.0**-spec.state.f_bits).astype(np.float32)
        of_state, of_data = stretch.target_weights()
        wanted = of_state[step] * x + of_data[step] * batch
        self._device.load(_single(self._spec, self._graph, codes, stretch))
        if rule.name == "force-matching":
            forces = self._device.forces(raw)
            unit_val = spec.force_unit_val if self._device.exact else 1.0
            return x, wanted - forces * unit_val
        fresh = np.sqrt(stretch.fresh_variance)[step] * rng.standard_normal(x.shape)
        return x, wanted + fresh - self._observed_moves(raw, x)

    def _observed_moves(self, raw: IntArray, x: Float32Array) -> FloatArray:
        """Return how the device moves each state in one step of its own."""
        after = np.empty_like(x, dtype=np.float64)
        for row, state in enumerate(raw):
            self._device.set_nodes(uploaded=state)
            batch = self._device.sample(1, seed=self._seed, first=self._steps, hidden=True)
            after[row] = batch.values[0] * (2.0**-self._spec.state.f_bits if self._device.exact
                                            else 1.0)
            self._steps += 1
        return after - x

    def _slope(self, x: Float32Array, missing: FloatArray) -> FloatArray:
        """Return E[missing_i phi_im] / E[phi_im^2], zero where there is no edge."""
        values = features(self._spec, x).astype(np.float64)
        size = np.append((values**2).mean(axis=0), 1.0)[self._columns]
        products = np.pad(values.T @ missing / len(x), ((0, 1), (0, 0)))
        nodes = np.arange(len(self._columns))[:, None]
        found: FloatArray = products[self._columns, nodes] / np.maximum(size, 1e-6)
        return found


def _to_raw(spec: ArraySpec, x: npt.NDArray[Any]) -> IntArray:
    interval = spec.state.interval
    raw = np.clip(np.rint(x * 2.0**spec.state.f_bits), interval.lo, interval.hi)
    return raw.astype(np.int64)


def _single(spec: ArraySpec, graph: OffsetGraph, codes: Quantised, stretch: Stretch) -> Program:
    """Return the program of one step of a segment, from an uploaded state."""
    return Program(spec=spec, graph=graph, codes=codes.codes[None],
                   local_codes=codes.local_codes[None], steps=np.ones(1, np.int64),
                   coupling_gain=np.array([codes.coupling_gain]),
                   local_gains=codes.local_gains[None],
                   noise_gain=np.array([round(stretch.sigma_val / spec.noise_term.unit_val)]),
                   visible=np.ones(spec.nodes, dtype=bool), initial=InitialState.UPLOADED)
