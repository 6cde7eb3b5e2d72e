"""Local learning rules: force matching against one-step contrastive divergence, in codes of 4 bits.

    python benchmarks/boesch.py [--preset NAME] [--data FOLDER] [CASE ...]

Every case trains one model, draws from the twin, and is judged; docs/figures/boesch.json keeps the
figures. The online cases learn from a device alone; `verilator` repeats a short one on the compiled
gateware and has to end with the same bits; `yardsticks` judges floor and controls; `table` prints
what is known as Markdown.
"""

import argparse
import base64
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

import pendula
from pendula.files import replacing
from pendula.metrics import energy_distance, independent_pixels, linear_gaussian
from pendula.metrics.classifier import load_classifier
from pendula.metrics.referee import Referee
from pendula.program import Program
from pendula.report.plots import mosaic
from pendula.training import Preset, get_preset, train
from pendula.training.data import FloatArray, Images
from pendula.training.local_rules import LocalRule, train_locally

FOLDER = Path(__file__).parents[1] / "docs" / "figures"
FIGURES = FOLDER / "boesch.json"
SAMPLES, SEED = 2000, 1
ROWS, COLUMNS, SCALE = 3, 16, 3
SMALL = LocalRule(updates=12, batch=64, rate=0.3)     # what a step by step observed device can give
LARGE = LocalRule(updates=40, batch=256, rate=0.5)
TINY = LocalRule(updates=3, batch=16, rate=0.3)

Train = Callable[[Path | None], Program]


@dataclass(frozen=True, kw_only=True)
class Case:
    """A model: its name in the tables, its preset, and what trains it."""

    text: str
    preset: Preset
    rule: LocalRule | None = None

    def train(self, data: Path | None) -> Program:
        if self.rule is None:
            return train(self.preset, data=data, seed=SEED)
        with pendula.open("twin://") as device:
            return train_locally(self.preset, device, self.rule, data=data, seed=SEED)


def cases(preset: Preset) -> dict[str, Case]:
    """Return the cases of one task."""
    cd1 = replace(SMALL, name="cd1")
    return {
        "closed": Case(text="closed form, feedback", preset=preset),
        "closed-8": Case(text="closed form, feedback, 8-bit codes",
                         preset=replace(preset, code_bits=8)),
        "alone": Case(text="closed form", preset=replace(preset, feedback=0.0)),
        "online": Case(text="online force matching", preset=preset, rule=LARGE),
        "online-small": Case(text="online force matching, budget of CD1", preset=preset,
                             rule=SMALL),
        "online-slow": Case(text="the same, a third of the rate", preset=preset,
                            rule=replace(SMALL, rate=0.1)),
        "cd1": Case(text="CD1", preset=preset, rule=cd1),
        "cd1-slow": Case(text="CD1, a third of the rate", preset=preset,
                         rule=replace(cd1, rate=0.1)),
    }


def draw(program: Program, url: str = "twin://", count: int = SAMPLES) -> FloatArray:
    """Draw images with pixels from 0 to 1."""
    with pendula.open(url) as device:
        device.load(program)
        return device.sample(count, seed=SEED, pixels=True).values / 255


def judge(images: Images, name: str, drawn: FloatArray) -> dict[str, Any]:
    """Return the scores of a set of images."""
    if name == "mixture-2d":
        found = energy_distance(drawn, images.held_out)
        centres = np.stack([images.train[images.train_labels == k].mean(axis=0) for k in (0, 1)])
        near = np.linalg.norm(drawn[:, None] - centres, axis=2)
        return {"energy": found.distance, "energy_error": found.standard_error,
                "near": float((near.min(axis=1) < 3 / 16).mean()),
                "upper": float((near.argmin(axis=1) == 1).mean())}
    referee = Referee(load_classifier(name), images.train, images.held_out, images.train_labels,
                      seed=SEED)
    return referee.score("samples", drawn).to_dict()


