"""Hosts that are killed, boards that are reset or stall, disks that are full: nothing is half done.

Beside these: hosts that vanish, a second host, links that are cut anywhere (tests/link), commands
that are interrupted and go on (tests/cli), links that damage bytes (test_faulty_link).
"""

import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from cobs import cobs

import pendula
from arrays import ARRAYS
from boards import Board, pty_port, serving, tcp_port
from pendula import cli, ranges
from pendula.cli.partial import _read_records
from pendula.contract import InitialState
from pendula.contract.protocol import ARGUMENTS, HEADER_BYTES, Opcode
from pendula.errors import LinkError
from pendula.link.engine import AbstractEngine, Exchange
from pendula.link.recording import Player
from pendula.modelfile import save
from pendula.program import Program, random_program
from pendula.twin.twin_device import TwinDevice
from pendula_sim.build import build_library
from pendula_sim.verilator import VerilatorEngine

pytestmark = [pytest.mark.verilator,
              pytest.mark.skipif(sys.platform == "win32", reason="signals and limits of POSIX")]

SPEC = ARRAYS["quartic"]
COUNT = 40_000
PROGRAM = random_program(SPEC, np.random.default_rng(5), steps=2)
PLACES = {"tcp": tcp_port, "pty": pty_port}


class TroubledEngine(AbstractEngine):
    """The gateware, to which something happens once, after so many bytes in and out."""

    slice_cycles = 20_000

    def __init__(self, trouble: Callable[["TroubledEngine"], None], after: tuple[int, int]) -> None:
        self.inner = VerilatorEngine(build_library(SPEC))
        self.trouble: Callable[[TroubledEngine], None] | None = trouble
        self.after, self.sent = after, 0
        self.requests = b""         # all bytes from hosts

    def exchange(self, data: bytes, max_cycles: int) -> Exchange:
        result = self.inner.exchange(data, max_cycles)
        self.requests += data[:result.consumed]
        self.sent += len(result.output)
        moved = len(self.requests), self.sent
        if self.trouble and moved >= self.after and self.sent >= self.after[1]:
            self.trouble, trouble = None, self.trouble
            trouble(self)
        return result

    def reset(self) -> None:
        """Begin again, as after power-up."""
        self.inner.close()
        self.inner = VerilatorEngine(build_library(SPEC))

    def close(self) -> None:
        self.inner.close()


@contextmanager
def troubled(trouble: Callable[[TroubledEngine], None], after: tuple[int, int],
             place: str = "tcp") -> Iterator[tuple[Board, TroubledEngine]]:
    engine = TroubledEngine(trouble, after)
    with serving(engine, PLACES[place]) as board:
        yield board, engine
    engine.close()


def values_of(url: str, program: Program = PROGRAM, count: int = 500) -> np.ndarray:
    with pendula.open(url) as device:
        device.load(program)
        return device.sample(count, seed=3).values


# Hosts

def command(model: Path, url: str, output: Path) -> list[str]:
    return [sys.executable, "-m", "pendula", "sample", str(model), "--device", url, "--seed", "3",
            "-n", str(COUNT), "-o", str(output)]


def first_index(requests: bytes) -> int:
    """Return the first sample that is asked for."""
    packets = map(cobs.decode, filter(None, requests[requests.index(0):].split(b"\0")))
    return next(struct.unpack_from(ARGUMENTS[Opcode.RUN], packet, HEADER_BYTES)[0]
                for packet in packets if packet[1] == Opcode.RUN)


def kept(path: Path) -> int:
    """Return the samples in a partial file."""
    if not path.exists():
        return 0
    width = int(PROGRAM.visible.sum())
    with path.open("rb") as file:
        file.readline()
        return sum(len(data) for data, _ in _read_records(file, width, COUNT)) // width


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(("after", "least"), [((300, 0), 0), ((0, 5_000), 16), ((0, 200_001), 16)],
                         ids=["upload", "run", "read"])
def test_a_killed_host_leaves_nothing_half_done(tmp_path, place, after, least):
    """The next host, on the same board, goes on and ends with the file of an uninterrupted run."""
    model, output = tmp_path / "m.pendula", tmp_path / "S.npz"
    save(PROGRAM, model)
    killed: list[subprocess.Popen[str]] = []
    with troubled(lambda _: killed[0].kill(), after, place) as (board, engine):
        url = board.url + "?timeout=60"
        killed.append(subprocess.Popen(command(model, url, output), text=True,
                                       stderr=subprocess.PIPE))
        killed[0].communicate()
        assert killed[0].returncode == -signal.SIGKILL
        assert not output.exists()
        before, finished = len(engine.requests), kept(tmp_path / "S.npz.partial")
        assert least <= finished < COUNT
        assert bool(finished) == bool(least)
        subprocess.run(command(model, url, output), check=True, capture_output=True)
        assert first_index(engine.requests[before:]) == finished
    assert {path.name for path in tmp_path.iterdir()} == {"m.pendula", "S.npz"}
    with np.load(output) as file, pendula.open("twin://") as twin:
        twin.load(PROGRAM)
        assert np.array_equal(file["values"], twin.sample(COUNT, seed=3, pixels=True).values)


