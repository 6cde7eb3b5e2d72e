"""A link device against a responder: load, sample and forces equal the contract bit for bit."""

import itertools
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pendula.contract import ArraySpec, InitialState, Memory, get_physics, jitter
from pendula.contract.protocol import Opcode
from pendula.contract.registers import JitterCommand, RegisterName
from pendula.contract.step import forces, pixel, run_sample
from pendula.device import open_device
from pendula.errors import JitterError, LinkError, ProgramError, StatisticsError
from pendula.link import link_device
from pendula.link.link_device import decode_signed
from pendula.moments import Moments
from pendula.program import Program, random_program
from responder import Fault, FaultKind, FaultyTransport, Responder, ResponderDevice
from strategies import programs


@pytest.fixture
def program() -> Program:
    return make_program()


def make_program(initial: InitialState = InitialState.UNIFORM, segments: int = 2) -> Program:
    spec = ArraySpec(physics=get_physics("quartic"), nodes=4, offsets=(-2, 1), segments=2,
                     table_bits=4)
    return random_program(spec, np.random.default_rng(3), segments=segments, initial=initial)


def make_device(program: Program, **faults) -> ResponderDevice:
    return ResponderDevice(FaultyTransport(Responder(program.spec), **faults))


@given(st.integers(1, 8).flatmap(lambda width: st.tuples(st.just(width), st.lists(
    st.integers(-1 << (8 * width - 1), (1 << (8 * width - 1)) - 1)))))
def test_decode_signed_inverts_to_bytes(case):
    width, numbers = case
    data = b"".join(number.to_bytes(width, "little", signed=True) for number in numbers)
    assert decode_signed(data, width).tolist() == numbers


@settings(max_examples=30)
@given(programs(nodes_hi=5), st.data())
def test_samples_equal_the_contract(program, data):
    seed = data.draw(st.integers(0, 2**64 - 1))
    first = data.draw(st.integers(0, 2**32 - 3))
    stop = data.draw(st.integers(0, program.total_steps))
    dev = make_device(program)
    dev.load(program)
    batch = dev.sample(3, seed=seed, first=first, stop_step=stop, hidden=True)
    kept, saturations = [0] * program.spec.nodes, 0
    for values, index in zip(batch.values.tolist(), range(first, first + 3), strict=True):
        run = run_sample(program, seed, index, stop_step=stop, kept=kept)
        assert values == run.x
        kept, saturations = run.x, saturations + run.saturations
    assert batch.saturations == saturations
    assert batch.values.dtype == np.int32


def test_pixels_of_visible_nodes(program):
    program = replace(program, visible=np.array([1, 0, 1, 1]))
    dev = make_device(program)
    dev.load(program)
    batch = dev.sample(5, seed=1, pixels=True)
    expected = [[pixel(program.spec, program.pixel_gain, program.pixel_offset, x)
                 for x, visible in zip(run_sample(program, 1, index).x, program.visible,
                                       strict=True) if visible] for index in range(5)]
    assert batch.values.tolist() == expected
    assert batch.values.dtype == np.uint8


def test_long_requests_are_split_and_progress_is_reported(program, monkeypatch):
    dev = make_device(program)
    dev.load(program)
    whole = dev.sample(10, seed=1)
    monkeypatch.setattr(link_device, "_RUN_BYTES", 40)      # three samples
    seen = []
    parts = dev.sample(10, seed=1, progress=seen.append)
    runs = [arguments for opcode, arguments in dev.transport.responder.log
            if opcode is Opcode.RUN]
    assert runs == [(0, 10), (0, 3), (3, 3), (6, 3), (9, 1)]
    assert np.array_equal(parts.values, whole.values)
    assert (parts.saturations, parts.cycles) == (whole.saturations, whole.cycles)
    assert sum(seen) == 10


