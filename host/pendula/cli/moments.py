"""``pendula moments``: sums over samples, and what follows from them."""

import re
from pathlib import Path
from typing import Any

import click
import numpy as np

from pendula import modelfile
from pendula.cli.common import (
    check_folder,
    device_option,
    emit,
    json_option,
    progress_bar,
    record_option,
)
from pendula.device import open_device, recorded
from pendula.files import replacing
from pendula.moments import Moments

__all__ = ["command"]

_SUMS = ("totals", "squares", "products", "counts")
_VALUES = ("mean_val", "variance_val", "covariance_val", "correlation", "bin_edges_val")


class _Nodes(click.ParamType):
    """Numbers of nodes, such as 0,4,7, or ranges of them, such as 0:8."""

    name = "NODES"

    def convert(self, value: Any, param: click.Parameter | None,
                ctx: click.Context | None) -> list[int]:
        nodes: list[int] = []
        for part in str(value).split(","):
            found = re.fullmatch(r"(\d+)(?::(\d+))?", part)
            if not found:
                self.fail(f"{part!r} must be a node, such as 4, or a range, such as 0:8", param,
                          ctx)
            first, stop = int(found[1]), found[2]
            nodes += [first] if stop is None else range(first, int(stop))
        return nodes


class _Edges(click.ParamType):
    """Pairs of nodes, such as 0-1,4-7."""

    name = "EDGES"

    def convert(self, value: Any, param: click.Parameter | None,
                ctx: click.Context | None) -> list[tuple[int, int]]:
        edges = []
        for part in str(value).split(","):
            found = re.fullmatch(r"(\d+)-(\d+)", part)
            if not found:
                self.fail(f"{part!r} must be a pair of nodes, such as 0-1", param, ctx)
            edges.append((int(found[1]), int(found[2])))
        return edges


@click.command("moments")
@click.argument("model")
@device_option
@click.option("-n", "--count", type=int, default=1024, show_default=True,
              help="Number of samples that count.")
@click.option("--seed", type=int, default=0, show_default=True, help="64-bit seed of the noise.")
@click.option("--first", type=int, default=0, show_default=True, help="Index of the first sample.")
@click.option("--thin", type=int, default=1, show_default=True,
              help="Samples that are drawn for each that counts.")
@click.option("--nodes", type=_Nodes(), help="Nodes to measure; the visible ones without it.")
@click.option("--edges", type=_Edges(), help="Pairs of nodes to correlate.")
@click.option("--histograms", type=_Nodes(), help="Nodes whose histograms to count.")
@click.option("--bins", type=int, default=16, show_default=True,
              help="Bins of a histogram, a power of two up to 256.")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path),
              callback=check_folder, help="File to write sums and moments to (.npz).")
@record_option
@json_option
def command(model: str, url: str, output: Path | None, record: Path | None, as_json: bool,
            edges: Any, histograms: Any, **options: Any) -> None:
    """Measure means, variances, correlations and histograms of MODEL's samples.

    The device adds up the samples itself and sends the sums alone, so that no link limits it. Sums
    are exact integers, the same on every device for the same seed, but for float://.

    \b
    Examples:
      pendula moments digits -n 100000 --seed 1 -o moments.npz
      pendula moments digits --device twin:// --edges 0-1,9-10 --histograms 0:4 --json
    """
    program = modelfile.load(model)
    with open_device(recorded(url, record)) as device:
        device.load(program)
        with progress_bar("Measuring", options["count"] * options["thin"]) as progress:
            moments = device.moments(edges=edges or (), histograms=histograms or (),
                                     progress=progress, **options)
        described = {"program": program.digest, "device": device.url.partition(":")[0],
                     "samples": options["count"], **{name: options[name] for name in (
                         "seed", "first", "thin")}, "saturations": moments.saturations}
        seconds = round(device.times.run, 3)
    arrays = _arrays(moments)
    if output:
        with replacing(output) as temporary, temporary.open("wb") as file:
            np.savez(file, **described, **arrays)
    details = {name: _plain(array) for name, array in arrays.items()} if as_json else {
        f"{name}_{edge}": f"{choose(arrays[name]):.6g}" for name in ("mean_val", "variance_val")
        for edge, choose in (("least", np.min), ("most", np.max)) if arrays[name].size}
    emit({**described, **details, "run_s": seconds}, as_json)


def _plain(array: np.ndarray) -> list[Any]:
    """Return an array as JSON has it, which knows nothing but numbers: null stands for the rest."""
    plain = array.astype(object)
    plain[~np.isfinite(array)] = None
    return plain.tolist()


def _arrays(moments: Moments) -> dict[str, Any]:
    request = moments.request
    chosen = {name: getattr(request, name) for name in ("nodes", "edges", "histograms")}
    return chosen | {name: getattr(moments, name) for name in (*_SUMS, *_VALUES)}
