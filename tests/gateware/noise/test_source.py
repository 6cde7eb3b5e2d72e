"""Seeder, generator and Gaussians equal the contract's, draw for draw."""

from random import Random

import pytest

from pendula.contract import noise
from pendula_gateware.noise.seeder import Seeder
from pendula_gateware.noise.source import GaussianMapper, NoiseSource, Xoshiro
from streams import get, put, simulate

NAMES = [(0, 0), (1, 0), (0, 1), ((1 << 64) - 1, (1 << 32) - 1), (0x0123456789ABCDEF, 77)]


def test_seeder():
    component = Seeder()
    names = [{"seed_lo": seed & 0xFFFFFFFF, "seed_hi": seed >> 32, "index": index}
             for seed, index in NAMES]
    states = []

    async def feed(ctx):
        await put(ctx, component.i, names, Random(1), 0.5)

    async def receive(ctx):
        states.extend(await get(ctx, component.o, len(names), Random(2), 0.5))

    simulate(component, feed, receive)
    assert [tuple(state) for state in states] == [component.model(*name) for name in NAMES]


def test_seeder_latency():
    component = Seeder()
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


def test_generator_holds_between_draws():
    component = Xoshiro()
    state = noise.seed_state(5, 6)

    async def run(ctx):
        nonlocal state
        rng = Random(3)
        ctx.set(component.state, list(state))
        ctx.set(component.load, 1)
        ctx.set(component.advance, 1)       # load wins
        await ctx.tick()
        ctx.set(component.load, 0)
        word = None
        for _ in range(500):
            advance = rng.random() < 0.6
            ctx.set(component.advance, advance)
            await ctx.tick()
            if advance:
                word, state = component.model(state)
            if word is not None:
                assert ctx.get(component.word) == word

    simulate(component, run)


@pytest.mark.parametrize(("seed", "index"), NAMES)
def test_source(seed, index):
    component = NoiseSource()
    words = component.model(seed, index)

    async def run(ctx):
        ctx.set(component.state, list(noise.seed_state(seed, index)))
        ctx.set(component.load, 1)
        await ctx.tick()
        ctx.set(component.load, 0)
        ctx.set(component.advance, 1)
        await ctx.tick().repeat(component.latency)
        for _ in range(400):
            word = next(words)
            assert ctx.get(component.word) == word
            assert ctx.get(component.gaussian) == noise.gaussian(word)
            await ctx.tick()

    simulate(component, run)


def test_gaussians_at_the_thresholds():
    component = GaussianMapper()
    top = (1 << noise.THRESHOLD_BITS) - 1
    words = [cell | min(threshold, top) << noise.CELL_BITS
             for cell, row in enumerate(noise.alias_table())
             for threshold in (max(row.threshold - 1, 0), row.threshold, row.threshold + 1)]
    seen = []

    async def run(ctx):
        for cycle in range(len(words) + component.latency):
            if cycle >= component.latency:
                seen.append(ctx.get(component.gaussian))
            if cycle < len(words):
                ctx.set(component.word, words[cycle])
            await ctx.tick()

    simulate(component, run)
    assert seen == [component.model(word) for word in words]
