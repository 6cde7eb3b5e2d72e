"""How many samples of a model the classifier is sure of, more exactly than a score's 2,000 tell.

    python benchmarks/confidence.py MODEL [--data FOLDER] [--count N]

MODEL is a shipped one or a file. The share of N samples of the twin with its 95 % interval, and as
what the classifier names the others.
"""

import argparse
from pathlib import Path

import numpy as np

import pendula
from pendula import modelfile
from pendula.metrics.classifier import load_classifier
from pendula.metrics.estimate import share
from pendula.training.data import load_images

REQUEST = 4000          # samples at a time, each of a seed of its own
FIRST_SEED = 100        # none that a score or a training draws by


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--count", type=int, default=5 * REQUEST)
    arguments = parser.parse_args()
    program = modelfile.load(arguments.model)
    dataset = program.provenance["data"]["name"]
    classes = np.unique(load_images(dataset, arguments.data).train_labels)
    classifier = load_classifier(dataset)
    seeds = range(FIRST_SEED, FIRST_SEED + -(-arguments.count // REQUEST))
    with pendula.open("twin://") as device:
        device.load(program)
        pixels = [device.sample(REQUEST, seed=seed, pixels=True).values / 255 for seed in seeds]
    odds = classifier.probabilities(classifier.features(np.concatenate(pixels)[:arguments.count]))
    named = odds.argmax(axis=1)
    sure = classifier.sure(odds, classes)
    found = share(int(sure.sum()), len(sure))
    others = np.bincount(named[~sure], minlength=classifier.classes) / len(sure)
    print(f"sure: {found.value:.4f} ({found.lo:.4f} to {found.hi:.4f}) of {len(sure)}")
    print("others, by name:", ", ".join(f"{name} {part:.4f}" for name, part in enumerate(others)))


if __name__ == "__main__":
    main()
