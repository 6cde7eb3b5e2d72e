from random import Random

import pytest

from pendula.contract.protocol import Status
from pendula.contract.statistics import RUN_SAMPLES_HI
from pendula_gateware.link.runner import Runner
from streams import get, simulate

CAPACITY = 4
LAST = (1 << 32) - 1


def run(cases, stall=0.0, seed=1):
    """Execute (force, first, count, segments), one after another; return what came of each."""
    dut = Runner(capacity=CAPACITY)
    outcomes = []
    jobs, indices, clears = [], [], []

    async def control(ctx):
        for force, first, count, segments in cases:
            ctx.set(dut.force, force)
            ctx.set(dut.first, first)
            ctx.set(dut.count, count)
            ctx.set(dut.segments, segments)
            ctx.set(dut.run, 1)
            while not ctx.get(dut.done):
                await ctx.tick()
            await ctx.tick().repeat(2)           # the other testbenches take note
            outcomes.append((Status(ctx.get(dut.status)), jobs[:], indices[:], sum(clears)))
            ctx.set(dut.run, 0)
            for record in (jobs, indices, clears):
                record.clear()
            await ctx.tick()

    async def array(ctx):
        rng = Random(seed)
        while True:
            job, = await get(ctx, dut.job, 1, rng, stall)
            jobs.append((job.force, job.index))

    async def responder(ctx):
        rng = Random(seed + 1)
        while True:
            index, = await get(ctx, dut.index, 1, rng, stall)
            while len(jobs) <= len(indices):     # no result before its job
                await ctx.tick()
            indices.append(index)

    async def watch(ctx):
        while True:
            _, _, clear = await ctx.tick().sample(dut.clear)
            assert not (clear and jobs)
            clears.append(clear)

    simulate(dut, control, checks=[array, responder, watch], timeout_cycles=5000)
    return outcomes


@pytest.mark.parametrize("stall", [0.0, 0.4])
def test_run_sends_each_index_once(stall):
    cases = [(0, 0, 1, 1), (0, 5, 20, CAPACITY), (0, LAST, 1, 1), (0, LAST - 2, 3, 2)]
    expected = [range(first, first + count) for _, first, count, _ in cases]
    for indices, outcome in zip(expected, run(cases, stall), strict=True):
        assert outcome == (Status.OK, [(0, k) for k in indices], list(indices), 1)


def test_forces_is_one_job_and_leaves_the_counters():
    cases = [(1, segment, 99 * (segment % 2), 0) for segment in range(CAPACITY)]   # any count
    expected = [(Status.OK, [(1, segment)], [segment], 0) for segment in range(CAPACITY)]
    assert run(cases, 0.2) == expected


@pytest.mark.parametrize("case", [
    (0, 0, 0, 1), (0, 1, 0, 1), (0, LAST, 0, 1),                      # no samples
    (0, LAST, 2, 1), (0, 2, LAST, 1), (0, LAST, LAST, 1),             # index too large
    (0, 0, 1, 0), (0, 0, 1, CAPACITY + 1), (0, 0, 1, 8191),           # segments
    (1, CAPACITY, 1, 1), (1, LAST, 1, 1),                             # segment
])
def test_bad_values(case):
    good = (0, 3, 2, 1)
    assert run([case, good]) == [(Status.BAD_VALUE, [], [], 0),
                                 (Status.OK, [(0, 3), (0, 4)], [3, 4], 1)]


def test_jobs_do_not_wait_for_results():
    dut = Runner(capacity=CAPACITY)

    async def bench(ctx):
        ctx.set(dut.count, 10)
        ctx.set(dut.segments, 1)
        ctx.set(dut.run, 1)
        jobs = await get(ctx, dut.job, 10)
        assert [job.index for job in jobs] == list(range(10))
        assert await get(ctx, dut.index, 10) == list(range(10))

    simulate(dut, bench, timeout_cycles=100)


@pytest.mark.parametrize(("alone", "expected"), [
    (0, [(5, 3), (9, 3), (13, 1)]), (1, [(index, 0) for index in range(5, 15)])])
