"""``pendula flash``: load a bitstream into a board."""

from pathlib import Path
from urllib.parse import quote

import click

from pendula.cli.boards import import_boards
from pendula.cli.common import emit, json_option

__all__ = ["command"]


@click.command("flash")
@click.argument("board")
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@click.option("--port", metavar="PORT",
              help="Serial port at which the board answers, such as /dev/ttyUSB1; found by its USB "
                   "ids without it.")
@click.option("--permanent", is_flag=True,
              help="Write the flash, also where the board could be loaded without.")
@click.option("--yes", is_flag=True, help="Do not ask before the flash is written.")
@json_option
def command(board: str, path: Path, port: str | None, permanent: bool, yes: bool,
            as_json: bool) -> None:
    """Load the bitstream at PATH, a file or a folder of 'pendula build', into BOARD.

    It is loaded into the FPGA until power is lost; on boards that cannot do that, it is written to
    the flash, after asking. Then the board is asked who it is, and refused if it runs another
    build.

    \b
    Examples:
      pendula flash ulx3s-85f build/ulx3s-85f
      pendula flash icebreaker build/icebreaker --port /dev/ttyUSB1 --yes
    """
    flashing = import_boards("flash")
    record = import_boards("catalogue").find_board(board)
    bitstream = flashing.Bitstream.read(path, record)
    permanent = permanent or not record.volatile
    if permanent:
        click.echo(f"{bitstream.path} will be written to the flash of {record.title}, over what "
                   "is there", err=True)
        if not yes:
            click.confirm("Go on?", abort=True, err=True)
    flashing.load(record, bitstream, flash=permanent)
    port = port or str(flashing.find_port(record))
    url = f"serial://{quote(port)}?baud={bitstream.report['baud_hz']}"
    info = flashing.check(url, bitstream)
    emit({"board": board, "bitstream": str(bitstream.path),
          "written_to": "flash" if permanent else "FPGA", "url": url,
          "build_id": info["build_id"], "lanes": info["lanes"], "nodes": info["nodes"]}, as_json)
