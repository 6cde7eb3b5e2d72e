"""Devices behind a connection: it breaks anywhere, and the samples are those of an unbroken run."""

import itertools
import logging
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pendula
from boards import CuttingProxy, ResponderEngine, serving, tcp_port
from pendula.contract import ArraySpec, InitialState, get_physics
from pendula.contract.protocol import Opcode
from pendula.contract.step import forces, run_sample
from pendula.errors import LinkDownError, LinkError, ProgramError, UrlError
from pendula.link import link_device, remote_device
from pendula.link.client import ATTEMPTS
from pendula.link.engine import Exchange
from pendula.program import Program, random_program

SPEC = ArraySpec(physics=get_physics("quartic"), nodes=4, offsets=(-2, 1), segments=2,
                 table_bits=4)
COUNT = 12


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(remote_device, "_RETRY_S", 0.0)


def make_program(initial: InitialState = InitialState.UNIFORM, seed: int = 3) -> Program:
    return random_program(SPEC, np.random.default_rng(seed), segments=2, initial=initial)


class Boards:
    """Boards behind one address, each connection cut after so many bytes from the board.

    With `fresh`, every connection leads to another board that knows nothing yet.
    """

    def __init__(self, cuts: Iterator[int | None], *, fresh: bool = False,
                 specs: tuple[ArraySpec, ...] = (SPEC,)) -> None:
        self._stack = ExitStack()
        self.engines: list[ResponderEngine] = []
        self._fresh, self._specs = fresh, itertools.chain(specs, itertools.repeat(specs[-1]))
        self._address = ""
        self.proxy = self._stack.enter_context(CuttingProxy(self._addresses(), cuts))

    def _addresses(self) -> Iterator[str]:
        while True:
            if self._fresh or not self._address:
                engine = ResponderEngine(next(self._specs))
                self.engines.append(engine)
                board = self._stack.enter_context(serving(engine, tcp_port))
                self._address = board.port.address
            yield self._address

    def runs(self) -> list[tuple[int, ...]]:
        return [arguments for engine in self.engines
                for opcode, arguments in engine.responder.log if opcode is Opcode.RUN]

    def __enter__(self) -> "Boards":
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()


def check_whole_run(boards: Boards) -> None:
    """Load, sample, evaluate forces and sample with held nodes, against the contract."""
    program = make_program()
    seen: list[int] = []
    clamped = np.array([0, 1, 0, 0])
    with pendula.open(boards.proxy.url) as device:
        device.load(program)
        batch = device.sample(COUNT, seed=9, hidden=True, progress=seen.append)
        states = np.array([[1, -2, 3, -4], [5, 6, -7, 8]])
        found = device.forces(states, segment=1)
        device.set_nodes([9, 8, 7, 6], clamped)
        held = device.sample(2, seed=10, hidden=True)
        reconnects = device.health.reconnects
    runs = [run_sample(program, 9, index) for index in range(COUNT)]
    assert batch.values.tolist() == [run.x for run in runs]
    assert batch.saturations == sum(run.saturations for run in runs)
    assert batch.cycles == COUNT * SPEC.nodes
    assert sum(seen) == COUNT
    assert found.tolist() == [forces(program, 1, state) for state in states.tolist()]
    assert held.values.tolist() == [
        run_sample(program, 10, index, uploaded=[9, 8, 7, 6],
                   clamped=[bool(flag) for flag in clamped]).x for index in range(2)]
    assert bool(reconnects) == (boards.proxy.connections > 1)
    assert reconnects < boards.proxy.connections     # some are cut before HELLO is answered


@settings(max_examples=25)
@given(st.lists(st.integers(1, 1200), max_size=ATTEMPTS - 1), st.booleans())
def test_cuts_anywhere_change_nothing(cuts, fresh):
    with Boards(iter(cuts), fresh=fresh) as boards:
        try:
            check_whole_run(boards)
        except LinkDownError:       # cut before the first HELLO was answered: no device yet
            assert cuts[0] < 100
            assert boards.proxy.connections == 1


