"""Scores and pictures of shipped models: docs/figures/ais-scores-MODEL.json and ais-MODEL.png.

    python benchmarks/ais_scores.py [--data FOLDER] MODEL ...

The scores are what ``pendula score MODEL --json`` prints; the picture shows the twin's first 80
samples. FOLDER holds the files of the models' data set.
"""

import argparse
import base64
import subprocess
import sys
from pathlib import Path

import pendula
from pendula.files import replacing
from pendula.report.plots import mosaic

FOLDER = Path(__file__).parents[1] / "docs" / "figures"
PICTURES, COLUMNS, WIDTH = 80, 16, 32


def keep_scores(model: str, data: Path | None) -> None:
    options = ["--data", str(data)] if data else []
    scores = subprocess.run([sys.executable, "-m", "pendula", "score", model, *options, "--json"],
                            check=True, capture_output=True).stdout
    with replacing(FOLDER / f"ais-scores-{model}.json") as temporary:
        temporary.write_bytes(scores)


def keep_picture(model: str) -> None:
    program = pendula.load(model)
    with pendula.open("twin://") as device:
        device.load(program)
        pixels = device.sample(PICTURES, seed=1, pixels=True).values
    images = pixels.reshape(PICTURES, *(program.image_shape or ()))
    pixel = max(2, WIDTH // images.shape[2])
    images = images.repeat(pixel, 1).repeat(pixel, 2)
    with replacing(FOLDER / f"ais-{model}.png") as temporary:
        temporary.write_bytes(base64.b64decode(mosaic(images, COLUMNS)[0]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="+", metavar="MODEL")
    parser.add_argument("--data", type=Path)
    arguments = parser.parse_args()
    for model in arguments.models:
        keep_scores(model, arguments.data)
        keep_picture(model)
        print(model, flush=True)


if __name__ == "__main__":
    main()
