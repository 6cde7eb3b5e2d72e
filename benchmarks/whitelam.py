"""Generative thermodynamic computing: the dense original in float, and sparse bonds of 4 bits.

    python benchmarks/whitelam.py dense DATA
    python benchmarks/whitelam.py sparse DATA

DATA holds the MNIST IDX files. One image each of 0, 1 and 2, standardised. `dense`: 784 visible and
512 hidden nodes, all pairs but visible-visible bonded, in float. `sparse`: a hidden node beside
each visible one, bonds along 120 offsets, ten times the time step; learnt in float, rounded in
several ways, run on the twin, and its heat taken from the twin's own states. Figures go to
docs/figures.
"""

import argparse
import base64
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import pendula
from pendula.files import replacing
from pendula.program import Program
from pendula.report.plots import mosaic
from pendula.training.data import FloatArray
from pendula.training.reverse import Couplings, Thermodynamics, generate, heat, learn
from pendula.training.thermal import bonded_pairs, couplings_of, thermal_program
from pendula.training.thermal_presets import THERMAL_PRESETS
from pendula.training.thermal_training import first_patterns, learn_thermal, thermal_graph

FOLDER = Path(__file__).parents[1] / "docs" / "figures"
SIDE, VISIBLE, HIDDEN, DIGITS = 28, 784, 512, 3
TRAJECTORIES, FEW, ON_DEVICE, COLUMNS = 256, 64, 512, 12
CYCLES, SEED = 100, 1

ROUNDINGS: dict[str, dict[str, Any]] = {
    "8 bits, nearest": {"code_bits": 8},
    "4 bits, nearest": {},
    "4 bits, nearest, half the largest": {"largest": 0.5},
    "4 bits, stochastic, half the largest": {"largest": 0.5, "rounding": "stochastic"},
    "3 bits, nearest, half the largest": {"code_bits": 3, "largest": 0.5},
    "3 bits, stochastic, half the largest": {"code_bits": 3, "largest": 0.5,
                                             "rounding": "stochastic"},
    "2 bits, nearest, 0.3 of the largest": {"code_bits": 2, "largest": 0.3},
    "2 bits, stochastic, 0.3 of the largest": {"code_bits": 2, "largest": 0.3,
                                               "rounding": "stochastic"},
}


def fields(images: FloatArray, constants: Thermodynamics) -> npt.NDArray[np.float32]:
    """Return the field on all nodes: hidden node i takes that of pixel i mod 784."""
    pixels = np.arange(VISIBLE + HIDDEN) % VISIBLE
    return (constants.field_val * images[:, pixels]).astype(np.float32)


def likeness(visible: npt.NDArray[np.floating], images: FloatArray) -> FloatArray:
    """Return the correlation of every state's visible part with every pattern, shape (n, 3)."""
    states = visible.astype(np.float64)
    states -= states.mean(axis=1, keepdims=True)
    return states @ images.T / VISIBLE / states.std(axis=1, keepdims=True)


def half_interval(values: FloatArray) -> float:
    """Return half of the 95 % interval of a mean."""
    return float(1.96 * values.std(ddof=1) / np.sqrt(len(values)))


def judge(couplings: Couplings, start: npt.NDArray[np.floating], end: npt.NDArray[np.floating],
          visible: npt.NDArray[np.bool_], images: FloatArray, constants: Thermodynamics
          ) -> dict[str, Any]:
    """Return heat and likeness with half of their 95 % intervals, coverage and diversity."""
    found = likeness(end[:, visible], images)
    classes = found.argmax(axis=1)
    given = heat(couplings, start, end, constants.temperature_val)
    like = found.max(axis=1)
    within = []
    for digit in range(DIGITS):
        members = end[classes == digit][:, visible]
        pairs = np.atleast_2d(np.corrcoef(members))[np.triu_indices(len(members), 1)]
        within.append(round(float(pairs.mean()), 3) if len(pairs) else None)
    return {"trajectories": len(end), "heat_kT": round(float(given.mean()), 1),
            "heat_half_interval": round(half_interval(given), 1),
            "class_shares": np.round(np.bincount(classes, minlength=DIGITS) / len(end),
                                     3).tolist(),
            "likeness": round(float(like.mean()), 3),
            "likeness_half_interval": round(half_interval(like), 3),
            "recognised": round(float((like > 0.5).mean()), 3),
            "correlation_within_class": within}


