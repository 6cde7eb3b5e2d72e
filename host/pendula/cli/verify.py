"""``pendula verify``: where a device's samples part from the model's, rung by rung."""

import shlex
from pathlib import Path
from typing import Any

import click

from pendula import modelfile
from pendula.cli.common import check_folder, emit, json_option, progress_bar, record_option
from pendula.extras import import_extra
from pendula.program import Program
from pendula.verification import RUNGS, Kind, Result, Verification, choose, verify

__all__ = ["command"]

EXIT_DIFFERENT = 1
EXIT_MISSING = 2
_NBSP, _MINUS = "\N{NO-BREAK SPACE}", "\N{MINUS SIGN}"       # a browser breaks lines at neither


@click.command("verify")
@click.argument("model")
@click.option("--device", "url", metavar="URL", default="",
              help="A further device whose bits must be the twin's, such as a board.")
@click.option("--rungs", metavar="NAMES", help="Rungs to run, with commas between; all without it: "
              + ", ".join(RUNGS) + ".")
@click.option("-n", "--count", type=int, default=500, show_default=True,
              help="Number of samples of each law.")
@click.option("--seed", type=int, default=0, show_default=True, help="64-bit seed of the noise.")
@click.option("--report", type=click.Path(dir_okay=False, path_type=Path), callback=check_folder,
              help="Also write a report (.html).")
@record_option
@json_option
def command(model: str, url: str, rungs: str | None, count: int, seed: int, report: Path | None,
            record: Path | None, as_json: bool) -> int:
    """Verify MODEL, a file or a shipped model, from its equations down to gateware.

    Each rung of the ladder changes one thing: the length of steps, codes for real parameters (where
    the file holds them), tables for functions, the array's noise, rounded states, integers, then
    Amaranth's simulator, compiled gateware, the cells of an FPGA, and a device that you name. Where
    laws alone can agree, both sides share their noise, so that the rung's own shift of the law is
    measured. Where bits must agree, the first sample, step and node that differ are named.

    Exit code: 0 all rungs agree that must, and at least one was run; 1 one does not; 2 nothing
    could run, or not all that was asked for by name (with --rungs or --device). Of rungs that were
    not named, the verdict lists those that could not run, for want of a tool, and the one for which
    the file holds nothing: they change no exit code.

    \b
    Examples:
      pendula verify digits --rungs tables,noise,states,integers
      pendula verify digits --rungs integers,verilator --report ladder.html
      pendula verify my.pendula --device serial:///dev/ttyUSB1 --json
    """
    if record and not url:
        raise click.UsageError("--record needs the device that is recorded, --device URL.")
    if report:
        for library in ("jinja2", "matplotlib"):
            import_extra(library, "report")
    program = modelfile.load(model)
    names = rungs.split(",") if rungs else None
    with progress_bar("Verifying", len(choose(program, names, url))) as progress:
        found = verify(program, count=count, seed=seed, device=url, record=record, rungs=names,
                       progress=progress)
    if report:
        options = [*(["--device", url] if url else []), *(["--rungs", rungs] if rungs else []),
                   "-n", str(count), "--seed", str(seed), "--report", report.name]
        _write_report(report, program, found,
                      shlex.join(["pendula", "verify", Path(model).name, *options]))
    emit(found.to_dict() if as_json else _summary(found, report), as_json)
    if found.different:
        return EXIT_DIFFERENT
    named = {*(names or ()), *(["device"] if url else [])}
    nothing = len(found.missing) == len(found.results)
    return EXIT_MISSING if nothing or any(one.rung.name in named for one in found.missing) else 0


def _mark(result: Result) -> str:
    if result.agrees is False and result.rung.kind is Kind.COST:
        return "costs"
    return {True: "agrees", False: "DIFFERS", None: "not run"}[result.agrees]


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %" if share < 0.995 else "100 %"


def _summary(found: Verification, report: Path | None) -> dict[str, Any]:
    """Return the lines that a person reads."""
    lines: dict[str, Any] = {"verdict": found.verdict}
    for result in found.results:
        share = "" if result.share is None else f" [{_percent(result.share)} of the error]"
        lines[result.rung.name] = f"{_mark(result)}: {result.finding}{share}"
    return lines | ({"report": str(report)} if report else {})


def _interval(value: str, half_width: float) -> str:
    """Return a figure that is not broken into lines."""
    return f"{value} ± {half_width:.1g}".replace(" ", _NBSP).replace("-", _MINUS)


def _write_report(path: Path, program: Program, found: Verification, again: str) -> None:
    from pendula.report import Figure, Table, plot_shares, write_report

    rungs = Table(
        title="The ladder", header=("rung", "adds", "device", "verdict", "figure", "time"),
        rows=[(one.rung.name, one.rung.adds, one.url, _mark(one), one.finding,
               f"{one.seconds:.1f}{_NBSP}s") for one in found.results],
        note="Each rung is compared with the one above it, gateware with twin://. Steps and codes "
             "are the model's own: what they cost is shown, and is no fault.")
    laws = [one for one in found.results if one.shift]
    shifts = Table(
        title="What each rung adds", header=(
            "rung", "share", "energy distance", "mean, sd", "spread, %", "paths apart, sd",
            "would be found alone with probability 0.99"),
        rows=[(one.rung.name, "-" if one.share is None else _percent(one.share).replace(" ", _NBSP),
               _interval(f"{one.shift.energy:.2g}", one.shift.energy_error),
               _interval(f"{one.shift.mean_sd:+.2g}", one.shift.mean_half_width_sd),
               _interval(f"{100 * one.shift.spread:+.2g}", 100 * one.shift.spread_half_width),
               f"{one.shift.apart_sd:.2g}",
               "-" if one.law is None else f"mean off by {one.law.power[-1].mean_shift_sd:.2g} sd")
              for one in laws if one.shift],
        note="Both sides share their noise. Largest shifts over all nodes, with intervals that "
             "hold all of them at once with probability 0.99; energy distance with standard error.")
    write_report(
        path, title=f"Ladder of {program.provenance.get('preset', {}).get('name', 'a model')}",
        program=program, summary=found.verdict, command=again, tables=[rungs, shifts],
        plots=[plot_shares(laws)] if laws else [],
        figures=[Figure(name="samples of each law", value=found.count),
                 Figure(name="seed", value=found.seed)])
