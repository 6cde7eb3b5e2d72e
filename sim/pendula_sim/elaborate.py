"""Write out an array: ``python -m pendula_sim.elaborate DESIGN.json DESIGN_ID FILE``.

The file is Verilog if its name ends in ``.v``, else RTLIL.

A process of its own, so that what is elaborated is what the sources say now, whatever another
process imported before they changed.
"""

import json
import sys
from pathlib import Path

from amaranth.back import rtlil, verilog  # pyright: ignore[reportAttributeAccessIssue]

from pendula.contract.spec import ArraySpec
from pendula.contract.statistics import default_sums
from pendula_gateware.fabric import FABRICS
from pendula_gateware.noise.jitter import ModelSource
from pendula_gateware.top import Flat, Top
from pendula_sim.design import Options, design_id

__all__ = ["main", "make_top"]


def make_top(spec: ArraySpec, options: Options, build_id: str) -> Top:
    """Return the gateware of a design."""
    return Top(spec=spec, build_id=build_id, lanes=options.lanes,
               jitter=ModelSource() if options.jitter else None, fabric=FABRICS[options.fabric],
               sums=default_sums(spec))


def main(design_path: str, expected_id: str, output: str) -> None:
    """Write the file if the sources still have the expected digest."""
    design = json.loads(Path(design_path).read_text())
    spec, options = ArraySpec.from_description(design["spec"]), Options(**design["options"])
    top = Flat(make_top(spec, options, expected_id))
    if output.endswith(".v"):
        text = verilog.convert(top, name="top", emit_src=False, strip_internal_attrs=True)
    else:
        text = rtlil.convert(top, name="top", emit_src=False)
    if design_id(spec, options) != expected_id:
        sys.exit("the gateware's sources changed during the build: start it again")
    Path(output).write_text(text)


if __name__ == "__main__":
    main(*sys.argv[1:])