def test_a_full_disk_ends_the_run_and_room_lets_it_go_on(tmp_path):
    """A limit of the size of files stands for the disk."""
    model, outputs = tmp_path / "m.pendula", [tmp_path / "S.npz", tmp_path / "whole.npz"]
    save(PROGRAM, model)
    line = command(model, "twin://", outputs[0])
    full = subprocess.run(["bash", "-c", 'ulimit -f 60; exec "$@"', "-", *line],
                          capture_output=True, text=True, check=False)
    assert full.returncode == 2
    assert full.stderr == f"pendula: error: {outputs[0]}.partial: File too large\n"
    assert {path.name for path in tmp_path.iterdir()} == {"m.pendula", "S.npz.partial"}
    for output in outputs:
        subprocess.run(command(model, "twin://", output), check=True, capture_output=True)
    assert outputs[0].read_bytes() == outputs[1].read_bytes()


def limited(kibibytes: int, folder: Path, *line: str) -> str:
    """Run a command whose files may not grow further, and return what it says on failing."""
    full = subprocess.run(["bash", "-c", f'ulimit -f {kibibytes}; exec "$@"', "-", *line],
                          cwd=folder, capture_output=True, text=True, check=False)
    assert full.returncode == 2, full.stderr
    assert full.stdout == ""
    return full.stderr


@pytest.mark.parametrize(("kibibytes", "line", "message"), [
    (1, "moments m.pendula --device twin:// -n 50 -o F", "F: File too large"),
    (1, "compare m.pendula --device twin:// -n 20 --report F", "F: File too large"),
    (100, "train digits -o F", "model file: file: cannot write 'F': File too large"),
], ids=["moments", "report", "model"])
def test_a_full_disk_leaves_no_part_of_a_file(tmp_path, kibibytes, line, message):
    save(PROGRAM, tmp_path / "m.pendula")
    error = limited(kibibytes, tmp_path, sys.executable, "-m", "pendula", *line.split())
    assert error == f"pendula: error: {message}\n"
    assert [path.name for path in tmp_path.iterdir()] == ["m.pendula"]


def test_a_full_disk_ends_a_recording_at_a_whole_line(tmp_path):
    """The line that was cut is no part of it."""
    build_library(SPEC)         # there is room for the simulator
    save(PROGRAM, tmp_path / "m.pendula")
    error = limited(40, tmp_path, *command(tmp_path / "m.pendula", "verilator://", Path("S.npz")),
                    "--record", "F.jsonl")
    assert error == "pendula: error: F.jsonl: File too large\n"
    assert {path.name for path in tmp_path.iterdir()} == {
        "m.pendula", "F.jsonl", "S.npz.partial"}
    player, events = Player(tmp_path / "F.jsonl"), 0
    while player.next:
        player.take()
        events += 1
    player.close()
    assert events > 5


TRAINING = """
import sys
from dataclasses import replace
from pendula import cli
from pendula.training.ais.presets import AIS_PRESETS
AIS_PRESETS["ais-digits"] = replace(AIS_PRESETS["ais-digits-critic"], degree=4, segments=2,
                                    steps=2, iterations=2, interval=1, batch=16, critic=(16,),
                                    critic_steps=1)
cli.main(sys.argv[1:])
"""


def test_a_full_disk_ends_a_training(tmp_path):
    """Before its first checkpoint is whole."""
    error = limited(4, tmp_path, sys.executable, "-c", TRAINING, "train", "ais-digits", "-o", "F")
    assert error == ("pendula: error: checkpoint F.checkpoint must be writable: File too large\n")
    assert [path.name for path in tmp_path.iterdir()] == ["F.log.jsonl"]


@pytest.mark.parametrize("arguments", [
    ["moments", "-n", "5000", "-o", "M.npz"],
    ["compare", "--against", "twin://", "-n", "5000", "--report", "R.html"],
    ["sample", "-n", "5", "-o", "S.npz"],
    ["score", "--dataset", "digits", "-n", "20", "--report", "R.html"],
    ["verify", "--rungs", "states,integers", "-n", "100", "--report", "R.html"],
    ["ranges"], ["calibrate"]], ids=lambda arguments: arguments[0])
