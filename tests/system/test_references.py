"""Devices against laws that are known exactly; each test finds a deviation that it says it finds.

Power is stated for probability 0.99: the planted deviation is the smallest convenient one above it.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

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


def test_bias_of_the_step_vanishes_at_first_order(device):
    """Variance of a well over its exact bias at the step h: it meets Boltzmann's at h = 0.

    That the bias itself is of first order, tests/references/test_wells.py shows.
    """
    wells = [well(-0.3 * h, -0.3 * h, 0, 0.4 * np.sqrt(h), round(16 / h))
             for h in (1, 0.5, 0.25)]
    laws = [QuarticWell.of(program).euler() for program in wells]
    limit = QuarticWell.of(wells[0]).boltzmann().moment(2)
    samples = [draw(device, program) for program in wells]
    for x, law in zip(samples, laws, strict=True):
        assert not compare_with_law(x, law).different
    bias = [law.moment(2) - limit for law in laws]
    errors = [np.sqrt((law.moment(4) - law.moment(2) ** 2) / x.size)
              for x, law in zip(samples, laws, strict=True)]
    design = np.stack([np.ones(3), bias], axis=1) / np.array(errors)[:, None]
    covariance = np.linalg.inv(design.T @ design)
    found = covariance @ design.T @ ([(x**2).mean() for x in samples] / np.array(errors))
    assert abs(found[0] - limit) < 3 * np.sqrt(covariance[0, 0])
    assert 5 * np.sqrt(covariance[1, 1]) < found[1] < 1 + 3 * np.sqrt(covariance[1, 1])


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


def test_locking_threshold(device):
    """Pairs lock up to a detuning of the pull, and beat above, at Adler's mean drift.

    u and v of 8 bits make the pull uncertain by 1.5 %: pairs this near the threshold are left out.
    """
    ratios = np.array([0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 1.01, 1.02, 1.05, 1.1, 1.2, 1.3, 1.4,
                       -0.9, -1.1, 1.5])
    program = replace(phase_pairs(0.02 * ratios, 0.02, 0.0, 16), initial=InitialState.KEEP)
    phases = [phase_difference(program, node, node + 1) for node in range(0, NODES, 2)]
    row_val = 2 / PHASES.table_rows          # a phase may wander within a row
    device.load(program)
    device.forces(np.zeros((1, NODES), np.int64))
    travel = draw(device, program, 100)
    path_val = np.unwrap(travel[:, ::2] - travel[:, 1::2], axis=0, period=2)
    time = (len(travel) - 1) * program.total_steps
    for phase, path in zip(phases, path_val.T, strict=True):
        ratio = abs(phase.constant / phase.sine)
        if abs(ratio - 1) <= UNCERTAIN:
            continue
        if phase.locks:
            assert abs(path[-1] - path[-11]) < row_val
            assert path[-1] == pytest.approx(phase.rest_val, abs=0.02)
        else:
            assert abs(path[-1]) > 4
            assert path[-1] - path[0] == pytest.approx(phase.beat_val * time, abs=2)
    assert sum(phase.locks for phase in phases) == 7
