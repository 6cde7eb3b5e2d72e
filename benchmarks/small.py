# amaranth: UnusedElaboratable=no
"""Logic cells of an iCE40 UltraPlus by part: 12x12 `quartic` oscillators, K = 8, 20 segments.

Run: python benchmarks/small.py [PART ...] [--model FILE]

Each part is synthesised and packed alone, so that what synthesis shares or drops between parts is
counted in each. `top` is the whole device with its UART. FILE gets a random program for the array,
to build it with `pendula build icebreaker --model FILE`.
"""

import argparse
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from amaranth import *
from amaranth.back import rtlil  # pyright: ignore[reportAttributeAccessIssue]
from bitstreams import SMALL as SPEC
from bitstreams import small_program

from pendula import modelfile
from pendula.contract import CONTRACT_ID
from pendula.contract.protocol import Hello
from pendula.errors import BuildError
from pendula_boards.flow import ICE40_FLOW, Step
from pendula_boards.placement import read_usage
from pendula_boards.tools import run_steps
from pendula_gateware.array.array import OscillatorArray, SharedRows
from pendula_gateware.array.lane import Lane
from pendula_gateware.array.readout import Readout
from pendula_gateware.array.sequencer import Sequencer
from pendula_gateware.fabric import ICE40
from pendula_gateware.link.controller import Controller
from pendula_gateware.link.deframer import Deframer
from pendula_gateware.link.framer import Framer
from pendula_gateware.link.memory_port import MemoryPort
from pendula_gateware.link.parser import Parser
from pendula_gateware.link.registers import Registers
from pendula_gateware.link.responder import HelloPacket, Responder
from pendula_gateware.link.runner import Runner
from pendula_gateware.noise.seeder import SeedBank
from pendula_gateware.noise.source import NoiseSource
from pendula_gateware.top import Flat, Top
from pendula_gateware.uart_top import UartTop

HELLO = Hello.of(SPEC, contract_id=CONTRACT_ID, build_id="0123456789abcdef", lanes=1)


LANE = Lane(spec=SPEC, fabric=ICE40)
ARRAY = OscillatorArray(spec=SPEC, fabric=ICE40)

PARTS: dict[str, Callable[[], Any]] = {
    "parser": Parser,
    "registers": Registers,
    "memory_port": lambda: MemoryPort(spec=SPEC, fabric=ICE40),
    "runner": lambda: Runner(capacity=SPEC.segments),
    "hello": lambda: HelloPacket(hello=HELLO),
    "responder": Responder,
    "controller": lambda: Controller(spec=SPEC, hello=HELLO, fabric=ICE40),
    "deframer": lambda: Deframer(fabric=ICE40),
    "framer": lambda: Framer(fabric=ICE40),
    "seeder": lambda: SeedBank(lanes=1, fabric=ICE40),
    "noise": lambda: NoiseSource(fabric=ICE40),
    "lane": lambda: LANE,
    "rows": lambda: SharedRows(
        spec=SPEC, latency=LANE.centre, wait=LANE.wait, own_latency=LANE.own_latency,
        fabric=ICE40),
    "sequencer": lambda: Sequencer(spec=SPEC, period=ARRAY.period, drain=LANE.latency),
    "readout": lambda: Readout(spec=SPEC, fabric=ICE40),
    "array": lambda: ARRAY,
    "top": lambda: UartTop(top=Top(spec=SPEC, build_id="0123456789abcdef", fabric=ICE40),
                           clock_hz=24_000_000, baud_hz=3_000_000),
}


def synthesise(component: Any) -> dict[str, int]:
    """Return what a component needs of each resource."""
    top: Any = Module()
    clock: Any = ClockDomain("sync")
    top.domains.sync = clock
    top.submodules.inner = flat = Flat(component)
    ports = [clock.clk, clock.rst,
             *(Value.cast(value) for _, _, value in flat.signature.flatten(flat))]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "top.il").write_text(rtlil.convert(top, name="top", ports=ports))
        for synthesis in ICE40_FLOW.syntheses:
            with suppress(BuildError):
                run_steps([(folder, Step("yosys", (
                    "-q", "-p", f"read_rtlil top.il; {synthesis} -top top; write_json top.json")))])
                break
        run_steps([(folder, Step(ICE40_FLOW.placer, (
            "--up5k", "--json", "top.json", "--pack-only", "--report", "report.json", "-q")))])
        return {name: used for name, (used, _) in
                read_usage(folder / "report.json", ICE40_FLOW).items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all "
                        "without any, none with --model")
    parser.add_argument("--model", help="file to write a program to")
    args = parser.parse_args()
    if args.model:
        modelfile.save(small_program(), args.model)
    for part in args.parts or ([] if args.model else PARTS):
        cells = synthesise(PARTS[part]())
        print(f"{part:12} " + "  ".join(f"{key} {count:5}" for key, count in cells.items()),
              flush=True)


if __name__ == "__main__":
    main()
