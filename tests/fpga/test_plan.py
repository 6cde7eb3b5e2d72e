"""Commands of the flows, the placer's report, and the fit that is worked out from them."""

import json
import os
import sys
from dataclasses import replace

import numpy as np
import pytest

from fpga.small import SMALL
from interrupting import has_ended, sleeping_tool, stop
from pendula.errors import BuildError, FitError, TimingError
from pendula.modelfile import save
from pendula.program import random_program
from pendula_boards import build as building
from pendula_boards import fit as fitting
from pendula_boards import tools
from pendula_boards.catalogue import BOARDS, find_board
from pendula_boards.design import Design
from pendula_boards.fit import Demand, Fit
from pendula_boards.flow import ECP5_FLOW, GOWIN_FLOW, ICE40_FLOW, Plan, Step
from pendula_boards.placement import read_placement

ARRAY, LINE = "top.array.row_TRELLIS_FF_Q_4", "top.link.crc_LUT4_Z_1"


def plan_of(flow, **changes):
    given = {"files": {}, "place_options": ("--part",), "pack_options": ("-d", "X"),
             "clock_mhz": 50.0}
    return Plan(flow=flow, **given | changes)


@pytest.mark.parametrize(("flow", "place", "pack"), [
    (ECP5_FLOW, "--lpf top.lpf --freq 50.000000 --seed 3 --placer static --report seed-3.json "
                "--log seed-3.log --timing-allow-fail --quiet --textcfg seed-3.config",
     "-d X --compress --input seed-3.config --bit seed-3.bit"),
    (ICE40_FLOW, "--pcf top.pcf --freq 50.000000 --seed 3 --report seed-3.json --log seed-3.log "
                 "--timing-allow-fail --quiet --asc seed-3.asc", "-d X seed-3.asc seed-3.bin"),
    (GOWIN_FLOW, "--vopt cst=top.cst --freq 50.000000 --seed 3 --report seed-3.json --log "
                 "seed-3.log --timing-allow-fail --quiet --write seed-3.routed.json",
     "-d X -o seed-3.fs seed-3.routed.json"),
])
def test_commands(flow, place, pack):
    plan = plan_of(flow)
    assert plan.place(3) == Step(flow.placer, ("--part", "--json", "netlist.json", *place.split()))
    assert plan.pack(3) == Step(flow.packer, tuple(pack.split()))
    assert plan.bitstream(3) == f"seed-3{flow.bitstream}"
    assert "--pack-only" in plan.count("counts.json").arguments


def test_seeds_take_the_methods_of_placing_in_turn():
    plan = plan_of(ECP5_FLOW)
    methods = [plan.place(seed).arguments for seed in (1, 2, 3, 4)]
    methods = [options[options.index("--placer") + 1] for options in methods]
    assert methods == ["static", "heap", "static", "heap"]


def hop(kind, delay, start, end):
    return {"type": kind, "delay": delay, "from": {"cell": start}, "to": {"cell": end}}


def write_report(path, *, fmax=90.0, used=100):
    counts = {bel: {"used": used, "available": 1000} for bel in ECP5_FLOW.resources.values()}
    path.write_text(json.dumps({
        "utilization": counts,
        "fmax": {"clk": {"achieved": fmax, "constraint": 100.0},
                 "usb": {"achieved": 70.0, "constraint": 48.0}},
        "critical_paths": [
            {"from": "posedge clk", "to": "posedge clk", "path": [
                hop("clk-to-q", 0.5, ARRAY, ARRAY), hop("routing", 6.5, ARRAY, LINE),
                hop("setup", 4.0, LINE, LINE)]},
            {"from": "<async>", "to": "posedge clk", "path": [hop("routing", 99.0, "rx", LINE)]},
        ]}))
    return path


def test_the_placers_report(tmp_path):
    placement = read_placement(write_report(tmp_path / "r.json"), ECP5_FLOW)
    assert placement.usage["LUT"] == (100, 1000)
    assert placement.fmax_hz == 90e6
    assert not placement.met
    assert str(placement.critical) == ("11.0 ns from top.array.row to top.link.crc, "
                                       "6.5 ns of it in wires")
    assert read_placement(write_report(tmp_path / "r.json", fmax=100.0), ECP5_FLOW).met


