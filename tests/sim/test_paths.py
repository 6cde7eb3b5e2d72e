# amaranth: UnusedElaboratable=no
"""No path leads from an input of the device to an output in a cycle: harness.cpp relies on that."""

import json
from pathlib import Path
from typing import Any

import pytest
from amaranth.back import rtlil  # pyright: ignore[reportAttributeAccessIssue]

from gateware.traffic import small_spec
from pendula_gateware.fabric import FABRICS
from pendula_gateware.link.parser import Parser
from pendula_gateware.numeric.buffer import StreamBuffer
from pendula_gateware.top import Flat
from pendula_sim.design import Options
from pendula_sim.elaborate import make_top, without_reset
from pendula_sim.synthesis import _run_yosys

SCRIPT = "read_rtlil top.il; hierarchy -top top; proc; flatten; memory -nomap; opt_clean; " \
         "write_json top.json"


def flattened(flat: Any, folder: Path) -> dict[str, Any]:
    """Return the netlist of a component in Yosys' own cells."""
    top, ports = without_reset(flat)
    (folder / "top.il").write_text(rtlil.convert(top, name="top", ports=ports, emit_src=False))
    _run_yosys(SCRIPT, folder)
    return json.loads((folder / "top.json").read_text())["modules"]["top"]


def paths(cell: dict[str, Any]) -> tuple[list[int], list[int]]:
    """Return the bits that a cell's outputs follow in the same cycle, and these outputs."""
    ports = cell["connections"].items()
    inputs = [bit for name, bits in ports if cell["port_directions"][name] == "input"
              for bit in bits]
    outputs = [bit for name, bits in ports if cell["port_directions"][name] == "output"
               for bit in bits]
    if "dff" in cell["type"]:
        return [], []
    if cell["type"] == "$mem_v2":
        clocked = "0" not in cell["parameters"]["RD_CLK_ENABLE"]
        return ([] if clocked else cell["connections"]["RD_ADDR"]), outputs
    return inputs, outputs


def followed(netlist: dict[str, Any]) -> set[str]:
    """Return the output ports that follow an input other than the clock in the same cycle."""
    following: dict[int, set[int]] = {}
    for cell in netlist["cells"].values():
        inputs, outputs = paths(cell)
        for bit in inputs:
            following.setdefault(bit, set()).update(outputs)
    left = [bit for name, port in netlist["ports"].items()
            if port["direction"] == "input" and name != "clk" for bit in port["bits"]]
    reached = set(left)
    while left:
        new = following.get(left.pop(), set()) - reached
        reached |= new
        left.extend(new)
    return {name for name, port in netlist["ports"].items()
            if port["direction"] == "output" and reached.intersection(port["bits"])}


@pytest.mark.parametrize("fabric", FABRICS)
def test_outputs_follow_no_input(fabric, tmp_path):
    flat = Flat(make_top(small_spec("quartic"), Options(fabric=fabric), "00" * 8))
    assert followed(flattened(flat, tmp_path)) == set()


def test_paths_are_found(tmp_path):
    assert followed(flattened(Flat(StreamBuffer(8)), tmp_path)) == set()
    through = followed(flattened(Flat(Parser()), tmp_path))
    assert through >= {"tail_valid", "tail_payload", "i_ready"}
