"""Every block of code in README and guide runs, in order, as a reader would run it.

A comment before a block, ``<!-- not run: REASON -->``, leaves it out; its options must exist.
"""

import itertools
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import click
import pytest

from pendula.cli import main

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/guide/*.md"))]
BLOCK = re.compile(r"(<!-- not run: [^\n]+ -->\n)?^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
LANGUAGES = {"sh", "python", "text", "math", "json"}


class Block(NamedTuple):
    """A block of code: its language, its lines, and whether it can run here."""

    language: str
    text: str
    runs: bool


def blocks(page: Path) -> list[Block]:
    return [Block(language, text, not reason)
            for reason, language, text in BLOCK.findall(page.read_text())]


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_blocks_have_a_language(page):
    assert {block.language for block in blocks(page)} <= LANGUAGES


def run(command: list[str], folder: Path, text: str) -> None:
    scripts = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run([*command, text], cwd=folder, capture_output=True, text=True,
                          check=False, env={**os.environ, "PATH": scripts})
    assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"


@pytest.mark.slow
@pytest.mark.verilator
@pytest.mark.parametrize("page", [page for page in PAGES if any(
    block.runs and block.language in ("sh", "python") for block in blocks(page))], ids=named)
def test_blocks_run(page, tmp_path):
    """Commands run one block at a time; what Python defines stays defined further down."""
    earlier = ""
    for block in blocks(page):
        if block.runs and block.language == "sh":
            run(["bash", "-euo", "pipefail", "-c"], tmp_path, block.text)
        elif block.runs and block.language == "python":
            earlier += block.text
    if earlier:
        run([sys.executable, "-W", "error", "-c"], tmp_path, earlier)


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