@pytest.fixture
def fake_tools(monkeypatch, tmp_path):
    """Let the tools write what the tests want, without running them."""
    state = {"fmax": {1: 90.0, 2: 110.0, 3: 105.0}, "used": 100, "ran": []}

    def run(folder, step, running):
        state["ran"].append(step)
        arguments = step.arguments
        if step.tool == "ecppack":
            (folder / arguments[-1]).write_bytes(b"bits")
        elif step.tool == "yosys":
            if "-0" in arguments[0] and state.get("abc9_fails"):
                raise BuildError("yosys failed")
            (folder / "netlist.json").write_text("{}")
        else:
            report = folder / arguments[arguments.index("--report") + 1]
            seed = int(report.stem.partition("-")[2] or 1)
            write_report(report, fmax=state["fmax"][seed], used=state["used"])

    monkeypatch.setenv("PENDULA_CACHE", str(tmp_path))
    monkeypatch.setattr(Design, "versions", {"yosys": "0"})
    monkeypatch.setattr(tools, "_run", run)
    return state


def test_the_best_seed_is_kept_and_built_once(fake_tools, tmp_path):
    said = []
    design = Design.of(find_board("ulx3s-25f"), SMALL)
    kept = building.build(design, seeds=3, say=said.append)
    ran = len(fake_tools["ran"])
    assert ran == 1 + 1 + 3 + 1
    assert building.build(design, seeds=3, say=said.append) == kept
    assert len(fake_tools["ran"]) == ran
    report = building.deliver(kept, tmp_path / "out", {"model": "M"})
    assert (report["seed"], report["fmax_hz"], report["model"]) == (2, 110_000_000, "M")
    assert report["seeds"] == {"1": 90_000_000, "2": 110_000_000, "3": 105_000_000}
    assert report["build_id"] == design.build_id
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "report.json", "ulx3s-25f.bit"]
    assert json.loads((tmp_path / "out" / "report.json").read_text()) == report
    assert said[-1] == "Placed and routed 3 of 3 seeds for 100 MHz: 110.0 MHz at best"
    assert not list((tmp_path / "fpga").glob(".work*"))


def test_too_slow_a_design_names_its_worst_path(fake_tools, tmp_path):
    fake_tools["fmax"] = {1: 90.0, 2: 88.0}
    with pytest.raises(TimingError, match=(
            r"at most 90.0 MHz for this design, not 100 MHz: the worst path takes 11.0 ns from "
            r"top.array.row to top.link.crc, 6.5 ns of it in wires; build with --clock-mhz 87.5")):
        building.build(Design.of(find_board("ulx3s-25f"), SMALL), seeds=2, say=lambda text: None)
    assert list((tmp_path / "fpga").iterdir()) == []


