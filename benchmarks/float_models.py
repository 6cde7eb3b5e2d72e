"""How far 4-bit devices are behind their float models; resumable, one JSON file.

    python benchmarks/float_models.py [--data FOLDER] [--json FILE] [--seeds N] [MODEL ...]

Every shipped model of images is sampled on the twin, and in floating point with exact functions:
with the couplings that its codes stand for, and, where the file holds them, with the real ones that
training rounded. Figures are distances to the same held-out images, energy in pixels and Frechet in
features of the shipped classifier, once for every seed. What is in the file is not run again.
"""

import argparse
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import pendula
from pendula.metrics import energy_distance
from pendula.metrics.classifier import load_classifier
from pendula.metrics.features import compare_features
from pendula.training.data import FloatArray, load_images

MODELS = ("digits", "ais-digits", "mnist01-12", "ais-mnist28")
URLS = {"device": "twin://", "codes": "float://?functions=exact",
        "real": "float://?functions=exact&parameters=real"}
SAMPLES, HELD_OUT = 1000, 2000
FOLDER = Path(__file__).parents[1] / "docs" / "figures"


def judged(samples: FloatArray, held_out: FloatArray, dataset: str) -> dict[str, float]:
    features = load_classifier(dataset).features
    return {"energy": energy_distance(samples, held_out).distance,
            "frechet": compare_features(features(samples), features(held_out))["frechet"].value}


def measure(name: str, url: str, seed: int, data: Path | None) -> dict[str, float]:
    program = pendula.load(name)
    dataset = program.provenance["data"]["name"]
    images = load_images(dataset, None if dataset == "digits" else data)
    held_out = np.random.default_rng(0).permutation(images.held_out)[:HELD_OUT]
    with pendula.open(url) as device:
        device.load(program)
        pixels = device.sample(SAMPLES, seed=seed, pixels=True).values
    return judged(pixels / 255, held_out, dataset)


def variants(name: str) -> dict[str, str]:
    """Return the URLs that a model is sampled on."""
    unrounded = pendula.load(name).unrounded
    return {kind: url for kind, url in URLS.items() if kind != "real" or unrounded}


def fill(path: Path, name: str, kind: str, seed: int,
         measured: Callable[[], dict[str, float]]) -> None:
    """Write one row of a file of figures down, unless it is there."""
    found: dict[str, Any] = (json.loads(path.read_text()) if path.exists()
                             else {"samples": SAMPLES, "models": {}})
    rows = found["models"].setdefault(name, {}).setdefault(kind, {})
    if str(seed) not in rows:
        rows[str(seed)] = measured()
        path.write_text(json.dumps(found, indent=1) + "\n")
        print(name, kind, seed, rows[str(seed)], flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", default=MODELS, metavar="MODEL")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--json", type=Path, default=FOLDER / "float-models.json")
    arguments = parser.parse_args()
    for seed in range(1, arguments.seeds + 1):
        for name in arguments.models:
            for kind, url in variants(name).items():
                fill(arguments.json, name, kind, seed,
                     partial(measure, name, url, seed, arguments.data))


if __name__ == "__main__":
    main()
