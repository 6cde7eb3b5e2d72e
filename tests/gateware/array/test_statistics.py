# amaranth: UnusedElaboratable=no
"""The statistics in Amaranth's simulator equal the contract's sums."""

from random import Random

import numpy as np
import pytest

from gateware.array.array_driver import load, set_registers, set_run, write_memory
from pendula.contract import PHYSICS, ArraySpec, InitialState
from pendula.contract.memory import Memory, memory_layouts
from pendula.contract.registers import Readout
from pendula.contract.statistics import BIN_BITS_HI, SUMS_HI, Kind, Measurement, measure
from pendula.contract.step import run_sample
from pendula.images import pack_rows
from pendula.program import Program, random_program
from pendula_gateware.array.array import OscillatorArray
from pendula_gateware.array.statistics import Statistics
from pendula_gateware.interfaces import MEMORY_READ_LATENCY
from streams import put, simulate

STORE_LATENCY = 2
ONE_OF_EACH = [Measurement(Kind.PRODUCT, 1), *(Measurement(kind, node) for node in (3, 0, 5)
                                              for kind in Kind), Measurement(Kind.PRODUCT, 2)]


def spec_of(state_bits: int = 18, physics: str = "quartic", nodes: int = 6) -> ArraySpec:
    return ArraySpec(physics=PHYSICS[physics], nodes=nodes, offsets=(-1, 2), segments=2,
                     state_bits=state_bits, table_bits=4)


def image(spec: ArraySpec, measurements: list[Measurement]) -> np.ndarray:
    kinds, nodes = np.array(measurements).T
    return pack_rows(memory_layouts(spec)[Memory.MEASUREMENT], {"kind": kinds, "node": nodes})


async def read_sums(ctx, bus, spec: ArraySpec, sums: int) -> list[int]:
    width = memory_layouts(spec)[Memory.SUM].width
    ctx.set(bus.memory, Memory.SUM)
    totals = []
    for row in range(sums):
        ctx.set(bus.row, row)
        await ctx.tick().repeat(MEMORY_READ_LATENCY)
        raw = ctx.get(bus.read_data) & ((1 << width) - 1)
        totals.append(raw - (raw >> (width - 1) << width))
    return totals


def collect(spec: ArraySpec, runs: list[dict], measurements: list[Measurement], *, sums: int = 50,
            lanes: int = 3) -> tuple[list[tuple[list[int], int]], Statistics, int]:
    """Sum up the states of each run, job by job; return sums and samples of each run.

    The states arrive as from memory; pauses between jobs are random. The last result is the number
    of cycles in which the last job was summed up.
    """
    dut = Statistics(spec=spec, lanes=lanes, sums=sums, store_latency=STORE_LATENCY)
    results, cycles, job, rng = [], [0], [[[0] * spec.nodes] * lanes], Random(5)

    async def answer(ctx):
        named = [(0, 0)] * (STORE_LATENCY - 1)
        while True:
            named.append((ctx.get(dut.lane), ctx.get(dut.place)))
            await ctx.tick()
            lane, place = named.pop(0)
            x = job[0][lane][place] if lane < lanes and place < spec.nodes else 0
            ctx.set(dut.x, x)

    async def bench(ctx):
        for run in runs:
            await write_memory(ctx, dut.bus, Memory.MEASUREMENT, image(spec, measurements))
            set_registers(ctx, dut, measurements=len(measurements), bin_bits=run["bin_bits"],
                          thin=run["thin"])
            ctx.set(dut.clear, 1)
            await ctx.tick()
            ctx.set(dut.clear, 0)
            states, at = run["states"], 0
            while at < len(states):
                size = rng.randint(1, lanes)
                first = rng.randint(0, lanes - size)
                size = min(size, len(states) - at)
                job[0] = [[9] * spec.nodes] * first + states[at:at + size] + [
                    [8] * spec.nodes] * lanes
                at += size
                ctx.set(dut.first, first)
                ctx.set(dut.last, first + size - 1)
                await ctx.tick().repeat(rng.choice((1, 2, 3, 80)))
                ctx.set(dut.run, 1)
                cycles[0] = 1
                while not ctx.get(dut.done):
                    await ctx.tick()
                    cycles[0] += 1
                await ctx.tick()
                ctx.set(dut.run, 0)
            while ctx.get(dut.busy):
                await ctx.tick()
            results.append((await read_sums(ctx, dut.bus, spec, sums), ctx.get(dut.measured)))

    simulate(dut, bench, checks=[answer], timeout_cycles=60_000)
    return results, dut, cycles[0]


def random_run(spec: ArraySpec, rng: Random, count: int) -> dict:
    extremes = (spec.state.lo, spec.state.hi, 0, -1)
    states = [[rng.choice((rng.choice(extremes), rng.randint(spec.state.lo, spec.state.hi)))
               for _ in range(spec.nodes)] for _ in range(count)]
    return {"states": states, "thin": rng.randint(1, 3), "bin_bits": rng.randrange(BIN_BITS_HI + 1)}