@settings(max_examples=25)
@given(st.lists(st.integers(100, 1200), max_size=ATTEMPTS - 1), st.booleans())
def test_cuts_anywhere_count_no_sample_twice(cuts, fresh):
    program = make_program()
    with Boards(iter(cuts), fresh=fresh) as boards, pendula.open(boards.proxy.url) as device:
        device.load(program)
        moments = device.moments(COUNT, seed=9, thin=3, edges=[(3, 0)])
        again = device.moments(COUNT, seed=9, thin=3, edges=[(3, 0)])
    states = np.array([run_sample(program, 9, index).x for index in range(2, 3 * COUNT, 3)])
    for found in (moments, again):
        assert found.totals.tolist() == states.sum(axis=0).tolist()
        assert found.products.tolist() == [(states[:, 3] * states[:, 0]).sum()]


def test_a_chain_that_is_cut_is_not_measured_on():
    with Boards(iter([bytes_of_a_load() + 160])) as boards, \
            pendula.open(boards.proxy.url) as device:
        device.load(make_program(InitialState.KEEP))
        with pytest.raises(LinkError, match="A chain cannot be resumed"):
            device.moments(COUNT, seed=9)


def bytes_of_a_load() -> int:
    """Return the bytes that a board sends until a program is loaded."""
    engine = ResponderEngine(SPEC)
    sent = 0
    exchange = engine.exchange

    def count(data: bytes, max_cycles: int) -> Exchange:
        nonlocal sent
        result = exchange(data, max_cycles)
        sent += len(result.output)
        return result

    engine.exchange = count
    with serving(engine, tcp_port) as board, pendula.open(board.url + "?timeout=60") as device:
        device.load(make_program())
    return sent


@pytest.mark.parametrize("fresh", [False, True])
def test_a_run_that_is_cut_twice_goes_on(fresh, caplog):
    """Cut in the midst of samples; a board that forgot everything gets it again."""
    in_samples = bytes_of_a_load() + 140
    with Boards(iter([in_samples, 800]), fresh=fresh) as boards:
        check_whole_run(boards)
        writes = [opcode for engine in boards.engines[1:] for opcode, _ in engine.responder.log
                  if opcode is Opcode.WRITE_MEMORY]
        assert bool(writes) == fresh
        assert boards.proxy.connections >= 2
    messages = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert "is broken: the other end closed it" in messages[0]
    assert "trying again for 60 s" in messages[0]
    assert messages[1].endswith("is back, the run goes on")


def test_a_board_that_kept_its_program_is_not_written_again():
    cut = bytes_of_a_load() + 140
    with Boards(iter([cut])) as boards:
        check_whole_run(boards)
        log = [opcode for opcode, _ in boards.engines[0].responder.log]
    again = log[log.index(Opcode.HELLO, log.index(Opcode.RUN)):]
    assert again.count(Opcode.WRITE_MEMORY) == 3        # nodes alone: two of forces, held ones
    assert Opcode.CHECKSUM in again


def test_a_damaged_memory_is_written_again():
    """The other end is asked what it holds, not trusted."""
    program = make_program()
    with Boards(iter([bytes_of_a_load() + 140])) as boards, pendula.open(boards.proxy.url) as dev:
        dev.load(program)
        memories = boards.engines[0].responder.memories
        receive = boards.engines[0].responder.receive

        def forget(data: bytes) -> list[bytes]:
            if boards.proxy.connections == 2 and not forgotten:
                forgotten.append(True)
                for memory in memories.values():
                    memory[3] ^= 1
            return receive(data)

        forgotten: list[bool] = []
        boards.engines[0].responder.receive = forget
        batch = dev.sample(COUNT, seed=9, hidden=True)
        assert forgotten
    assert batch.values.tolist() == [run_sample(program, 9, k).x for k in range(COUNT)]


