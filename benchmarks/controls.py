"""Controls of the AIS-like models, trained and drawn anew for every seed; resumable, one JSON file.

    python benchmarks/controls.py [--data FOLDER] [--json FILE] [--seeds N] [MODEL ...]

One score (`pendula score`) has one perceptron, and no more samples than images are held out. Here
a perceptron of equal size is trained for every seed, and draws as many samples as the device does
in benchmarks/float_models.py; so do a linear Gaussian and the frozen array. Distances are to the
same held-out images. What is in the file is not run again.
"""

import argparse
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
from float_models import FOLDER, HELD_OUT, SAMPLES, fill, judged

import pendula
from pendula.metrics.floors import linear_gaussian
from pendula.metrics.mlp import mlp_generator
from pendula.program import Program
from pendula.scores import frozen_program, parameter_count
from pendula.training.data import FloatArray, Images, load_images

MODELS = ("ais-digits", "ais-mnist01-12", "ais-mnist28", "ais-fashion28")


def perceptron(program: Program, images: Images, seed: int) -> FloatArray:
    return mlp_generator(images.train, SAMPLES, parameters=parameter_count(program),
                         rng=np.random.default_rng([seed, 1]))


def gaussian(program: Program, images: Images, seed: int) -> FloatArray:
    return linear_gaussian(images.train, SAMPLES, np.random.default_rng([seed, 2]))


def frozen(program: Program, images: Images, seed: int) -> FloatArray:
    with pendula.open("twin://") as device:
        device.load(frozen_program(program, seed))
        return device.sample(SAMPLES, seed=seed, pixels=True).values / 255


CONTROLS = {"perceptron of equal size": perceptron, "linear Gaussian": gaussian,
            "frozen random array": frozen}


def measure(name: str, control: str, seed: int, data: Path | None) -> dict[str, float]:
    program = pendula.load(name)
    dataset = program.provenance["data"]["name"]
    images = load_images(dataset, None if dataset == "digits" else data)
    held_out = np.random.default_rng(0).permutation(images.held_out)[:HELD_OUT]
    return judged(CONTROLS[control](program, images, seed), held_out, dataset)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", default=MODELS, metavar="MODEL")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--json", type=Path, default=FOLDER / "ais-controls.json")
    arguments = parser.parse_args()
    for seed in range(1, arguments.seeds + 1):
        for name, control in product(arguments.models, CONTROLS):
            fill(arguments.json, name, control, seed,
                 partial(measure, name, control, seed, arguments.data))


if __name__ == "__main__":
    main()
