"""``pendula serve`` as a process: what it prints, what it refuses, how it ends."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from click.testing import CliRunner

from pendula import cli
from pendula.cli import serve
from pendula.contract.step import run_sample
from pendula_sim.design import DEFAULT_SPEC

posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for a child")


def run(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(cli.main, [str(item) for item in arguments], prog_name="pendula")
    return result.exit_code, result.stdout, result.stderr


@contextmanager
def started(*arguments: object) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Yield the process and the address that it prints."""
    command = [sys.executable, "-m", "pendula", "serve", *map(str, arguments)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        address = process.stdout.readline().strip()
        assert address, process.communicate()[1]
        yield process, address
    finally:
        process.kill()
        process.communicate()


@posix
@pytest.mark.parametrize("place", [["--tcp", "0"], ["--pty"]])
def test_a_board_is_served_sampled_and_interrupted(model, tmp_path, place):
    path, program = model
    with started("pysim://", "--model", path, *place) as (process, address):
        assert os.path.exists(address) == (place == ["--pty"])
        url = f"{'serial' if place == ['--pty'] else 'tcp'}://{address}?timeout=120"
        code, out, err = run("info", url, "--json")
        assert (code, err) == (0, "")
        info = json.loads(out)
        assert (info["nodes"], info["spec_id"]) == (program.spec.nodes, program.spec.digest[:16])
        code, _, err = run("sample", path, "--device", url, "-n", 2, "--seed", 3, "--raw",
                           "-o", tmp_path / "S.npz")
        assert (code, err) == (0, "")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=120)
        assert process.returncode == 130
    with np.load(tmp_path / "S.npz") as file:
        assert file["values"].tolist() == [run_sample(program, 3, index).x for index in range(2)]
    lines = err.splitlines()
    assert lines[0] == f"serving pysim:// as {url.partition('?')[0]}; Ctrl-C ends it"
    assert lines[1].endswith(("connected", "opened"))
    assert lines[-1] == "pendula: interrupted"
    assert "Traceback" not in err
    assert out == ""


@posix
def test_without_a_model_the_default_array_is_served():
    with started("pysim://", "--tcp", 0, "--bind", "localhost") as (process, address):
        assert address.startswith("127.0.0.1:")
        info = json.loads(run("info", f"tcp://{address}?timeout=120", "--json")[1])
        assert info["spec_id"] == DEFAULT_SPEC.digest[:16]
        process.send_signal(signal.SIGINT)
        assert "warning" not in process.communicate(timeout=120)[1]


@posix
def test_another_address_than_loopback_needs_a_token_and_is_warned_about(tmp_path):
    token = tmp_path / "token"
    token.write_text("0123456789abcdef\n")
    with started("pysim://", "--tcp", 0, "--bind", "0.0.0.0",       # noqa: S104
                 "--token", token) as (process, address):
        url = f"tcp://127.0.0.1:{address.rpartition(':')[2]}?timeout=120&token={token}"
        assert json.loads(run("info", url, "--json")[1])["nodes"] == DEFAULT_SPEC.nodes
        process.send_signal(signal.SIGINT)
        err = process.communicate(timeout=120)[1]
    assert err.startswith("warning: there is no encryption; who is between 0.0.0.0 and a host")


@pytest.mark.parametrize(("address", "loopback"), [
    ("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("localhost", True),
    ("::", False), ("192.168.0.7", False), ("board.example", False)])
def test_what_is_loopback(address, loopback):
    assert serve._is_loopback(address) == loopback


@pytest.mark.parametrize(("arguments", "message"), [
    (["pysim://"], "Give either --pty or --tcp PORT. See 'pendula serve --help'."),
    (["pysim://", "--pty", "--tcp", "1"], "Give either --pty or --tcp PORT."),
    (["pysim://", "--pty", "--bind", "::"], "--bind and --token need --tcp."),
    (["pysim://", "--pty", "--token", "x"], "--bind and --token need --tcp."),
    (["pysim://", "--tcp", "0", "--bind", "::"],
     "--bind :: can be reached by others: give --token FILE as well."),
    (["pysim://", "--tcp", "0", "--token", "no-such"], "token file no-such cannot be read"),
    (["pysim://", "--tcp", "65536"], "65536 is not in the range 0<=x<=65535"),
    (["pysim://", "--tcp", "0", "--model", "no-such"], "not 'no-such'"),
    (["twin://", "--tcp", "0"], "twin:// cannot be served, it is no simulated gateware"),
    (["pysim://", "--tcp", "0", "--bind", "127.0.0.300"], "give --token FILE as well.")])
def test_what_cannot_be_served(arguments, message):
    code, out, err = run("serve", *arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert err.splitlines()[-1].startswith("pendula: error: ")


def test_a_port_in_use():
    with socket.create_server(("127.0.0.1", 0)) as sock:
        code, _, err = run("serve", "pysim://", "--tcp", sock.getsockname()[1])
    assert code == 2
    assert "cannot be listened at: Address already in use" in err
    assert "Choose another port, or 0" in err
