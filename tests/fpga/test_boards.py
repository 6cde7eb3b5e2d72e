"""Every board elaborates, with its pins, clock and identity; bad clocks and rates are refused."""

import re
from dataclasses import replace

import pytest
from amaranth import *
from amaranth.sim import Simulator
from hypothesis import given
from hypothesis import strategies as st

from fpga.small import SMALL
from pendula.errors import BoardError, ClockError
from pendula_boards.catalogue import BOARDS, find_board
from pendula_boards.clocking import CountedReset
from pendula_boards.design import BAUD_ERROR_BOUND, Design
from pendula_boards.pll import MHZ
from pendula_boards.rates import Rates
from pendula_gateware.link.uart import MIN_CYCLES_A_BIT, baud_error
from pendula_gateware.noise.jitter import RINGS, TECHNOLOGIES
from pendula_gateware.noise.seeder import SerialSeeder

PINS = {"icebreaker": {"35", "6", "9", "37", "11"},
        "tang-nano-9k": {"52", "17", "18", "10", "11"},
        "ulx3s-12f": {"G2", "M1", "L4", "B2", "C2"}, "ulx3s-25f": {"G2", "M1", "L4", "B2", "C2"},
        "ulx3s-45f": {"G2", "M1", "L4", "B2", "C2"}, "ulx3s-85f": {"G2", "M1", "L4", "B2", "C2"},
        "colorlight-i5": {"P3", "H18", "J17", "U16"},
        "orangecrab-85f": {"A9", "N17", "M18", "M3", "K4"},
        "ecpix5-45": {"K23", "R26", "R24", "R21", "U21"},
        "ecpix5-85": {"K23", "R26", "R24", "R21", "U21"}}
LOOPS = {"ecp5": "EHXPLLL", "ice40": "SB_PLL40_PAD", "gowin": "rPLL"}


@pytest.fixture(autouse=True)
def no_tools(monkeypatch):
    """Elaboration needs none of the tools."""
    monkeypatch.setattr(Design, "versions", {})


@pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)
def test_a_board_elaborates(board):
    plan = Design.of(board, SMALL, clock_hz=board.clocks_mhz[1] * MHZ).plan()
    constraints = plan.files[board.part.flow.constraints[-1].removeprefix("cst=")]
    pins = re.findall(r'(?:SITE "|set_io \S+ |IO_LOC "\S+" )(\w+)', constraints)
    assert set(pins) == PINS[board.name]
    assert len(pins) == len(PINS[board.name])
    rtlil = plan.files["top.il"]
    assert rtlil.count(f"cell \\{LOOPS[board.part.fabric.name]} ") == 1
    assert (rtlil.count("cell \\SGSR ") == 1) == (board.part.fabric.name == "ecp5")
    assert "attribute \\src" not in rtlil       # it would hold paths of this machine


def test_a_board_with_its_own_clock_has_no_loop():
    rtlil = Design.of(find_board("ecpix5-45"), SMALL).plan().files["top.il"]
    assert "EHXPLLL" not in rtlil


def test_statistics_and_a_jitter_seeder_are_built_where_asked_for():
    board = find_board("ulx3s-25f")
    plain, sums, jitter = (design.plan() for design in (
        Design.of(board, SMALL), Design.of(board, SMALL, sums=64),
        Design.of(board, SMALL, jitter=True)))
    statistics = "top.device.top.array.readout.statistics"
    ring = f"cell \\{TECHNOLOGIES['ecp5'][0]} "
    assert [statistics in plan.files["top.il"] for plan in (plain, sums, jitter)] == [
        False, True, False]
    assert [plan.files["top.il"].count(ring) for plan in (plain, sums, jitter)] == [
        0, 0, sum(RINGS)]
    assert ["--ignore-loops" in plan.place_options for plan in (plain, sums, jitter)] == [
        False, False, True]


def test_rings_that_a_part_cannot_make_are_refused():
    with pytest.raises(BoardError, match="ecp5 or ice40 for a jitter seeder, not tang-nano-9k"):
        Design.of(find_board("tang-nano-9k"), SMALL, jitter=True)


