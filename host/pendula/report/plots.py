"""Plots of the report, as PNG pictures for light and for dark pages."""

import base64
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pendula.comparison import Comparison
from pendula.contract.step import PIXEL_HI, pixel
from pendula.extras import import_extra
from pendula.metrics.floors import Score
from pendula.metrics.power import detectable
from pendula.metrics.samples import FloatArray
from pendula.metrics.two_sample import TwoSample
from pendula.program import Program
from pendula.verification import Result

__all__ = ["Map", "Picture", "mosaic", "node_maps", "plot_correlations", "plot_intervals",
           "plot_p_values", "plot_scores", "plot_shares", "state_images"]

_DPI = 144
_BAND = 0.99            # of the p-values of one rank, if all laws are equal


@dataclass(frozen=True, slots=True)
class _Theme:
    ink: str
    faint: str
    first: str
    second: str
    alarm: str


_LIGHT = _Theme(ink="#24292f", faint="#d0d7de", first="#0969da", second="#bc4c00", alarm="#cf222e")
_DARK = _Theme(ink="#d5dbe2", faint="#3d444d", first="#58a6ff", second="#f0883e", alarm="#ff7b72")


@dataclass(frozen=True, slots=True)
class Picture:
    """A plot drawn twice.

    Parameters
    ----------
    alt : str
        What it shows, for those who cannot see it.
    light, dark : str
        PNG in base64, for light and for dark pages.
    width : int
        Width in CSS pixels at which it is sharp.
    """

    alt: str
    light: str
    dark: str
    width: int


@dataclass(frozen=True, slots=True)
class Map:
    """A value a visible node, over the image; one pixel each.

    Parameters
    ----------
    title : str
        What is shown.
    png, bar : str
        Map and colour bar, PNG in base64.
    lo, hi : float
        Values at the ends of the bar.
    """

    title: str
    png: str
    bar: str
    lo: float
    hi: float


def _encode(png: io.BytesIO) -> str:
    return base64.b64encode(png.getvalue()).decode()


def _picture(alt: str, size_in: tuple[float, float],
             draw: Callable[[Any, _Theme], None]) -> Picture:
    """Draw a figure in both themes; `draw` takes a matplotlib Figure."""
    matplotlib = import_extra("matplotlib", "report")
    figures = import_extra("matplotlib.figure", "report")
    encoded = []
    for theme in (_LIGHT, _DARK):
        style = {
            "font.size": 9, "axes.titlesize": 9, "axes.spines.top": False,
            "axes.spines.right": False, "savefig.transparent": True, "legend.frameon": False,
            **dict.fromkeys(("text.color", "axes.labelcolor", "xtick.color", "ytick.color"),
                            theme.ink),
            **dict.fromkeys(("axes.edgecolor", "grid.color"), theme.faint),
        }
        png = io.BytesIO()
        with matplotlib.rc_context(style):
            figure = figures.Figure(figsize=size_in, layout="constrained")
            draw(figure, theme)
            figure.savefig(png, dpi=_DPI, metadata={"Software": None})
        encoded.append(_encode(png))
    return Picture(alt, encoded[0], encoded[1], round(size_in[0] * 96))


# Images

def state_images(program: Program, states_val: FloatArray) -> npt.NDArray[np.uint8]:
    """Return the pictures that real states of all nodes, shape (n, N), are read out as.

    Returns
    -------
    array of uint8, shape (n, rows, columns)
        Of the program's `image_shape`; one row of pixels where it has none.
    """
    spec = program.spec
    raw = np.rint(states_val[:, program.visible] * 2.0**spec.state.f_bits).astype(np.int64)
    distinct, where = np.unique(raw, return_inverse=True)
    pixels = np.array([pixel(spec, program.pixel_gain, program.pixel_offset, int(x))
                       for x in distinct], dtype=np.uint8)
    return pixels[where].reshape(len(raw), *(program.image_shape or (1, -1)))


