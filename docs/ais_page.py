"""The results of the AIS-like presets, from docs/figures/ais-*.json.

`benchmarks/gradient.py`, `in_loop.py` and `ablations.py` write their own figures; the scores are
what ``pendula score MODEL --json`` prints, in docs/figures/ais-scores-MODEL.json.
"""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import t

__all__ = ["ais_page"]

Table = Callable[[Iterable[str], Iterable[Iterable[Any]]], str]

FOLDER = Path(__file__).parent / "figures"
SCORES = ("confident", "energy", "frechet", "kernel", "precision", "recall", "coverage", "copies")


def read(name: str) -> Any:
    return json.loads((FOLDER / name).read_text())


def ais_page(table: Table) -> str:
    """Return the page."""
    parts = ["# Results: AIS-like\n",
             "What the presets of [the guide](../guide/ais.md) reach, and what each part is "
             "worth.\n"]
    for path in sorted(FOLDER.glob("ais-scores-*.json")):
        parts += [_scores(path.stem.removeprefix("ais-scores-"), read(path.name), table)]
    for name, section in (("float-models.json", _float_models), ("ais-controls.json", _controls),
                          ("ais-in-loop.json", _in_loop),
                          ("ais-ablations.json", _ablations),
                          ("ais-gradient.json", _gradient)):
        if (FOLDER / name).exists():
            parts.append(section(read(name), table))
    return "\n".join(parts)


def _scores(model: str, found: dict[str, Any], table: Table) -> str:
    rows = [[f"{row['name']} ({row['role']})"]
            + [_figure(*row[name]) for name in SCORES] for row in found["rows"]]
    picture = f"![Samples of {model}](../figures/ais-{model}.png)\n\n"
    return (f"## {model}\n\n{picture if (FOLDER / f'ais-{model}.png').exists() else ''}"
            f"`pendula score {model}`: samples of the twin, {found['held_out']} held-out images of "
            f"`{found['dataset']}`, classifier {found['classifier']['name']} "
            f"({found['classifier']['accuracy']:.1%} right). What the figures mean stands in "
            f"[scores](../guide/scores.md); 95 % intervals.{found.get('note', '')}\n\n"
            + table(["", *SCORES], rows))


def _figure(value: float, lo: float, hi: float) -> str:
    return f"{value:.3g} ± {(hi - lo) / 2:.2g}"


KINDS = {"codes": "codes", "real": "before rounding"}


def _float_models(found: dict[str, Any], table: Table) -> str:
    rows = [[name, KINDS[kind], len(runs), *(cell for key in ("energy", "frechet")
                                             for cell in _compared(kinds["device"], runs, key))]
            for name, kinds in found["models"].items()
            for kind, runs in kinds.items() if kind != "device"]
    return ("## Devices and their float models\n\n"
            f"{found['samples']:,} samples of the twin and of floating point with exact functions "
            "(`float://?functions=exact`), from the same seeds and against the same held-out "
            "images (`benchmarks/float_models.py`). *float model* says which couplings the latter "
            "has: those that the codes stand for, or the real ones that training rounded. A ratio "
            "is that of the mean distances of the device and of the float model; 95 % intervals "
            "over seeds, which leave out the choice of held-out images.\n\n"
            + table(["", "float model", "seeds", "energy, float", "ratio", "Frechet, float",
                     "ratio"], rows))


def _compared(device: dict[str, Any], model: dict[str, Any], key: str) -> tuple[str, str]:
    """Return the mean of a model, and the ratio of a device's mean to it (delta method)."""
    ours, theirs = (np.array([rows[seed][key] for seed in model]) for rows in (device, model))
    ratio = ours.mean() / theirs.mean()
    return _mean(theirs), _interval(ratio, (ours - ratio * theirs) / theirs.mean())


def _controls(found: dict[str, Any], table: Table) -> str:
    devices = read("float-models.json")["models"]
    rows = [[name, control, len(runs), *(_mean([run[key] for run in runs.values()])
                                         for key in ("energy", "frechet"))]
            for name, controls in found["models"].items()
            for control, runs in {"device": devices[name]["device"], **controls}.items()]
    return ("## Devices and controls\n\n"
            f"{found['samples']:,} samples of each, against the same held-out images as above "
            "(`benchmarks/controls.py`). Where a table of scores has one perceptron and one draw, "
            "here a perceptron is trained for every seed; means and 95 % intervals over seeds, "
            "which leave out the choice of held-out images.\n\n"
            + table(["", "", "seeds", "energy distance", "Frechet distance"], rows))


LOOP = {"blind": "blind", "without": "trained on without", "in_loop": "in the loop"}
LOOP_FIGURES = {"energy": "energy distance", "frechet": "Frechet distance",
                "confident": "confident"}


