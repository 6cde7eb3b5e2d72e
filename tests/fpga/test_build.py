"""The real tools: bitstreams of every family, and of the whole device on a small ECP5."""

import json
from collections import Counter
from typing import Any

import numpy as np
import pytest
from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from click.testing import CliRunner

from fpga.small import SMALL
from pendula import cli, modelfile
from pendula.program import random_program
from pendula_boards.build import synthesise
from pendula_boards.catalogue import BOARDS, find_board
from pendula_boards.design import Design
from pendula_boards.flow import NETLIST, Plan
from pendula_boards.placement import read_placement
from pendula_boards.pll import MHZ
from pendula_boards.tools import run_steps
from pendula_boards.top import BoardTop
from pendula_gateware.fabric import LEAST_SHARED
from pendula_gateware.interfaces import ByteStream

pytestmark = pytest.mark.slow


class Echo(wiring.Component):
    """Stands in for the device: clock, reset, UART and lights are the board's own."""

    i: stream.Interface
    o: stream.Interface
    busy: Signal
    dropped: Signal

    def __init__(self):
        super().__init__({"i": In(ByteStream), "o": Out(ByteStream), "busy": Out(1),
                          "dropped": Out(1)})

    def elaborate(self, platform):
        m = Module()
        wiring.connect(m, wiring.flipped(self.i), wiring.flipped(self.o))
        m.d.comb += self.busy.eq(self.i.valid)
        return m


def echo_plan(name: str) -> Plan:
    """Return the plan of an echo at a clock that needs the board's loop."""
    board = find_board(name)
    clock_hz = next(int(mhz * MHZ) for mhz in board.clocks_mhz if mhz * MHZ != board.input_hz)
    setting = board.part.pll.solve(board.input_hz, clock_hz)
    echo: Any = Echo()
    top = BoardTop(board=board, top=echo, setting=setting, baud_hz=1_000_000)
    return Plan.of(top, board.make_platform(), board.part.flow,
                   place_options=board.place_options, pack_options=board.pack_options,
                   clock_mhz=clock_hz / MHZ)


@pytest.mark.parametrize(("name", "head"), [
    ("ulx3s-12f", b"\xff\x00"), ("tang-nano-9k", b"1111")])
def test_clock_reset_and_pins_become_a_bitstream(name, head, tmp_path):
    plan = echo_plan(name)
    usage = synthesise({tmp_path: plan})[tmp_path]
    assert {kind: available for kind, (_, available) in usage.items()} == (
        find_board(name).part.capacity)
    run_steps([(tmp_path, plan.place(1))])
    placement = read_placement(tmp_path / "seed-1.json", plan.flow)
    assert placement.met
    assert max(wanted for _, wanted in placement.clocks_hz.values()) == pytest.approx(
        plan.clock_mhz * MHZ, rel=1e-3)
    run_steps([(tmp_path, plan.pack(1))])
    assert (tmp_path / plan.bitstream(1)).read_bytes().startswith(head)


def test_capacities_of_all_other_parts_are_the_placers(tmp_path):
    others = {board.part.name: board.name for board in BOARDS.values()
              if board.part.fabric.name == "ecp5"}
    plans = {tmp_path / name: echo_plan(name) for name in others.values()}
    for folder, usage in synthesise(plans).items():
        assert {kind: available for kind, (_, available) in usage.items()} == (
            find_board(folder.name).part.capacity)


def test_enables_of_an_ecp5_are_shared_and_resets_are_logic(tmp_path):
    synthesise({tmp_path: Design.of(find_board("ulx3s-25f"), SMALL, lanes=1).plan()})
    cells = json.loads((tmp_path / NETLIST).read_text())["modules"]["top"]["cells"].values()
    registers = [cell for cell in cells if cell["type"] == "TRELLIS_FF"]
    shared = Counter(net for cell in registers
                     for net in cell["connections"].get("CE", ()) if isinstance(net, int))
    assert shared
    assert min(shared.values()) >= LEAST_SHARED
    assert not [cell for cell in registers if any(
        isinstance(net, int) for net in cell["connections"].get("LSR", ()))]


@pytest.mark.parametrize(("board", "clock_mhz", "head"), [
    ("ulx3s-25f", 50, b"\xff\x00"), ("icebreaker", 18, b"\xff\x00\x00\xff\x7e\xaa\x99\x7e")])
def test_the_device_on_a_board(board, clock_mhz, head, tmp_path, monkeypatch):
    monkeypatch.setenv("PENDULA_CACHE", str(tmp_path / "cache"))
    model = tmp_path / "M.pendula"
    modelfile.save(random_program(SMALL, np.random.default_rng(1)), model)
    result = CliRunner().invoke(cli.main, [
        "build", board, "--model", str(model), "--lanes", "1", "--clock-mhz", str(clock_mhz),
        "--seeds", "1", "-o", str(tmp_path / "out"), "--json"], prog_name="pendula")
    assert result.exit_code == 0, result.stderr
    report = json.loads(result.stdout)
    assert report == json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["spec"] == SMALL.digest
    assert report["clock_hz"] == clock_mhz * MHZ < report["fmax_hz"]
    assert abs(report["baud_error"]) < 1e-6
    assert ({kind: count["available"] for kind, count in report["resources"].items()}
            == find_board(board).part.capacity)
    assert report["node_updates_per_s"] * 2 == report["edge_updates_per_s"]
    bitstream = (tmp_path / "out" / report["bitstream"]).read_bytes()
    assert bitstream.startswith(head)
    assert len(bitstream) > 100_000
