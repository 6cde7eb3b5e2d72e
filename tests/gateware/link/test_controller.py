from dataclasses import replace
from random import Random

import pytest

from gateware.traffic import BUILD_ID, small_spec
from pendula.contract import CONTRACT_ID
from pendula.contract.memory import (
    BUFFER_BIT,
    BUFFERED,
    Memory,
    memory_layouts,
    memory_number,
)
from pendula.contract.protocol import Hello, Opcode, Status, encode_request
from pendula.contract.registers import RegisterName
from pendula_gateware.fabric import GENERIC
from pendula_gateware.link.controller import Controller
from streams import get, get_packet, put_packet, simulate

SPEC = small_spec("ising")
HELLO = Hello.of(SPEC, contract_id=CONTRACT_ID, build_id=BUILD_ID, lanes=1)


def content(sequence, opcode, *arguments, tail=b""):
    return encode_request(sequence, opcode, *arguments, tail=tail)[:-4]


async def ask(ctx, dut, *request):
    await put_packet(ctx, dut.i, content(*request))
    return await get_packet(ctx, dut.o)


def test_hello_is_what_the_host_reads():
    dut = Controller(spec=SPEC, hello=HELLO)

    async def bench(ctx):
        for sequence in (0, 255):
            answer = await ask(ctx, dut, sequence, Opcode.HELLO)
            assert answer[:2] == bytes((sequence, Status.OK))
            assert Hello.decode(answer[2:]) == HELLO

    simulate(dut, bench)


def test_counters_are_read():
    dut = Controller(spec=SPEC, hello=HELLO)
    counters = {RegisterName.SATURATIONS: dut.saturations, RegisterName.CYCLES: dut.cycles,
                RegisterName.FRAMES_DROPPED: dut.frames_dropped}

    async def bench(ctx):
        for k, port in enumerate(counters.values()):
            ctx.set(port, 0x01020304 << k)
        for k, name in enumerate(counters):
            answer = await ask(ctx, dut, 9, Opcode.READ_REGISTER, name)
            assert answer == bytes((9, Status.OK)) + (0x01020304 << k).to_bytes(4, "little")

    simulate(dut, bench)


def test_nothing_happens_while_the_array_is_busy():
    dut = Controller(spec=SPEC, hello=HELLO)

    async def bench(ctx):
        ctx.set(dut.array_busy, 1)
        await put_packet(ctx, dut.i, content(1, Opcode.WRITE_REGISTER, RegisterName.SEED_LO, 5))
        for _ in range(30):
            await ctx.tick()
            assert ctx.get(dut.busy)
            assert not ctx.get(dut.o.valid)
            assert ctx.get(dut.registers.seed_lo) == 0
        ctx.set(dut.array_busy, 0)
        assert await get_packet(ctx, dut.o) == bytes((1, Status.OK))
        assert ctx.get(dut.registers.seed_lo) == 5
        await ctx.tick().repeat(2)
        assert not ctx.get(dut.busy)

    simulate(dut, bench)


def test_jitter_commands_are_given_once_and_what_follows_waits():
    dut = Controller(spec=SPEC, hello=HELLO)
    given = []

    async def seeder(ctx):
        while True:
            _, _, draw, gather = await ctx.tick().sample(dut.jitter.draw, dut.jitter.gather)
            if draw or gather:
                given.append((draw, gather))
                ctx.set(dut.jitter.busy, 1)
                for _ in range(40):
                    assert not ctx.get(dut.jitter.draw | dut.jitter.gather)
                    assert ctx.get(dut.busy)
                    await ctx.tick()
                ctx.set(dut.jitter.status, len(given))
                ctx.set(dut.jitter.busy, 0)

    values = (1, 2, 0, 3, 5, 1 << 31)                # the device keeps two bits of each

    async def source(ctx):
        for value in values:
            await put_packet(ctx, dut.i, content(1, Opcode.WRITE_REGISTER,
                                                 RegisterName.JITTER_COMMAND, value))
            await put_packet(ctx, dut.i, content(2, Opcode.READ_REGISTER,
                                                 RegisterName.JITTER_STATUS))

    async def bench(ctx):
        for value in values:
            assert await get_packet(ctx, dut.o, Random(value), 0.5) == bytes((1, Status.OK))
            answer = await get_packet(ctx, dut.o, Random(value), 0.5)
            assert answer == bytes((2, Status.OK, len(given), 0, 0, 0))
        assert given == [(1, 0), (0, 1), (1, 0)]

    simulate(dut, source, bench, checks=[seeder])


