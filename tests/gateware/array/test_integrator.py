"""The reducer equals the contract's integration, one node a cycle, ends of the ranges included."""

from random import Random

import pytest

from pendula.contract import PHYSICS, ArraySpec, noise
from pendula_gateware.array.integrator import Reducer
from pendula_gateware.array.readout import PixelMapper
from pendula_gateware.fabric import ECP5, GENERIC, ICE40
from streams import simulate

SPECS = [ArraySpec(physics=physics, nodes=40, offsets=(1, 2, 7), table_bits=4, **widths)
         for physics in PHYSICS.values()
         for widths in ({}, {"state_bits": 8}, {"state_bits": 24, "gain_bits": 10})]

IDS = [f"{spec.physics.name}-{spec.state_bits}" for spec in SPECS]


def choose(rng, within):
    return rng.choice((within.lo, within.hi, rng.randint(within.lo, within.hi)))


@pytest.mark.parametrize("fabric", [GENERIC, ICE40, ECP5], ids=lambda fabric: fabric.name)
@pytest.mark.parametrize("spec", SPECS, ids=IDS)
def test_reducer(spec, fabric):
    rng = Random(5)
    component = Reducer(spec=spec, fabric=fabric)
    near = spec.state.hi << spec.drift_f_bits
    nodes = []
    for _ in range(300):
        x, drift = choose(rng, spec.state.interval), choose(rng, spec.accumulators["drift"])
        if rng.random() < 0.5:      # small drifts: rounding decides, and saturation is rare
            drift = rng.randint(-(near >> 3), near >> 3)
        nodes.append((x, drift, choose(rng, spec.gain), choose(rng, noise.GAUSSIAN)))
    half = (1 << spec.drift_f_bits) >> 1
    for raw in (spec.state.hi, spec.state.lo):      # the very ends, from both sides of rounding
        nodes += [(raw, step + fraction, 0, 0) for step in (-2 * half, 0, 2 * half)
                  for fraction in (-half - 1, -half, -1, 0, half - 1, half)]
    outputs = []

    async def run(ctx):
        for cycle in range(len(nodes) + component.latency):
            if cycle >= component.latency:
                outputs.append((ctx.get(component.o), bool(ctx.get(component.saturated))))
            if cycle < len(nodes):
                ports = (component.x, component.drift, component.gain, component.xi)
                for port, value in zip(ports, nodes[cycle], strict=True):
                    ctx.set(port, value)
            await ctx.tick()

    simulate(component, run)
    expected = [component.model(*node) for node in nodes]
    assert outputs == expected
    assert any(saturated for _, saturated in expected) == (spec.physics.name != "kuramoto")
    assert not all(saturated for _, saturated in expected)


@pytest.mark.parametrize("fabric", [GENERIC, ICE40, ECP5], ids=lambda fabric: fabric.name)
@pytest.mark.parametrize("spec", SPECS, ids=IDS)
def test_bare_sums_are_forces(spec, fabric):
    rng = Random(8)
    component = Reducer(spec=spec, fabric=fabric)
    drifts = [choose(rng, spec.accumulators["drift"]) for _ in range(100)]
    outputs = []

    async def run(ctx):
        ctx.set(component.bare, 1)
        for drift in [*drifts, *[0] * component.latency]:
            outputs.append(ctx.get(component.force))
            ctx.set(component.drift, drift)
            ctx.set(component.gain, choose(rng, spec.gain))
            ctx.set(component.xi, choose(rng, noise.GAUSSIAN))
            await ctx.tick()

    simulate(component, run)
    assert outputs[component.latency:] == drifts


@pytest.mark.parametrize("fabric", [GENERIC, ICE40, ECP5], ids=lambda fabric: fabric.name)
@pytest.mark.parametrize("spec", SPECS, ids=IDS)
def test_pixel_mapper(spec, fabric):
    rng = Random(6)
    component = PixelMapper(spec=spec, fabric=fabric)
    settings = [(rng.choice((-32768, 32767, rng.randint(-3000, 3000), rng.randint(-3000, 3000))),
                 rng.choice((0, 32640, -(1 << 17), (1 << 17) - 1))) for _ in range(200)]
    states = [[choose(rng, spec.state.interval) for _ in range(5)] for _ in settings]
    outputs = []

    async def run(ctx):
        for (gain, offset), some in zip(settings, states, strict=True):
            ctx.set(component.registers.pixel_gain, gain)
            ctx.set(component.registers.pixel_offset, offset)
            await ctx.tick()
            seen = []
            for x in [*some, *[0] * component.latency][:-1]:
                ctx.set(component.x, x)
                ctx.set(component.en, 0)
                await ctx.tick().repeat(rng.randint(1, 2))      # nothing moves
                ctx.set(component.en, 1)
                await ctx.tick()
                seen.append(ctx.get(component.o))
            outputs.extend(seen[component.latency - 1:])

    simulate(component, run)
    expected = [component.model(gain, offset, x)
                for (gain, offset), some in zip(settings, states, strict=True) for x in some]
    assert outputs == expected
    assert len(set(expected)) > 20
