"""Write the Verilog of an array: ``python -m pendula_sim.elaborate SPEC.json DESIGN_ID TOP.v``.

With ``jitter`` as a fourth argument, the array gets a jitter seeder whose source is a model.

A process of its own, so that what is elaborated is what the sources say now, whatever another
process imported before they changed.
"""

import json
import sys
from pathlib import Path

from amaranth.back import verilog

from pendula.contract.spec import ArraySpec
from pendula_gateware.noise.jitter import ModelSource
from pendula_gateware.top import Flat, Top
from pendula_sim.design import design_id

__all__ = ["main"]


def main(spec_path: str, expected_id: str, output: str, jitter: str = "") -> None:
    """Write the Verilog if the sources still have the expected digest."""
    spec = ArraySpec.from_description(json.loads(Path(spec_path).read_text()))
    top = Flat(Top(spec=spec, build_id=expected_id, jitter=ModelSource() if jitter else None))
    text = verilog.convert(top, name="top", emit_src=False, strip_internal_attrs=True)
    if design_id(spec, jitter=bool(jitter)) != expected_id:
        sys.exit("the gateware's sources changed during the build: start it again")
    Path(output).write_text(text)


if __name__ == "__main__":
    main(*sys.argv[1:])
