# amaranth: UnusedElaboratable=no
"""The jitter seeder equals the contract's, bit for bit; its rings are closed and odd."""

import re
from itertools import islice
from random import Random

import pytest
from amaranth.back import rtlil  # pyright: ignore[reportAttributeAccessIssue]

from pendula.contract import jitter
from pendula.contract.registers import JitterStatus
from pendula.errors import ContractError
from pendula_gateware.noise.jitter import (
    RINGS,
    TECHNOLOGIES,
    Conditioner,
    HealthTests,
    JitterSeeder,
    ModelSource,
    RingOscillator,
    RingSampler,
    RingSource,
)
from pendula_gateware.top import Flat
from streams import put, simulate

technologies = pytest.mark.parametrize("technology", TECHNOLOGIES)


# Model

@pytest.mark.parametrize("ones", [0.0, 0.3, 0.5, 1.0])
def test_model_source(ones):
    dut, rng = ModelSource(ones=ones), Random(1)
    bits = []

    async def bench(ctx):
        while len(bits) < 300:
            run = rng.random() < 0.7
            ctx.set(dut.run, run)
            _, _, valid, bit = await ctx.tick().sample(dut.o.valid, dut.o.p)
            assert valid == run
            if valid:
                bits.append(bit)

    simulate(dut, bench)
    assert bits == [*islice(jitter.model_bits(ones), len(bits))]


# Rings

def netlist(component):
    """Return type, parameters, connections and whether it is kept, of every table of a design."""
    names = "|".join(cell for cell, *_ in TECHNOLOGIES.values())
    text = rtlil.convert(Flat(component), name="top", emit_src=False)
    for kept, cell, body in re.findall(
            rf"((?:  attribute .*\n)*)  cell \\({names}) .*\n((?:    .*\n)*?)  end\n", text):
        parameters = dict(re.findall(r"parameter \\(\w+) (\S+)", body))
        wires = dict(re.findall(r"connect \\(\w+) (\S+)", body))
        yield cell, parameters, wires, "\\keep 1" in kept


@technologies
@pytest.mark.parametrize("inverters", [3, 7])
def test_a_ring_is_one_closed_chain_with_one_gate(technology, inverters):
    cell, table, output, inputs = TECHNOLOGIES[technology]
    tables = [*netlist(RingOscillator(technology=technology, inverters=inverters))]
    assert len(tables) == inverters
    following = {}
    gates = 0
    for found, parameters, wires, kept in tables:
        assert (found, kept) == (cell, True)
        law = int(parameters[table].split("'")[1], 2)
        gated = not wires[inputs[1]].startswith("1'")
        gates += gated
        assert [wires[name] for name in inputs[2:]] == ["1'0", "1'0"]
        for a in (0, 1):
            for b in (0, 1):        # the output for every value of the inputs that are connected
                if gated or not b:
                    assert law >> (a | b << 1) & 1 == 1 - (a & b if gated else a)
        following[wires[inputs[0]]] = wires[output]
    assert gates == 1
    place, seen = next(iter(following)), []
    while place not in seen:
        seen.append(place)
        place = following[place]
    assert len(seen) == inverters
    assert place == seen[0]


def unit_delay(technology, inverters, runs):
    """Return the output of a ring whose cells all take one step, from all zeros on."""
    _, table, output, inputs = TECHNOLOGIES[technology]
    tables = [*netlist(RingOscillator(technology=technology, inverters=inverters))]
    values, outputs = {wires[output]: 0 for _, _, wires, _ in tables}, []
    for run in runs:
        seen = {**values, "\\run": run, "1'0": 0}
        for _, parameters, wires, _ in tables:
            place = sum(seen[wires[name]] << k for k, name in enumerate(inputs))
            values[wires[output]] = int(parameters[table].split("'")[1], 2) >> place & 1
        outputs.append(values["\\o"])
    return outputs


@technologies
@pytest.mark.parametrize("inverters", [3, 5, 11])
def test_a_ring_rests_at_one_and_then_sends_a_single_edge_round(technology, inverters):
    """A half period is one way round the chain, so no second edge runs along."""
    rest, run = 2 * inverters, 8 * inverters
    outputs = unit_delay(technology, inverters, [0] * rest + [1] * run + [0] * rest)
    assert outputs[inverters:rest] == [1] * (rest - inverters)
    halves = [outputs[k:k + inverters] for k in range(rest + inverters - 1, rest + run, inverters)]
    assert halves[:7] == [[k % 2] * inverters for k in range(7)]
    assert outputs[-inverters:] == [1] * inverters


@technologies
def test_a_source_has_all_its_rings(technology):
    source = RingSource(technology=technology)
    assert source.rings == len(RINGS)
    assert len([*netlist(JitterSeeder(source=source))]) == sum(RINGS)


@pytest.mark.parametrize("inverters", [1, 4, 0, -3])
def test_rings_that_cannot_oscillate_are_refused(inverters):
    with pytest.raises(ContractError, match=f"odd and at least 3, not {inverters}"):
        RingOscillator(technology="ecp5", inverters=inverters)


def test_an_unknown_technology_is_refused():
    with pytest.raises(ContractError, match="one of ecp5, ice40, not 'virtex'"):
        RingSource(technology="virtex")


def test_sampler_sums_what_it_saw_before_its_flip_flops():
    dut, rng = RingSampler(rings=4), Random(2)
    seen, bits = [], []

    async def bench(ctx):
        runs = 0
        while len(bits) < 60:
            run = rng.random() < 0.9
            seen.append(rng.randrange(16))
            ctx.set(dut.i, seen[-1])
            ctx.set(dut.run, run)
            _, _, valid, bit = await ctx.tick().sample(dut.o.valid, dut.o.p)
            runs += run
            assert valid == (run and runs % jitter.SAMPLE_CYCLES == 0)
            if valid:
                bits.append(bit)
                assert bit == seen[-1 - dut.latency].bit_count() % 2

    simulate(dut, bench)
    assert {0, 1} == {*bits}