def mosaic(images: npt.NDArray[np.uint8], columns: int) -> tuple[str, int]:
    """Return images of shape (n, rows, columns) side by side, as PNG in base64, and its width."""
    count, height, width = images.shape
    rows = -(-count // columns)
    sheet = np.zeros((rows * (height + 1) - 1, columns * (width + 1) - 1, 4), np.uint8)
    for index, picture in enumerate(images):
        top, left = index // columns * (height + 1), index % columns * (width + 1)
        sheet[top:top + height, left:left + width, :3] = picture[:, :, None]
        sheet[top:top + height, left:left + width, 3] = 255
    return _image(sheet), sheet.shape[1]


def _image(values: npt.NDArray[Any], **colours: Any) -> str:
    """Return an array of colours, or of values to be coloured, as PNG in base64."""
    png = io.BytesIO()
    import_extra("matplotlib.image", "report").imsave(png, values, format="png",
                                                      metadata={"Software": None}, **colours)
    return _encode(png)


def _map(title: str, values: FloatArray, cmap: str, lo: float, hi: float) -> Map:
    bar = np.linspace(lo, hi, 128)[None]
    return Map(title, _image(values, cmap=cmap, vmin=lo, vmax=hi),
               _image(bar, cmap=cmap, vmin=lo, vmax=hi), lo, hi)


# Statistics

def _outcome(comparison: Comparison) -> TwoSample:
    assert isinstance(comparison.outcome, TwoSample)     # noqa: S101 (the template asks)
    return comparison.outcome


def _critical(outcome: TwoSample) -> tuple[float, float]:
    """Return the mean shift, in standard deviations, and the KS distance at which tests reject."""
    power = detectable(0.5, ess_a=outcome.ess_a.min(), ess_b=outcome.ess_b.min(),
                       mean_tests=len(outcome.ess_a), ks_tests=len(outcome.ks.distance),
                       level=outcome.families[0].level)
    return power.mean_shift_sd, power.ks_distance


def _standardised(values: FloatArray, scale: FloatArray) -> FloatArray:
    return np.divide(values, scale, out=np.zeros_like(values), where=scale > 0)


def _node_shifts(outcome: TwoSample) -> FloatArray:
    """Return each node's mean difference in standard deviations; a phase's larger one of two."""
    shifts = _standardised(outcome.means.difference, outcome.means.scale)
    shifts = shifts.reshape(-1, len(outcome.ks.distance))
    return np.take_along_axis(shifts, np.abs(shifts).argmax(axis=0)[None], axis=0)[0]


def node_maps(program: Program, comparison: Comparison) -> list[Map]:
    """Return maps of mean pixels, mean differences and KS distances; none without image shape.

    The colours of differences and distances end where the tests reject.
    """
    if program.image_shape is None:
        return []
    outcome = _outcome(comparison)
    shift, distance = _critical(outcome)
    shape, visible = program.image_shape, program.visible
    means = [_map(f"mean pixel, {side.url}",
                  state_images(program, side.states_val).mean(axis=0), "gray", 0, PIXEL_HI)
             for side in (comparison.device, comparison.against)]
    return [
        *means,
        _map("difference of means (standard deviations)",
             _node_shifts(outcome)[visible].reshape(shape), "RdBu_r", -shift, shift),
        _map("Kolmogorov-Smirnov distance", outcome.ks.distance[visible].reshape(shape), "viridis",
             0, distance),
    ]


def plot_p_values(comparison: Comparison) -> Picture:
    """Show the nodes' KS p-values against those of equal laws."""
    beta = import_extra("scipy.stats", "report").beta
    outcome = _outcome(comparison)
    p = np.sort(np.maximum(outcome.ks.p_value, 1e-300))
    ranks, count = np.arange(1, len(p) + 1), len(p)
    expected = ranks / (count + 1)
    tails = [beta.ppf(q, ranks, count + 1 - ranks) for q in ((1 - _BAND) / 2, (1 + _BAND) / 2)]

    def draw(figure: Any, theme: _Theme) -> None:
        axes = figure.subplots()
        x = -np.log10(expected)
        axes.fill_between(x, -np.log10(tails[0]), -np.log10(tails[1]), color=theme.faint, alpha=0.6,
                          lw=0, label="99 % if equal")
        axes.plot(x, x, color=theme.ink, lw=0.8)
        axes.plot(x, -np.log10(p), "o", ms=3.5, color=theme.first, label="nodes")
        axes.axhline(-np.log10(outcome.families[0].level / count), color=theme.alarm, lw=1, ls="--",
                     label="Holm's limit")
        axes.set(xlabel="expected −log₁₀ p", ylabel="observed −log₁₀ p")
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3, fontsize=7.5,
                    handlelength=1, columnspacing=0.8)

    return _picture("Quantiles of the Kolmogorov-Smirnov p-values of all nodes against those of "
                    "equal laws", (2.95, 2.8), draw)


def plot_intervals(comparison: Comparison) -> Picture:
    """Show the mean difference of every node with its simultaneous interval."""
    means = _outcome(comparison).means
    shifts = _standardised(means.difference, means.scale)
    widths = _standardised(means.half_width, means.scale)
    outside = np.abs(shifts) > widths
    order = np.arange(len(shifts))

    def draw(figure: Any, theme: _Theme) -> None:
        axes = figure.subplots()
        axes.axhline(0, color=theme.ink, lw=0.8)
        for chosen, colour in ((~outside, theme.first), (outside, theme.alarm)):
            axes.errorbar(order[chosen], shifts[chosen], widths[chosen], fmt="o", ms=2.5, lw=0.7,
                          color=colour)
        axes.set(xlabel="node", ylabel="difference of means\n(standard deviations)",
                 xlim=(-1, len(order)))

    return _picture("Differences of the nodes' means in standard deviations, with intervals that "
                    "hold all true differences at once", (3.9, 2.8), draw)