def test_registers_and_nodes_are_written_only_when_they_change(program):
    dev = make_device(program)
    dev.load(program)
    dev.sample(1, seed=1)
    log = dev.transport.responder.log
    log.clear()
    dev.sample(1, seed=1, first=4)
    assert [opcode for opcode, _ in log if opcode is not Opcode.READ_REGISTER] == [Opcode.RUN]
    log.clear()
    dev.sample(1, seed=2)
    assert [arguments for opcode, arguments in log if opcode is Opcode.WRITE_REGISTER] == [
        (RegisterName.SEED_LO, 2)]


def test_forces_equal_the_contract_and_leave_the_nodes_alone():
    program = make_program(InitialState.UPLOADED)
    spec = program.spec
    dev = make_device(program)
    dev.load(program)
    uploaded = np.array([5, -6, 7, -8])
    clamped = np.array([0, 1, 0, 0])
    dev.set_nodes(uploaded, clamped)
    rng = np.random.default_rng(1)
    states = rng.integers(spec.state.lo, spec.state.hi + 1, (3, spec.nodes))
    got = dev.forces(states, segment=1)
    assert got.tolist() == [forces(program, 1, [int(x) for x in state]) for state in states]
    assert dev.sample(2, seed=9).values.tolist() == [
        run_sample(program, 9, index, uploaded=uploaded.tolist(), clamped=clamped.tolist()).x
        for index in range(2)]
    assert dev.forces(states[:0]).shape == (0, spec.nodes)


faults = st.lists(st.builds(Fault, st.sampled_from(FaultKind), st.integers(0, 10_000)),
                  max_size=60)


@settings(max_examples=40)
@given(faults, faults)
def test_a_faulty_link_gives_the_right_samples_or_an_error(ways_out, ways_back):
    program = make_program()
    dev = make_device(program, faults=ways_out, reply_faults=ways_back)
    try:
        dev.load(program)
        batch = dev.sample(6, seed=1)
    except LinkError:
        return
    runs = [run_sample(program, 1, index) for index in range(6)]
    assert batch.values.tolist() == [run.x for run in runs]
    assert batch.saturations == sum(run.saturations for run in runs)


def make_jitter_device(program: Program, ones: float = 0.5, **faults) -> ResponderDevice:
    return ResponderDevice(FaultyTransport(
        Responder(program.spec, jitter.model_bits(ones)), **faults))


def test_a_seed_and_raw_bits_come_from_the_jitter_seeder(program):
    dev = make_jitter_device(program)
    raw_bits = jitter.model_bits()
    assert dev.jitter_bits(3).tolist() == [*islice(raw_bits, 32)][:3]
    for _ in range(2):
        assert dev.draw_seed() == jitter.draw_seed([*islice(raw_bits, jitter.RAW_BITS)])[1]
    assert dev.jitter_bits(64).tolist() == [*islice(raw_bits, 64)]
    log = dev.transport.responder.log
    log.clear()
    dev.load(program)
    dev.sample(1, seed=1)
    commands = {arguments[1] for opcode, arguments in log if opcode is Opcode.WRITE_REGISTER
                and arguments[0] == RegisterName.JITTER_COMMAND}
    assert not commands & {*JitterCommand}


@settings(max_examples=40)
@given(faults, faults)
def test_a_faulty_link_gives_the_seed_that_the_device_reports_or_an_error(ways_out, ways_back):
    dev = make_jitter_device(make_program(), faults=ways_out, reply_faults=ways_back)
    try:
        seed = dev.draw_seed()
    except LinkError:
        return
    assert seed == dev.transport.responder.jitter_seed != 0


def test_a_seeder_that_fails_its_tests_gives_no_seed(program):
    dev = make_jitter_device(program, ones=0.0)
    message = r"health tests, not fail REPETITION\|PROPORTION, so there is no seed: give one"
    with pytest.raises(JitterError, match=message):
        dev.draw_seed()
    assert not dev.jitter_bits(50).any()


