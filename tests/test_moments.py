"""Moments against NumPy on the samples themselves, and what is refused."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pendula
from pendula import device as devices
from pendula.contract import PHYSICS, ArraySpec, InitialState
from pendula.contract.statistics import Kind, Measurement, measure
from pendula.errors import ProgramError
from pendula.moments import MomentsRequest, Tally, plan_measurements
from pendula.program import random_program
from strategies import specs

SPEC = ArraySpec(physics=PHYSICS["quartic"], nodes=6, offsets=(-1, 2), segments=2, table_bits=4)


def request(spec: ArraySpec = SPEC, **changes) -> MomentsRequest:
    chosen = {"count": 4, "seed": 1, "nodes": [0, 4, 2], "edges": [(4, 1), (2, 0), (4, 0)],
              "histograms": [5, 0], "bins": 8} | changes
    return MomentsRequest(spec=spec, **chosen)


def states_of(spec: ArraySpec, count: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    states = rng.integers(spec.state.lo, spec.state.hi + 1, (count, spec.nodes))
    states[rng.random(states.shape) < 0.1] = spec.state.lo
    return states


def test_a_plan_names_edges_after_their_first_end():
    plan = plan_measurements(request())
    S, Q, P, H = Kind
    assert plan.measurements == [
        Measurement(*pair) for pair in (
            (S, 0), (Q, 0), (S, 4), (Q, 4), (P, 1), (P, 0), (S, 2), (Q, 2), (P, 0),
            (S, 1), (Q, 1), (H, 5), (H, 0))]
    assert plan.sums == 11 + 2 * 8
    assert plan.places["products"].tolist() == [4, 8, 5]
    assert plan.places["counts"].tolist() == [[*range(11, 19)], [*range(19, 27)]]


@st.composite
def requests(draw: st.DrawFn) -> MomentsRequest:
    spec = draw(specs(nodes_hi=7))
    node = st.integers(0, spec.nodes - 1)
    edges = st.tuples(node, node).filter(lambda edge: edge[0] != edge[1])
    return request(spec, count=draw(st.integers(1, 9)), thin=draw(st.integers(1, 4)),
                   nodes=draw(st.lists(node, unique=True)),
                   edges=draw(st.lists(edges, unique=True, max_size=9)),
                   histograms=draw(st.lists(node, unique=True)),
                   bins=1 << draw(st.integers(1, 8)))


@given(requests(), st.integers(0, 99), st.data())
def test_a_tally_equals_the_plan_on_the_contract(asked: MomentsRequest, seed, data):
    """However the samples arrive, they add up to what a device adds up."""
    plan, states = plan_measurements(asked), states_of(asked.spec, asked.drawn, seed)
    sums = np.array(measure(asked.spec, plan.measurements, asked.bin_bits, asked.thin,
                            states.tolist(), plan.sums), np.int64)
    tally, rest = Tally(asked), states
    while len(rest):
        size = data.draw(st.integers(1, len(rest)))
        tally.add(rest[:size].astype(np.int32))
        rest = rest[size:]
    mine, device = tally.moments(3, None), plan.moments(asked, sums, 3, None)
    for name in plan.places:
        found, expected = getattr(mine, name), getattr(device, name)
        assert found.dtype == np.int64
        assert np.array_equal(found, expected), name


def test_what_follows_equals_numpy():
    asked = request(count=200, thin=3, nodes=range(6))
    states = states_of(SPEC, 600)
    tally = Tally(asked)
    tally.add(states)
    moments, x_val = tally.moments(0, None), states[2::3] * 2.0**-SPEC.state.f_bits
    assert moments.mean_val == pytest.approx(x_val.mean(axis=0), rel=1e-12)
    assert moments.variance_val == pytest.approx(x_val.var(axis=0), rel=1e-12)
    covariance, correlation = np.cov(x_val.T, bias=True), np.atleast_2d(np.corrcoef(x_val.T))
    assert moments.covariance_val == pytest.approx(
        [covariance[i, j] for i, j in asked.edges], abs=1e-12)
    assert moments.correlation == pytest.approx(
        [correlation[i, j] for i, j in asked.edges], abs=1e-12)
    for counts, node in zip(moments.counts, asked.histograms, strict=True):
        assert counts.tolist() == np.histogram(x_val[:, node], moments.bin_edges_val)[0].tolist()


def test_moments_are_rounded_once():
    """Where doubles would lose everything: a tiny variance about a large mean."""
    asked = request(count=3, nodes=[0], edges=[], histograms=[])
    states = np.full((3, 6), SPEC.state.lo)
    states[0, 0] += 1
    tally = Tally(asked)
    tally.add(states)
    assert tally.moments(0, None).variance_raw.tolist() == [float(Fraction(2, 9))]


def test_an_end_that_never_changes_has_no_correlation():
    tally = Tally(request(edges=[(0, 1)]))
    tally.add(np.zeros((4, 6), np.int32))
    assert np.isnan(tally.moments(0, None).correlation).all()


@pytest.mark.parametrize(("changes", "words"), [
    ({"count": 0}, "count must be within 1..536870911, not 0"),
    ({"count": 1 << 29}, "count must be within 1..536870911, not 536870912"),
    ({"seed": -1}, r"seed must be within 0\.\.18446744073709551615, not -1"),
    ({"thin": 0}, "thin must be within 1..65536, not 0"),
    ({"thin": 65537}, "thin must be within 1..65536, not 65537"),
    ({"stop_step": -1}, "stop_step must be within"),
    ({"first": -1}, "Sample indices must be within 0..4294967295, not -1..2"),
    ({"first": 2**32 - 7, "thin": 2}, "Sample indices must be within .*, not 42.*..4294967296"),
    *(({"bins": bins}, f"bins must be a power of two within 2..256, not {bins}")
      for bins in (0, 1, 7, 512, -2)),
    ({"nodes": [0, 6]}, r"nodes\[1\] must be within 0..5, not 6"),
    ({"nodes": [-1]}, r"nodes\[0\] must be within 0..5, not -1"),
    ({"nodes": [1, 2, 1]}, "nodes must not hold 1 twice"),
    ({"nodes": [0.5]}, "nodes must hold integers, not float64"),
    ({"nodes": [True] * 6}, "nodes must hold numbers of nodes, not truth values"),
    ({"nodes": 3}, r"nodes must have shape \(0,\), not \(\)"),
    ({"edges": [(0, 6)]}, r"edges\[0, 1\] must be within 0..5, not 6"),
    ({"edges": [(2, 2)]}, r"Edge must join two different nodes, not \[2, 2\]"),
    ({"edges": [(0, 1), (0, 1)]}, r"edges must not hold \[0, 1\] twice"),
    ({"edges": [(0, 1, 2)]}, r"edges must have shape \(1, 2\), not \(1, 3\)"),
    ({"edges": [0, 1]}, r"edges must have shape \(2, 2\), not \(2,\)"),
    ({"edges": [(0, 1), (1,)]}, "edges must not hold rows of different lengths"),
    ({"histograms": [9]}, r"histograms\[0\] must be within 0..5, not 9"),
])
def test_bad_requests_are_refused(changes, words):
    with pytest.raises(ProgramError, match=words):
        request(**changes)


def test_nothing_but_counts():
    """No node, no edge and no histogram is no error: the samples are drawn."""
    tally = Tally(request(nodes=[], edges=[], histograms=[]))
    tally.add(np.zeros((4, 6), np.int32))
    moments = tally.moments(0, None)
    assert moments.totals.shape == moments.products.shape == moments.correlation.shape == (0,)
    assert moments.counts.shape == (0, 8)


@pytest.mark.parametrize("url", ["twin://", "float://"])
@pytest.mark.parametrize("initial", [InitialState.UNIFORM, InitialState.KEEP])
def test_software_devices_add_up_their_samples(url, initial, monkeypatch):
    monkeypatch.setattr(devices, "_PIECE", 7)
    program = random_program(SPEC, np.random.default_rng(1), initial=initial)
    program = replace(program, visible=np.arange(6) < 4)
    seen = []
    with pendula.open(url) as device:
        device.load(program)
        moments = device.moments(10, seed=4, first=3, thin=2, stop_step=5, edges=[(1, 5)],
                                 histograms=[5], progress=seen.append)
        assert device.health.saturations == moments.saturations
    with pendula.open(url) as device:
        device.load(program)
        batch = device.sample(20, seed=4, first=3, hidden=True, stop_step=5)
    tally = Tally(moments.request)
    tally.add(batch.values)
    again = tally.moments(batch.saturations, None)
    assert moments.request.nodes.tolist() == [0, 1, 2, 3, 5]
    assert sum(seen) == 20
    for name in ("totals", "squares", "products", "counts"):
        assert getattr(moments, name) == pytest.approx(getattr(again, name), rel=1e-12)
    assert moments.saturations == again.saturations
