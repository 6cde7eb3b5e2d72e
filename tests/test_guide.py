"""Every block of code in `PAGES` runs, in order, as a reader would run it.

What cannot is named in `NOT_RUN`, with the reason; its options must exist all the same.
"""

import itertools
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import click
import pytest

from pendula.cli import main
from pendula.files import cache_folder

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "docs/jitter.md",
         *sorted(ROOT.glob("docs/guide/*.md"))]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
LANGUAGES = {"sh", "python", "text", "math", "json"}

VENV = "python3 -m venv .venv"
INSTALLS = "installs from a registry into a new environment, as .ci/run does"
NOT_RUN = {
    ("README.md", f"{VENV} && .venv/bin/pip install -e '.[sim]' && .venv/bin/pendula demo"):
        INSTALLS,
    ("README.md", f"{VENV} && .venv/bin/pip install -e '.[test]' && .venv/bin/python -m pytest"):
        INSTALLS,
    ("CONTRIBUTING.md", f"{VENV} && .venv/bin/pip install -e '.[dev]'"):
        "runs the whole suite, of which this is a part; .ci/run has the same checks",
    ("docs/guide/first-steps.md", VENV): INSTALLS,
    ("docs/guide/first-steps.md", "pendula demo"):
        "takes 45 s; tests/cli/test_demo.py runs it on a quicker device",
    ("docs/guide/boards.md", "pip install 'pendula[fpga]'"):
        "synthesis of two lanes takes two minutes, placement longer: tests/fpga/test_build.py "
        "builds a small array, tests/fpga/test_plan.py counts the lanes that fit",
    ("docs/guide/boards.md", "pendula flash ulx3s-85f build/ulx3s-85f"):
        "needs a board; tests/fpga/test_flash.py loads a virtual one",
    ("docs/guide/boesch.md",
     "pendula train mnist01-12 --data ~/mnist -o ones.pendula --in-loop verilator://"):
        "takes a minute an update; tests/training/test_local_rules.py learns a small array",
    ("docs/guide/whitelam.md", "python benchmarks/whitelam.py dense ~/mnist"):
        "takes minutes; tests/training/test_reverse.py has its equations",
}
"""Blocks that are not run: their page and first line, and why."""

SHORT = {
    "pendula train ais-digits -o my-ais.pendula",
    "pendula train ais-mnist28 --data ~/mnist -o m.pendula",
    "pendula train ais-digits -o board.pendula --start ais-digits --in-loop verilator://",
    "pendula train mixture-2d -o two.pendula --in-loop verilator:// --rule cd1",
}
"""Trainings of minutes: run as they are but for `UPDATES`, which their pages name."""

UPDATES = " --updates 2"


class Block(NamedTuple):
    """A block of code: its page, its language and its lines."""

    page: Path
    language: str
    text: str

    @property
    def name(self) -> tuple[str, str]:
        return named(self.page), self.text.partition("\n")[0]

    @property
    def is_code(self) -> bool:
        return self.language in ("sh", "python")

    @property
    def needs_data(self) -> bool:
        return "~/mnist" in self.text


def blocks(page: Path) -> list[Block]:
    return [Block(page, *found) for found in BLOCK.findall(page.read_text())]


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def runnable(page: Path, *, needs_data: bool) -> list[Block]:
    return [block for block in blocks(page) if block.is_code and block.name not in NOT_RUN
            and block.needs_data == needs_data]


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_blocks_have_a_language(page):
    assert {block.language for block in blocks(page)} <= LANGUAGES


def test_what_is_excepted_is_there():
    code = [block for page in PAGES for block in blocks(page) if block.is_code]
    names = [block.name for block in code]
    assert all(names.count(name) == 1 for name in NOT_RUN)
    assert {line for block in code for line in block.text.splitlines()} >= SHORT
    assert not any(line in SHORT for block in code if block.name in NOT_RUN
                   for line in block.text.splitlines())