def test_an_interruption_leaves_nothing(fake_tools, tmp_path, monkeypatch):
    monkeypatch.setattr(building, "_place", lambda *a: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        building.build(Design.of(find_board("ulx3s-25f"), SMALL), seeds=2, say=lambda text: None)
    assert list((tmp_path / "fpga").iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for a child")
def test_ctrl_c_ends_the_syntheses_of_a_fit(tmp_path):
    save(random_program(SMALL, np.random.default_rng(1)), tmp_path / "M.pendula")
    ids = sleeping_tool(tmp_path / "bin", "yosys")
    code, out, err = stop(
        "fit", "ulx3s-25f", "--model", tmp_path / "M.pendula", when=lambda: list(ids.iterdir()),
        PATH=f"{ids.parent}:{os.environ['PATH']}", PENDULA_CACHE=tmp_path / "cache")
    assert (code, out, err.splitlines()[-1]) == (130, "", "pendula: interrupted")
    assert all(has_ended(int(path.name)) for path in ids.iterdir())
    assert list((tmp_path / "cache" / "fpga").iterdir()) == []


def test_what_does_not_fit_is_refused_before_it_is_placed(fake_tools):
    fake_tools["used"] = 1001
    with pytest.raises(FitError, match=r"not need 1001 LUT of 1000, .*'pendula fit ulx3s-25f'"):
        building.build(Design.of(find_board("ulx3s-25f"), SMALL), seeds=1, say=lambda text: None)
    assert not any("--seed" in step.arguments for step in fake_tools["ran"])


def test_synthesis_falls_back(fake_tools):
    fake_tools["abc9_fails"] = True
    usage, = building.measure([Design.of(find_board("ulx3s-25f"), SMALL)])
    assert usage["DSP"] == (100, 1000)
    assert [step.arguments for step in fake_tools["ran"] if step.tool == "yosys"] == [
        ("synthesis-0.ys",), ("synthesis-1.ys",)]


def demand(**pairs):
    one, two = ({name: (pair[k], 0) for name, pair in pairs.items()} for k in (0, 1))
    return Demand(one, two)


@pytest.mark.parametrize(("pairs", "lanes", "limit"), [
    ({"LUT": (5000, 7000), "FF": (0, 0), "EBR": (19, 22), "DSP": (10, 16)}, 3, "DSP"),
    ({"LUT": (9000, 15000), "FF": (0, 0), "EBR": (19, 22), "DSP": (1, 2)}, 3, "LUT"),
    ({"LUT": (9000, 9000), "FF": (0, 0), "EBR": (57, 58), "DSP": (1, 2)}, 0, "EBR"),
    ({"LUT": (10, 10), "FF": (0, 0), "EBR": (0, 0), "DSP": (0, 0)}, 64, "LUT"),
])
def test_the_most_lanes_that_fit(pairs, lanes, limit):
    board = find_board("ulx3s-25f")     # 0.9 x 24,288 LUTs, 56 EBR, 0.9 x 28 DSP
    found = demand(**pairs)
    assert found.lanes(board) == lanes
    assert found.fullest(lanes + 1, board) == limit


def test_a_refusal_says_what_would_fit(monkeypatch):
    board = find_board("ulx3s-25f")
    spec = replace(SMALL, offsets=tuple(range(-4, 0)), segments=8)
    whole = demand(LUT=(30_000, 40_000), FF=(100, 200), EBR=(20, 22), DSP=(10, 16))
    found = Fit(Design.of(board, spec), whole, 0, "LUT")
    halves, folds = [], []

    def measure(designs):
        if len(designs) == 1:
            folds.append(designs[0].fold)
            return [{"LUT": (21_859, 0), "FF": (100, 0), "EBR": (20, 0), "DSP": (10, 0)}]
        halves.extend(design.spec for design in designs)
        return [{"LUT": (18_000, 0), "FF": (100, 0), "EBR": (20, 0), "DSP": (10, 0)},
                {"LUT": (30_000, 0), "FF": (100, 0), "EBR": (10, 0), "DSP": (10, 0)}]

    monkeypatch.setattr(fitting, "measure", measure)
    with pytest.raises(FitError) as caught:
        fitting.require(found, lambda text: None)
    assert str(caught.value) == (
        "array must fit ULX3S 25F, not need 30000 LUT where 21859 may be used; "
        "it fits ulx3s-45f, ulx3s-85f, orangecrab-85f, ecpix5-45, ecpix5-85; "
        "--fold 4 would fit, and fewer folds may; about 2 neighbours would fit")
    assert [(len(half.offsets), half.segments) for half in halves] == [(2, 8), (4, 4)]
    assert folds == [4]


def test_what_is_folded_most_is_not_folded_more(monkeypatch):
    """And half the neighbours bear half the folds."""
    spec = replace(SMALL, offsets=tuple(range(-4, 0)), segments=8)
    whole = demand(LUT=(30_000, 40_000), FF=(100, 200), EBR=(20, 22), DSP=(10, 16))
    found = Fit(Design.of(find_board("ulx3s-25f"), spec, fold=4), whole, 0, "LUT")
    folds = []

    def measure(designs):
        folds.extend(design.fold for design in designs)
        return [whole.one] * len(designs)

    monkeypatch.setattr(fitting, "measure", measure)
    with pytest.raises(FitError, match=r"30000 LUT .*; it fits ulx3s-45f, .*, ecpix5-85$"):
        fitting.require(found, lambda text: None)
    assert folds == [2, 4]


def test_every_board_has_a_default_model_and_distinct_name():
    assert len(BOARDS) == 10
    assert {board.name for board in BOARDS.values()} == set(BOARDS)
