"""Couplings, local terms and their sum equal their models, at their latency and throughput."""

from dataclasses import replace
from itertools import product
from random import Random
from typing import Any

import pytest
from amaranth.back import rtlil  # pyright: ignore[reportAttributeAccessIssue]

from pendula.contract import PHYSICS, ArraySpec
from pendula.contract.numbers import Interval
from pendula_gateware.array.drift import (
    FAN_IN,
    Drift,
    LocalTerms,
    NeighbourSum,
    tree_latency,
)
from pendula_gateware.array.shapes import accumulator_shape, packs_edges
from pendula_gateware.fabric import ECP5, GENERIC, Fabric
from pendula_gateware.numeric.packing import packed
from streams import simulate

SPECS = [ArraySpec(physics=physics, nodes=40, offsets=tuple(range(1, degree + 1)), table_bits=4)
         for physics in PHYSICS.values() for degree in (1, 2, 5, 24)]
IDS = [f"{spec.physics.name}-{len(spec.offsets)}" for spec in SPECS]
NODES = 60
FOLDED = [(GENERIC, 2), (GENERIC, 3), (GENERIC, 24), (ECP5, 2), (ECP5, 5), (ECP5, 7)]
FABRICS = [GENERIC, ECP5, *(replace(fabric, fold=fold) for fabric, fold in FOLDED)]
FABRIC_IDS = [f"{fabric.name}-{fabric.fold}" for fabric in FABRICS]


def pick(rng: Random, within: Interval) -> int:
    """Draw from an interval, its ends often."""
    return rng.choice((within.lo, within.hi, rng.randint(within.lo, within.hi)))


def picks(rng: Random, within: Interval, count: int) -> list[int]:
    return [pick(rng, within) for _ in range(count)]


def stream_through(component: Any, nodes: list[dict[str, Any]], late: frozenset[str] = frozenset(),
                   wait: int = 0, fold: int = 1) -> list[Any]:
    """Feed one node in `fold` cycles; return what comes out of each.

    `late` ports get theirs in one cycle alone, `wait` cycles later, and another node's in others.
    """
    outputs: list[Any] = []

    def assign(ctx, port, value):
        if isinstance(value, dict):
            for name, item in value.items():
                assign(ctx, port[name], item)
        else:
            ctx.set(port, value)

    async def run(ctx):
        for cycle in range(fold * len(nodes) + component.latency):
            number, rest = divmod(cycle - component.latency, fold)
            if number >= 0 and not rest:
                output = ctx.get(component.o)
                outputs.append(output if isinstance(output, int) else [*output])
            if fold > 1:
                ctx.set(component.phase, cycle % fold)
            for name in nodes[0]:
                number, rest = divmod(cycle - wait * (name in late), fold)
                if name in late and rest:
                    number += rest
                if 0 <= number < len(nodes):
                    assign(ctx, getattr(component, name), nodes[number][name])
            await ctx.tick()

    simulate(component, run)
    return outputs


def as_neighbours(spec: ArraySpec, fabric: Fabric, v: list[list[int]]) -> list[Any]:
    """Return functions of neighbours as a lane of this fabric sees them."""
    if not packs_edges(spec, fabric):
        return v
    return [packed(values, accumulator_shape(spec, "partial").width) for values in v]


def draw_node(spec: ArraySpec, rng: Random) -> dict[str, Any]:
    """Draw all that the drift of one node depends on."""
    physics, degree, terms = spec.physics, len(spec.offsets), len(spec.physics.basis)
    return {
        "x": pick(rng, spec.state.interval),
        "row": {name: pick(rng, spec.edge if name[0] in "uv" else spec.basis_value)
                for name in spec.columns},
        "v": [picks(rng, spec.edge, physics.rank) for _ in range(degree)],
        "codes": picks(rng, spec.code, degree),
        "weights": picks(rng, spec.gain * spec.local_code, terms),
        "coupling_gain": pick(rng, spec.gain),
    }


@pytest.mark.parametrize("fabric", FABRICS, ids=FABRIC_IDS)
@pytest.mark.parametrize("spec", SPECS, ids=IDS)
def test_neighbour_sum(spec, fabric):
    fabric = replace(fabric, fold=min(fabric.fold, len(spec.offsets)))
    rng = Random(1)
    nodes = [{"codes": picks(rng, spec.code, len(spec.offsets)),
              "v": [picks(rng, spec.edge, spec.physics.rank) for _ in spec.offsets]}
             for _ in range(NODES)]
    component = NeighbourSum(spec=spec, fabric=fabric)
    seen = [node | {"v": as_neighbours(spec, fabric, node["v"])} for node in nodes]
    assert stream_through(component, seen, fold=fabric.fold) == [
        component.model(node["codes"], node["v"]) for node in nodes]


@pytest.mark.parametrize("spec", SPECS[::4], ids=IDS[::4])
def test_local_terms(spec):
    rng = Random(2)
    drawn = [draw_node(spec, rng) for _ in range(NODES)]
    component = LocalTerms(spec=spec)
    outputs = stream_through(component, [
        {"own": {"x": node["x"], "row": node["row"]}, "weights": node["weights"]}
        for node in drawn])
    assert outputs == [component.model(node["x"], node["row"], node["weights"]) for node in drawn]


