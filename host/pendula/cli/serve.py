"""``pendula serve``: a virtual board."""

import ipaddress

import click

from pendula import modelfile
from pendula.device import open_device
from pendula.link.ports import AbstractPort, PtyPort, TcpPort
from pendula.link.server import Server

__all__ = ["command"]

_LOOPBACK = "127.0.0.1"


@click.command("serve")
@click.argument("url")
@click.option("--pty", is_flag=True, help="Serve on a pseudo-terminal, and print its path.")
@click.option("--tcp", "port", type=click.IntRange(0, 65535), metavar="PORT",
              help="Serve on a TCP port of this machine; 0 takes a free one. Its address is "
                   "printed.")
@click.option("--bind", metavar="ADDRESS",
              help=f"Address to listen at instead of {_LOOPBACK}. Whoever reaches it can use the "
                   "board: there is no password and no encryption.")
@click.option("--model", metavar="MODEL",
              help="Model file or shipped model whose array to build; the 8x8 digits without it.")
def command(url: str, pty: bool, port: int | None, bind: str | None, model: str | None) -> None:
    """Serve the simulated device at URL as a virtual board.

    Programs open it as they open a real one: as serial:// or tcp:// device, or with any serial
    terminal. It has one fixed array and takes one host at a time. Ctrl-C ends it.

    \b
    Examples:
      pendula serve verilator:// --pty
      pendula serve verilator:// --tcp 7777 --model digits
      pendula sample digits --device tcp://127.0.0.1:7777 -o samples.npz
    """
    if pty == (port is not None):
        raise click.UsageError("Give either --pty or --tcp PORT.")
    if pty and bind is not None:
        raise click.UsageError("--bind needs --tcp.")
    spec = None if model is None else modelfile.load(model).spec
    with open_device(url) as device, _open_port(port, bind or _LOOPBACK) as place:
        engine = device.open_engine(spec)
        try:
            click.echo(place.address)
            _report(f"serving {url} as {place.url}; Ctrl-C ends it")
            Server(engine, place).serve()
        finally:
            engine.close()


def _open_port(port: int | None, bind: str) -> AbstractPort:
    if port is None:
        return PtyPort(_report)
    if not _is_loopback(bind):
        _report(f"warning: whoever reaches {bind} can use this board and read all it sends; there "
               "is no password and no encryption")
    return TcpPort(_report, bind, port)


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"


def _report(line: str) -> None:
    click.echo(line, err=True)
