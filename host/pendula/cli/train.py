"""``pendula train``: from a preset to a model file."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pendula import modelfile
from pendula.cli.common import emit, json_option, output_option, progress_bar, record_option
from pendula.device import open_device, recorded
from pendula.program import Program

if TYPE_CHECKING:
    from pendula.training.ais.presets import AisPreset
    from pendula.training.ais.training import Progress
    from pendula.training.local_rules import RuleName
    from pendula.training.presets import Preset
    from pendula.training.thermal_presets import ThermalPreset

__all__ = ["command"]


@click.command("train")
@click.argument("preset")
@output_option("Model file to write (.pendula).")
@click.option("--data", type=click.Path(path_type=Path), metavar="FOLDER",
              help="Folder with the data set's files, for presets that need one.")
@click.option("--seed", type=int, default=0, show_default=True,
              help="Seed of all that is drawn at random.")
@click.option("--resume", is_flag=True,
              help="Go on from the checkpoint beside OUTPUT (ais- presets).")
@click.option("--start", metavar="MODEL",
              help="Model to start from, such as a shipped one (ais- presets).")
@click.option("--in-loop", metavar="URL",
              help="Device that is learnt from: it draws samples (ais- presets), or measures "
                   "forces or makes steps (the others).")
@click.option("--updates", type=click.IntRange(1), metavar="N",
              help="Make N updates, of each segment with a local rule, in place of the preset's "
                   "number: a short try (ais- presets, and --in-loop).")
@click.option("--rule", type=click.Choice(["force-matching", "cd1"]),
              help="Online rule for what a device in the loop measures; force-matching where not "
                   "given (not for ais- presets).")
@record_option
@json_option
def command(preset: str, output: Path, data: Path | None, seed: int, resume: bool,
            start: str | None, in_loop: str | None, updates: int | None,
            rule: "RuleName | None", record: Path | None, as_json: bool) -> None:
    """Train PRESET to 4-bit codes, and write a model file.

    \b
    Presets of force matching:
      digits         8x8 digits of scikit-learn, all ten classes
      mixture-2d     two Gaussians in two dimensions
      mnist01-12     MNIST's zeros and ones, averaged to 12x12
    Presets of constant couplings that run noising backwards:
      whitelam-3     one 0, one 1 and one 2 of MNIST
    Presets of coupled phases trained on their end states:
      ais-digits     8x8 digits of scikit-learn, all ten classes
      ais-digits-critic  the same, against a critic and on a smaller array
      ais-mnist01-12 MNIST's zeros and ones, averaged to 12x12
      ais-mnist28    MNIST, 28x28
      ais-fashion28  Fashion-MNIST, 28x28
    MNIST and Fashion-MNIST need --data, the folder with train-images-idx3-ubyte.gz and so on.

    Force matching: noise is added to the images step by step; for every segment of that diffusion,
    run backwards, the array's couplings are the least-squares answer to the force that would undo
    it. An ensemble runs along with the codes chosen so far, and each segment makes up for how far
    it has gone astray. `loss` is the share of the squared force that the best real coefficients
    leave (most of it is noise that no force can know); `excess` is what codes and feedback add.

    With --in-loop these presets learn online instead, by a local rule, on a device that runs the
    codes all along and that nobody differentiates: from the forces that it measures
    (force-matching), or from single steps that it makes (cd1).

    The ais- presets train all segments together: end states drift towards images near them and
    away from each other, or follow a critic that tells them from images. Gradients pass the
    rounding to codes as if it were not there. They need
    pip install 'pendula[learn]'. A checkpoint and a log (JSON lines) are kept beside the model
    file: a training that was stopped goes on with --resume, and ends with the same file.

    \b
    Examples:
      pendula train digits -o my.pendula
      pendula train mnist01-12 --data ~/mnist -o ones.pendula && pendula sample ones.pendula ...
      pendula train mixture-2d -o two.pendula --in-loop verilator:// --rule cd1
      pendula train ais-mnist28 --data ~/mnist -o m.pendula
      pendula train ais-mnist28 --data ~/mnist -o m.pendula --resume
      pendula train ais-digits -o d.pendula --start ais-digits --in-loop serial:///dev/ttyUSB1
    """
    from pendula.training.catalogue import find_preset
    from pendula.training.presets import Preset
    from pendula.training.thermal_presets import ThermalPreset
    chosen = find_preset(preset)
    if record and not in_loop:
        raise click.UsageError("--record needs the device that is recorded, --in-loop URL.")
    loop = in_loop and recorded(in_loop, record)
    began = time.perf_counter()
    if isinstance(chosen, ThermalPreset):
        if resume or start or in_loop or rule or updates:
            raise click.UsageError(f"{preset} takes --data and --seed alone.")
        program, figures = _thermal(chosen, output, data, seed)
    elif isinstance(chosen, Preset):
        if resume or start:
            raise click.UsageError(f"--resume and --start are for ais- presets, not {preset}.")
        if (rule or updates) and not in_loop:
            raise click.UsageError(f"{'--rule' if rule else '--updates'} needs the device that is "
                                   "learnt from, --in-loop URL.")
        if loop:
            program, figures = _local(chosen, output, data, seed, loop, rule, updates)
        else:
            program, figures = _force_matching(chosen, output, data, seed)
    else:
        if rule:
            raise click.UsageError(f"--rule is not for ais- presets, such as {preset}.")
        chosen = replace(chosen, iterations=updates or chosen.iterations)
        program, figures = _ais(chosen, output, data, seed, resume, start, loop)
    seconds = time.perf_counter() - began
    spec = program.spec
    emit({"output": str(output), "program": program.digest, "nodes": spec.nodes,
          "neighbours": len(spec.offsets), "segments": program.segments,
          "steps": program.total_steps, "code_bits": spec.code_bits, **figures,
          "train_s": round(seconds, 2)}, as_json)


def _force_matching(preset: "Preset", output: Path, data: Path | None, seed: int
                    ) -> tuple[Program, dict[str, Any]]:
    from pendula.training import train
    with progress_bar("Training", preset.segments + 1) as progress:
        program = train(preset, data=data, seed=seed, progress=progress)
    modelfile.save(program, output)
    segments = program.provenance["segments"]
    share = {name: sum(one[name] * one["steps"] / one["power"] for one in segments)
             / program.total_steps for name in ("loss", "excess")}
    return program, {name: round(value, 5) for name, value in share.items()}


def _thermal(preset: "ThermalPreset", output: Path, data: Path | None, seed: int
             ) -> tuple[Program, dict[str, Any]]:
    from pendula.training.thermal_training import train_thermal
    losses: list[float] = []
    with progress_bar("Training", preset.cycles * preset.digits) as progress:
        def note(loss: float) -> None:
            losses.append(loss)
            progress(1)

        program = train_thermal(preset, data=data, seed=seed, progress=note)
    modelfile.save(program, output)
    return program, {"first_loss": round(sum(losses[:preset.digits]) / preset.digits, 1),
                     "loss": round(sum(losses[-preset.digits:]) / preset.digits, 1)}


def _local(preset: "Preset", output: Path, data: Path | None, seed: int, url: str,
           rule: "RuleName | None", updates: int | None) -> tuple[Program, dict[str, Any]]:
    from pendula.training.local_rules import LocalRule, train_locally
    chosen = LocalRule(name=rule or "force-matching")
    chosen = replace(chosen, updates=updates or chosen.updates)
    with open_device(url) as device, progress_bar("Training", preset.segments + 1) as progress:
        program = train_locally(preset, device, chosen, data=data, seed=seed, progress=progress)
    modelfile.save(program, output)
    return program, {"rule": chosen.name, "device": device.url,
                     "observations": chosen.updates * chosen.batch * program.segments}


def _ais(preset: "AisPreset", output: Path, data: Path | None, seed: int, resume: bool,
         start: str | None, in_loop: str | None) -> tuple[Program, dict[str, Any]]:
    from pendula.extras import import_extra
    for library in ("jax", "optax"):
        import_extra(library, "learn")
    from pendula.training.ais.training import checkpoint_path, log_path, train_ais
    images = preset.load(data)
    first = modelfile.load(start) if start else None
    device = open_device(in_loop) if in_loop else None
    try:
        with _display(preset.iterations) as progress:
            program = train_ais(preset, images, seed=seed, output=output, resume=resume,
                                start=first, device=device, progress=progress)
    except KeyboardInterrupt:
        if checkpoint_path(output).exists():
            click.echo(f"The last checkpoint is kept in {checkpoint_path(output)}; "
                       "--resume goes on from there", err=True)
        raise
    finally:
        if device:
            device.close()
    return program, {"log": str(log_path(output))}


@contextmanager
def _display(updates: int) -> Iterator["Progress"]:
    """Yield a function that shows a report on stderr: a bar, figures, and a row of samples."""
    from rich.console import Console, Group
    from rich.live import Live
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
    from rich.text import Text

    from pendula.cli.thumbnails import thumbnails
    from pendula.training.ais.training import Report
    console = Console(stderr=True)
    bars = Progress(TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[at]}"),
                    TimeRemainingColumn(), console=console)
    task = bars.add_task("Training", total=updates, at="")
    energy, row = "", Text()

    def show(report: Report) -> None:
        nonlocal energy, row
        if report.energy is not None and report.samples is not None:
            energy, row = f", energy {report.energy:.3f}", thumbnails(report.samples, console.width)
        bars.update(task, completed=report.update, at=f"{report.update}/{report.updates} distance "
                                                      f"{report.distance:.3g}{energy}")
        live.update(Group(bars, row))

    if not console.is_terminal:
        yield lambda _: None
        return
    with Live(bars, console=console, refresh_per_second=4) as live:
        yield show
