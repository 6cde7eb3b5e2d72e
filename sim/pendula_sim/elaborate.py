"""Write out an array: ``python -m pendula_sim.elaborate DESIGN.json DESIGN_ID FILE``.

The file is Verilog if its name ends in ``.v``, else RTLIL.

A process of its own, so that what is elaborated is what the sources say now, whatever another
process imported before they changed.
"""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from amaranth import ClockDomain, Module, Value
from amaranth.back import rtlil, verilog  # pyright: ignore[reportAttributeAccessIssue]

from pendula.contract.spec import ArraySpec
from pendula.contract.statistics import default_sums
from pendula_gateware.fabric import FABRICS
from pendula_gateware.noise.jitter import ModelSource
from pendula_gateware.top import Flat, Top
from pendula_sim.design import Options, design_id

__all__ = ["main", "make_top", "without_reset"]


def make_top(spec: ArraySpec, options: Options, build_id: str) -> Top:
    """Return the gateware of a design."""
    fabric = FABRICS[options.fabric]
    fabric = fabric.synthesised if options.netlist else fabric
    return Top(spec=spec, build_id=build_id, lanes=options.lanes,
               jitter=ModelSource() if options.jitter else None,
               fabric=replace(fabric, fold=options.fold, buffers=options.buffers),
               sums=default_sums(spec))


def without_reset(flat: Flat) -> tuple[Module, list[Value]]:
    """Return a module around a component, and its ports: a clock and the component's.

    A simulation begins with every register at its reset value, and needs no reset after that.
    """
    m: Any = Module()
    clock: Any = ClockDomain("sync", reset_less=True)
    m.domains.sync = clock
    m.submodules.flat = flat
    return m, [clock.clk, *(Value.cast(port) for _, _, port in flat.signature.flatten(flat))]


def main(design_path: str, expected_id: str, output: str) -> None:
    """Write the file if the sources still have the expected digest."""
    design = json.loads(Path(design_path).read_text())
    spec, options = ArraySpec.from_description(design["spec"]), Options(**design["options"])
    top, ports = without_reset(Flat(make_top(spec, options, expected_id)))
    if output.endswith(".v"):
        text = verilog.convert(top, name="top", ports=ports, emit_src=False,
                               strip_internal_attrs=True)
    else:
        text = rtlil.convert(top, name="top", ports=ports, emit_src=False)
    if design_id(spec, options) != expected_id:
        sys.exit("the gateware's sources changed during the build: start it again")
    Path(output).write_text(text)


if __name__ == "__main__":
    main(*sys.argv[1:])
