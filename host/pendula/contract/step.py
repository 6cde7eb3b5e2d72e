"""The reference integer step: slow, plain, and the meaning of every other implementation.

    c_i   = sum_k w[i,k] * sum_r u_r(x_i) * v_r(x_{i+o_k})
    d_i   = gc * c_i + sum_m gl_m * p[i,m] * h_m(x_i)        the force, aligned to one binary point
    x_i  <-  R(x_i + d_i + sigma * xi_i)                     one rounding, one overflow rule
"""

import enum
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from pendula.contract.noise import WORD_BITS, NoiseStream, gaussian, uniform_word
from pendula.contract.numbers import Overflow
from pendula.contract.physics import ONE, STATE
from pendula.contract.spec import ArraySpec
from pendula.contract.tables import table_index

__all__ = ["ALL_STEPS", "PIXEL_GAIN_F_BITS", "PIXEL_HI", "PIXEL_OFFSET_F_BITS", "InitialState",
           "ProgramLike", "Trajectory", "basis_values", "combine", "coupling_sum", "forces",
           "initial_state", "integrate", "node_force", "pixel", "pixel_shift", "run_sample"]

PIXEL_HI = 255
PIXEL_GAIN_F_BITS = 2            # fraction bits of the pixel gain, on top of the state's width
PIXEL_OFFSET_F_BITS = 8          # fraction bits of the pixel offset
ALL_STEPS = (1 << 32) - 1        # stop_step that lets a program run to its end


class InitialState(enum.IntEnum):
    """Where a sample starts."""

    ZERO = 0         # every node at 0
    UNIFORM = 1      # every raw state equally likely
    GAUSSIAN = 2     # zero mean; the program's initial_gain in units of the noise term
    KEEP = 3         # the final state of the sample before
    UPLOADED = 4     # the node memory


class ProgramLike(Protocol):
    """What the reference step reads; any nested sequence of integers will do."""

    @property
    def spec(self) -> ArraySpec:
        """Array that the program runs on."""
        ...

    @property
    def codes(self) -> Any:
        """Coupling codes, shape (S, N, K)."""
        ...

    @property
    def local_codes(self) -> Any:
        """Codes of the local terms, shape (S, N, M)."""
        ...

    @property
    def steps(self) -> Any:
        """Steps of every segment, shape (S,)."""
        ...

    @property
    def coupling_gain(self) -> Any:
        """Gain of the coupling, shape (S,)."""
        ...

    @property
    def local_gains(self) -> Any:
        """Gains of the local terms, shape (S, M)."""
        ...

    @property
    def noise_gain(self) -> Any:
        """Gain of the noise, shape (S,)."""
        ...

    @property
    def tables(self) -> Mapping[str, Any]:
        """Columns of the table memory by name, each of shape (2**table_bits,)."""
        ...

    @property
    def initial(self) -> InitialState:
        """Where samples start."""
        ...

    @property
    def initial_gain(self) -> int:
        """Gain of a Gaussian initial state, in units of the noise gain."""
        ...


def coupling_sum(codes: Sequence[int], u: Sequence[int], v: Sequence[Sequence[int]]) -> int:
    """Return ``sum_k w_k * sum_r u_r * v_kr``.

    Parameters
    ----------
    codes : sequence of int, shape (K,)
        Coupling codes w.
    u : sequence of int, shape (R,)
        Functions of the node itself.
    v : sequence of sequence of int, shape (K, R)
        Functions of the neighbours.
    """
    return sum(code * sum(a * b for a, b in zip(u, neighbour, strict=True))
               for code, neighbour in zip(codes, v, strict=True))


def combine(spec: ArraySpec, coupling: int, coupling_gain: int, local_products: Sequence[int],
            local_gains: Sequence[int]) -> int:
    """Return the drift: the coupling and the products ``p_m * h_m``, scaled and aligned."""
    drift = coupling_gain * coupling << spec.align_bits(spec.coupling_term)
    for term, product, gain in zip(spec.local_terms, local_products, local_gains, strict=True):
        drift += gain * product << spec.align_bits(term)
    return drift


def basis_values(spec: ArraySpec, x: int, tabled: Mapping[str, int]) -> list[int]:
    """Return h_m(x) for every basis function; `tabled` holds the columns of the table row of x."""
    exact = {STATE: x, ONE: 1}
    return [exact[name] if name in exact else tabled[f"h{m}"]
            for m, name in enumerate(spec.physics.basis)]