def test_without_a_seeder_nothing_is_drawn(program):
    dev = make_device(program)
    for ask in (dev.draw_seed, lambda: dev.jitter_bits(8)):
        with pytest.raises(JitterError, match=r"must have a jitter seeder, and test:// has none"):
            ask()
    assert {opcode for opcode, _ in dev.transport.responder.log} <= {
        Opcode.HELLO, Opcode.READ_REGISTER}


@pytest.mark.parametrize("count", [0, -1])
def test_raw_bits_are_at_least_one(program, count):
    with pytest.raises(ProgramError, match=f"raw bits must be positive, not {count}"):
        make_jitter_device(program).jitter_bits(count)


def test_a_broken_chain_is_an_error():
    program = make_program(InitialState.KEEP)
    dev = make_device(program)
    dev.load(program)
    dev.sample(1, seed=1)
    dev.transport.reply_faults = itertools.cycle([Fault(FaultKind.NONE)] * 9
                                                 + [Fault(FaultKind.DROP)])
    with pytest.raises(LinkError, match="was lost on the link, and it cannot be drawn again"):
        dev.sample(60, seed=1)


def test_health_counts_dropped_frames_since_opening_and_retries(program):
    dev = make_device(program)
    dev.transport.responder.registers[RegisterName.FRAMES_DROPPED] = 5
    dev.load(program)
    dev.transport.faults = iter([Fault(FaultKind.FLIP, 20)] * 2)
    dev.sample(1, seed=77)
    assert dev.health.frames_dropped == 2
    assert dev.health.retries == 2


def test_a_device_of_another_contract_is_refused(program):
    dev = make_device(program)
    dev.transport.responder.contract_id = "ab" * 32
    with pytest.raises(LinkError, match=r"contract id .* [0-9a-f]{16}, .* not abababababababab"):
        dev.load(program)


def test_a_device_with_another_array_is_refused(program):
    other = make_program()
    spec = replace(program.spec, gain_bits=12)
    dev = ResponderDevice(FaultyTransport(Responder(spec)))
    with pytest.raises(LinkError, match=f"{other.spec.digest[:16]} .*not {spec.digest[:16]} "):
        dev.load(program)
    with pytest.raises(ProgramError, match="has no program"):
        dev.sample(1, seed=1)


def test_a_device_with_too_few_segments_is_refused(program):
    dev = ResponderDevice(FaultyTransport(Responder(replace(program.spec, segments=1))))
    with pytest.raises(LinkError, match=r"segments of the program must be at most 1, .* not 2"):
        dev.load(program)


def test_a_shorter_program_runs_on_a_device_with_more_segments(program):
    dev = make_device(program)
    short = make_program(segments=1)
    dev.load(program)
    dev.load(short)
    assert dev.sample(1, seed=4).values[0].tolist() == run_sample(short, 4, 0).x


def test_a_memory_that_does_not_keep_its_rows_is_noticed(program):
    dev = make_device(program)
    memory = dev.transport.responder.memories[Memory.PARAMETER]
    dev.transport.responder.memories[Memory.PARAMETER] = _Stuck(memory)
    with pytest.raises(LinkError, match="checksum of the PARAMETER memory must be 0x"):
        dev.load(program)


class _Stuck(bytearray):
    """Memory that ignores writes."""

    def __setitem__(self, *_: object) -> None:
        pass


def test_a_register_that_does_not_keep_its_value_is_noticed(program, monkeypatch):
    dev = make_device(program)
    responder = dev.transport.responder
    monkeypatch.setattr(responder, "_write_register", lambda *_: iter([(0, b"")]))
    with pytest.raises(LinkError, match="register INITIAL must keep 0x1, not 0x0"):
        dev.load(program)


def test_info_names_the_device_and_closing_forgets_it(program):
    dev = make_device(program)
    info = dev.info()
    assert info["nodes"] == program.spec.nodes
    assert info["physics"] == "quartic"
    assert info["spec_id"] == program.spec.digest[:16]
    dev.load(program)
    dev.close()
    assert dev.transport.closed
    with pytest.raises(ProgramError, match="is not connected"):
        dev.client  # noqa: B018
    with pytest.raises(ProgramError, match="has no program"):
        dev.sample(1, seed=1)


