"""``pendula calibrate``: how a device answers, compared with an ideal one."""

from pathlib import Path
from typing import Any

import click

from pendula import modelfile
from pendula.calibration import Calibration, calibrate
from pendula.cli.common import emit, json_option, record_option
from pendula.contract.noise import check_seed
from pendula.device import open_device, recorded
from pendula.program import Program

__all__ = ["command"]


@click.command("calibrate")
@click.argument("url")
@click.argument("model")
@click.option("--seed", type=int, default=0, show_default=True,
              help="Seed of the states at which forces are measured.")
@record_option
@json_option
def command(url: str, model: str, seed: int, record: Path | None, as_json: bool) -> None:
    """Measure gain and offset of the functions of the device at URL, in every time segment.

    MODEL, a file or a shipped model, gives the array; probe programs are run in its place, and
    forces alone are measured. An ideal device has gains of 1 and offsets of 0, up to its tables.

    A coupling of node i to node j is measured as the matrix G in sum_ab u_a(x_i) G_ab v_b(x_j),
    where the constant 1 follows after the functions u of the node and v of the neighbour. `spread`
    is what this leaves of the forces, root mean square: what couplers and nodes differ by, each for
    itself. `pendula train ... --in-loop URL` measures this before it starts, and takes it into
    account.

    \b
    Examples:
      pendula calibrate twin:// ais-digits
      pendula calibrate 'verilator://?mismatch=0.05&mismatch_seed=1' ais-digits --json
    """
    program = modelfile.load(model)
    with open_device(recorded(url, record)) as device:
        found = calibrate(device, program, seed=check_seed(seed))
    emit(_plain(url, program, found) if as_json else _lines(program, found), as_json)


def _plain(url: str, program: Program, found: Calibration) -> dict[str, Any]:
    physics = program.spec.physics
    return {"device": url, "u": [*physics.u, "1"] if physics.u else ["1"], "v": [*physics.v, "1"],
            "coupling": found.coupling.tolist(), "coupling_spread": found.coupling_spread.tolist(),
            "basis": list(physics.basis), "local": found.local.tolist(),
            "local_spread": found.local_spread.tolist()}


def _lines(program: Program, found: Calibration) -> dict[str, str]:
    """Return one line a function and segment."""
    physics, lines = program.spec.physics, {}
    rows, columns = [*physics.u, "1"] if physics.u else ["1"], [*physics.v, "1"]
    for s in range(program.segments):
        for row, values in zip(rows, found.coupling[s], strict=True):
            shown = ", ".join(f"{value:+.4f} {column}" for column, value in
                              zip(columns, values, strict=True))
            lines[f"segment {s} coupling {row}"] = shown
        lines[f"segment {s} coupling spread"] = f"{found.coupling_spread[s]:.4f}"
        for name, (gain, offset), spread in zip(physics.basis, found.local[s],
                                                found.local_spread[s], strict=True):
            lines[f"segment {s} local {name}"] = (f"gain {gain:.4f}, offset {offset:+.4f}, "
                                                  f"spread {spread:.4f}")
    return lines