def _in_loop(found: dict[str, Any], table: Table) -> str:
    parts = ["## A device in the loop\n",
             "Shipped models on twins whose parts are off (`benchmarks/in_loop.py`): trained "
             "without the device and loaded as they are (blind); after some more updates without "
             "the device, as a control; and after as many with that device in the loop. Distances "
             "to held-out images, and the share that the shipped classifier is sure of; means over "
             "devices and 95 % intervals.\n"]
    for model, known in found.items():
        runs = list(known["devices"].values())
        gains = [{name: run["blind"][name] - run["in_loop"][name] for name in LOOP_FIGURES}
                 for run in runs]
        rows = [["ideal device", *(f"{known['ideal'][name]:.4f}" for name in LOOP_FIGURES)],
                *([label, *_means(run[state] for run in runs)] for state, label in LOOP.items()),
                ["blind less in the loop", *_means(gains)],
                ["training images", *(f"{known['floor'][name]:.4f}" for name in LOOP_FIGURES)]]
        parts += [table([f"`{model}`, {known['sigma']:.0%} off, {len(runs)} devices",
                         *LOOP_FIGURES.values()], rows),
                  f"{known['updates']} updates, {known['samples']:,} samples.{_gateware(known)}\n"]
    return "\n".join(parts)


def _gateware(known: dict[str, Any]) -> str:
    if "gateware" not in known:
        return ""
    gateware, twin = known["gateware"], known["devices"]["1"]
    same = "the same in every bit" if gateware["digest"] == twin["digest"] else "another one"
    return (f" The first of these devices was in the loop as compiled gateware as well, "
            f"`{gateware['url']}`: the program is {same}, after {gateware['seconds']:.0f} s (the "
            f"twin: {twin['seconds']:.0f} s).")


def _means(runs: Iterable[dict[str, float]]) -> list[str]:
    kept = list(runs)
    return [_mean([run[name] for run in kept]) for name in LOOP_FIGURES]


def _mean(values: Any) -> str:
    return _interval(float(np.mean(values)), values)


def _interval(mean: float, values: Any) -> str:
    """Return a mean with half of its 95 % interval, from how values spread (Student's t)."""
    if len(values) < 2:
        return f"{mean:.4f}"
    half = t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values))
    return f"{mean:.4f} ± {half:.4f}"


BASE = "hidden 1, segments 4"
SQUARE = tuple(f"hidden {hidden}, segments {segments}" for hidden in (0, 1) for segments in (1, 4))
EFFECTS = {
    "hidden nodes, without segments": ("hidden 0, segments 1", "hidden 1, segments 1"),
    "hidden nodes, with segments": ("hidden 0, segments 4", BASE),
    "segments, without hidden nodes": ("hidden 0, segments 1", "hidden 0, segments 4"),
    "segments, with hidden nodes": ("hidden 1, segments 1", BASE),
    "both": ("hidden 0, segments 1", BASE),
}


def _ablations(found: dict[str, Any], table: Table) -> str:
    distances, names = ("energy", "frechet"), ("energy distance", "Frechet distance")
    floor = found["floor"]
    parts = ["## What each part is worth\n\n"
             f"8x8 digits, {found['steps']} steps in all, {found['updates']} updates "
             f"(`benchmarks/ablations.py`); {found['samples']:,} samples of the twin. Means over "
             "seeds, with 95 % intervals. "
             f"Training images: {floor['energy']:.4f} and {floor['frechet']:.2f}.\n"]
    for loss, runs in found["runs"].items():
        rows = [[name, f"{runs[name]['0']['codes']:,}", len(runs[name]),
                 *(_mean([one[key] for one in runs[name].values()]) for key in distances)]
                for name in runs if name in SQUARE]
        effects = [[name, *(_mean(_differences(runs[before], runs[after], key))
                            for key in distances)] for name, (before, after) in EFFECTS.items()]
        parts += [f"Trained with the {loss} loss:\n", table(["", "codes", "seeds", *names], rows),
                  "What a part changes, seed by seed (below 0: better):\n",
                  table(["", *names], effects)]
    runs = found["runs"].get("drifting", {})
    factors = [[name, f"{row['0']['codes']:,}",
                *(_mean(_differences(runs[BASE], row, key)) for key in distances)]
               for name, row in runs.items() if name not in SQUARE]
    if factors:
        parts += [f"One thing changed at a time (drifting), against `{BASE}` (4 bits, degree 16) "
                  "with the same seeds: what it changes, seed by seed. *float* is trained and run "
                  "without rounding.\n", table(["", "codes", *names], factors)]
    return "\n".join(parts)


def _differences(before: dict[str, Any], after: dict[str, Any], name: str) -> list[float]:
    return [after[seed][name] - before[seed][name] for seed in after if seed in before]


def _gradient(found: dict[str, Any], table: Table) -> str:
    rows = [[row["degree"], *(f"{1e3 * row[name]:.1f}" for name in (
        "forward_s", "adjoint_s", "autodiff_s")), f"{row['autodiff_s'] / row['adjoint_s']:.1f}",
        f"{1e3 * row['tiles_s']:.1f}", f"{row['untiled_s'] / row['tiles_s']:.1f}"]
        for row in found["rows"]]
    return ("## Speed\n\n"
            f"1,568 nodes, 20 steps, 64 samples, {found['cores']} threads, best of seven "
            f"(`benchmarks/gradient.py`); the machine's load was {found['load']:.1f} then.\n"
            "Last come gradients of 256 samples, a tile at a time, and over that all at once.\n\n"
            + table(["K", "forward, ms", "gradient by the adjoint, ms", "by autodiff, ms",
                     "ratio", "256 samples, ms", "at once / tiles"], rows))