# Moments

SUMS = 40
CHOSEN: dict[str, Any] = {"nodes": [0, 2], "edges": [(2, 0), (1, 3)], "histograms": [3], "bins": 4}


def make_measuring(program: Program, sums: int = SUMS, **faults) -> ResponderDevice:
    dev = ResponderDevice(FaultyTransport(Responder(program.spec, sums=sums), **faults))
    dev.load(program)
    return dev


def expected_moments(program: Program, count: int, **options) -> Moments:
    with open_device("twin://") as twin:
        twin.load(program)
        return twin.moments(count, **options)


def assert_equal(found: Moments, expected: Moments) -> None:
    for name in ("totals", "squares", "products", "counts"):
        assert getattr(found, name).dtype == np.int64
        assert np.array_equal(getattr(found, name), getattr(expected, name)), name
    assert found.saturations == expected.saturations


@settings(max_examples=30)
@given(programs(nodes_hi=5), st.data())
def test_moments_equal_the_twin(program, data):
    options = {"seed": data.draw(st.integers(0, 2**64 - 1)), "thin": data.draw(st.integers(1, 4)),
               "first": data.draw(st.integers(0, 2**32 - 32)), "bins": 1 << data.draw(
                   st.integers(1, 8)), "stop_step": data.draw(st.integers(0, program.total_steps)),
               "histograms": [0], "edges": [(0, 1)]}
    dev = make_measuring(program, sums=600)
    assert_equal(dev.moments(7, **options), expected_moments(program, 7, **options))


def test_samples_after_moments_are_samples(program):
    dev = make_measuring(program)
    before = dev.sample(3, seed=1)
    dev.moments(3, seed=2, **CHOSEN)
    assert np.array_equal(dev.sample(3, seed=1).values, before.values)
    assert np.array_equal(dev.forces(before.values), dev.forces(before.values))


def test_a_list_is_written_when_it_changes(program):
    dev = make_measuring(program)
    log = dev.transport.responder.log

    def written() -> int:
        rows = sum(opcode is Opcode.WRITE_MEMORY for opcode, _ in log)
        log.clear()
        return rows

    dev.moments(1, seed=1, **CHOSEN)
    assert written()
    dev.moments(2, seed=3, **CHOSEN)
    assert not written()
    dev.moments(1, seed=1, **{**CHOSEN, "nodes": [1]})
    assert written() == 1


def test_runs_that_measure_grow_while_they_are_short(program, monkeypatch):
    dev, seen = make_measuring(program), []
    monkeypatch.setattr(link_device, "RUN_SAMPLES_HI", 20)
    found = dev.moments(33, seed=1, thin=3, first=5, progress=seen.append, **CHOSEN)
    runs = [arguments for opcode, arguments in dev.transport.responder.log
            if opcode is Opcode.RUN]
    assert runs == [(5, 3), (8, 6), (14, 12), *((first, 18) for first in range(26, 97, 18)),
                    (98, 6)][:len(runs)]
    assert seen == [count for _, count in runs]
    assert sum(seen) == 99
    assert_equal(found, expected_moments(program, 33, seed=1, thin=3, first=5, **CHOSEN))
    monkeypatch.setattr(link_device, "_MEASURE_S", 0.0)
    dev.transport.responder.log.clear()
    assert_equal(dev.moments(3, seed=1, **CHOSEN), expected_moments(program, 3, seed=1, **CHOSEN))
    assert [arguments for opcode, arguments in dev.transport.responder.log
            if opcode is Opcode.RUN] == [(0, 1), (1, 1), (2, 1)]


@settings(max_examples=60)
@given(st.lists(st.builds(Fault, st.sampled_from(FaultKind), st.integers(0, 10_000)), max_size=30),
       st.lists(st.builds(Fault, st.sampled_from(FaultKind), st.integers(0, 10_000)), max_size=30))
