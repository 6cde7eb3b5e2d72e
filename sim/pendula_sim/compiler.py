"""The C++ compiler: the machine's own, or the one from PyPI."""

import os
import shlex
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from subprocess import DEVNULL, PIPE, STDOUT, Popen

from pendula.errors import BuildError

__all__ = ["Command", "Compiler", "find_compiler", "run_tools"]

_NAMES = ("c++", "g++", "clang++")
_SHOWN_LINES = 5

Command = Sequence[str | os.PathLike[str]]
"""A program and its arguments."""


def run_tools(*commands: Command, environment: dict[str, str] | None = None,
              folder: Path | None = None) -> list[str]:
    """Run tools side by side, in a folder, and return what each of them printed.

    Raises
    ------
    BuildError
        If one cannot be started or fails; the message ends with its errors, or else its last lines.
        No tool is left running, after an interruption neither.
    """
    with ExitStack() as stack:
        processes = [stack.enter_context(_running(command, environment, folder))
                     for command in commands]
        return [_finish(command, process)
                for command, process in zip(commands, processes, strict=True)]


@contextmanager
def _running(command: Command, environment: dict[str, str] | None,
             folder: Path | None) -> Iterator[Popen[str]]:
    try:
        process = Popen(command, env=environment, cwd=folder, text=True, errors="replace",
                        stdin=DEVNULL, stdout=PIPE, stderr=STDOUT)
    except OSError as error:
        raise BuildError(f"{command[0]} must be a program that starts, not fail with: "
                         f"{error}") from None
    with process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def _finish(command: Command, process: Popen[str]) -> str:
    output, _ = process.communicate()
    if process.returncode:
        lines = [line.strip() for line in output.splitlines() if line.strip()]
        told = [line for line in lines if line.startswith("ERROR")] or lines
        raise BuildError(f"{Path(command[0]).name} failed with code {process.returncode}: "
                         + (" | ".join(told[-_SHOWN_LINES:]) or "it said nothing"))
    return output


@dataclass(frozen=True, slots=True)
class Compiler:
    """A C++ compiler with the options of GCC.

    Parameters
    ----------
    command : tuple of str
        How to call it.
    identity : str
        Its version; another one makes another library.
    flags : tuple of str
        What its user wants for the code that runs in every cycle, after Pendula's own flags.
    """

    command: tuple[str, ...]
    identity: str
    flags: tuple[str, ...] = ()


def find_compiler() -> Compiler:
    """Return ``$CXX``, else the first of c++, g++ and clang++ on PATH, else ziglang's.

    It comes with the flags of ``$CXXFLAGS``.

    Raises
    ------
    BuildError
        If there is none.
    """
    chosen = shlex.split(os.environ.get("CXX", ""))
    if not chosen:
        chosen = [path for name in _NAMES if (path := shutil.which(name))][:1]
    flags = tuple(shlex.split(os.environ.get("CXXFLAGS", "")))
    if chosen:
        return Compiler(tuple(chosen), run_tools([*chosen, "--version"])[0], flags)
    try:
        version = metadata.version("ziglang")
    except metadata.PackageNotFoundError:
        raise BuildError("verilator:// needs a C++ compiler: install g++ or clang++, set CXX, "
                         "pip install ziglang, or use pysim://") from None
    return Compiler((sys.executable, "-m", "ziglang", "c++"), f"ziglang {version}", flags)
