from random import Random

from gateware.traffic import BUILD_ID, small_spec
from pendula.contract import CONTRACT_ID
from pendula.contract.protocol import Hello, Opcode, Status, encode_request
from pendula.contract.registers import RegisterName
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
        await ctx.tick()
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
