"""``pendula ranges``: what the signals of a step reach, and which formats would do."""

import click

from pendula import modelfile
from pendula.cli.common import emit, json_option, progress_bar
from pendula.program import Program
from pendula.ranges import Idle, Ranges, Signal, measure_ranges

__all__ = ["command"]

_LISTED = 5


@click.command("ranges")
@click.argument("model")
@click.option("-n", "--count", type=int, default=256, show_default=True,
              help="Number of samples to observe.")
@click.option("--seed", type=int, default=0, show_default=True, help="64-bit seed of the noise.")
@json_option
def command(model: str, count: int, seed: int, as_json: bool) -> None:
    """Report the range of every signal inside a step of MODEL, a file or a shipped model.

    The worst case is interval arithmetic over the model's own codes, gains and tables; what is seen
    comes from samples, all steps of them, equal to the twin's. Saturations are listed by segment
    and node, and so is what the model does not use; at the end stands which formats could be
    smaller, or should be larger, and why.

    \b
    Examples:
      pendula ranges digits
      pendula ranges my.pendula -n 2000 --json
    """
    program = modelfile.load(model)
    with progress_bar("Observing", count) as progress:
        found = measure_ranges(program, count=count, seed=seed, progress=progress)
    if as_json:
        emit(found.to_dict(), as_json=True)
        return
    click.echo(f"{'signal':18} {'bits':>4} {'worst':>5} {'seen':>4}  {'worst case':>22}  "
               f"{'seen':>22}  largest at")
    for signal in found.signals:
        click.echo(_line(signal))
    click.echo()
    emit(_summary(program, found), as_json=False)


def _line(signal: Signal) -> str:
    unit = signal.unit_val
    worst, seen = (f"{lo * unit:.4g} to {hi * unit:.4g}" for lo, hi in (
        (signal.worst_lo, signal.worst_hi), (signal.lo, signal.hi)))
    return (f"{signal.name:18} {signal.width or '':>4} {signal.worst_bits:>5} {signal.bits:>4}  "
            f"{worst:>22}  {seen:>22}  segment {signal.segment}, node {signal.node}")


def _summary(program: Program, found: Ranges) -> dict[str, str]:
    lines = {"saturations": f"{found.saturations.sum()} of {found.updates} updates"}
    places = sorted(zip(*found.saturations.nonzero()),
                    key=lambda place: -found.saturations[place])[:_LISTED]
    for segment, node in places:
        lines[f"segment {segment}, node {node}"] = str(found.saturations[segment, node])
    lines["clipped"] = f"{100 * found.clipped_neighbours:.2g} % of the states, for neighbours"
    lines["idle"] = _idle(program, found.idle)
    for number, suggestion in enumerate(found.suggestions, start=1):
        lines[f"suggestion {number}"] = suggestion
    return lines


def _idle(program: Program, idle: Idle) -> str:
    parts = [f"{name} {', '.join(map(str, values))}" for name, values in (
        ("codes", idle.codes), ("nodes", idle.nodes), ("offsets", idle.offsets),
        ("terms", idle.terms)) if values]
    return "; ".join([*parts, f"{idle.rows} of {program.spec.table_rows} table rows"])