@pytest.mark.parametrize("fold", [0, 3])
def test_folds_are_at_most_the_neighbours(fold):
    with pytest.raises(BoardError, match=f"fold must be within 1..2, as the array has so many "
                                         f"neighbours, not {fold}"):
        Design.of(find_board("ulx3s-25f"), SMALL, fold=fold)


def test_a_fold_takes_cycles():
    whole, folded = (Rates.of(Design.of(find_board("ulx3s-25f"), replace(SMALL, nodes=100),
                                        fold=fold), steps=3, visible=9) for fold in (1, 2))
    assert (whole.cycles_per_sample, folded.cycles_per_sample) == (400, 800)
    assert folded.samples_per_s * 2 == whole.samples_per_s
    assert folded.edge_updates_per_s * 2 == whole.edge_updates_per_s


def test_an_unknown_board_is_named_with_the_known_ones():
    with pytest.raises(BoardError, match=r"icebreaker, .*, not 'arty'"):
        find_board("arty")


def test_identity_hangs_on_everything_that_is_built(monkeypatch):
    board = find_board("ulx3s-25f")
    first = Design.of(board, SMALL)
    others = [Design.of(find_board("ulx3s-45f"), SMALL), Design.of(board, SMALL, lanes=2),
              Design.of(board, SMALL, clock_hz=50 * MHZ),
              Design.of(board, SMALL, baud_hz=1_000_000),
              Design.of(board, SMALL, sums=64), Design.of(board, SMALL, jitter=True),
              Design.of(board, SMALL, fold=2),
              Design.of(board, replace(SMALL, nodes=17))]
    assert Design.of(board, SMALL).build_id == first.build_id
    assert len({first.build_id, *(other.build_id for other in others)}) == 9
    monkeypatch.setattr(Design, "versions", {"yosys": "another"})
    assert Design.of(board, SMALL).build_id != first.build_id


@given(st.sampled_from(list(BOARDS.values())), st.integers(1, 20_000_000))
def test_a_baud_rate_is_right_or_refused(board, baud_hz):
    clock_hz = int(board.clock_hz)
    bad = (baud_hz > board.port.max_baud_hz or baud_hz * MIN_CYCLES_A_BIT > clock_hz
           or round((baud_hz << 24) / clock_hz) == 0
           or abs(baud_error(clock_hz, baud_hz)) > BAUD_ERROR_BOUND)
    if bad:
        with pytest.raises(ClockError, match=str(baud_hz)):
            Design.of(board, SMALL, baud_hz=baud_hz)
        return
    design = Design.of(board, SMALL, baud_hz=baud_hz)
    assert abs(design.baud_error) <= BAUD_ERROR_BOUND
    assert design.baud_error == baud_error(clock_hz, baud_hz)


@pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)
def test_every_listed_clock_carries_the_boards_rate(board):
    for mhz in board.clocks_mhz:
        Design.of(board, SMALL, clock_hz=mhz * MHZ)


def test_reset_ends_a_while_after_the_clock_is_steady():
    locked = Signal()
    dut = CountedReset(locked=locked, clock_hz=1_000_000)
    m = Module()
    m.domains.raw = ClockDomain(reset_less=True)
    m.submodules.dut = dut

    async def bench(ctx):
        await ctx.tick("raw").repeat(100)
        assert ctx.get(dut.rst)
        ctx.set(locked, 1)
        await ctx.tick("raw").repeat(dut.cycles)
        assert ctx.get(dut.rst)
        await ctx.tick("raw").repeat(5)
        assert not ctx.get(dut.rst)
        ctx.set(locked, 0)
        await ctx.tick("raw").repeat(5)
        assert ctx.get(dut.rst)

    sim = Simulator(m)
    sim.add_clock(1e-6, domain="raw")
    sim.add_testbench(bench)
    sim.run()


def test_streams_that_are_prepared_between_jobs_take_cycles():
    rates = Rates.of(Design.of(find_board("icebreaker"), replace(SMALL, nodes=100)), steps=3,
                     visible=9)
    assert rates.cycles_per_sample == 400 + SerialSeeder.latency + 1