def keep_picture(key: str, drawn: FloatArray, images: Images) -> None:
    """Write the first images of a set, magnified, as docs/figures/KEY.png."""
    pictures = np.rint(drawn[:ROWS * COLUMNS] * 255).astype(np.uint8).reshape(-1, *images.shape)
    large = pictures.repeat(SCALE, axis=1).repeat(SCALE, axis=2)
    with replacing(FOLDER / f"{key}.png") as temporary:
        temporary.write_bytes(base64.b64decode(mosaic(large, COLUMNS)[0]))


def measure(name: str, key: str, case: Case, data: Path | None, images: Images) -> dict[str, Any]:
    """Train one case and score it."""
    start = time.perf_counter(), time.process_time()
    program = case.train(data)
    spent = time.perf_counter() - start[0], time.process_time() - start[1]
    rule, drawn = case.rule, draw(program)
    if name != "mixture-2d":
        keep_picture(f"boesch-{key}", drawn, images)
    return {"text": case.text, "wall_s": round(spent[0], 1), "processor_s": round(spent[1], 1),
            "observations": rule.updates * rule.batch * program.segments if rule else None,
            **judge(images, name, drawn)}


def yardsticks(name: str, images: Images) -> dict[str, dict[str, Any]]:
    """Score floor and cheap controls."""
    rng = np.random.default_rng(SEED)
    if name != "mixture-2d":
        keep_picture("boesch-data", rng.permutation(images.held_out), images)
    return {key: {"text": text, **judge(images, name, values)} for key, text, values in (
        ("data", "training images", rng.permutation(images.train)[:SAMPLES]),
        ("pixels", "independent pixels", independent_pixels(images.train, SAMPLES, rng)),
        ("gaussian", "linear Gaussian", linear_gaussian(images.train, SAMPLES, rng)))}


def in_gateware(preset: Preset, data: Path | None) -> dict[str, Any]:
    """Train with the compiled gateware in the loop, and with the twin: they must agree."""
    digests, spent = [], {}
    for url in ("twin://", "verilator://"):
        with pendula.open(url) as device:
            start = time.perf_counter()
            digests.append(train_locally(preset, device, TINY, data=data, seed=SEED).digest)
            spent[url] = round(time.perf_counter() - start - device.times.build, 1)
    return {"equal": digests[0] == digests[1], "seconds": spent,
            "observations": TINY.updates * TINY.batch * (preset.segments + 1)}


def table(name: str) -> str:
    """Return the figures of a task as a Markdown table."""
    known = json.loads(FIGURES.read_text())[name]
    points = name == "mixture-2d"
    columns = ("energy", "near", "upper") if points else ("confident", "energy", "frechet",
                                                          "precision", "recall", "coverage")
    lines = [("", "observations", *columns), ("---",) * (2 + len(columns))]
    for key in [*cases(get_preset(name)), "data", "pixels", "gaussian"]:
        if row := known.get(key):
            seen = row.get("observations")
            lines.append((row["text"], f"{seen:,}" if seen else "",
                          *(cell(row, column) for column in columns)))
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def cell(row: dict[str, Any], column: str) -> str:
    """Return a figure with half of its 95 % interval, where it has one."""
    if not isinstance(row[column], list):
        error = row.get(f"{column}_error")
        return f"{row[column]:.3g}" + (f" ± {1.96 * error:.2g}" if error else "")
    value, lo, hi = row[column]
    return f"{value:.3g} ± {(hi - lo) / 2:.2g}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="*")
    parser.add_argument("--preset", default="mnist01-12")
    parser.add_argument("--data", type=Path)
    arguments = parser.parse_args()
    if arguments.cases == ["table"]:
        print(table(arguments.preset))
        return
    preset = get_preset(arguments.preset)
    every, images = cases(preset), preset.load(arguments.data)
    for name in arguments.cases or [*every, "yardsticks", "verilator"]:
        if name == "yardsticks":
            found: dict[str, Any] = yardsticks(preset.name, images)
        elif name == "verilator":
            found = {name: in_gateware(preset, arguments.data)}
        else:
            found = {name: measure(preset.name, name, every[name], arguments.data, images)}
        print(json.dumps(found), flush=True)
        known = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
        known.setdefault(preset.name, {}).update(found)
        with replacing(FIGURES) as temporary:
            temporary.write_text(json.dumps(known, indent=1) + "\n")


if __name__ == "__main__":
    main()