def test_a_jitter_command_is_given_when_it_is_answered_and_the_device_is_busy_until_it_ends():
    dut = Controller(spec=SPEC, hello=HELLO)
    given = []

    async def watch(ctx):
        while True:
            _, _, draw = await ctx.tick().sample(dut.jitter.draw)
            if draw:
                given.append(1)
                ctx.set(dut.jitter.busy, 1)

    async def source(ctx):
        await put_packet(ctx, dut.i, content(1, Opcode.HELLO))
        await put_packet(ctx, dut.i, content(2, Opcode.WRITE_REGISTER,
                                             RegisterName.JITTER_COMMAND, 1))

    async def bench(ctx):
        for _ in range(20):
            await ctx.tick()
        assert not given                 # HELLO's answer is still to be sent
        await get_packet(ctx, dut.o)
        assert await get_packet(ctx, dut.o) == bytes((2, Status.OK))
        for _ in range(20):
            await ctx.tick()
            assert ctx.get(dut.busy)     # though there is no request left
        ctx.set(dut.jitter.busy, 0)
        assert not ctx.get(dut.busy)
        assert given == [1]

    simulate(dut, source, bench, checks=[watch])


def test_jobs_run_ahead_while_a_result_is_sent():
    dut = Controller(spec=SPEC, hello=HELLO)

    async def bench(ctx):
        await put_packet(ctx, dut.i, content(3, Opcode.RUN, 10, 4))
        jobs = await get(ctx, dut.job, 4)        # before any result is there
        assert [job.index for job in jobs] == [10, 11, 12, 13]

    async def array(ctx):
        for k in range(4):
            await put_packet(ctx, dut.result, bytes((k, k)), Random(k), 0.3)

    async def sink(ctx):
        for k in range(4):
            index = (10 + k).to_bytes(4, "little")
            assert await get_packet(ctx, dut.o) == bytes((3, Status.DATA)) + index + bytes((k, k))
        assert await get_packet(ctx, dut.o) == bytes((3, Status.OK))

    simulate(dut, bench, array, sink)


def rows_of(memory, count):
    return bytes(range(1, count * memory_layouts(SPEC)[memory].row_bytes + 1))


BUFFERED_ROWS = [(memory, rows_of(memory, 2)) for memory in BUFFERED]


def test_the_other_buffer_is_written_and_checked_while_results_are_awaited():
    """And each answer has the number of its own request, before and after."""
    dut = Controller(spec=SPEC, hello=HELLO, fabric=replace(GENERIC, buffers=2))
    written, answered = [], []

    async def watch(ctx):
        while True:
            *_, write, memory, buffer, row = await ctx.tick().sample(
                dut.bus.write, dut.bus.memory, dut.bus.buffer, dut.bus.row)
            if write:
                written.append((memory, buffer, row))

    async def bench(ctx):
        await put_packet(ctx, dut.i, content(3, Opcode.RUN, 10, 2))
        await get(ctx, dut.job, 2)
        for sequence, (memory, tail) in enumerate(BUFFERED_ROWS, start=4):
            await put_packet(ctx, dut.i, content(
                sequence, Opcode.WRITE_MEMORY, memory_number(memory, 1), 0, tail=tail))
            assert await get_packet(ctx, dut.o) == bytes((sequence, Status.OK))
        for asked in (Opcode.CHECKSUM, Opcode.READ_MEMORY):
            answer = await ask(ctx, dut, 9, asked, memory_number(Memory.SEGMENT, 1), 0, 1)
            assert answer[:2] == bytes((9, Status.OK))
            assert len(answer) > 2
        answered.append(True)
        for k in range(2):
            index = (10 + k).to_bytes(4, "little")
            assert await get_packet(ctx, dut.o) == bytes((3, Status.DATA)) + index + bytes((k, 7))
        assert await get_packet(ctx, dut.o) == bytes((3, Status.OK))
        assert (await ask(ctx, dut, 5, Opcode.HELLO))[:2] == bytes((5, Status.OK))
        await ctx.tick().repeat(2)
        assert not ctx.get(dut.busy)

    async def results(ctx):
        while not answered:
            await ctx.tick()
        for k in range(2):
            await put_packet(ctx, dut.result, bytes((k, 7)))

    simulate(dut, bench, results, checks=[watch])
    assert written == [(memory, 1, row) for memory in BUFFERED for row in range(2)]