@pytest.mark.parametrize("fabric", FABRICS, ids=FABRIC_IDS)
@pytest.mark.parametrize("spec", SPECS, ids=IDS)
def test_drift(spec, fabric):
    fabric = replace(fabric, fold=min(fabric.fold, len(spec.offsets)))
    rng = Random(3)
    drawn = [draw_node(spec, rng) for _ in range(NODES)]
    component = Drift(spec=spec, fabric=fabric)
    outputs = stream_through(component, [
        {"codes": node["codes"], "v": as_neighbours(spec, fabric, node["v"]),
         "own": {"x": node["x"], "row": node["row"]},
         "shared": {"weights": node["weights"], "coupling_gain": node["coupling_gain"]}}
        for node in drawn], frozenset({"own", "shared"}), component.wait, fabric.fold)
    assert outputs == [component.model(**node) for node in drawn]


@pytest.mark.parametrize("fabric", [GENERIC, ECP5], ids=lambda fabric: fabric.name)
def test_four_bit_codes_exhaustively(fabric):
    spec = ArraySpec(physics=PHYSICS["quartic"], nodes=4, offsets=(1,), table_bits=4)
    nodes = [{"codes": [code], "v": [[v]]} for code in range(-7, 8)
             for v in range(spec.edge.lo, spec.edge.hi + 1)]
    component = NeighbourSum(spec=spec, fabric=fabric)
    assert stream_through(component, nodes) == [
        [node["codes"][0] * node["v"][0][0]] for node in nodes]


@pytest.mark.parametrize("fabric", [GENERIC, ECP5], ids=lambda fabric: fabric.name)
@pytest.mark.parametrize("code_bits", [2, 3, 5, 6])
def test_other_widths_of_codes(code_bits, fabric):
    rng = Random(4)
    spec = ArraySpec(physics=PHYSICS["ising"], nodes=9, offsets=(1, 2, 3), code_bits=code_bits)
    nodes = [{"codes": picks(rng, spec.code, 3), "v": [picks(rng, spec.edge, 1) for _ in range(3)]}
             for _ in range(NODES)]
    component = NeighbourSum(spec=spec, fabric=fabric)
    assert stream_through(component, nodes) == [
        component.model(node["codes"], node["v"]) for node in nodes]


@pytest.mark.parametrize("fabric", [GENERIC, ECP5], ids=lambda fabric: fabric.name)
@pytest.mark.parametrize(("edge_bits", "code_bits", "degree"), [
    (9, 8, 1), (12, 2, 1), (12, 2, 16), (12, 8, 40), (4, 4, 3)])
def test_widths_of_packed_functions(edge_bits, code_bits, degree, fabric):
    """Sums of 16 bits, and more; one product may need more than their sum."""
    rng = Random(7)
    spec = ArraySpec(physics=PHYSICS["kuramoto"], nodes=99, offsets=tuple(range(1, degree + 1)),
                     code_bits=code_bits, edge_bits=edge_bits)
    drawn = [(picks(rng, spec.code, degree), [picks(rng, spec.edge, 2) for _ in spec.offsets])
             for _ in range(NODES)]
    component = NeighbourSum(spec=spec, fabric=fabric)
    assert stream_through(component, [
        {"codes": codes, "v": as_neighbours(spec, fabric, v)} for codes, v in drawn]) == [
        component.model(codes, v) for codes, v in drawn]


@pytest.mark.parametrize(("degree", "fold", "products"), [
    (24, 1, 24), (24, 2, 12), (24, 7, 4), (24, 24, 1), (5, 4, 2), (1, 1, 1)])
def test_products_are_shared(degree, fold, products):
    """By as many multiplications in the sum's own module, whatever the rank."""
    for spec in (spec for spec in SPECS if len(spec.offsets) == degree):
        component = NeighbourSum(spec=spec, fabric=replace(GENERIC, fold=fold))
        assert component.products == products
        text = rtlil.convert(component, emit_src=False)
        assert text.count("cell $mul ") == products


@pytest.mark.parametrize("fabric", FABRICS, ids=FABRIC_IDS)
@pytest.mark.parametrize("spec", SPECS[3::4], ids=IDS[3::4])
def test_extreme_sum_fits(fabric, spec):
    """Of each rank on its own."""
    limits = spec.accumulators["partial"]
    for signs in product((1, -1), repeat=spec.physics.rank):
        component = NeighbourSum(spec=spec, fabric=fabric)
        v = [[sign * spec.edge.hi for sign in signs]] * 24
        extreme = {"codes": [spec.code.hi] * 24, "v": as_neighbours(spec, fabric, v)}
        [sums] = stream_through(component, [extreme], fold=fabric.fold)
        assert sums == [limits.hi if sign > 0 else limits.lo for sign in signs]


@pytest.mark.parametrize("terms", [1, 2, 4, 5, 16, 17, 24, 64, 65])
def test_tree_latency(terms):
    assert FAN_IN ** tree_latency(terms) >= terms
    assert terms == 1 or FAN_IN ** (tree_latency(terms) - 1) < terms
