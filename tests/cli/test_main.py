"""The command line as a whole: errors, exit codes, help, start-up."""

import json
import socket
import subprocess
import sys
from contextlib import suppress

import click
import pytest
from click.testing import CliRunner

import pendula
from interrupting import stop
from pendula import cli
from pendula.errors import DataError


def run(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(cli.main, arguments, prog_name="pendula")
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def failing(monkeypatch):
    """A command `fail` that raises what it is told."""
    def install(error: BaseException) -> None:
        def fail() -> None:
            raise error
        module = type(sys)("failing")
        module.__dict__["command"] = click.command("fail")(fail)
        monkeypatch.setitem(sys.modules, "failing", module)
        monkeypatch.setitem(cli.COMMANDS, "fail", "failing")
    return install


@pytest.mark.parametrize(("arguments", "message"), [
    (["frobnicate"], "No such command 'frobnicate'"),
    (["sample"], "Missing argument 'MODEL'. See 'pendula sample --help'."),
    (["sample", "m", "-n", "many", "-o", "x"], "'many' is not a valid integer"),
    (["info", "foo://"], "device URL must start with one of"),
    (["info", "twin://?x=1"], "takes the options []"),
    (["sample", "no-such-model", "-o", "x.npz"], "not 'no-such-model'"),
    (["sample", "m", "-n", "0", "-o", "x.npz"], "Number of samples must be positive, not 0"),
    (["sample", "m", "--seed", "-1", "-o", "x.npz"], "Seed must be within"),
    (["sample", "m", "--seed", "dice", "-o", "x"], "'dice' is not a valid integer, and not 'ji"),
    (["info", "pysim://?jitter=dice"], "must be model, not 'dice'"),
], ids=lambda value: value[0] if isinstance(value, list) else "")
def test_bad_input_is_one_line_and_exit_code_2(arguments, message):
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith("pendula: error: ")
    assert message in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(("error", "message"), [
    (DataError("first\nsecond"), "first second"),
    (FileNotFoundError(2, "No such file or directory", "there"),
     "there: No such file or directory"),
    (OSError("disk on fire"), "system: disk on fire"),
])
def test_expected_errors_are_one_line(failing, error, message):
    failing(error)
    assert run("fail") == (2, "", f"pendula: error: {message}\n")


def test_interruption_has_its_own_exit_code(failing):
    failing(KeyboardInterrupt())
    code, out, err = run("fail")
    assert (code, out, err.strip()) == (130, "", "pendula: interrupted")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for a child")
def test_ctrl_c_ends_info_of_a_device_that_is_silent():
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        taken = []

        def accept() -> list[object]:
            with suppress(BlockingIOError):
                taken.append(server.accept()[0])
            return taken

        url = f"tcp://127.0.0.1:{server.getsockname()[1]}?timeout=300"
        code, out, err = stop("info", url, when=accept)
        for connection in taken:
            connection.close()
    assert (code, out, err) == (130, "", "\npendula: interrupted\n")


def test_a_bug_is_not_hidden(failing):
    failing(ZeroDivisionError())
    assert isinstance(CliRunner().invoke(cli.main, ["fail"]).exception, ZeroDivisionError)


def test_what_a_command_returns_is_the_exit_code(monkeypatch):
    module = type(sys)("returning")
    module.__dict__["command"] = click.command("differ")(lambda: 1)
    monkeypatch.setitem(sys.modules, "returning", module)
    monkeypatch.setitem(cli.COMMANDS, "differ", "returning")
    assert run("differ")[0] == 1


def test_help_names_every_command_and_shows_examples():
    code, out, _ = run()
    assert code == 0
    assert all(name in out for name in cli.COMMANDS)
    assert "pendula sample digits" in out
    assert run("--help") == run()
    for name in cli.COMMANDS:
        code, out, _ = run(name, "--help")
        assert code == 0
        assert f"pendula {name} " in out.partition("Examples:")[2], f"{name} needs an example"


def test_version():
    assert run("--version") == (0, f"pendula {pendula.__version__}\n", "")


def test_json_is_json_and_text_is_aligned():
    code, out, err = run("info", "twin://", "--json")
    assert (code, err) == (0, "")
    assert json.loads(out) == {"url": "twin://", "exact": True}
    assert run("info", "twin://")[1] == "url    twin://\nexact  True\n"


def test_info_with_a_model(model):
    path, program = model
    facts = json.loads(run("info", "twin://", "--model", str(path), "--json")[1])
    assert facts["program"] == program.digest
    assert facts["steps"] == program.total_steps


def test_info_shows_rings_and_the_last_seed():
    facts = json.loads(run("info", "pysim://?jitter=model", "--json")[1])
    assert (facts["jitter_rings"], facts["jitter_seed"]) == (1, 0)


def test_starting_imports_nothing_heavy():
    script = """
import atexit, sys
heavy = {"amaranth", "scipy", "matplotlib", "sklearn", "jinja2", "rich"}
atexit.register(lambda: sys.stderr.write(str(heavy & set(sys.modules))))
import pendula.cli
pendula.cli.main(["info", "twin://"])
"""
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True,
                            check=True)
    assert result.stderr == "set()"


def test_python_m_pendula_works():
    result = subprocess.run([sys.executable, "-m", "pendula", "info", "nowhere"], check=False,
                            capture_output=True, text=True)
    assert result.returncode == 2
    assert result.stderr.startswith("pendula: error: device URL")