@pytest.mark.parametrize("measurements", [
    ONE_OF_EACH, ONE_OF_EACH[:1], [Measurement(Kind.HISTOGRAM, 4)] * 9,
    [Measurement(Kind.SUM, 2)], [Measurement(Kind.SUM, 2), Measurement(Kind.PRODUCT, 2)] * 30,
], ids=["each", "one", "histograms", "sum", "too many"])
@pytest.mark.parametrize("state_bits", [8, 18, 24])
def test_sums_equal_the_model(state_bits, measurements):
    """Each run starts anew; lists that fill all sums and more, and short ones."""
    spec, rng = spec_of(state_bits), Random(state_bits)
    runs = [random_run(spec, rng, count) for count in (9, 1, 12)]
    found, dut, _ = collect(spec, runs, measurements[:50])
    assert found == [(dut.model(measurements[:50], run["bin_bits"], run["thin"], run["states"]),
                      len(run["states"]) // run["thin"]) for run in runs]


@pytest.mark.parametrize("bin_bits", range(BIN_BITS_HI + 1))
def test_all_numbers_of_bins(bin_bits):
    spec = spec_of()
    run = random_run(spec, Random(bin_bits), 20) | {"bin_bits": bin_bits, "thin": 1}
    chosen = [Measurement(Kind.HISTOGRAM, 1)]
    [(sums, _)], _, _ = collect(spec, [run], chosen, sums=257)
    assert sums == measure(spec, chosen, bin_bits, 1, run["states"], 257)
    assert sum(sums) == 20


def test_a_measurement_takes_a_cycle():
    spec = spec_of()
    run = random_run(spec, Random(1), 2) | {"thin": 1}      # the first waits for zeros
    chosen = ONE_OF_EACH * 3
    _, dut, cycles = collect(spec, [run], chosen, lanes=1)
    assert cycles <= len(chosen) + dut.latency + 4


def test_sums_are_bounded():
    for sums in (1, SUMS_HI + 1):
        with pytest.raises(ValueError, match=f"sums must be within 2..{SUMS_HI}, not {sums}"):
            Statistics(spec=spec_of(), lanes=1, sums=sums, store_latency=2)


def measured_array(program: Program, jobs: list[tuple[int, int]], *, lanes: int, sums: int = 64,
                   **settings: int) -> tuple[list[int], int]:
    """Return sums and counter after jobs of (first, more) on a whole array."""
    array = OscillatorArray(spec=program.spec, lanes=lanes, sums=sums)
    found = []

    async def bench(ctx):
        await load(ctx, array, program)
        await write_memory(ctx, array.bus, Memory.MEASUREMENT, image(program.spec, ONE_OF_EACH))
        set_run(ctx, array, 7, readout=Readout.MEASURE)
        set_registers(ctx, array, measurements=len(ONE_OF_EACH), **settings)
        ctx.set(array.clear, 1)
        await ctx.tick()
        ctx.set(array.clear, 0)
        await put(ctx, array.job, [{"force": 0, "index": index, "more": more}
                                   for index, more in jobs], Random(1), 0.3)
        while ctx.get(array.busy):
            assert not ctx.get(array.o.valid)
            await ctx.tick()
        found.append((await read_sums(ctx, array.bus, program.spec, sums),
                      ctx.get(array.measured)))

    simulate(array, bench, timeout_cycles=60_000)
    return found[0]


@pytest.mark.parametrize("lanes", [1, 3])
@pytest.mark.parametrize("physics", PHYSICS)
def test_an_array_measures_its_samples(physics, lanes):
    """Hidden nodes too; final passes wait for the statistics, since a program is short."""
    program = random_program(spec_of(physics=physics), np.random.default_rng(1), segments=1,
                             steps=1, initial=InitialState.UNIFORM)
    object.__setattr__(program, "visible", np.arange(6) % 2 == 0)
    jobs = [(10, lanes - 1), (10 + lanes, 0), (11 + lanes, lanes - 1), (11 + 2 * lanes, lanes - 1)]
    states = [run_sample(program, 7, index).x for index in range(10, 11 + 3 * lanes)]
    sums, measured = measured_array(program, jobs, lanes=lanes, bin_bits=3, thin=2)
    assert sums == measure(program.spec, ONE_OF_EACH, 3, 2, states, 64)
    assert measured == len(states) // 2


def test_a_chain_is_measured_in_its_lane():
    program = random_program(spec_of(), np.random.default_rng(1), segments=2, steps=1,
                             initial=InitialState.KEEP)
    kept, states = [0] * 6, []
    for index in range(5):
        kept = run_sample(program, 7, index, kept=kept).x
        states.append(kept)
    sums, _ = measured_array(program, [(index, 0) for index in range(5)], lanes=2, bin_bits=2,
                             thin=1)
    assert sums == measure(program.spec, ONE_OF_EACH, 2, 1, states, 64)
