"""Systems driven by noise: one node exactly, a linear network in closed form, and the twin."""

from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from pendula.contract import PHYSICS, ArraySpec, InitialState
from pendula.contract.gaussian import GAUSSIAN_LAW
from pendula.device import NodeMemory
from pendula.metrics.samples import FloatArray
from pendula.program import IntArray, Program, random_program
from pendula.twin.engine import Engine, _Lanes, _Tile
from pendula.twin.noise import NoiseStreams, Words
from quality_laws import SEPARATION, Distribution, Law, normal

BLOCK = 1024            # samples that the twin runs side by side
FRACTION_BITS = 8       # of a raw noise unit, where the noise is mapped


# One node of the contract: the exact stationary law

class Node:
    """A node without neighbours, ``x <- R(x - rate x^power + noise)``, of the `quartic` physics.

    Parameters
    ----------
    power : int
        1 or 3.
    rate : float
        Coefficient a step.
    sigma : int
        Standard deviation of the noise in raw states: a multiple of the noise's own sigma_raw, so
        that noise is whole and the operator, a move by the rounded drift and a convolution, is
        exact. Laws that are rescaled have their values rounded to whole states.
    """

    def __init__(self, power: int, rate: float, sigma: int, steps: int = 200) -> None:
        spec = ArraySpec(physics=PHYSICS["quartic"], nodes=2, offsets=(1,))
        self.unit_val, self.sigma = 2.0**-spec.state.f_bits, sigma
        self.program = single_segment(spec, {power // 3: -rate}, sigma * self.unit_val, steps)
        assert self.program.noise_val[0] == sigma * self.unit_val
        self.states = np.arange(spec.state.lo, spec.state.hi + 1)
        both = np.stack([self.states, self.states], axis=1)
        drift = Engine(self.program).forces(0, both)[:, 0] / 2.0**spec.drift_f_bits
        self.target = self.states - spec.state.lo + drift

    def stationary(self, law: Law | None, start: FloatArray) -> FloatArray:
        """Return the stationary law under `law`, or the ideal Gaussian, by iteration.

        States beyond the range wrap round here: their mass is below 1e-12.
        """
        count = len(self.states)
        if law is None:         # shares of a state between two neighbours keep its mean
            place = np.floor(self.target).astype(np.intp)
            share = self.target - place
            cdf = normal((np.arange(-count // 2, count // 2 + 1) - 0.5) / self.sigma)
            noise = np.roll(np.diff(cdf), count // 2)
        else:
            place, share = np.floor(self.target + 0.5).astype(np.intp), None
            values = np.rint(law.values * self.sigma).astype(np.intp)
            noise = np.bincount(values % count, law.p, minlength=count)
        places, response, p = place % count, np.fft.rfft(noise), start
        for _ in range(2000):
            moved = (np.bincount(places, p, minlength=count) if share is None else
                     np.bincount(places, p * (1 - share), minlength=count)
                     + np.bincount((places + 1) % count, p * share, minlength=count))
            before, p = p, np.fft.irfft(np.fft.rfft(moved) * response, count)
            if np.abs(p - before).sum() < 1e-8:
                break
        else:
            raise AssertionError(f"{law.name if law else 'ideal'} must settle")
        assert p[:16].sum() + p[-16:].sum() < 1e-12
        return p.clip(0) / p.clip(0).sum()

    def boltzmann(self) -> FloatArray:
        """Return the Boltzmann law of V = x^4 / 4 at temperature 1 on the states, by quadrature."""
        p = np.exp(-((self.states * self.unit_val) ** 4) / 4)
        p /= p.sum()
        variance = 2 * 0.33798912003364236      # Gamma(3/4) / Gamma(1/4)
        assert abs(p @ (self.states * self.unit_val) ** 2 - variance) < 1e-8
        return p


def coarse(p: FloatArray) -> FloatArray:
    """Return the law of the top 8 bits of the state, the resolution of a pixel."""
    return p.reshape(256, -1).sum(axis=1)


def rounded_variance(sigma: float, decay: float, below: Distribution, doublings: int = 12) -> float:
    """Return the variance of ``x <- R(decay x + noise)``, whole x, over that of real x.

    After ``2**doublings`` steps from 0: stationary, or stuck.
    """
    reach = int(np.ceil(8 * sigma / np.sqrt(1 - decay**2) + 12))
    states = np.arange(-reach, reach + 1.0)
    inner = below((states[:-1] + 0.5 - decay * states[:, None]) / sigma)
    operator = np.diff(inner, axis=1, prepend=0, append=1)
    for _ in range(doublings):
        operator = operator @ operator
    p = operator[reach]
    return float((p @ states**2 - (p @ states) ** 2) * (1 - decay**2) / sigma**2)


def single_segment(spec: ArraySpec, local: dict[int, float], noise_val: float, steps: int,
                   coupling: float = 0) -> Program:
    """Return a program of one segment, from zero, with real local coefficients by basis index."""
    program = random_program(spec, np.random.default_rng(0), segments=1, steps=steps,
                             initial=InitialState.ZERO)
    codes, gains = np.zeros_like(program.local_codes), np.zeros_like(program.local_gains)
    for m, value in local.items():
        codes[:, :, m] = int(np.sign(value)) * spec.local_code.hi
        gains[:, m] = round(abs(value) / spec.local_code.hi / spec.local_terms[m].unit_val)
    return replace(
        program, codes=np.where(program.graph.mask, int(coupling != 0), 0)[None],
        coupling_gain=np.array([round(coupling / spec.coupling_term.unit_val)]),
        local_codes=codes, local_gains=gains,
        noise_gain=np.array([round(noise_val / spec.noise_term.unit_val)]))


# Linear network: closed forms

@dataclass(frozen=True, eq=False)
class Network:
    """x <- A x + noise of unit variance, A symmetric: an 8 x 8 grid."""

    side: int = 8
    decay: float = 0.9
    coupling: float = 0.02

    @property
    def matrix(self) -> FloatArray:
        """A."""
        line = np.eye(self.side, k=1) + np.eye(self.side, k=-1)
        grid = np.kron(line, np.eye(self.side)) + np.kron(np.eye(self.side), line)
        return self.decay * np.eye(self.side**2) + self.coupling * grid

    def responses(self, steps: int) -> FloatArray:
        """Return A^k for k = 0..steps-1."""
        powers = [np.eye(self.side**2)]
        while len(powers) < steps:
            powers.append(self.matrix @ powers[-1])
        return np.array(powers)

    @property
    def covariance(self) -> FloatArray:
        """Stationary covariance: the solution of C = A C A' + 1."""
        return np.linalg.inv(np.eye(self.side**2) - self.matrix @ self.matrix).astype(np.float64)

    def whiten(self) -> FloatArray:
        """Return the inverse square root of the covariance."""
        value, vector = np.linalg.eigh(self.covariance)
        return (vector / np.sqrt(value) @ vector.T).astype(np.float64)

    def sensitivity(self, order: int, steps: int = 128) -> float:
        """Return the squared norm of the whitened cumulant of `order` per noise cumulant."""
        sources = np.concatenate(self.whiten() @ self.responses(steps), axis=1)
        return sum(float(((part.T @ sources) ** order).sum())
                   for part in np.split(sources, 64, axis=1))

    def node_kurtosis(self) -> FloatArray:
        """Return each node's excess kurtosis per excess kurtosis of the noise."""
        powers = self.responses(400)
        return (powers**4).sum(axis=(0, 2)) / (powers**2).sum(axis=(0, 2)) ** 2

    def cross(self, delay: int, steps: int = 600) -> FloatArray:
        """Return the covariance of two lanes, the second `delay` draws ahead of the first."""
        nodes, powers = self.side**2, self.responses(steps)
        whole, part = divmod(delay, nodes)
        total = np.zeros((nodes, nodes))
        for node in range(nodes):
            carry, source = divmod(node + part, nodes)
            lag = whole + carry
            total += np.einsum("ki,kj->ij", powers[: steps - lag, :, source], powers[lag:, :, node])
        return total

    def program(self, noise_val: float, steps: int = 300) -> Program:
        """Return the network as a program; couplings across the ends of rows are masked."""
        spec = ArraySpec(physics=PHYSICS["quartic"], nodes=self.side**2,
                         offsets=(-self.side, -1, 1, self.side))
        program = single_segment(spec, {0: self.decay - 1}, noise_val, steps, self.coupling)
        codes, column = program.codes.copy(), np.arange(spec.nodes) % self.side
        codes[0, column == 0, 1] = codes[0, column == self.side - 1, 2] = 0
        return replace(program, codes=codes)


def network_samples(law: Law, sensitivities: tuple[float, float], nodes: int) -> float:
    """Return the states of the network that the best test needs, to second order in cumulants."""
    variance, fourth, sixth = law.cumulants
    chi = (nodes * variance**2 / 2 + sensitivities[0] * fourth**2 / 24
           + sensitivities[1] * sixth**2 / 720)
    return SEPARATION / max(chi, 1e-15)


# The twin, with other noise

@dataclass(frozen=True, eq=False)
class NoiseMap:
    """What each raw Gaussian of the contract becomes, in raw units / 2**FRACTION_BITS.

    ``low + width * u`` with u uniform; the width is 0 but for the ideal Gaussian.
    """

    low: FloatArray
    width: FloatArray | None = None
    delay: int = 0
    rotation: int = 0


def quantile_map(law: Law, contract: Law) -> NoiseMap:
    """Return the monotone map from the contract's law to `law`, of the same scale."""
    middle = np.cumsum(contract.p) - contract.p / 2
    index = np.searchsorted(np.cumsum(law.p), middle).clip(0, len(law.p) - 1)
    values = (law.values[index] - law.values[index][::-1]) / 2
    values *= np.sqrt(law.moment(2) / (contract.p @ values**2))
    return NoiseMap(np.round(values * (GAUSSIAN_LAW.sigma_raw << FRACTION_BITS)))


def ideal_map(contract: Law) -> NoiseMap:
    """Return the map to the Gaussian: each atom spreads over its share of the quantiles."""
    edges = ndtri(np.append(0, np.cumsum(contract.p))[:-1])
    half = len(contract.p) // 2
    edges[0], edges[half + 1 :] = -8, -edges[half:0:-1]
    edges = np.append(edges, 8) * (GAUSSIAN_LAW.sigma_raw << FRACTION_BITS)
    return NoiseMap(edges[:-1], np.diff(edges))


class MappedTile(_Tile):
    """Buffers whose noise is mapped."""

    def __init__(self, shape: tuple[int, int], dtype: npt.DTypeLike, noise: NoiseMap,
                 seed: int) -> None:
        super().__init__(shape, dtype)
        self.noise, self.rng = noise, np.random.default_rng(seed)
        self.low = np.rint(noise.low).astype(np.int64)
        self.width = None if noise.width is None else noise.width.astype(np.float32)

    def add_noise(self, gain: IntArray) -> None:
        """Add the mapped Gaussians, times `gain`, to the accumulator."""
        if self.noise.rotation:
            self.words, self.sides = rotate(self.words, self.sides, self.noise.rotation)
        self.sampler.gaussians(self.words, self.sides, self.xi)
        index = self.xi.astype(np.intp)
        index += len(self.low) // 2
        np.take(self.low, index, out=self.term, mode="clip")
        if self.width is not None:
            spread = self.rng.random(index.shape, np.float32)
            spread *= self.width.take(index, mode="clip")
            self.term += spread.astype(np.int64)
        self.term *= gain >> FRACTION_BITS
        self.acc += self.term


def rotate(words: Words, sides: Words, bits: int) -> tuple[Words, Words]:
    """Return 44-bit draws, rotated right."""
    draw = words.astype(np.uint64) | sides.astype(np.uint64) << np.uint64(32)
    draw = draw >> np.uint64(bits) | draw << np.uint64(44 - bits)
    return draw.astype(np.uint32), (draw >> np.uint64(32) & np.uint64(0xfff)).astype(np.uint32)


def run(program: Program, noise: NoiseMap, count: int, seed: int = 1) -> FloatArray:
    """Return `count` final states of the twin under mapped noise, shape (count, N), real."""
    engine, result = Engine(program), []
    nodes = NodeMemory(np.zeros(program.spec.nodes, np.int64), np.zeros(program.spec.nodes, bool))
    for start in range(0, count, BLOCK):
        streams = NoiseStreams(seed, range(start, start + BLOCK),
                               program.spec.nodes * (program.total_steps + 1) + noise.delay)
        if noise.delay:
            streams.draw(*np.empty((2, noise.delay, BLOCK), np.uint32))
        lanes = _Lanes(engine, BLOCK, nodes)
        for rows in lanes._tiles:
            lanes._tiles[rows] = MappedTile((rows, BLOCK), lanes._v.dtype, noise, start)
        lanes.start(streams, np.zeros(program.spec.nodes, np.int64))
        for segment in chain.from_iterable([s] * s.steps for s in engine.segments):
            lanes.step(segment, streams)
        result.append(program.states_val(lanes.x.T))
    return np.concatenate(result)
