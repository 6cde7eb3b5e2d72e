# amaranth: UnusedElaboratable=no
from random import Random

import pytest
from cobs import cobs

from cocotb_runner import run_cocotb
from gateware.traffic import (
    BUILD_ID,
    expected_answers,
    garbage,
    measuring,
    refused,
    request,
    session,
    small_spec,
    unmeasurable,
)
from pendula.contract import PHYSICS
from pendula.contract.jitter import model_bits
from pendula.contract.protocol import Opcode, decode_response
from pendula.contract.registers import JitterCommand, RegisterName
from pendula_gateware.noise.jitter import ModelSource
from pendula_gateware.top import Flat, Top
from streams import get, put, simulate

SUMS = 40


def build(physics="quartic", jitter=None, sums=0, lanes=1):
    return Top(spec=small_spec(physics), build_id=BUILD_ID, jitter=jitter, sums=sums, lanes=lanes)


def check(top, requests, stall=0.0, seed=1, *, dropped=False):
    """Send bytes to the device; it must answer exactly what the contract says, then rest.

    It must say whether frames were dropped.
    """
    raw_bits = model_bits(top.jitter.ones) if top.jitter else None
    expected = expected_answers(top.spec, b"".join(requests), raw_bits, top.sums)

    async def source(ctx):
        await put(ctx, top.i, b"".join(requests), Random(seed), stall)

    async def sink(ctx):
        received = bytes(await get(ctx, top.o, len(expected), Random(seed + 1), stall))
        assert received == expected
        for _ in range(300):       # the array drains
            await ctx.tick()
        assert not ctx.get(top.busy)
        assert ctx.get(top.dropped) == dropped

    async def busy_is_true(ctx):
        rests = False
        while True:
            signals = top.busy, top.o.valid, top.i.valid
            _, _, busy, valid, more = await ctx.tick().sample(*signals)
            assert busy or not valid
            assert not (rests and busy), "busy rose without input"
            rests = not busy and not more

    simulate(top, source, sink, checks=[busy_is_true], timeout_cycles=200_000)


@pytest.mark.parametrize(("physics", "stall"),
                         [("quartic", 0.0), *((physics, 0.3) for physics in PHYSICS)])
def test_whole_session(physics, stall):
    check(build(physics), session(Random(1), physics), stall)


def test_refused_requests():
    rng, top = Random(2), build()
    check(top, [*refused(rng, top.spec), request(rng, Opcode.HELLO)])


@pytest.mark.parametrize(("physics", "stall"),
                         [("quartic", 0.0), ("kuramoto", 0.3), ("ising", 0.3)])
def test_measuring(physics, stall):
    rng, top = Random(8), build(physics, sums=SUMS)
    check(top, [*session(rng, physics), *measuring(rng, top.spec, SUMS)], stall)


@pytest.mark.parametrize("sums", [0, SUMS])
def test_what_cannot_be_measured_is_refused(sums):
    rng, top = Random(9), build(sums=sums)
    check(top, [*session(rng, "quartic"), *unmeasurable(rng, sums), *refused(rng, top.spec, sums),
                request(rng, Opcode.HELLO)])


@pytest.mark.parametrize("seed", range(2))
def test_damage_is_dropped_and_what_follows_is_answered(seed):
    rng, top = Random(seed), build()
    requests = [part for _ in range(40)
                for part in (garbage(rng), b"\0", request(rng, Opcode.HELLO))]
    check(top, [*requests, request(rng, Opcode.READ_REGISTER, RegisterName.FRAMES_DROPPED)],
          0.05, seed, dropped=True)



def jitter_requests(rng, commands):
    """Return commands to a jitter seeder, after each of which all that it reports is read."""
    names = [RegisterName.JITTER_STATUS, RegisterName.JITTER_BITS, RegisterName.SEED_LO,
             RegisterName.SEED_HI]
    for command in commands:
        yield request(rng, Opcode.WRITE_REGISTER, RegisterName.JITTER_COMMAND, command)
        yield from (request(rng, Opcode.READ_REGISTER, name) for name in names)
        yield request(rng, Opcode.HELLO)


@pytest.mark.parametrize("ones", [0.5, 0.78, 1.0], ids=["good", "biased", "stuck"])
def test_jitter_seeder(ones):
    """It draws and gathers what the contract says; at 0.78 some draws fail and some do not."""
    draw, gather = JitterCommand
    rng = Random(5)
    check(build(jitter=ModelSource(ones=ones)),
          [request(rng, Opcode.HELLO), *jitter_requests(rng, [gather, draw, gather, draw, draw]),
           request(rng, Opcode.READ_REGISTER, RegisterName.JITTER_COMMAND)], 0.02)


def test_jitter_seeder_changes_no_sample():
    """A session, a draw in its midst, as the contract's device runs it."""
    rng = Random(6)
    requests = session(rng, "quartic")
    requests[-20:-20] = jitter_requests(rng, [JitterCommand.DRAW])
    check(build(jitter=ModelSource()), requests)


def test_without_a_seeder_jitter_commands_do_nothing():
    rng = Random(7)
    check(build(), [*jitter_requests(rng, [*JitterCommand, 3])])


def test_cycles_are_those_of_the_last_run():
    rng, top = Random(4), build()
    run = [request(rng, Opcode.RUN, 5, 1), request(rng, Opcode.READ_REGISTER, RegisterName.CYCLES)]
    data = b"".join([*session(rng, "quartic"), *run, *run])
    frames = []

    async def source(ctx):
        await put(ctx, top.i, data)

    async def sink(ctx):
        for _ in range(expected_answers(top.spec, data).count(0)):
            frame = bytearray()
            while byte := (await get(ctx, top.o, 1))[0]:
                frame.append(byte)
            frames.append(decode_response(cobs.decode(frame)))

    simulate(top, source, sink)
    cycles = [int.from_bytes(body, "little") for _, _, body in (frames[-4], frames[-1])]
    assert cycles[0] == cycles[1] > 0


def test_flat_ports():
    top = Flat(build())
    assert set(top.signature.members) == {
        "i_payload", "i_valid", "i_ready", "o_payload", "o_valid", "o_ready", "busy",
        "dropped"}


@pytest.mark.cocotb
@pytest.mark.verilator
def test_compiled_device(tmp_path):
    run_cocotb(build("kuramoto"), "gateware.top_bench", tmp_path, seed=20261122)
