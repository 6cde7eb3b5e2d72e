"""The reference integer step: slow, plain, and the meaning of every other implementation.

    c_i   = sum_k w[i,k] * sum_r u_r(x_i) * v_r(x_{i+o_k})
    d_i   = gc * c_i + sum_m gl_m * p[i,m] * h_m(x_i)          the force, aligned to one binary point
    x_i  <-  R(x_i + d_i + sigma * xi_i)                       one rounding, one overflow rule
"""

import enum
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from pendula.contract.noise import WORD_BITS, NoiseStream, gaussian
from pendula.contract.numbers import Overflow
from pendula.contract.physics import ONE, STATE
from pendula.contract.spec import ArraySpec
from pendula.contract.tables import table_index

__all__ = ["ALL_STEPS", "PIXEL_HI", "PIXEL_SHIFT", "InitialState", "ProgramLike", "Trajectory",
           "forces", "initial_state", "integrate", "node_force", "pixel", "run_sample"]

PIXEL_SHIFT = 20                 # fraction bits of the pixel gain
PIXEL_HI = 255
ALL_STEPS = (1 << 32) - 1        # stop_step that lets a program run to its end


class InitialState(enum.IntEnum):
    """Where a sample starts."""

    ZERO = 0
    UNIFORM = 1      # every raw state equally likely
    GAUSSIAN = 2     # zero mean; the program's initial_gain in units of the noise term
    KEEP = 3         # the final state of the sample before
    UPLOADED = 4     # the node memory


class ProgramLike(Protocol):
    """What the reference step reads; any nested sequence of integers will do.

    Shapes: codes (S, N, K), local_codes (S, N, M), steps, coupling_gain and noise_gain (S,),
    local_gains (S, M), tables name -> (2**table_bits,).
    """

    @property
    def spec(self) -> ArraySpec: ...                       # noqa: D102
    @property
    def codes(self) -> Any: ...                            # noqa: D102
    @property
    def local_codes(self) -> Any: ...                      # noqa: D102
    @property
    def steps(self) -> Any: ...                            # noqa: D102
    @property
    def coupling_gain(self) -> Any: ...                    # noqa: D102
    @property
    def local_gains(self) -> Any: ...                      # noqa: D102
    @property
    def noise_gain(self) -> Any: ...                       # noqa: D102
    @property
    def tables(self) -> Mapping[str, Any]: ...             # noqa: D102
    @property
    def initial(self) -> InitialState: ...                 # noqa: D102
    @property
    def initial_gain(self) -> int: ...                     # noqa: D102


def node_force(program: ProgramLike, segment: int, node: int, x: Sequence[int]) -> int:
    """Return the drift of one node in the state `x`, with ``spec.drift_f_bits`` fraction bits."""
    spec = program.spec
    row = table_index(spec, x[node])
    coupling = 0
    for rank in range(spec.physics.rank):
        u = int(program.tables[f"u{rank}"][row]) if spec.physics.u else 1
        v = program.tables[f"v{rank}"]
        coupling += u * sum(
            int(code) * int(v[table_index(spec, x[node + offset])])
            for code, offset in zip(program.codes[segment][node], spec.offsets, strict=True)
            if 0 <= node + offset < spec.nodes)
    term = spec.coupling_term
    drift = int(program.coupling_gain[segment]) * coupling << spec.align_bits(term)
    for m, (term, name) in enumerate(zip(spec.local_terms, spec.physics.basis, strict=True)):
        value = {STATE: x[node], ONE: 1}.get(name)
        if value is None:
            value = int(program.tables[f"h{m}"][row])
        product = int(program.local_codes[segment][node][m]) * value
        drift += int(program.local_gains[segment][m]) * product << spec.align_bits(term)
    return drift


def integrate(spec: ArraySpec, x: int, drift: int, noise_gain: int, xi: int) -> tuple[int, bool]:
    """Return the state after one step, and whether it saturated."""
    noise = noise_gain * xi << spec.align_bits(spec.noise_term)
    return spec.state.reduce((x << spec.drift_f_bits) + drift + noise, spec.drift_f_bits)


def initial_state(program: ProgramLike, word: int, kept: int, uploaded: int) -> tuple[int, bool]:
    """Return the first state of an unclamped node, and whether it saturated."""
    spec = program.spec
    if program.initial is InitialState.UNIFORM:
        return (word >> (WORD_BITS - spec.state_bits)) + spec.state.lo, False
    if program.initial is InitialState.GAUSSIAN:
        return integrate(spec, 0, 0, program.initial_gain, gaussian(word))
    values = {InitialState.ZERO: 0, InitialState.KEEP: kept, InitialState.UPLOADED: uploaded}
    return values[program.initial], False


@dataclass(slots=True)
class Trajectory:
    """State of one lane while it runs.

    Parameters
    ----------
    x : list of int
        Raw states, one a node.
    saturations : int
        Node updates that the overflow rule clipped.
    """

    x: list[int]
    saturations: int = field(default=0)

    def set(self, node: int, update: tuple[int, bool]) -> None:
        """Store the result of :func:`integrate` for one node."""
        self.x[node], saturated = update
        self.saturations += saturated


def _segment_of_steps(program: ProgramLike, stop_step: int) -> Iterator[int]:
    done = 0
    for segment, steps in enumerate(program.steps):
        for _ in range(int(steps)):
            if done == stop_step:
                return
            yield segment
            done += 1


def run_sample(program: ProgramLike, seed: int, index: int, *, stop_step: int = ALL_STEPS,
               kept: Sequence[int] | None = None, uploaded: Sequence[int] | None = None,
               clamped: Sequence[bool] | None = None) -> Trajectory:
    """Run one sample from its initial state to `stop_step` or the end of the program.

    Parameters
    ----------
    seed, index : int
        Name of the noise stream; one word a node for the initial state, then one a node and step.
    stop_step : int
        Number of steps after which to stop.
    kept, uploaded : sequence of int, optional
        Shape (N,): final state of the sample before, and node memory; zeros where not given.
    clamped : sequence of bool, optional
        Shape (N,): nodes held at their uploaded value.
    """
    spec = program.spec
    nodes = range(spec.nodes)
    kept = kept or [0] * spec.nodes
    uploaded = uploaded or [0] * spec.nodes
    clamped = clamped or [False] * spec.nodes
    stream = NoiseStream(seed, index)
    run = Trajectory([0] * spec.nodes)
    for node, word in zip(nodes, stream, strict=False):
        update = initial_state(program, word, kept[node], uploaded[node])
        run.set(node, (uploaded[node], False) if clamped[node] else update)
    for segment in _segment_of_steps(program, stop_step):
        drifts = forces(program, segment, run.x)
        gain = int(program.noise_gain[segment])
        for node, word in zip(nodes, stream, strict=False):
            if not clamped[node]:
                run.set(node, integrate(spec, run.x[node], drifts[node], gain, gaussian(word)))
    return run


def forces(program: ProgramLike, segment: int, x: Sequence[int]) -> list[int]:
    """Return the drift of every node in the state `x`, without noise and without a step."""
    return [node_force(program, segment, node, x) for node in range(program.spec.nodes)]


def pixel(spec: ArraySpec, gain: int, offset: int, x: int) -> int:
    """Return the 8-bit pixel of a state: phases fold at half a turn, then affine, then clipped."""
    folded = abs(x) if spec.physics.overflow is Overflow.WRAP else x
    value = (gain * folded + offset + (1 << (PIXEL_SHIFT - 1))) >> PIXEL_SHIFT
    return max(0, min(PIXEL_HI, value))
