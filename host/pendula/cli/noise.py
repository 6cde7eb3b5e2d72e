"""``pendula noise``: the noise of a device, as bytes on standard output."""

import os
import re
import sys
from pathlib import Path
from typing import Any

import click

from pendula.cli.common import progress_bar, record_option
from pendula.device import recorded
from pendula.errors import PendulaError
from pendula.noise import PROBE_NODES, Kind, NoiseRequest, noise_bytes

__all__ = ["command"]

_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_SIZE = re.compile(r"(\d+)([KMGT]?)")


class _Size(click.ParamType):
    """A number of bytes, such as 64G."""

    name = "SIZE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        match = _SIZE.fullmatch(str(value).upper())
        if not match:
            self.fail(f"{value!r} must be a number of bytes, such as 1000 or 64G "
                      "(K, M, G, T: powers of 1024)", param, ctx)
        return int(match[1]) * _UNITS[match[2]]


class _ClosedPipeError(PendulaError):
    """The reader went away before it had all that was asked for."""


@click.command("noise")
@click.argument("url")
@click.option("--bytes", "size", type=_Size(),
              help="Bytes to write, whole draws (of 44 bits: a multiple of 11); endless "
                   "where not given.")
@click.option("--kind", type=click.Choice([kind.value for kind in Kind]),
              default=Kind.DRAWS.value, show_default=True,
              help="All bits of each draw, its word, the top of its word, or its Gaussian.")
@click.option("--seed", type=int, default=0, show_default=True, help="64-bit seed of the noise.")
@click.option("--first", type=int, default=0, show_default=True, help="Index of the first stream.")
@click.option("--streams", type=int, default=1, show_default=True,
              help="Streams (samples) taken at a time, draw by draw.")
@click.option("--draws", type=int, default=PROBE_NODES, show_default=True,
              help="Draws of each stream before the next streams follow.")
@click.option("--reverse", is_flag=True, help="Turn the bits of every draw over.")
@record_option
def command(url: str, size: int | None, kind: str, record: Path | None, **options: Any) -> None:
    """Write the noise of the device at URL to standard output.

    Kinds, and bytes a draw: draws 5.5 (44 bits, least significant first, no gaps), words 4,
    uniforms 3, gaussians 2 (signed, standard deviation 256), all little-endian. twin:// gives
    all of them, any number of draws of a stream. Devices that run the gateware give uniforms and
    gaussians, up to 4096 draws of a stream; equal requests give equal bytes.

    \b
    Examples:
      pendula noise twin:// --kind words --draws 281474976710656 | RNG_test stdin32
      pendula noise twin:// --bytes 66G --streams 8 --reverse | RNG_test stdin
      cmp <(pendula noise twin:// --bytes 3M --kind uniforms) \\
          <(pendula noise verilator:// --bytes 3M --kind uniforms)
    """
    request = NoiseRequest(kind=Kind(kind), **options)
    if size is not None:
        _check_size(size, request)
    if sys.stdout.isatty():
        raise click.UsageError("The noise is binary: redirect it into a file or a program.")
    _write(recorded(url, record), request, size)


def _check_size(size: int, request: NoiseRequest) -> None:
    unit = request.kind.unit_bytes
    if size < unit or size % unit:
        raise click.BadParameter(f"{size} must be a positive multiple of {unit}, whole "
                                 f"{request.kind}: try {max(unit, size - size % unit)}",
                                 param_hint="--bytes")
    if size > request.bytes_hi:
        raise click.BadParameter(f"{size} must be at most {request.bytes_hi}: seed {request.seed} "
                                 f"has no more streams; take more --draws of each",
                                 param_hint="--bytes")


def _write(url: str, request: NoiseRequest, size: int | None) -> None:
    """Write `size` bytes; without a size, write until the reader has had enough."""
    written = 0
    try:
        with progress_bar("Noise, MiB", (size or 0) >> 20) as progress:
            for piece in noise_bytes(url, request):
                piece = piece if size is None else piece[: size - written]
                sys.stdout.buffer.write(piece)
                progress(((written + len(piece)) >> 20) - (written >> 20))
                written += len(piece)
                if written == size:
                    break
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())   # nothing left to flush to
        message = f"the reader closed the pipe after about {written} bytes"
        if size is not None:
            raise _ClosedPipeError(f"{message} of {size}") from None
        click.echo(message, err=True)