# Health tests and conditioner

def with_run(length):
    bits = [k & 1 for k in range(200)]
    bits[50:50 + length] = [1] * length
    return bits


@pytest.mark.parametrize("bits", [
    *([*islice(jitter.model_bits(ones), 2 * jitter.WINDOW_BITS + 5)]
      for ones in (0.0, 0.2, 0.5, 0.78, 0.8, 1.0)),
    with_run(jitter.REPETITION_CUTOFF - 1), with_run(jitter.REPETITION_CUTOFF),
    [0] * jitter.REPETITION_CUTOFF, [0, *[1] * jitter.PROPORTION_CUTOFF] * 2,
], ids=lambda bits: f"{sum(bits)} of {len(bits)}")
def test_health_tests(bits):
    """The flags rise with the very bit at which the contract's tests fail."""
    dut, rng = HealthTests(), Random(3)
    falls = {flag: next((k for k in range(1, len(bits) + 1) if flag in jitter.health(bits[:k])),
                        len(bits) + 1) for flag in (JitterStatus.REPETITION,
                                                    JitterStatus.PROPORTION)}

    async def bench(ctx):
        for _ in range(2):
            ctx.set(dut.clear, 1)
            await ctx.tick()
            ctx.set(dut.clear, 0)
            for k, bit in enumerate(bits, start=1):
                while rng.random() < 0.1:
                    ctx.set(dut.i.p, 1 - bit)
                    await ctx.tick()
                ctx.set(dut.i.p, bit)
                ctx.set(dut.i.valid, 1)
                await ctx.tick()
                ctx.set(dut.i.valid, 0)
                assert ctx.get(dut.repetition) == (k >= falls[JitterStatus.REPETITION])
                assert ctx.get(dut.proportion) == (k >= falls[JitterStatus.PROPORTION])

    simulate(dut, bench)


@pytest.mark.parametrize("stall", [0.0, 0.3])
def test_conditioner(stall):
    dut, rng = Conditioner(), Random(4)

    async def bench(ctx):
        for blocks in (1, 2, 5, 0):
            numbers = [rng.randrange(1 << jitter.BLOCK_BITS) for _ in range(blocks)]
            bits = [number >> k & 1 for number in numbers for k in range(jitter.BLOCK_BITS)]
            ctx.set(dut.clear, 1)
            await ctx.tick()
            ctx.set(dut.clear, 0)
            await put(ctx, dut.i, numbers, rng, stall)
            for _ in range(dut.latency - 1 if blocks else 0):
                assert not ctx.get(dut.i.ready)
                await ctx.tick()
            assert ctx.get(dut.i.ready)
            assert ctx.get(dut.seed) == dut.model(bits)

    simulate(dut, bench)


# Seeder

async def command(ctx, port, name):
    """Give a command and wait; return the cycles that it took."""
    ctx.set(getattr(port, name), 1)
    await ctx.tick()
    ctx.set(getattr(port, name), 0)
    cycles = 0
    while ctx.get(port.busy):
        if name == "draw":
            assert ctx.get(port.seed) == 0
            assert JitterStatus.HEALTHY not in JitterStatus(ctx.get(port.status))
        await ctx.tick()
        cycles += 1
    return cycles


def gathered(bits):
    return sum(bit << k for k, bit in enumerate(bits[-32:]))


@pytest.mark.parametrize("ones", [0.5, 0.78, 0.85, 1.0])
def test_seeder(ones):
    dut = JitterSeeder(source=ModelSource(ones=ones))
    raw_bits, rng = jitter.model_bits(ones), Random(5)
    found = []

    async def bench(ctx):
        status, seed = JitterStatus.PRESENT, 0
        assert ctx.get(dut.port.status) == status
        for name in ("gather", "draw", "draw", "gather", "draw", "gather", "draw", "draw"):
            draws = name == "draw"
            bits = [*islice(raw_bits, jitter.RAW_BITS if draws else 32)]
            if draws:
                status, seed = dut.model(bits)
                found.append(status)
            for _ in range(rng.randrange(3)):
                await ctx.tick()
            assert await command(ctx, dut.port, name) >= len(bits)
            assert ctx.get(dut.port.bits) == gathered(bits)
            assert (ctx.get(dut.port.status), ctx.get(dut.port.seed)) == (status, seed)

    simulate(dut, bench)
    healthy = [JitterStatus.HEALTHY in status for status in found]
    if ones == 0.78:        # fails sometimes, so that seeds must vanish and come back
        assert {True, False} == {*healthy}
    else:
        assert healthy == [ones == 0.5] * len(healthy)


def test_two_draws_differ():
    dut, seeds = JitterSeeder(source=ModelSource()), []

    async def bench(ctx):
        for _ in range(4):
            await command(ctx, dut.port, "draw")
            seeds.append(ctx.get(dut.port.seed))

    simulate(dut, bench)
    assert len({*seeds, 0}) == 5


def test_nothing_runs_unasked():
    """Neither before a command nor after it, and commands in between change nothing."""
    dut = JitterSeeder(source=ModelSource())

    async def bench(ctx):
        for _ in range(3):
            for _ in range(100):
                await ctx.tick()
                assert not ctx.get(dut.source.run)
            await command(ctx, dut.port, "gather")
        assert ctx.get(dut.port.bits) == gathered([*islice(jitter.model_bits(), 96)])

    simulate(dut, bench)
