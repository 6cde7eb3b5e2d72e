"""``pendula serve``: a virtual board."""

import ipaddress
from pathlib import Path

import click

from pendula import modelfile
from pendula.device import open_device
from pendula.link.ports import AbstractPort, PtyPort, TcpPort
from pendula.link.server import Server
from pendula.link.token import read_token

__all__ = ["command"]

_LOOPBACK = "127.0.0.1"


@click.command("serve")
@click.argument("url")
@click.option("--pty", is_flag=True, help="Serve on a pseudo-terminal, and print its path.")
@click.option("--tcp", "port", type=click.IntRange(0, 65535), metavar="PORT",
              help="Serve on a TCP port of this machine; 0 takes a free one. Its address is "
                   "printed.")
@click.option("--bind", metavar="ADDRESS",
              help=f"Address to listen at instead of {_LOOPBACK}; another one than of this machine "
                   "alone needs a token.")
@click.option("--token", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="File with a secret that hosts must know: tcp://HOST:PORT?token=FILE. There is "
                   "no encryption.")
@click.option("--model", metavar="MODEL",
              help="Model file or shipped model whose array to build; the 8x8 digits without it.")
def command(url: str, pty: bool, port: int | None, bind: str | None, token: Path | None,
            model: str | None) -> None:
    """Serve the simulated device at URL as a virtual board.

    Programs open it as they open a real one: as serial:// or tcp:// device, or with any serial
    terminal. It has one fixed array and takes one host at a time. Ctrl-C ends it.

    \b
    Examples:
      pendula serve verilator:// --pty
      pendula serve verilator:// --tcp 7777 --model digits
      pendula serve verilator:// --tcp 7777 --bind 192.168.0.7 --token secret.txt
      pendula sample digits --device tcp://127.0.0.1:7777 -o samples.npz
    """
    if pty == (port is not None):
        raise click.UsageError("Give either --pty or --tcp PORT.")
    if pty and (bind is not None or token is not None):
        raise click.UsageError("--bind and --token need --tcp.")
    if bind is not None and token is None and not _is_loopback(bind):
        raise click.UsageError(f"--bind {bind} can be reached by others: "
                               "give --token FILE as well.")
    spec = None if model is None else modelfile.load(model).spec
    with open_device(url) as device, _open_port(
            port, bind or _LOOPBACK, token) as place:
        engine = device.open_engine(spec)
        try:
            click.echo(place.address)
            _report(f"serving {url} as {place.url}; Ctrl-C ends it")
            Server(engine, place).serve()
        finally:
            engine.close()


def _open_port(port: int | None, bind: str, token: Path | None) -> AbstractPort:
    if port is None:
        return PtyPort(_report)
    if not _is_loopback(bind):
        _report(f"warning: there is no encryption; who is between {bind} and a host can read and "
                "change all that they send")
    return TcpPort(_report, bind, port, read_token(token) if token else None)


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"


def _report(line: str) -> None:
    click.echo(line, err=True)
