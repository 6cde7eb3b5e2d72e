"""The C++ compiler: the machine's own, or the one from PyPI."""

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from pendula.errors import BuildError

__all__ = ["Compiler", "find_compiler", "run_tool"]

_NAMES = ("c++", "g++", "clang++")
_SHOWN_LINES = 5


def run_tool(command: Sequence[str | os.PathLike[str]], *, folder: Path | None = None,
             environment: dict[str, str] | None = None) -> str:
    """Run a tool and return what it printed.

    Raises
    ------
    BuildError
        If it cannot be started or fails; the message ends with its last lines.
    """
    name = Path(command[0]).name
    try:
        result = subprocess.run(command, cwd=folder, env=environment, check=False, text=True,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, errors="replace")
    except OSError as error:
        raise BuildError(f"{name} must be a program that starts, not fail with: {error}") from None
    if result.returncode:
        lines = [line.strip() for line in result.stdout.splitlines() if line.strip()]
        raise BuildError(f"{name} failed with code {result.returncode}: "
                         + " | ".join(lines[-_SHOWN_LINES:]))
    return result.stdout


@dataclass(frozen=True, slots=True)
class Compiler:
    """A C++ compiler with the options of GCC.

    Parameters
    ----------
    command : tuple of str
        How to call it.
    identity : str
        Its version; another one makes another library.
    """

    command: tuple[str, ...]
    identity: str


def find_compiler() -> Compiler:
    """Return ``$CXX``, else the first of c++, g++ and clang++ on PATH, else ziglang's.

    Raises
    ------
    BuildError
        If there is none.
    """
    chosen = shlex.split(os.environ.get("CXX", ""))
    if not chosen:
        chosen = [path for name in _NAMES if (path := shutil.which(name))][:1]
    if chosen:
        return Compiler(tuple(chosen), run_tool([*chosen, "--version"]))
    try:
        version = metadata.version("ziglang")
    except metadata.PackageNotFoundError:
        raise BuildError("verilator:// needs a C++ compiler: install g++ or clang++, set CXX, "
                         "pip install ziglang, or use pysim://") from None
    return Compiler((sys.executable, "-m", "ziglang", "c++"), f"ziglang {version}")