def learning(bonds: int, cycles: int, losses: list[float], began: float) -> dict[str, Any]:
    """Return the figures of learning."""
    return {"bonds": bonds, "cycles": cycles,
            "loss_first_cycle": round(float(np.mean(losses[:DIGITS])), 1),
            "loss_last_cycle": round(float(np.mean(losses[-DIGITS:])), 1),
            "processor_s": round(time.process_time() - began, 1)}


def dense(folder: Path) -> dict[str, Any]:
    """Return the figures of the dense original."""
    constants, images = Thermodynamics(), first_patterns(folder, DIGITS)
    visible = np.arange(VISIBLE + HIDDEN) < VISIBLE
    bonded = ~(visible[:, None] & visible) & ~np.eye(len(visible), dtype=bool)
    losses, began = [], time.process_time()
    couplings = learn(fields(images, constants), bonded, ~visible, CYCLES, seed=SEED,
                      constants=constants, progress=losses.append)
    figures = learning(int(bonded.sum()) // 2, CYCLES, losses, began)
    start, end = generate(couplings, TRAJECTORIES, seed=2, constants=constants)
    keep_picture("whitelam-dense", end[:, visible])
    return figures | judge(couplings, start, end, visible, images, constants)


# The sparse version

def on_device(program: Program, url: str, count: int, steps: int
              ) -> tuple[FloatArray, FloatArray]:
    """Return the states of all nodes when the couplings are switched on, and at the end."""
    with pendula.open(url) as device:
        device.load(program)
        values = [device.sample(count, seed=3, hidden=True, stop_step=stop).values
                  for stop in (steps, 2 * steps)]
        ends = [program.states_val(x) if device.exact else x for x in values]
    return ends[0], ends[1]


def sparse(folder: Path) -> dict[str, Any]:
    """Return the figures of the sparse version: in float, rounded, and on the twin."""
    preset, losses, began = THERMAL_PRESETS["whitelam-3"], [], time.process_time()
    constants = Thermodynamics(step_val=preset.step_val, steps=preset.steps)
    images, graph = first_patterns(folder, preset.digits), thermal_graph(preset)
    visible = np.arange(graph.nodes) % 2 == 0
    couplings = learn_thermal(preset, folder, SEED, losses.append)
    figures = learning(int(bonded_pairs(graph, visible).sum()) // 2, preset.cycles, losses, began)

    def scored(held: Couplings) -> dict[str, Any]:
        start, end = generate(held, FEW, seed=2, constants=constants)
        return judge(held, start, end, visible, images, constants)

    def rounded(**how: Any) -> Program:
        return thermal_program(couplings, graph, visible, constants, **how)

    figures["float"] = scored(couplings)
    figures["float, dt = 1e-3"] = judge(
        couplings, *generate(couplings, FEW, seed=2, constants=Thermodynamics()), visible, images,
        constants)
    for text, how in ROUNDINGS.items():
        figures[text] = scored(couplings_of(rounded(**how), constants))
        print(text, figures[text], flush=True)
    program = rounded(**ROUNDINGS["4 bits, nearest, half the largest"])
    held = couplings_of(program, constants)
    real = "float://?parameters=real"
    for url, bonds in {"twin://": held, "float://": held, real: couplings}.items():
        start, end = on_device(program, url, ON_DEVICE, constants.steps)
        figures[url] = judge(bonds, start, end, visible, images, constants)
        figures[url]["largest_state"] = round(float(np.abs(end).max()), 3)
        if url == "twin://":
            keep_picture("whitelam-sparse", end[:, visible])
    return figures


def keep_picture(key: str, visible: npt.NDArray[np.floating]) -> None:
    """Write the first images of a set as docs/figures/KEY.png."""
    pixels = np.clip(np.rint((visible[:COLUMNS] / 0.8 + 1) * 127.5), 0, 255).astype(np.uint8)
    with replacing(FOLDER / f"{key}.png") as temporary:
        temporary.write_bytes(base64.b64decode(
            mosaic(pixels.reshape(-1, SIDE, SIDE), COLUMNS)[0]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("system", choices=["dense", "sparse"])
    parser.add_argument("data", type=Path)
    arguments = parser.parse_args()
    found = {"dense": dense, "sparse": sparse}[arguments.system](arguments.data)
    print(json.dumps(found, indent=1))
    with replacing(FOLDER / f"whitelam-{arguments.system}.json") as temporary:
        temporary.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
