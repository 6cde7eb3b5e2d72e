"""``pendula sample``: draw samples into a file."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import click
import numpy as np

from pendula import modelfile, samplefile
from pendula.cli.common import (
    JITTER,
    SeedType,
    device_option,
    emit,
    json_option,
    output_option,
    progress_bar,
    record_option,
)
from pendula.cli.partial import PartialSamples
from pendula.contract import InitialState
from pendula.device import AbstractDevice, Progress, SampleRequest, open_device, recorded
from pendula.program import Program

__all__ = ["command"]

_FIRST_BATCH = 16
_BATCH_S = 1.0       # batches grow until one takes this long: what an interruption can lose


@click.command("sample")
@click.argument("model")
@device_option
@click.option("-n", "--count", type=int, default=256, show_default=True,
              help="Number of samples.")
@click.option("--seed", type=SeedType(), default=0, show_default=True,
              help=f"64-bit seed of the noise, or {JITTER}: let the device draw one and print it.")
@click.option("--first", type=int, default=0, show_default=True,
              help="Index of the first sample; sample i depends on model, seed and i alone.")
@click.option("--raw", is_flag=True, help="Raw states instead of 8-bit pixels.")
@click.option("--hidden", is_flag=True, help="All nodes instead of the visible ones.")
@output_option("File to write (.npz).")
@record_option
@json_option
def command(model: str, url: str, count: int, seed: int | Literal["jitter"], first: int, raw: bool,
            hidden: bool, output: Path, record: Path | None, as_json: bool) -> None:
    """Draw samples of MODEL, a file or a shipped model, into an .npz file.

    The file holds `values` (samples x nodes), `saturations` and what was asked for. Finished
    samples of a long run are kept beside it in OUTPUT.partial: after an interruption the same
    command goes on from there, and ends with the same file; where the device drew the seed, with
    the seed that was printed.

    \b
    Examples:
      pendula sample digits -n 256 --seed 1 -o samples.npz
      pendula sample my.pendula --device twin:// -n 100000 --raw -o states.npz
      pendula sample digits --device 'verilator://?jitter=model' --seed jitter -o s.npz
    """
    request = SampleRequest(count=count, seed=0 if seed == JITTER else seed, first=first,
                            pixels=not raw, hidden=hidden)
    program = modelfile.load(model)
    with open_device(recorded(url, record)) as device:
        if seed == JITTER:
            request = _with_drawn_seed(device, program, request)
        with _open_partial(output, program, request, device) as partial:
            if seed != JITTER:      # drawing a seed has loaded it
                device.load(program)
            _draw(device, program, request, partial)
            samplefile.save(output, partial.values, saturations=partial.saturations,
                            **_describe(program, request, device))
            partial.remove()
        emit({"output": str(output), "samples": count, "seed": request.seed,
              "program": program.digest, "saturations": partial.saturations, **_report(device)},
             as_json)


def _with_drawn_seed(device: AbstractDevice, program: Program,
                     request: SampleRequest) -> SampleRequest:
    """Load a program, draw a seed, and say which."""
    device.load(program)
    seed = device.draw_seed()
    click.echo(f"Seed {seed}, drawn from jitter; --seed {seed} repeats this run", err=True)
    return replace(request, seed=seed)


def _describe(program: Program, request: SampleRequest, device: AbstractDevice) -> dict[str, Any]:
    return {"program": program.digest, "device": device.url.partition(":")[0],
            "seed": request.seed, "first": request.first, "count": request.count,
            "pixels": request.pixels, "hidden": request.hidden,
            "image_shape": list(program.image_shape or (0, 0))}


def _report(device: AbstractDevice) -> dict[str, Any]:
    times, health = device.times, device.health
    seconds = {"build_s": times.build, "load_s": times.load, "run_s": times.run,
               "read_s": times.read}
    return {**{name: round(value, 3) for name, value in seconds.items()},
            "retries": health.retries, "frames_dropped": health.frames_dropped}


def _open_partial(output: Path, program: Program, request: SampleRequest,
                  device: AbstractDevice) -> PartialSamples:
    path = output.with_name(output.name + ".partial")
    nodes = program.spec.nodes if request.hidden else int(program.visible.sum())
    dtype = np.uint8 if request.pixels else np.int32 if device.exact else np.float64
    return PartialSamples(path, _describe(program, request, device), dtype, (nodes,),
                          request.count)


def _batches(device: AbstractDevice, request: SampleRequest,
             done: int) -> Iterator[tuple[int, int]]:
    """Yield index and size of batches that grow until one takes long enough."""
    whole = device.program.initial is InitialState.KEEP    # a chain cannot go on from a file
    size = request.count if whole else _FIRST_BATCH
    while done < request.count:
        size = min(size, request.count - done)
        start_s = device.clock()
        yield request.first + done, size
        done += size
        size *= 1 + (device.clock() - start_s < _BATCH_S)


def _draw(device: AbstractDevice, program: Program, request: SampleRequest,
          partial: PartialSamples) -> None:
    """Draw what is missing."""
    try:
        with progress_bar("Sampling", request.count) as progress:
            _draw_batches(device, program, request, partial, progress)
    except KeyboardInterrupt:
        click.echo(f"{partial.count} of {request.count} samples are kept in {partial.path}; "
                   f"the same command with --seed {request.seed} goes on from there", err=True)
        raise


def _draw_batches(device: AbstractDevice, program: Program, request: SampleRequest,
                  partial: PartialSamples, progress: Progress) -> None:
    progress(partial.count)
    for first, size in _batches(device, request, partial.count):
        partial.append(device.sample(size, seed=request.seed, first=first, pixels=request.pixels,
                                     hidden=request.hidden, progress=progress))
