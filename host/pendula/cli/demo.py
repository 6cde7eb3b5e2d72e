"""``pendula demo``: the whole chain once."""

import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from pendula.cli.common import device_option, emit, json_option, progress_bar, record_option
from pendula.demo import MODEL_FILE, REPORT_FILE, SAMPLES_FILE, Demo, demo
from pendula.device import Progress, recorded

__all__ = ["command"]

EXIT_DIFFERENT = 1


@click.command("demo")
@device_option
@click.option("-n", "--count", type=int, default=256, show_default=True,
              help="Samples to draw from the device.")
@click.option("--seed", type=int, default=1, show_default=True,
              help="Seed of training and samples.")
@click.option("-o", "--output", type=click.Path(file_okay=False, path_type=Path), default=".",
              show_default=True, help="Folder for model, samples and report; made where missing.")
@record_option
@json_option
def command(url: str, count: int, seed: int, output: Path, record: Path | None,
            as_json: bool) -> int:
    """Train on the built-in digits, load the gateware, sample it, and prove the samples.

    The model is trained on 8x8 digits and quantised to 4 bits. The device (by default the gateware,
    compiled by Verilator on first use) and the integer twin draw the same seed, and every bit is
    compared; then the law is compared with the float model's. Writes digits.pendula, samples.npz
    and report.html.

    Exit code: 0 all agree, 1 something differs, 2 could not run.

    \b
    Examples:
      pendula demo
      pendula demo -n 1024 --seed 7 -o out
    """
    output.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    with ExitStack() as stack:
        def stage(name: str, total: int) -> Progress:
            stack.close()               # the bar of the stage before
            return stack.enter_context(progress_bar(name.capitalize(), total))

        found = demo(output, url=recorded(url, record), count=count, seed=seed, stage=stage)
    seconds = time.perf_counter() - start
    emit(found.to_dict() | {"seconds": seconds} if as_json else _summary(found, seconds), as_json)
    return 0 if found.equal else EXIT_DIFFERENT


def _summary(found: Demo, seconds: float) -> dict[str, Any]:
    """Return the lines that a person reads."""
    lines: dict[str, Any] = {"bits": found.bits.verdict, "law": found.law.verdict}
    for figure in found.figures:
        value = f"{figure.value:.4g}" if isinstance(figure.value, float) else figure.value
        note = f" ({figure.note})" if figure.note else ""
        lines[figure.name] = f"{value} {figure.unit}".strip() + note
    for score in found.scores:
        lines[f"energy distance, {score.name}"] = (
            f"{score.distance:.4f} +- {score.standard_error:.4f} ({score.role})")
    times = found.bits.device.times
    split = ", ".join(f"{stage} {times[stage]:.2f} s" for stage in ("build", "load", "run", "read"))
    lines["device"] = split
    lines["all"] = f"{seconds:.1f} s"
    for name in (MODEL_FILE, SAMPLES_FILE, REPORT_FILE):
        lines[f"written {name}"] = str(found.folder / name)
    return lines
