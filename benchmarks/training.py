"""Train a preset, draw from the twin, and score the samples beside floor and controls.

    python benchmarks/training.py digits
    python benchmarks/training.py mnist01-12 --data FOLDER
"""

import argparse
import time
from dataclasses import replace

import numpy as np
from sklearn.linear_model import LogisticRegression

import pendula
from pendula.metrics import image_scores, independent_pixels, linear_gaussian
from pendula.program import Program
from pendula.training import get_preset, train
from pendula.training.data import FloatArray, Images

SAMPLES = 2000


def draw(program: Program, url: str) -> FloatArray:
    """Draw images with pixels from 0 to 1."""
    with pendula.open(url) as device:
        device.load(program)
        batch = device.sample(SAMPLES, seed=1, pixels=True)
    print(f"  {url}: {SAMPLES} samples in {device.times.run:.2f} s, "
          f"{batch.saturations} saturations")
    return batch.values / 255


def confident(classifier: LogisticRegression, images: FloatArray) -> float:
    """Return the share of images that the classifier is sure about."""
    return float((classifier.predict_proba(images).max(axis=1) > 0.9).mean())


def classify(images: Images, drawn: dict[str, FloatArray]) -> None:
    classifier = LogisticRegression(max_iter=2000).fit(images.train, images.train_labels)
    rng = np.random.default_rng(0)
    drawn = drawn | {"held-out images": images.held_out,
                     "independent pixels": independent_pixels(images.train, SAMPLES, rng),
                     "linear Gaussian": linear_gaussian(images.train, SAMPLES, rng)}
    accuracy = classifier.score(images.held_out, images.held_out_labels)
    print(f"share that logistic regression ({accuracy:.1%} right on held-out) is 90 % sure of")
    for name, values in drawn.items():
        shares = np.bincount(classifier.predict(values), minlength=images.train_labels.max() + 1)
        print(f"  {name:22} {confident(classifier, values):6.1%}   classes "
              f"{np.round(shares / len(values), 2).tolist()}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("preset")
    parser.add_argument("--data")
    arguments = parser.parse_args()
    preset = get_preset(arguments.preset)
    start = time.perf_counter(), time.process_time()
    program = train(preset, data=arguments.data)
    print(f"trained in {time.perf_counter() - start[0]:.2f} s "
          f"({time.process_time() - start[1]:.2f} s of processor)")
    fine = train(replace(preset, code_bits=8), data=arguments.data)
    alone = train(replace(preset, feedback=0.0), data=arguments.data)
    images = preset.load(arguments.data)
    drawn = {"4-bit, twin": draw(program, "twin://"), "4-bit, float": draw(program, "float://"),
             "8-bit codes, twin": draw(fine, "twin://"),
             "no feedback, twin": draw(alone, "twin://")}
    print("energy distance to held-out images (pixels from 0 to 1)")
    for score in image_scores(drawn, train=images.train[:SAMPLES],
                              held_out=images.held_out[:SAMPLES], seed=0):
        print(f"  {score.name:22} {score.distance:8.4f} +- {score.standard_error:.4f} {score.role}")
    classify(images, drawn)


if __name__ == "__main__":
    main()
