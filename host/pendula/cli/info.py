"""``pendula info``: who a device is."""

from pathlib import Path

import click

from pendula import modelfile
from pendula.cli.common import emit, json_option, record_option
from pendula.device import open_device, recorded

__all__ = ["command"]


@click.command("info")
@click.argument("url")
@click.option("--model", metavar="MODEL", help="Model file or shipped model to load first.")
@record_option
@json_option
def command(url: str, model: str | None, record: Path | None, as_json: bool) -> None:
    """Say who the device at URL is.

    With a model, it is loaded first: a simulator is built for the model's array, and a board must
    have that array.

    \b
    Examples:
      pendula info verilator://
      pendula info verilator:// --model digits --json
    """
    with open_device(recorded(url, record)) as device:
        facts = {}
        if model is not None:
            program = modelfile.load(model)
            device.load(program)
            facts = {"model": model, "program": program.digest, "steps": program.total_steps}
        emit({**device.info(), **facts}, as_json)