WAITING = {
    "of the buffer in use": (Opcode.WRITE_MEMORY, memory_number(Memory.NODE, 0), 0),
    "of no buffer": (Opcode.WRITE_MEMORY, Memory.TABLE, 0),
    "a register": (Opcode.WRITE_REGISTER, RegisterName.SEED_LO, 5),
    "a run": (Opcode.RUN, 20, 1),
    "nothing known": (Opcode.READ_MEMORY, 1 << BUFFER_BIT | Memory.TABLE, 0, 1),
}


@pytest.mark.parametrize("buffers", [1, 2])
@pytest.mark.parametrize("request_of", WAITING.values(), ids=WAITING)
def test_other_requests_wait_for_the_run(request_of, buffers):
    hello = replace(HELLO, buffers=buffers)
    dut = Controller(spec=SPEC, hello=hello, fabric=replace(GENERIC, buffers=buffers))
    opcode, *arguments = request_of
    tail = rows_of(arguments[0], 1) if opcode == Opcode.WRITE_MEMORY else b""
    runs, waited = 1 + (opcode == Opcode.RUN), []

    async def bench(ctx):
        await put_packet(ctx, dut.i, content(3, Opcode.RUN, 10, 1))
        await put_packet(ctx, dut.i, content(4, opcode, *arguments, tail=tail))

    async def results(ctx):
        for _ in range(100):        # nothing comes of it
            await ctx.tick()
            assert not ctx.get(dut.bus.write | dut.job.valid & (dut.job.p.index == 20))
            assert ctx.get(dut.registers.seed_lo) == 0
        waited.append(True)
        for _ in range(runs):
            await put_packet(ctx, dut.result, bytes((7,)))

    async def sink(ctx):
        assert (await get_packet(ctx, dut.o))[:2] == bytes((3, Status.DATA))
        assert await get_packet(ctx, dut.o) == bytes((3, Status.OK))
        assert waited
        assert (await get_packet(ctx, dut.o))[:1] == bytes((4,))

    async def jobs(ctx):
        await get(ctx, dut.job, runs)

    simulate(dut, bench, jobs, results, sink)


def test_early_requests_go_between_answers_that_are_sent_slowly():
    """No answer is torn or lost, whatever is ready when."""
    dut = Controller(spec=SPEC, hello=replace(HELLO, buffers=2),
                     fabric=replace(GENERIC, buffers=2))
    samples, writes = 12, 9
    tail = rows_of(Memory.PARAMETER, 1)

    async def requests(ctx):
        await put_packet(ctx, dut.i, content(100, Opcode.RUN, 0, samples))
        for sequence in range(writes):
            await put_packet(ctx, dut.i, content(
                sequence, Opcode.WRITE_MEMORY, memory_number(Memory.PARAMETER, 1), sequence,
                tail=tail), Random(sequence), 0.6)

    async def jobs(ctx):
        await get(ctx, dut.job, samples)

    async def results(ctx):
        for k in range(samples):
            await put_packet(ctx, dut.result, bytes((k,)) * 9, Random(k), 0.2)

    async def sink(ctx):
        found = [await get_packet(ctx, dut.o, Random(k), 0.4) for k in range(samples + writes + 1)]
        runs = [answer for answer in found if answer[0] == 100]
        others = [answer for answer in found if answer[0] != 100]
        assert runs == [bytes((100, Status.DATA)) + k.to_bytes(4, "little") + bytes((k,)) * 9
                        for k in range(samples)] + [bytes((100, Status.OK))]
        assert [answer[0] for answer in others] == [*range(writes)]
        assert found.index(others[0]) < found.index(runs[-1]) - 1      # they did go between

    simulate(dut, requests, jobs, results, sink)


@pytest.mark.parametrize("buffers", [1, 2])
def test_a_buffer_that_is_not_there_is_refused(buffers):
    dut = Controller(spec=SPEC, hello=replace(HELLO, buffers=buffers),
                     fabric=replace(GENERIC, buffers=buffers))

    async def bench(ctx):
        for memory in memory_layouts(SPEC, HELLO.sums):
            for buffer in range(2):
                there = not buffer or (buffers == 2 and memory in BUFFERED)
                answer = await ask(ctx, dut, 9, Opcode.CHECKSUM, memory | buffer << BUFFER_BIT,
                                   0, 1)
                assert answer[1] == (Status.OK if there else Status.BAD_ADDRESS)

    simulate(dut, bench)