def test_long_runs_repeat_one_request_at_most(monkeypatch):
    monkeypatch.setattr(link_device, "_RUN_BYTES", 40)      # three samples
    with Boards(iter([bytes_of_a_load() + 400])) as boards:
        check_whole_run(boards)
        first = [run[0] for run in boards.runs()]
    assert len(first) - len(set(first)) <= 2     # the broken one, and seed 10 starts at 0 again
    assert sorted(set(first)) == [0, 3, 6, 9]


def test_a_chain_is_not_resumed():
    program = make_program(InitialState.KEEP)
    with Boards(iter([bytes_of_a_load() + 140])) as boards, pendula.open(boards.proxy.url) as dev:
        dev.load(program)
        with pytest.raises(LinkError, match=r"A chain cannot be resumed.*load the program again"):
            dev.sample(COUNT, seed=1)
        with pytest.raises(ProgramError, match="call load"):
            dev.sample(1, seed=1)
        dev.load(program)
        assert dev.sample(1, seed=1).request.count == 1


@pytest.mark.parametrize("change", [{"nodes": 5}, {"segments": 3}])
def test_another_board_is_refused(change):
    specs = (SPEC, replace(SPEC, **change))
    cuts = iter([bytes_of_a_load() + 140])
    with Boards(cuts, fresh=True, specs=specs) as boards, pendula.open(boards.proxy.url) as device:
        device.load(make_program())
        with pytest.raises(LinkError, match="is another device than before the connection broke"):
            device.sample(COUNT, seed=1)


@pytest.mark.parametrize(("options", "message"), [
    ("timeout=60&reconnect=0", "is broken: the other end closed it"),
    ("timeout=60&reconnect=0.05", r"did not come back within 0\.05 s: .*cannot be opened: ")])
def test_a_board_that_stays_away_is_given_up(options, message):
    engine = ResponderEngine(SPEC)
    with serving(engine, tcp_port) as board:
        cut = bytes_of_a_load() + 140
        proxy = CuttingProxy(itertools.repeat(board.port.address), iter([cut]))
        device = pendula.open(proxy.url.partition("?")[0] + "?" + options)
        device.load(make_program())
        proxy._listener.close()                 # nobody can connect again
        with pytest.raises(LinkDownError, match=message):
            device.sample(COUNT, seed=1)
        with pytest.raises(ProgramError, match="call load"):
            device.sample(1, seed=1)


def test_a_link_that_breaks_again_and_again_is_given_up():
    cuts = itertools.chain([bytes_of_a_load() + 140], itertools.repeat(110))
    with Boards(cuts) as boards, pendula.open(boards.proxy.url) as device:
        device.load(make_program())
        with pytest.raises(LinkDownError, match="is broken"):
            device.sample(COUNT, seed=1)
        assert device.health.reconnects == ATTEMPTS


def test_the_board_has_the_array_that_it_has():
    other = random_program(ArraySpec(physics=get_physics("ising"), nodes=3, offsets=(1,),
                                     segments=1, table_bits=3), np.random.default_rng(0),
                           segments=1)
    with Boards(iter(())) as boards, pendula.open(boards.proxy.url) as device:
        with pytest.raises(LinkError, match=r"array of the device must be .* \(ising, N = 3"):
            device.load(other)
        assert device.info()["nodes"] == SPEC.nodes
        device.load(make_program())


@pytest.mark.parametrize(("query", "message"), [
    ("timeout=soon", "option timeout must be a number of at least 0.001, not 'soon'"),
    ("timeout=0", "option timeout must be"), ("timeout=nan", "option timeout must be"),
    ("reconnect=-1", "option reconnect must be a number of at least 0, not '-1'"),
    ("reconnect=inf", "option reconnect must be"), ("speed=9", "takes the options")])
@pytest.mark.parametrize("url", ["tcp://127.0.0.1:1", "serial:///dev/null"])
def test_wrong_options_are_refused(url, query, message):
    with pytest.raises(UrlError, match=message):
        pendula.open(f"{url}?{query}")