def test_jobs_fill_the_lanes(alone, expected):
    dut = Runner(capacity=CAPACITY, lanes=4)

    async def bench(ctx):
        for name, value in {"first": 5, "count": 10, "segments": 1, "alone": alone,
                            "run": 1}.items():
            ctx.set(getattr(dut, name), value)
        jobs = await get(ctx, dut.job, len(expected), Random(1), 0.3)
        assert [(job.index, job.more) for job in jobs] == expected
        await ctx.tick().repeat(3)
        assert not ctx.get(dut.job.valid)
        assert await get(ctx, dut.index, 10) == list(range(5, 15))
        await ctx.tick()
        assert ctx.get(dut.done)

    simulate(dut, bench)


@pytest.mark.parametrize(("first", "count"), [(LAST - 4, 5), (LAST, 1), (0, 8), (0, 9)])
def test_lanes_end_with_the_run(first, count):
    dut = Runner(capacity=CAPACITY, lanes=4)

    async def bench(ctx):
        for name, value in {"first": first, "count": count, "segments": 1, "run": 1}.items():
            ctx.set(getattr(dut, name), value)
        sent = []
        while len(sent) < count:
            job, = await get(ctx, dut.job, 1)
            sent += range(job.index, job.index + job.more + 1)
        assert sent == list(range(first, first + count))
        await ctx.tick().repeat(3)
        assert not ctx.get(dut.job.valid)

    simulate(dut, bench)


def test_forces_take_one_lane():
    dut = Runner(capacity=CAPACITY, lanes=4)

    async def bench(ctx):
        for name, value in {"force": 1, "first": 2, "count": 9, "run": 1}.items():
            ctx.set(getattr(dut, name), value)
        job, = await get(ctx, dut.job, 1)
        assert (job.force, job.index, job.more) == (1, 2, 0)
        await ctx.tick().repeat(3)
        assert not ctx.get(dut.job.valid)

    simulate(dut, bench)


def test_done_waits_for_the_last_job():
    dut = Runner(capacity=CAPACITY)

    async def bench(ctx):
        ctx.set(dut.count, 2)
        ctx.set(dut.segments, 1)
        ctx.set(dut.run, 1)
        assert await get(ctx, dut.index, 2) == [0, 1]
        for job in range(2):
            await ctx.tick().repeat(5)
            assert not ctx.get(dut.done)
            assert (await get(ctx, dut.job, 1))[0].index == job
        await ctx.tick().until(dut.done)

    simulate(dut, bench)


def test_a_run_that_measures_is_done_when_the_array_is():
    dut = Runner(capacity=CAPACITY)

    async def bench(ctx):
        for name, value in {"count": 2, "segments": 1, "measure": 1, "measurable": 1,
                            "array_busy": 1, "run": 1}.items():
            ctx.set(getattr(dut, name), value)
        jobs = await get(ctx, dut.job, 2)
        assert [job.index for job in jobs] == [0, 1]
        for _ in range(20):
            assert not ctx.get(dut.done | dut.index.valid)
            await ctx.tick()
        ctx.set(dut.array_busy, 0)
        assert ctx.get(dut.done)
        assert ctx.get(dut.status) == Status.OK

    simulate(dut, bench)


@pytest.mark.parametrize("changes", [{"measurable": 0}, {"count": RUN_SAMPLES_HI + 1}])
def test_what_cannot_be_measured_is_refused(changes):
    dut = Runner(capacity=CAPACITY)
    good = {"count": RUN_SAMPLES_HI, "segments": 1, "measure": 1, "measurable": 1, "run": 1}

    async def bench(ctx):
        for name, value in (good | changes).items():
            ctx.set(getattr(dut, name), value)
        for _ in range(6):
            assert not ctx.get(dut.job.valid)
            await ctx.tick()
        assert ctx.get(dut.done)
        assert ctx.get(dut.status) == Status.BAD_VALUE
        for name, value in (good | {"run": 0}).items():
            ctx.set(getattr(dut, name), value)
        await ctx.tick()
        ctx.set(dut.run, 1)
        await get(ctx, dut.job, 1)

    simulate(dut, bench)


def test_latency():
    dut = Runner(capacity=CAPACITY)

    async def bench(ctx):
        ctx.set(dut.count, 1)
        ctx.set(dut.segments, 1)
        ctx.set(dut.run, 1)
        for _ in range(dut.latency):
            assert not ctx.get(dut.job.valid)
            await ctx.tick()
        assert ctx.get(dut.job.valid)

    simulate(dut, bench)
