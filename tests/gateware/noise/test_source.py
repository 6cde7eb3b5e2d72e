"""Seeder, generator and Gaussians equal the contract's, draw for draw."""

from functools import partial
from random import Random

import pytest

from pendula.contract import noise
from pendula.contract.gaussian import GAUSSIAN_LAW, TriangleMixture
from pendula_gateware.fabric import ECP5, GENERIC, ICE40
from pendula_gateware.noise.seeder import SeedBank, Seeder, SerialSeeder
from pendula_gateware.noise.source import GaussianMapper, NoiseSource, Xoshiro
from streams import get, put, simulate

NAMES = [(0, 0), (1, 0), (0, 1), ((1 << 64) - 1, (1 << 32) - 1), (0x0123456789ABCDEF, 77)]


@pytest.mark.parametrize("make", [Seeder, partial(Seeder, fabric=ECP5), SerialSeeder])
def test_seeder(make):
    component = make()
    names = [{"seed_lo": seed & 0xFFFFFFFF, "seed_hi": seed >> 32, "index": index}
             for seed, index in NAMES]
    states = []

    async def feed(ctx):
        await put(ctx, component.i, names, Random(1), 0.5)

    async def receive(ctx):
        states.extend(await get(ctx, component.o, len(names), Random(2), 0.5))

    simulate(component, feed, receive)
    assert [tuple(state) for state in states] == [component.model(*name) for name in NAMES]


@pytest.mark.parametrize("fabric", [GENERIC, ECP5], ids=lambda fabric: fabric.name)
@pytest.mark.parametrize("lanes", [1, 2, 5])
def test_seed_bank(lanes, fabric):
    """Streams of a job are shown one by one, and those of the next job only when all are read."""
    component = SeedBank(lanes=lanes, fabric=fabric)
    jobs = [(7, 100, lanes - 1), (7, 100 + lanes, 0), (2**64 - 1, 2**32 - lanes, lanes - 1)]

    async def run(ctx):
        for seed_raw, index, more in jobs:
            ctx.set(component.name, {"seed_lo": seed_raw & 0xFFFFFFFF, "seed_hi": seed_raw >> 32,
                                     "index": index})
            ctx.set(component.more, more)
            ctx.set(component.wanted, 1)
            cycles = 0
            while not ctx.get(component.ready):
                assert ctx.get(component.o.as_value()) == 0
                await ctx.tick()
                cycles += 1
            assert cycles <= (more + 1) * component.stream_latency + 1
            ctx.set(component.wanted, 0)
            for place in range(more + 1):
                ctx.set(component.place, place)
                ctx.set(component.read, 1)
                ctx.set(component.taken, place == more)
                await ctx.tick()
                assert tuple(ctx.get(component.o)) == noise.seed_state(seed_raw, index + place)
            ctx.set(component.read, 0)
            ctx.set(component.taken, 0)
            await ctx.tick()
            assert ctx.get(component.o.as_value()) == 0
            assert not ctx.get(component.ready)

    simulate(component, run)


def test_a_bank_that_rests_shows_a_stream_and_then_zeros():
    component = SeedBank(lanes=1, fabric=ICE40)
    assert component.rests

    async def run(ctx):
        for seed_raw, index in NAMES:
            ctx.set(component.name, {"seed_lo": seed_raw & 0xFFFFFFFF, "seed_hi": seed_raw >> 32,
                                     "index": index})
            ctx.set(component.wanted, 1)
            cycles = 0
            while not ctx.get(component.ready):
                await ctx.tick()
                cycles += 1
            assert cycles <= component.stream_latency + 1
            ctx.set(component.wanted, 0)
            ctx.set(component.read, 1)
            ctx.set(component.taken, 1)
            await ctx.tick()
            ctx.set(component.read, 0)
            ctx.set(component.taken, 0)
            assert tuple(ctx.get(component.o)) == noise.seed_state(seed_raw, index)
            for _ in range(3):
                await ctx.tick()
                assert ctx.get(component.o.as_value()) == 0

    simulate(component, run)


@pytest.mark.parametrize("make", [Seeder, partial(Seeder, fabric=ECP5), SerialSeeder])
def test_seeder_latency(make):
    component = make()
    waited = []

    async def run(ctx):
        await put(ctx, component.i, [{"seed_lo": 1, "seed_hi": 2, "index": 3}])
        cycles = 1
        while not ctx.get(component.o.valid):
            await ctx.tick()
            cycles += 1
        waited.append(cycles)

    simulate(component, run)
    assert waited == [component.latency]


async def seed(ctx, component, state):
    """Clear a generator or source and give it its first state."""
    ctx.set(component.clear, 1)
    ctx.set(component.advance, 1)           # clear wins
    await ctx.tick()
    ctx.set(component.clear, 0)
    ctx.set(component.seed, list(state))
    await ctx.tick()
    ctx.set(component.seed, [0] * 4)
    ctx.set(component.advance, 0)


def test_generator_holds_between_draws():
    component = Xoshiro()

    async def run(ctx):
        rng = Random(3)
        for name in NAMES[:2]:                  # seeded anew while a stream is under way
            state, draw = noise.seed_state(*name), None
            await seed(ctx, component, state)
            for _ in range(500):
                advance = rng.random() < 0.6
                ctx.set(component.advance, advance)
                await ctx.tick()
                if advance:
                    draw, state = component.model(state)
                if draw is not None:
                    assert ctx.get(component.draw.as_value()) == draw

    simulate(component, run)


@pytest.mark.parametrize("fabric", [GENERIC, ICE40, ECP5], ids=lambda fabric: fabric.name)
@pytest.mark.parametrize(("seed_raw", "index"), NAMES)
def test_source(seed_raw, index, fabric):
    component = NoiseSource(fabric=fabric)
    draws = component.model(seed_raw, index)

    async def run(ctx):
        await seed(ctx, component, noise.seed_state(seed_raw, index))
        ctx.set(component.advance, 1)
        await ctx.tick().repeat(component.latency)
        for _ in range(400):
            draw = next(draws)
            assert ctx.get(component.word) == noise.uniform_word(draw)
            assert ctx.get(component.gaussian) == noise.gaussian(draw)
            await ctx.tick()

    simulate(component, run)


@pytest.mark.parametrize("law", [GAUSSIAN_LAW, TriangleMixture(4, 9, 2, 6)])
def test_gaussians_at_the_thresholds(law):
    component = GaussianMapper(law=law)
    top, full = law.uniform_bits + law.threshold_bits, (1 << law.threshold_bits) - 1
    uniforms = (1 << law.uniform_bits) - 1
    draws = [cell << top + law.uniform_bits | second << top | threshold << law.uniform_bits | first
             for cell, row in enumerate(law.table)
             for threshold in (max(row.threshold - 1, 0), row.threshold, full)
             for first, second in ((0, 0), (uniforms, uniforms - 1), (1, uniforms))]
    seen = []

    async def run(ctx):
        for cycle in range(len(draws) + component.latency):
            if cycle >= component.latency:
                seen.append(ctx.get(component.gaussian))
            if cycle < len(draws):
                ctx.set(component.draw, draws[cycle])
            await ctx.tick()

    simulate(component, run)
    assert seen == [component.model(draw) for draw in draws]