def plot_correlations(comparison: Comparison) -> Picture:
    """Show the covariances tested, as correlations, one device against the other."""
    outcome = _outcome(comparison)
    i, j = outcome.covariances.pairs.T
    nodes = outcome.feature_nodes
    chosen = (i != j) & (nodes[i] != nodes[j])
    i, j = i[chosen], j[chosen]
    different = outcome.covariances.p_corrected[chosen] <= outcome.covariances.level
    first, second = (_correlations(side.states_val, i, j, len(nodes))
                     for side in (comparison.device, comparison.against))
    edge = 1.1 * max(0.1, np.abs(first).max(initial=0), np.abs(second).max(initial=0))

    def draw(figure: Any, theme: _Theme) -> None:
        axes = figure.subplots()
        axes.plot([-edge, edge], [-edge, edge], color=theme.ink, lw=0.8)
        for points, colour in ((~different, theme.first), (different, theme.alarm)):
            axes.plot(second[points], first[points], ".", ms=2.5, alpha=0.5, color=colour,
                      rasterized=True)
        axes.set(xlabel=f"correlation, {comparison.against.url}",
                 ylabel=f"correlation, {comparison.device.url}", xlim=(-edge, edge),
                 ylim=(-edge, edge), aspect="equal")

    return _picture("Correlations of pairs of nodes on one device against those on the other",
                    (2.85, 2.8), draw)


def _correlations(states_val: FloatArray, i: npt.NDArray[Any], j: npt.NDArray[Any],
                  features: int) -> FloatArray:
    if features > states_val.shape[1]:      # phases are compared by their cosines and sines
        angles = np.pi * states_val
        states_val = np.concatenate([np.cos(angles), np.sin(angles)], axis=1)
    centred = states_val - states_val.mean(axis=0)
    norms = np.sqrt((centred**2).sum(axis=0))
    products = np.einsum("nm,nm->m", centred[:, i], centred[:, j])
    return _standardised(products, norms[i] * norms[j])


def plot_scores(scores: Sequence[Score]) -> Picture:
    """Show energy distances to held-out images, with floor and controls."""
    def draw(figure: Any, theme: _Theme) -> None:
        colours = {"samples": theme.first, "floor": theme.ink, "control": theme.second}
        axes = figure.subplots()
        place = np.arange(len(scores))[::-1]
        axes.barh(place, [max(score.distance, 0) for score in scores], height=0.6, alpha=0.85,
                  color=[colours[score.role] for score in scores])
        axes.errorbar([score.distance for score in scores], place, fmt="none", ecolor=theme.ink,
                      xerr=[2 * score.standard_error for score in scores], lw=1)
        axes.set_yticks(place, [f"{score.name}\n({score.role})" for score in scores])
        axes.set(xlabel="energy distance to held-out images (± 2 standard errors)")
        axes.grid(axis="x", lw=0.6)
        axes.set_axisbelow(True)

    return _picture("Energy distances to held-out images: samples, floor and controls",
                    (6.4, 0.7 + 0.42 * len(scores)), draw)


def plot_shares(results: Sequence[Result]) -> Picture:
    """Show the energy distance that each rung of the ladder adds."""
    shifts = [result.shift for result in results if result.shift]

    def draw(figure: Any, theme: _Theme) -> None:
        axes = figure.subplots()
        place = np.arange(len(shifts))[::-1]
        energies = np.array([shift.energy for shift in shifts])
        errors = 2 * np.array([shift.energy_error for shift in shifts])
        seen = energies > errors
        for chosen, colour in ((seen, theme.first), (~seen, theme.faint)):
            axes.barh(place[chosen], np.maximum(energies, 0)[chosen], color=colour, height=0.6)
        axes.errorbar(energies, place, xerr=errors, fmt="none", ecolor=theme.ink, lw=1)
        axes.set_yticks(place, [result.rung.name for result in results if result.shift])
        least = max(float(np.abs(energies).max()) / 1e4, 1e-12)
        axes.set_xscale("symlog", linthresh=10 ** np.ceil(np.log10(least)))    # a tick, then zero
        axes.set_xlim(left=float(np.min(energies - errors, initial=0.0)) * 2)
        axes.set(xlabel="energy distance added (± 2 standard errors, symlog)")
        axes.grid(axis="x", lw=0.6)
        axes.set_axisbelow(True)

    return _picture("Energy distance that each rung of the ladder adds", (6.4, 2.8), draw)