def test_no_fault_makes_a_sample_count_twice_or_not_at_all(faults, reply_faults):
    program = make_program()
    expected = expected_moments(program, 9, seed=3, thin=2, **CHOSEN)
    dev = make_measuring(program)
    dev.transport.faults, dev.transport.reply_faults = iter(faults), iter(reply_faults)
    try:
        found = dev.moments(9, seed=3, thin=2, **CHOSEN)
    except LinkError:
        return
    assert_equal(found, expected)


@pytest.mark.parametrize("kind", [FaultKind.DROP, FaultKind.FLIP, FaultKind.LATE,
                                  FaultKind.DUPLICATE])
def test_one_fault_anywhere_costs_no_sample(program, kind):
    expected = expected_moments(program, 5, seed=3, **CHOSEN)
    frames = 0
    for place in itertools.count():
        dev = make_measuring(program)
        answers = dev.transport.responder.log
        answers.clear()
        dev.transport.reply_faults = iter([*[Fault(FaultKind.NONE)] * place, Fault(kind, 9)])
        assert_equal(dev.moments(5, seed=3, **CHOSEN), expected)
        if place > len(answers):
            break
        frames += 1
    assert frames > 20


@pytest.mark.parametrize("lost", ["faults", "reply_faults"])
def test_a_chain_that_lost_an_answer_is_not_measured_again(lost):
    program = make_program(InitialState.KEEP)
    dev = make_measuring(program)
    dev.moments(1, seed=1, **CHOSEN)
    before = len(dev.transport.responder.log)
    dev.moments(1, seed=1, first=1, **CHOSEN)
    run = [opcode for opcode, _ in dev.transport.responder.log[before:]].index(Opcode.RUN)
    setattr(dev.transport, lost, iter([*[Fault(FaultKind.NONE)] * run, Fault(FaultKind.DROP)]))
    with pytest.raises(LinkError, match=r"cannot be drawn again .* Load the program again"):
        dev.moments(1, seed=1, first=2, **CHOSEN)


def test_sums_of_a_chain_are_read_again():
    """Only the RUN cannot be repeated."""
    program = make_program(InitialState.KEEP)
    dev = make_measuring(program)
    dev.moments(1, seed=1, **CHOSEN)
    before = len(dev.transport.responder.log)
    dev.moments(1, seed=1, first=1, **CHOSEN)
    opcodes = [opcode for opcode, _ in dev.transport.responder.log[before:]]
    place = opcodes.index(Opcode.READ_MEMORY)
    dev.load(program)
    dev.transport.responder.state = [0] * program.spec.nodes
    dev.moments(1, seed=1, **CHOSEN)
    dev.transport.reply_faults = iter([*[Fault(FaultKind.NONE)] * place, Fault(FaultKind.DROP)])
    dev.moments(1, seed=1, first=1, **CHOSEN)
    assert dev.health.retries == 1


@pytest.mark.parametrize(("sums", "words"), [
    (0, "device must have statistics, and test:// has none: draw samples, or build it with sums"),
    (13, "nodes, edges and bins must need at most 13 sums, as test:// has, not 14"),
])
def test_devices_with_too_few_sums_say_so(program, sums, words):
    dev = make_measuring(program, sums)
    with pytest.raises(StatisticsError, match=words):
        dev.moments(3, seed=1, **CHOSEN)
    assert Opcode.RUN not in [opcode for opcode, _ in dev.transport.responder.log]


def test_a_device_that_was_reset_is_noticed(program):
    dev = make_measuring(program)
    dev.moments(1, seed=1, **CHOSEN)
    dev.transport.responder.registers[RegisterName.THIN] = 2       # forgets its setting
    with pytest.raises(LinkError, match="must have measured 4 samples, not 2"):
        dev._measure(program, 1, 5, range(4), 1000)
