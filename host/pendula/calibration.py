"""How a device answers: gain and offset of its functions, in every segment, from its forces alone.

Probe programs make one term of the drift show at a time. With all couplings equal, the force on
node i is ``g w sum_ab u_a(x_i) G_ab sum_k v_b(x_{i+o_k})``, where the constant 1 follows after u
and after v: linear in G. An ideal device has ones on its diagonal, up to the constants, and nothing
beside it; gains of u, v and of the segment change the former, offsets of u and v the latter. With
one local term alone, the force is ``g p (a h(x_i) + b)``. Both are fitted by least squares over
random states of all nodes, so that errors of single couplers average out; what they leave is
reported as the spread.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from pendula.contract.physics import ONE
from pendula.device import AbstractDevice
from pendula.program import IntArray, Program
from pendula.twin.float_device import real_function

__all__ = ["Calibration", "calibrate"]

RealArray = npt.NDArray[np.float64]

_STATES = 64        # random states of the whole array


@dataclass(frozen=True, eq=False, kw_only=True)
class Calibration:
    """Response of a device.

    Parameters
    ----------
    coupling : array, shape (S, U, R + 1)
        Matrix G of each segment. Rows are the functions u of the node, then 1 (1 alone where the
        physics has no u); columns are the functions v of the neighbour, then 1.
    local : array, shape (S, M, 2)
        Gain and offset of each local term; a constant has no offset.
    coupling_spread, local_spread : array, shape (S,) and (S, M)
        Root mean square of what the fit leaves, as a share of the term's own.
    """

    coupling: RealArray
    local: RealArray
    coupling_spread: RealArray
    local_spread: RealArray


def calibrate(device: AbstractDevice, program: Program, *, seed: int = 0) -> Calibration:
    """Measure the response of a device through :meth:`pendula.device.AbstractDevice.forces`.

    Parameters
    ----------
    device : AbstractDevice
        Device; it holds a probe program afterwards.
    program : Program
        Gives the array and the number of segments; its codes and gains do not matter.
    seed : int
        Of the random states.

    Raises
    ------
    ProgramError
        If the array does not fit the device.
    """
    rng = np.random.default_rng(seed)
    state = program.spec.state
    states = rng.integers(state.lo // 2, state.hi // 2, (_STATES, program.spec.nodes))
    if program.spec.physics.u:          # phases: the whole turn
        states = rng.integers(state.lo, state.hi + 1, states.shape)
    couplings = [_fit(*pair) for pair in _coupling_forces(device, program, states)]
    locals_ = [_local_fits(device, program, states, m)
               for m in range(len(program.spec.physics.basis))]
    shape = _matrix_shape(program)
    return Calibration(
        coupling=np.stack([found.reshape(shape) for found, _ in couplings]),
        coupling_spread=np.array([spread for _, spread in couplings]),
        local=np.stack([found for found, _ in locals_], axis=1),
        local_spread=np.stack([spread for _, spread in locals_], axis=1))


def _matrix_shape(program: Program) -> tuple[int, int]:
    physics = program.spec.physics
    return (len(physics.u) + 1 if physics.u else 1), physics.rank + 1


def _fit(features: RealArray, forces: RealArray) -> tuple[RealArray, float]:
    """Return the coefficients of least squares, and what is left as a share of the forces."""
    found = np.asarray(np.linalg.lstsq(features, forces, rcond=None)[0], np.float64)
    left = forces - features @ found
    return found, float(np.sqrt((left**2).mean() / (forces**2).mean()))


def _probe(program: Program, **parts: IntArray) -> Program:
    """Return a program that is still but for the given parts."""
    nothing = {name: np.zeros_like(getattr(program, name))
               for name in ("codes", "local_codes", "coupling_gain", "local_gains", "noise_gain")}
    return replace(program, unrounded={}, **(nothing | parts))


def _forces_val(device: AbstractDevice, probe: Program, states: IntArray, s: int) -> RealArray:
    unit_val = probe.spec.force_unit_val if device.exact else 1.0
    return np.asarray(device.forces(states, segment=s), np.float64) * unit_val


def _coupling_forces(device: AbstractDevice, program: Program, states: IntArray
                     ) -> list[tuple[RealArray, RealArray]]:
    """Return features, shape (n, U * (R + 1)), and forces a unit of coupling, for each segment."""
    spec, physics = program.spec, program.spec.physics
    mask = np.array(program.graph.mask)
    code, gain = spec.code.hi, spec.gain.hi // 2
    probe = _probe(program, codes=np.broadcast_to(mask * code, program.codes.shape).copy(),
                   coupling_gain=np.full(program.segments, gain))
    device.load(probe)
    x = program.states_val(states)
    u = [real_function(name)(x) for name in physics.u] + [np.ones_like(x)]
    v = [real_function(name)(x) for name in physics.v] + [np.ones_like(x)]
    heard = [_neighbour_sum(values, mask, spec.offsets) for values in v]
    features = np.stack([a * b for a in u[:_matrix_shape(program)[0]] for b in heard], axis=-1)
    unit_val = code * gain * spec.coupling_term.unit_val
    flat = features.reshape(-1, features.shape[-1])
    return [(flat, _forces_val(device, probe, states, s).ravel() / unit_val)
            for s in range(program.segments)]


def _neighbour_sum(values: RealArray, mask: npt.NDArray[np.bool_],
                   offsets: tuple[int, ...]) -> RealArray:
    """Return ``sum_k values_{i+o_k}`` over the edges that there are; shape (n, N)."""
    total = np.zeros_like(values)
    for k, offset in enumerate(offsets):
        nodes = np.flatnonzero(mask[:, k])
        total[:, nodes] += values[:, nodes + offset]
    return total


def _local_fits(device: AbstractDevice, program: Program, states: IntArray, m: int
                ) -> tuple[RealArray, RealArray]:
    """Return gain and offset of a local term, shape (S, 2), and the spreads, shape (S,)."""
    spec, name = program.spec, program.spec.physics.basis[m]
    codes, gains = np.zeros_like(program.local_codes), np.zeros_like(program.local_gains)
    codes[:, :, m], gains[:, m] = spec.local_code.hi // 2, spec.gain.hi // 2
    probe = _probe(program, local_codes=codes, local_gains=gains)
    device.load(probe)
    h = real_function(name)(program.states_val(states)).ravel()
    features = h[:, None] if name == ONE else np.stack([h, np.ones_like(h)], axis=1)
    unit_val = codes[0, 0, m] * gains[0, m] * spec.local_terms[m].unit_val
    fits = [_fit(features, _forces_val(device, probe, states, s).ravel() / unit_val)
            for s in range(program.segments)]
    pairs: Any = [np.append(found, 0.0)[:2] for found, _ in fits]
    return np.stack(pairs), np.array([spread for _, spread in fits])
