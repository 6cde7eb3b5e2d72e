"""Devices against laws that are known exactly; each test finds a deviation that it says it finds.

Power is stated for probability 0.99: the planted deviation is the smallest convenient one above it.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from scipy.special import ndtri

import pendula
from pendula.contract import InitialState
from pendula.device import AbstractDevice
from pendula.metrics import (
    compare_with_cells,
    compare_with_covariance,
    compare_with_law,
    effective_sample_size,
)
from pendula.metrics.samples import FloatArray
from pendula.program import IntArray, Program
from pendula.references import (
    CoupledWells,
    LinearNetwork,
    Phase,
    PlaneLaw,
    QuarticWell,
    phase_difference,
)
from reference_systems import (
    NODES,
    PHASES,
    SYSTEMS,
    System,
    coupled_wells,
    linear_network,
    louder,
    phase_pairs,
    well,
)

URLS = ["float://", "twin://", "verilator://"]
COUNT = 1000
UNCERTAIN = 0.015   # part of the pull, from u and v of 8 bits
WIDEST = 0.1         # relative change of a variance that every test must be able to find


@pytest.fixture(scope="module", params=[
    pytest.param(url, marks=[pytest.mark.verilator] * ("verilator" in url)) for url in URLS])
def device(request: pytest.FixtureRequest) -> Iterator[AbstractDevice]:
    with pendula.open(request.param) as opened:
        yield opened


def draw(device: AbstractDevice, program: Program, count: int = COUNT) -> FloatArray:
    """Return real final states, shape (count, N)."""
    device.load(program)
    values = device.sample(count, seed=3).values
    return values if values.dtype.kind == "f" else program.states_val(values)


@cache
def law_of(name: str, factor: float = 1.0):
    """Return the law of a system, with more noise if told so."""
    system = SYSTEMS[name]
    return system.law(louder(system.program, factor))


@pytest.mark.parametrize("name", SYSTEMS)
def test_law(device, name):
    system = SYSTEMS[name]
    outcome = compare_with_law(system.observe(draw(device, system.program)), law_of(name))
    assert not outcome.different, outcome
    assert outcome.ess > 0.9 * COUNT * NODES / 2
    assert outcome.variance_change < WIDEST
    assert outcome.mean_shift_sd < 0.05


@pytest.mark.parametrize("name", SYSTEMS)
@pytest.mark.parametrize("url", ["float://", "twin://"])
def test_change_of_the_law_is_found(url, name):
    system: System = SYSTEMS[name]
    law, other = law_of(name), law_of(name, system.louder)
    with pendula.open(url) as device:
        outcome = compare_with_law(
            system.observe(draw(device, louder(system.program, system.louder))), law_of(name))
    offs = ((other.moment(2) / law.moment(2) - 1) / outcome.variance_change,
            np.abs(other.cdf(law.x_val) - law.cdf(law.x_val)).max() / outcome.ks_detectable)
    assert 1 < max(offs) < 2
    assert outcome.different


@pytest.mark.parametrize("steps", [3, 60])
def test_covariance_of_a_linear_network(device, steps):
    """In time, from a Gaussian start, and as good as at rest."""
    program = linear_network(steps, initial_val=0.5)
    network = LinearNetwork.of(program)
    start = program.initial_val**2 * np.eye(NODES)
    covariance = network.euler_covariance(steps, start)
    x = draw(device, program, 4000)
    outcome = compare_with_covariance(x, covariance)
    assert not outcome.different, outcome
    assert outcome.change < 0.17
    if steps == 60:
        assert np.allclose(covariance, network.euler_covariance(), rtol=1e-4, atol=1e-5)
        assert compare_with_covariance(x, network.covariance()).different


@pytest.mark.parametrize("url", ["float://", "twin://"])
def test_stronger_couplings_of_a_network_are_found(url):
    program = linear_network(60)
    altered = replace(program, coupling_gain=program.coupling_gain * 9 // 4)
    expected, other = (LinearNetwork.of(one).euler_covariance() for one in (program, altered))
    with pendula.open(url) as device:
        outcome = compare_with_covariance(draw(device, altered, 4000), expected)
    spread = np.sqrt(np.diag(expected))
    off = np.abs((other - expected) / np.outer(spread, spread)).max()
    assert outcome.change < off < 2 * outcome.change
    assert outcome.different


def cells_of(x: FloatArray, edges: FloatArray) -> IntArray:
    """Count pairs of nodes in squares of the plane."""
    places = np.searchsorted(edges, x)
    index = places[:, ::2] * (len(edges) + 1) + places[:, 1::2]
    return np.bincount(index.ravel(), minlength=(len(edges) + 1) ** 2).astype(np.int64)


EDGES = np.arange(-0.75, 0.76, 0.25)


@cache
def plane_law() -> PlaneLaw:
    """Return the law of the array's own steps."""
    return CoupledWells.of(coupled_wells(), 0, 1).euler()