def test_ctrl_c_leaves_no_file(tmp_path, monkeypatch, arguments):
    """Nor does a command that is interrupted in its first batch leave a part of one.

    Beside these: tests/cli for train and serve, tests/fpga/test_plan.py for build.
    """
    monkeypatch.chdir(tmp_path)
    save(PROGRAM, "m.pendula")
    monkeypatch.setattr(TwinDevice, "_sample", interrupt)
    monkeypatch.setattr(TwinDevice, "_forces", interrupt)
    monkeypatch.setattr(ranges, "GaussianSampler", interrupt)
    name, *options = arguments
    places = {"ranges": ["m.pendula"], "verify": ["m.pendula"],
              "calibrate": ["twin://", "m.pendula"]}
    result = CliRunner().invoke(cli.main, [
        name, *places.get(name, ["m.pendula", "--device", "twin://"]), *options])
    assert (result.exit_code, result.stdout) == (130, "")
    assert result.stderr.endswith("pendula: interrupted\n")
    assert [path.name for path in tmp_path.iterdir()] == ["m.pendula"]


def interrupt(*_: object) -> None:
    signal.raise_signal(signal.SIGINT)


def test_ctrl_c_ends_noise_without_end():
    with subprocess.Popen([sys.executable, "-m", "pendula", "noise", "twin://"],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert len(process.stdout.read(1 << 20)) == 1 << 20
        process.send_signal(signal.SIGINT)
        _, err = process.communicate()
    assert process.returncode == 130
    assert err.endswith(b"pendula: interrupted\n")


def test_noise_onto_a_full_disk_is_an_error():
    with Path("/dev/full").open("wb") as full:
        run = subprocess.run(
            [sys.executable, "-m", "pendula", "noise", "twin://", "--bytes", "11M"],
            stdout=full, stderr=subprocess.PIPE, check=False)
    assert run.returncode == 2
    assert run.stderr == b"pendula: error: system: No space left on device\n"


# Boards

@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("after", [(0, 3_000), (0, 30_001), (700, 0)])
def test_a_board_that_is_reset_behind_an_open_port_is_loaded_again(place, after):
    """It answers, with an empty program: that is noticed, and what it drew is drawn again."""
    with pendula.open("twin://") as twin:
        twin.load(PROGRAM)
        expected = twin.sample(20_000, seed=3).values
    with troubled(TroubledEngine.reset, after, place) as (board, engine), \
            pendula.open(board.url + "?timeout=2") as device:
        device.load(PROGRAM)
        batch = device.sample(20_000, seed=3)
        assert engine.trouble is None
        assert np.array_equal(batch.values, expected)
        moments = device.moments(50, seed=4)
        engine.reset()
        assert np.array_equal(device.moments(50, seed=4).totals, moments.totals)
        states = batch.values[:3]
        forces = device.forces(states)
        engine.reset()
        assert np.array_equal(device.forces(states), forces)
        assert device.health.reconnects >= 2


def test_a_serial_board_that_is_unplugged_and_plugged_in_again_is_loaded_again(tmp_path):
    """It knows nothing then, and has another name; a link of one name leads to either."""
    expected, name = values_of("twin://", count=20_000), tmp_path / "board"
    unplugged = threading.Event()
    with ExitStack() as before, ExitStack() as after:
        board, engine = before.enter_context(
            troubled(lambda _: unplugged.set(), (0, 30_001), "pty"))
        name.symlink_to(board.port.address)

        def plug_again() -> None:
            unplugged.wait()
            before.close()
            name.unlink()
            other, _ = after.enter_context(troubled(lambda _: None, (0, 0), "pty"))
            time.sleep(0.3)
            name.symlink_to(other.port.address)

        hand = threading.Thread(target=plug_again)
        hand.start()
        try:
            with pendula.open(f"serial://{name}?timeout=2&reconnect=60") as device:
                device.load(PROGRAM)
                assert np.array_equal(device.sample(20_000, seed=3).values, expected)
                assert (engine.trouble, device.health.reconnects) == (None, 1)
        finally:
            unplugged.set()
            hand.join()


def test_a_chain_on_a_board_that_is_reset_is_an_error():
    chain = random_program(SPEC, np.random.default_rng(5), steps=2,
                           initial=InitialState.KEEP)
    with troubled(lambda _: None, (0, 0)) as (board, engine), \
            pendula.open(board.url + "?timeout=2") as device:
        device.load(chain)
        device.sample(5, seed=3)
        engine.reset()
        with pytest.raises(LinkError, match=r"was reset.*A chain cannot be resumed"):
            device.sample(5, seed=3, first=5)


@pytest.mark.parametrize("place", PLACES)
def test_a_board_that_stalls_is_waited_for(place):
    """For longer than the timeout: requests are repeated, and late answers are not taken twice."""
    expected = values_of("twin://")
    with troubled(lambda _: time.sleep(0.7), (0, 3_000), place) as (board, _), \
            pendula.open(board.url + "?timeout=0.15") as device:
        device.load(PROGRAM)
        assert np.array_equal(device.sample(500, seed=3).values, expected)
        assert device.health.retries > 0