def node_force(program: ProgramLike, segment: int, node: int, x: Sequence[int]) -> int:
    """Return the drift of one node in the state `x`, with ``spec.drift_f_bits`` fraction bits."""
    spec = program.spec
    rank = range(spec.physics.rank)

    def row(state: int) -> dict[str, int]:
        index = table_index(spec, state)
        return {name: int(table[index]) for name, table in program.tables.items()}

    present = [k for k, offset in enumerate(spec.offsets) if 0 <= node + offset < spec.nodes]
    neighbours = [row(x[node + spec.offsets[k]]) for k in present]
    own = row(x[node])
    coupling = coupling_sum(
        [int(program.codes[segment][node][k]) for k in present],
        [own[f"u{r}"] if spec.physics.u else 1 for r in rank],
        [[neighbour[f"v{r}"] for r in rank] for neighbour in neighbours])
    products = [int(code) * value for code, value in
                zip(program.local_codes[segment][node], basis_values(spec, x[node], own),
                    strict=True)]
    return combine(spec, coupling, int(program.coupling_gain[segment]), products,
                   [int(gain) for gain in program.local_gains[segment]])


def integrate(spec: ArraySpec, x: int, drift: int, noise_gain: int, xi: int) -> tuple[int, bool]:
    """Return the state after one step, and whether it saturated."""
    noise = noise_gain * xi << spec.align_bits(spec.noise_term)
    return spec.state.reduce((x << spec.drift_f_bits) + drift + noise, spec.drift_f_bits)


def initial_state(program: ProgramLike, draw: int, kept: int, uploaded: int) -> tuple[int, bool]:
    """Return the first state of an unclamped node, and whether it saturated."""
    spec = program.spec
    if program.initial is InitialState.UNIFORM:
        return (uniform_word(draw) >> (WORD_BITS - spec.state_bits)) + spec.state.lo, False
    if program.initial is InitialState.GAUSSIAN:
        return integrate(spec, 0, 0, program.initial_gain, gaussian(draw))
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
        Name of the noise stream; one draw a node for the initial state, then one a node and step.
    stop_step : int
        Number of steps after which to stop.
    kept, uploaded : sequence of int, optional
        Shape (N,): final state of the sample before, and node memory; zeros where not given.
    clamped : sequence of bool, optional
        Shape (N,): nodes held at their uploaded value.
    """
    spec = program.spec
    nodes = range(spec.nodes)
    kept = [0] * spec.nodes if kept is None else kept
    uploaded = [0] * spec.nodes if uploaded is None else uploaded
    clamped = [False] * spec.nodes if clamped is None else clamped
    stream = NoiseStream(seed, index)
    run = Trajectory([0] * spec.nodes)
    for node, draw in zip(nodes, stream, strict=False):
        update = initial_state(program, draw, kept[node], uploaded[node])
        run.set(node, (uploaded[node], False) if clamped[node] else update)
    for segment in _segment_of_steps(program, stop_step):
        drifts = forces(program, segment, run.x)
        gain = int(program.noise_gain[segment])
        for node, draw in zip(nodes, stream, strict=False):
            if not clamped[node]:
                run.set(node, integrate(spec, run.x[node], drifts[node], gain, gaussian(draw)))
    return run


def forces(program: ProgramLike, segment: int, x: Sequence[int]) -> list[int]:
    """Return the drift of every node in the state `x`, without noise and without a step."""
    return [node_force(program, segment, node, x) for node in range(program.spec.nodes)]


def pixel_shift(spec: ArraySpec) -> int:
    """Return the fraction bits of a pixel before it is rounded, which are those of its gain."""
    return spec.state_bits + PIXEL_GAIN_F_BITS


def pixel(spec: ArraySpec, gain: int, offset: int, x: int) -> int:
    """Return the 8-bit pixel of a state: phases fold at half a turn, then affine, then clipped."""
    folded = abs(x) if spec.physics.overflow is Overflow.WRAP else x
    shift = pixel_shift(spec)
    value = gain * folded + (offset << (shift - PIXEL_OFFSET_F_BITS))
    value = (value + (1 << (shift - 1))) >> shift
    return max(0, min(PIXEL_HI, value))