def test_plane_law_of_coupled_wells(device):
    counts = cells_of(draw(device, coupled_wells()), EDGES)
    outcome = compare_with_cells(counts, plane_law().cells(EDGES))
    assert not outcome.different, outcome
    assert outcome.effect < 0.08
    limit = CoupledWells.of(coupled_wells(), 0, 1).boltzmann()
    assert compare_with_cells(counts, limit.cells(EDGES)).different


def test_weaker_coupling_is_found():
    program = coupled_wells()
    weaker = replace(program, coupling_gain=program.coupling_gain * 4 // 5)
    expected, other = (law.cells(EDGES).ravel() for law in (
        plane_law(), CoupledWells.of(weaker, 0, 1).euler()))
    with pendula.open("twin://") as device:
        outcome = compare_with_cells(cells_of(draw(device, weaker), EDGES), expected)
    off = np.sqrt(((other - expected) ** 2 / expected).sum())
    assert outcome.effect < off < 2 * outcome.effect
    assert outcome.different


WELLS_BY_STEP = [well(-0.3 * h, -0.3 * h, 0, 0.4 * np.sqrt(h), round(16 / h))
                 for h in (1, 0.5, 0.25)]
BIAS_LIMIT = QuarticWell.of(WELLS_BY_STEP[0]).boltzmann().moment(2)


def bias_line(samples: list[FloatArray]) -> tuple[FloatArray, FloatArray]:
    """Fit variances over their exact biases: intercept and slope, and their standard errors."""
    laws = [QuarticWell.of(program).euler() for program in WELLS_BY_STEP]
    bias = [law.moment(2) - BIAS_LIMIT for law in laws]
    errors = np.array([np.sqrt((law.moment(4) - law.moment(2) ** 2) / x.size)
                       for x, law in zip(samples, laws, strict=True)])
    design = np.stack([np.ones(3), bias], axis=1) / errors[:, None]
    covariance = np.linalg.inv(design.T @ design)
    found = covariance @ design.T @ ([(x**2).mean() for x in samples] / errors)
    return found, np.sqrt(np.diag(covariance))


def detectable(errors: FloatArray) -> FloatArray:
    """Return what is found with probability 0.99 where 3 standard errors are let through."""
    return (3 + ndtri(0.99)) * errors


def test_bias_of_the_step_vanishes_at_first_order(device):
    """Variance of a well over its exact bias at the step h: it meets Boltzmann's at h = 0.

    That the bias itself is of first order, tests/references/test_wells.py shows.
    """
    samples = [draw(device, program) for program in WELLS_BY_STEP]
    for x, program in zip(samples, WELLS_BY_STEP, strict=True):
        assert not compare_with_law(x, QuarticWell.of(program).euler()).different
    found, errors = bias_line(samples)
    limit_change, slope_change = detectable(errors)
    assert limit_change < 0.045 * BIAS_LIMIT
    assert slope_change < 0.35
    assert abs(found[0] - BIAS_LIMIT) < 3 * errors[0]
    assert 5 * errors[1] < found[1] < 1 + 3 * errors[1]


@pytest.mark.parametrize("url", ["float://", "twin://"])
def test_a_variance_that_meets_another_limit_is_found(url):
    """Noise off by 4 %, at every step size."""
    altered = [louder(program, 1.04) for program in WELLS_BY_STEP]
    laws = [QuarticWell.of(program).euler() for program in altered]
    with pendula.open(url) as device:
        samples = [draw(device, program) for program in altered]
    found, errors = bias_line(samples)
    moved, _ = bias_line([np.full(x.shape, np.sqrt(law.moment(2)))
                          for x, law in zip(samples, laws, strict=True)])
    assert 1 < (moved[0] - BIAS_LIMIT) / detectable(errors)[0] < 2
    assert abs(found[0] - BIAS_LIMIT) > 3 * errors[0]


def test_chain_counts_by_its_effective_samples(device):
    """KEEP: every sample starts where the last one ended, after two steps."""
    program = replace(linear_network(2), initial=InitialState.KEEP)
    expected = LinearNetwork.of(program).euler_covariance()
    device.load(program)
    device.forces(np.zeros((1, NODES), np.int64))
    x = draw(device, program, 1500)[100:]
    outcome = compare_with_covariance(x, expected)
    assert outcome.ess == effective_sample_size(x).min() < 0.8 * len(x)
    assert not outcome.different, outcome
    off = compare_with_covariance(x * np.sqrt(1 + outcome.change), expected)
    assert off.different


RATIOS = np.array([0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 1.01, 1.02, 1.05, 1.1, 1.2, 1.3, 1.4, -0.9,
                   -1.1, 1.5])
LOCKING = replace(phase_pairs(0.02 * RATIOS, 0.02, 0.0, 16), initial=InitialState.KEEP)
LOCKING_COUNT = 100
LOCKING_STEPS = (LOCKING_COUNT - 1) * LOCKING.total_steps
BEAT_TRAVEL = 2     # what a path may be off, from where Adler's mean drift leads


def phases_of(program: Program) -> list[Phase]:
    return [phase_difference(program, node, node + 1) for node in range(0, NODES, 2)]


def pulled(factor: float) -> Program:
    """Return pairs with another pull."""
    return replace(LOCKING, coupling_gain=np.rint(LOCKING.coupling_gain * factor).astype(np.int64))


def follows(phase: Phase, path: FloatArray) -> bool:
    """Return whether a path rests where its phase locks, or beats, at Adler's mean drift."""
    row_val = 2 / PHASES.table_rows          # a phase may wander within a row
    if phase.locks:
        return (abs(path[-1] - path[-11]) < row_val
                and path[-1] == pytest.approx(phase.rest_val, abs=0.02))
    return (abs(path[-1]) > 4 and path[-1] - path[0]
            == pytest.approx(phase.beat_val * LOCKING_STEPS, abs=BEAT_TRAVEL))


def strays(device: AbstractDevice, program: Program) -> list[Phase]:
    """Return the pairs that do not follow the law of :data:`LOCKING`.

    u and v of 8 bits make the pull uncertain by 1.5 %: pairs this near the threshold are left out.
    """
    device.load(program)
    device.forces(np.zeros((1, NODES), np.int64))
    travel = draw(device, program, LOCKING_COUNT)
    paths_val = np.unwrap(travel[:, ::2] - travel[:, 1::2], axis=0, period=2)
    return [phase for phase, path in zip(phases_of(LOCKING), paths_val.T, strict=True)
            if is_sure(phase) and not follows(phase, path)]


def is_sure(phase: Phase) -> bool:
    """Return whether a pair is not too near the threshold."""
    return abs(abs(phase.constant / phase.sine) - 1) > UNCERTAIN


def test_locking_threshold(device):
    """Pairs lock up to a detuning of the pull, and beat above, at Adler's mean drift."""
    assert sum(phase.locks for phase in phases_of(LOCKING)) == 7
    assert strays(device, LOCKING) == []


@pytest.mark.parametrize("factor", [0.965, 1.035])
def test_another_pull_moves_the_locking_threshold(device, factor):
    """A path moves by more than one that passes may be off on one side and this one on the other.

    There is no noise: it is found for certain.
    """
    moves = [abs(phase.beat_val - other.beat_val) * LOCKING_STEPS
             for phase, other in zip(phases_of(LOCKING), phases_of(pulled(factor)), strict=True)
             if is_sure(phase)]
    assert 2 * BEAT_TRAVEL < max(moves) < 4 * BEAT_TRAVEL
    assert strays(device, pulled(factor))
