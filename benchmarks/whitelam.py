"""Generative thermodynamic computing: the dense original in float, with its heat.

    python benchmarks/whitelam.py DATA [--cycles 100] [--json FILE] [--samples FILE]

DATA holds the MNIST IDX files. One image each of 0, 1 and 2, standardised, 784 visible and 512
hidden nodes, all pairs but visible-visible bonded.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pendula.training.data import FloatArray, load_images
from pendula.training.reverse import Couplings, Thermodynamics, generate, heat, learn

VISIBLE, HIDDEN, DIGITS, TRAJECTORIES = 784, 512, 3, 256


def patterns(folder: Path) -> FloatArray:
    """Return the first 0, 1 and 2 of MNIST's training images, zero mean and unit variance."""
    images = load_images("mnist", folder)
    first = [images.train[images.train_labels == digit][0] for digit in range(DIGITS)]
    return np.stack([(image - image.mean()) / image.std() for image in first])


def fields(images: FloatArray, constants: Thermodynamics) -> npt.NDArray[np.float32]:
    """Return the field on all nodes: hidden node i takes that of pixel i mod 784."""
    pixels = np.arange(VISIBLE + HIDDEN) % VISIBLE
    return (constants.field_val * images[:, pixels]).astype(np.float32)


def likeness(states: npt.NDArray[np.float32], images: FloatArray) -> FloatArray:
    """Return the correlation of every state's visible part with every pattern, shape (n, 3)."""
    visible = states[:, :VISIBLE].astype(np.float64)
    visible = visible - visible.mean(axis=1, keepdims=True)
    visible /= visible.std(axis=1, keepdims=True)
    return visible @ images.T / VISIBLE


def interval(values: FloatArray) -> tuple[float, float]:
    """Return mean and half of its 95 % interval."""
    return float(values.mean()), float(1.96 * values.std(ddof=1) / np.sqrt(len(values)))


def judge(couplings: Couplings, images: FloatArray, constants: Thermodynamics
          ) -> tuple[dict[str, Any], npt.NDArray[np.float32]]:
    """Generate, and return heat, coverage of the classes and diversity."""
    start, end = generate(couplings, TRAJECTORIES, seed=2, constants=constants)
    found = likeness(end, images)
    classes = found.argmax(axis=1)
    mean, half = interval(heat(couplings, start, end, constants.temperature_val))
    within = {}
    for digit in range(DIGITS):
        members = end[classes == digit, :VISIBLE]
        alike = np.corrcoef(members) if len(members) > 1 else np.ones((1, 1))
        off = alike[~np.eye(len(alike), dtype=bool)]
        within[str(digit)] = round(float(off.mean()), 4) if len(off) else None
    return {"trajectories": TRAJECTORIES, "heat_kT": [round(mean, 1), round(half, 1)],
            "class_shares": np.round(np.bincount(classes, minlength=DIGITS) / len(classes),
                                     4).tolist(),
            "likeness": round(float(found.max(axis=1).mean()), 4),
            "recognised": float((found.max(axis=1) > 0.5).mean()),
            "correlation_within_class": within}, end


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--cycles", type=int, default=100)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--samples", type=Path)
    arguments = parser.parse_args()
    constants, images = Thermodynamics(), patterns(arguments.data)
    visible = np.arange(VISIBLE + HIDDEN) < VISIBLE
    bonded = ~(visible[:, None] & visible) & ~np.eye(len(visible), dtype=bool)
    losses, start = [], time.perf_counter()
    couplings = learn(fields(images, constants), bonded, ~visible, arguments.cycles, seed=1,
                      constants=constants, progress=losses.append)
    trained_s = time.perf_counter() - start
    found, end = judge(couplings, images, constants)
    found = {"bonds": int(bonded.sum()) // 2, "cycles": arguments.cycles,
             "loss_first_cycle": round(float(np.mean(losses[:DIGITS])), 1),
             "loss_last_cycle": round(float(np.mean(losses[-DIGITS:])), 1),
             "train_s": round(trained_s, 1), **found}
    print(json.dumps(found, indent=1))
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1) + "\n")
    if arguments.samples:
        np.savez(arguments.samples, end=end[:64], images=images)


if __name__ == "__main__":
    main()
