"""``pendula noise``: bytes on standard output, and what happens when they cannot go there."""

import os
import subprocess
import sys
from itertools import islice

import pytest

from pendula.contract.noise import NoiseStream

PENDULA = [sys.executable, "-m", "pendula", "noise"]


def run(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([*PENDULA, *arguments], capture_output=True, check=False)


def words(count: int, seed: int, index: int) -> bytes:
    return b"".join((draw % 2**32).to_bytes(4, "little")
                    for draw in islice(NoiseStream(seed, index), count))


def test_writes_as_many_bytes_as_asked_for() -> None:
    done = run("twin://", "--bytes", "2K", "--kind", "words", "--seed", "7", "--first", "3",
               "--draws", "256")
    assert done.returncode == 0
    assert done.stdout == words(256, 7, 3) + words(256, 7, 4)
    assert done.stderr == b""


@pytest.mark.parametrize(("arguments", "message"), [
    (["--bytes", "12"], "12 must be a positive multiple of 11, whole draws: try 11"),
    (["--bytes", "0", "--kind", "words"], "0 must be a positive multiple of 4, whole words: try 4"),
    (["--bytes", "5X"], "'5X' must be a number of bytes, such as 1000 or 64G"),
    (["--bytes", "64G", "--draws", "2", "--kind", "words"],
     "68719476736 must be at most 34359738368: seed 0 has no more streams"),
    (["--seed", str(2**64)], "Seed must be within 0..2**64-1, not"),
    (["--kind", "bytes"], "'bytes' is not one of 'draws', 'words', 'uniforms', 'gaussians'"),
])
def test_bad_option_is_one_line_and_no_byte(arguments: list[str], message: str) -> None:
    done = run("twin://", *arguments)
    assert done.returncode == 2
    assert done.stdout == b""
    assert message in done.stderr.decode()
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(("size", "code", "message"), [
    (["--bytes", "110M"], 2,
     "pendula: error: the reader closed the pipe after about {} bytes of 115343360"),
    ([], 0, "the reader closed the pipe after about {} bytes"),
])
def test_closed_pipe(size: list[str], code: int, message: str) -> None:
    """An early end is an error only where an end was asked for; one line, no trace."""
    with subprocess.Popen([*PENDULA, "twin://", *size], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert len(process.stdout.read(1000)) == 1000
        process.stdout.close()
        told = process.stderr.read().decode().strip()
        assert process.wait(60) == code
    given = told.partition("about ")[2].split()[0]
    assert told == message.format(given)
    assert int(given) >= 1000 - 1000 % 11


def test_a_terminal_is_refused() -> None:
    main, terminal = os.openpty()
    with os.fdopen(main), os.fdopen(terminal) as output:
        done = subprocess.run([*PENDULA, "twin://"], stdout=output, stderr=subprocess.PIPE,
                              check=False)
    assert done.returncode == 2
    assert b"redirect it into a file or a program" in done.stderr
