"""What a device in the loop recovers of what its mismatch costs; resumable, one JSON file.

    python benchmarks/in_loop.py [--json docs/figures/ais-in-loop.json] [--devices 10]

The shipped model `ais-digits` was trained without a device. For every device with parts of its
own that are off (twin://?mismatch=SIGMA&mismatch_seed=K): the model as it is (blind), after a short
training with that device in the loop, and, as a control, after as long a training without it
(without). Figures are energy distances of the device's samples to held-out images, 0 for equal
laws.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import pendula
from pendula.metrics import energy_distance
from pendula.program import Program
from pendula.training.ais.presets import AIS_PRESETS
from pendula.training.ais.training import train_ais
from pendula.training.data import Images

PRESET = AIS_PRESETS["ais-digits"]
UPDATES = 100
IN_LOOP = replace(PRESET, iterations=UPDATES, interval=UPDATES)
SIGMAS = (0.1,)
SAMPLES = 2000


def distance(program: Program, url: str, images: Images) -> float:
    with pendula.open(url) as device:
        device.load(program)
        values = device.sample(SAMPLES, seed=11, pixels=True).values / 255
    return energy_distance(values, images.held_out).distance


def measure(blind: Program, without: Program, url: str, images: Images) -> dict[str, float]:
    with pendula.open(url) as device:
        trained = train_ais(IN_LOOP, images, start=blind, device=device)
    programs = {"blind": blind, "without": without, "in_loop": trained}
    return {name: distance(program, url, images) for name, program in programs.items()}


def interval(values: list[float]) -> str:
    """Return mean and half of its 95 % interval (Student's t)."""
    from scipy.stats import t
    half = t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values))
    return f"{np.mean(values):.4f} +- {half:.4f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, default=Path("docs/figures/ais-in-loop.json"))
    parser.add_argument("--devices", type=int, default=10)
    arguments = parser.parse_args()
    images = PRESET.load()
    found: dict[str, Any] = (json.loads(arguments.json.read_text()) if arguments.json.exists()
                             else {})
    if found.get("updates") != UPDATES:
        found = {"updates": UPDATES}
    blind = pendula.load("ais-digits")
    found.setdefault("ideal", distance(blind, "twin://", images))
    found.setdefault("floor", energy_distance(images.train, images.held_out).distance)
    without = train_ais(IN_LOOP, images, start=blind)
    for seed in range(1, arguments.devices + 1):
        for sigma in SIGMAS:
            url = f"twin://?mismatch={sigma}&mismatch_seed={seed}"
            if url not in found:
                found[url] = measure(blind, without, url, images)
                arguments.json.write_text(json.dumps(found, indent=1) + "\n")
                print(url, found[url], flush=True)
    for sigma in SIGMAS:
        rows = [row for url, row in found.items() if f"mismatch={sigma}&" in url]
        print(f"mismatch {sigma}: " + ", ".join(
            f"{name} {interval([row[name] for row in rows])}" for name in rows[0]))


if __name__ == "__main__":
    main()