class Reader:
    """Runs what a page says in a folder, with boards that are served until the page ends."""

    def __init__(self, folder: Path, home: Path | None = None) -> None:
        scripts = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self._folder = folder
        self._env = {**os.environ, "PATH": scripts, "PENDULA_CACHE": str(cache_folder()),
                     **({"HOME": str(home)} if home else {})}
        self._places: dict[str, str] = {"192.168.0.7": "127.0.0.1"}
        self._boards = ExitStack()

    def __enter__(self) -> "Reader":
        return self

    def __exit__(self, *_: object) -> None:
        self._boards.close()

    def shell(self, text: str) -> None:
        """Run lines; those that serve a board go on beside the ones below."""
        for serves, lines in itertools.groupby(
                text.splitlines(), lambda line: line.startswith("pendula serve")):
            if serves:
                for line in lines:
                    self._boards.enter_context(self._serve(line))
            else:
                self.run(["bash", "-euo", "pipefail", "-c"], "\n".join(
                    self._here(line + UPDATES * (line in SHORT)) for line in lines))

    def run(self, command: list[str], text: str) -> None:
        done = subprocess.run([*command, text], cwd=self._folder, capture_output=True, text=True,
                              check=False, env=self._env)
        assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"

    def _here(self, line: str) -> str:
        """Return a line with the places that it names here."""
        for there, here in self._places.items():
            line = line.replace(there, here)
        return line

    @contextmanager
    def _serve(self, line: str) -> Iterator[None]:
        """Serve a board, and end it by Ctrl-C."""
        if port := re.search(r"--tcp (\d+)", line):
            self._places[port[1]] = free_port()
        process = subprocess.Popen(
            ["bash", "-c", f"exec {self._here(line)}"], cwd=self._folder, env=self._env, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert process.stdout is not None
        try:
            address = process.stdout.readline().strip()
            if "--pty" in line:
                self._places |= {"/dev/pts/3": address, "/dev/ttyUSB1": address}
            yield
            assert process.poll() is None, f"{line}\n{process.communicate()[1]}"
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=60)
            assert process.returncode == 130, err
        finally:
            process.kill()
            process.communicate()


def free_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return str(sock.getsockname()[1])


@pytest.mark.slow
@pytest.mark.verilator
@pytest.mark.parametrize("page", [page for page in PAGES if runnable(page, needs_data=False)],
                         ids=named)
def test_blocks_run(page, tmp_path):
    """Commands run one block at a time; what Python defines stays defined further down."""
    earlier = ""
    with Reader(tmp_path) as reader:
        for block in runnable(page, needs_data=False):
            if block.language == "sh":
                reader.shell(block.text)
            else:
                earlier += block.text
        if earlier:
            reader.run([sys.executable, "-W", "error", "-c"], earlier)


@pytest.mark.slow
@pytest.mark.dataset
@pytest.mark.skipif("PENDULA_DATA" not in os.environ, reason="PENDULA_DATA names no folder")
@pytest.mark.parametrize("page", [page for page in PAGES if runnable(page, needs_data=True)],
                         ids=named)
def test_blocks_that_need_data_run(page, tmp_path):
    home, folder = tmp_path / "home", tmp_path / "here"
    home.mkdir()
    folder.mkdir()
    (home / "mnist").symlink_to(Path(os.environ["PENDULA_DATA"]).resolve() / "mnist")
    with Reader(folder, home) as reader:
        for block in runnable(page, needs_data=True):
            reader.shell(block.text)


def commands(page: Path) -> list[str]:
    text = "\n".join(block.text for block in blocks(page) if block.language == "sh")
    lines = text.replace("\\\n", " ").split("\n")
    return [line for line in lines if re.match(r"(\S*/)?pendula ", line)]


def words(line: str) -> list[str]:
    """Return the words of a command, up to a pipe, a redirection or a comment."""
    split = shlex.shlex(line, posix=True, punctuation_chars=True)
    split.whitespace_split = True
    return list(itertools.takewhile(lambda word: not set(word) <= set(split.punctuation_chars),
                                    split))


@pytest.mark.parametrize(("page", "line"), [(page, line) for page in PAGES
                                            for line in commands(page)],
                         ids=lambda value: value if isinstance(value, str) else named(value))
def test_options_exist(page, line):
    _, name, *arguments = words(line)
    context = click.Context(main, info_name="pendula", **main.context_settings)
    command = main.get_command(context, name)
    assert command is not None, line
    command.make_parser(click.Context(command, parent=context)).parse_args(arguments)
