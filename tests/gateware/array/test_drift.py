"""Couplings, local terms and their sum equal their models, one node a cycle, at their latency."""

from random import Random
from typing import Any

import pytest

from pendula.contract import PHYSICS, ArraySpec
from pendula.contract.numbers import Interval
from pendula_gateware.array.drift import FAN_IN, CouplingSum, Drift, LocalTerms, tree_latency
from streams import simulate

SPECS = [ArraySpec(physics=physics, nodes=40, offsets=tuple(range(1, degree + 1)), table_bits=4)
         for physics in PHYSICS.values() for degree in (1, 2, 5, 24)]
IDS = [f"{spec.physics.name}-{len(spec.offsets)}" for spec in SPECS]
NODES = 60


def pick(rng: Random, within: Interval) -> int:
    """Draw from an interval, its ends often."""
    return rng.choice((within.lo, within.hi, rng.randint(within.lo, within.hi)))


def picks(rng: Random, within: Interval, count: int) -> list[int]:
    return [pick(rng, within) for _ in range(count)]


def stream_through(component: Any, nodes: list[dict[str, Any]]) -> list[int]:
    """Feed one node a cycle; return what comes out `latency` cycles after each."""
    outputs: list[int] = []

    def assign(ctx, port, value):
        for name, item in value.items():
            if isinstance(item, dict):
                assign(ctx, port[name], item)
            else:
                ctx.set(port[name], item)

    async def run(ctx):
        for cycle in range(len(nodes) + component.latency):
            if cycle >= component.latency:
                outputs.append(ctx.get(component.o))
            if cycle < len(nodes):
                for name, value in nodes[cycle].items():
                    if isinstance(value, dict):
                        assign(ctx, getattr(component, name), value)
                    else:
                        ctx.set(getattr(component, name), value)
            await ctx.tick()

    simulate(component, run)
    return outputs


def draw_node(spec: ArraySpec, rng: Random) -> dict[str, Any]:
    """Draw all that the drift of one node depends on."""
    physics, degree, terms = spec.physics, len(spec.offsets), len(spec.physics.basis)
    return {
        "x": pick(rng, spec.state.interval),
        "row": {name: pick(rng, spec.edge if name[0] in "uv" else spec.basis_value)
                for name in spec.columns},
        "v": [picks(rng, spec.edge, physics.rank) for _ in range(degree)],
        "codes": picks(rng, spec.code, degree),
        "local_codes": picks(rng, spec.local_code, terms),
        "coupling_gain": pick(rng, spec.gain),
        "local_gains": picks(rng, spec.gain, terms),
    }


@pytest.mark.parametrize("spec", SPECS, ids=IDS)
def test_coupling_sum(spec):
    rng = Random(1)
    edge, ranks = spec.edge, spec.physics.rank
    nodes = [{"codes": picks(rng, spec.code, len(spec.offsets)), "u": picks(rng, edge, ranks),
              "v": [picks(rng, edge, ranks) for _ in spec.offsets]} for _ in range(NODES)]
    component = CouplingSum(spec=spec)
    units = [1] * ranks
    assert stream_through(component, nodes) == [
        component.model(node["codes"], node["v"], node["u"] if spec.physics.u else units)
        for node in nodes]


@pytest.mark.parametrize("spec", SPECS[::4], ids=IDS[::4])
def test_local_terms(spec):
    rng = Random(2)
    drawn = [draw_node(spec, rng) for _ in range(NODES)]
    component = LocalTerms(spec=spec)
    outputs = stream_through(component, [
        {"own": {"x": node["x"], "row": node["row"]}, "codes": node["local_codes"],
         "gains": node["local_gains"]} for node in drawn])
    assert outputs == [component.model(node["x"], node["row"], node["local_codes"],
                                       node["local_gains"]) for node in drawn]


@pytest.mark.parametrize("spec", SPECS, ids=IDS)
def test_drift(spec):
    rng = Random(3)
    drawn = [draw_node(spec, rng) for _ in range(NODES)]
    component = Drift(spec=spec)
    single = len(spec.offsets) == 1         # a field of one item is no array in a row
    outputs = stream_through(component, [
        {"own": {"x": node["x"], "row": node["row"]}, "v": node["v"],
         "shared": {"parameter": {"codes": node["codes"][0] if single else node["codes"],
                                  "local_codes": node["local_codes"]},
                    "segment": {"coupling_gain": node["coupling_gain"],
                                "local_gains": node["local_gains"]}}} for node in drawn])
    assert outputs == [component.model(**node) for node in drawn]


def test_four_bit_codes_exhaustively():
    spec = ArraySpec(physics=PHYSICS["quartic"], nodes=4, offsets=(1,), table_bits=4)
    nodes = [{"codes": [code], "v": [[v]]} for code in range(-7, 8)
             for v in range(spec.edge.lo, spec.edge.hi + 1)]
    component = CouplingSum(spec=spec)
    assert stream_through(component, nodes) == [
        node["codes"][0] * node["v"][0][0] for node in nodes]


def test_extreme_coupling_fits():
    spec = SPECS[3]
    hi = {"codes": [spec.code.hi] * 24, "u": [spec.edge.hi] * 2, "v": [[spec.edge.hi] * 2] * 24}
    component = CouplingSum(spec=spec)
    [total] = stream_through(component, [hi])
    assert total == spec.accumulators["coupling"].hi


@pytest.mark.parametrize("terms", [1, 2, 4, 5, 16, 17, 24, 64, 65])
def test_tree_latency(terms):
    assert FAN_IN ** tree_latency(terms) >= terms
    assert terms == 1 or FAN_IN ** (tree_latency(terms) - 1) < terms
