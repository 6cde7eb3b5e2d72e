"""Train the classifiers that pendula.metrics ships, and state their accuracy.

    python benchmarks/classifiers.py DATA [NAME ...]

DATA holds the folders mnist and fashion-mnist with their IDX files. Training images are shown
several times, moved by up to two pixels; half-precision weights go to
host/pendula/metrics/classifiers.
"""

import argparse
import time
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import sklearn
from safetensors.numpy import save_file
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from pendula.files import replacing
from pendula.metrics.classifier import FOLDER, Classifier
from pendula.training.data import FloatArray, Images, area_average, load_digits, load_idx_images

SEED = 1


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How one classifier is trained: layers, moved copies of each image, passes over all."""

    family: str
    side: int
    hidden: tuple[int, ...]
    copies: int
    epochs: int


RECIPES = {
    "digits-8": Recipe(family="digits", side=8, hidden=(64, 32), copies=0, epochs=60),
    "mnist-12": Recipe(family="MNIST", side=12, hidden=(128, 64), copies=4, epochs=12),
    "mnist-28": Recipe(family="MNIST", side=28, hidden=(128, 64), copies=4, epochs=10),
    "fashion-mnist-28": Recipe(family="Fashion-MNIST", side=28, hidden=(128, 64), copies=1,
                               epochs=14),
}


def load(recipe: Recipe, folder: Path) -> Images:
    """Return the images at their original size."""
    if recipe.family == "digits":
        return load_digits()
    return load_idx_images(recipe.family, folder / recipe.family.lower())


def moved(images: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Return images of shape (n, rows, columns), each moved by up to two rows and columns."""
    rows, columns = images.shape[1:]
    padded = np.pad(images, ((0, 0), (2, 2), (2, 2)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (rows, columns), axis=(1, 2))
    dy, dx = rng.integers(5, size=(2, len(images)))
    return windows[np.arange(len(images)), dy, dx]


def shrunk(images: FloatArray, side: int) -> npt.NDArray[np.float32]:
    """Return images as rows of side x side pixels."""
    small = images if images.shape[1] == side else area_average(images, (side, side))
    return small.reshape(len(small), -1).astype(np.float32)


def fit(recipe: Recipe, images: Images) -> MLPClassifier:
    """Train one network."""
    rng, pictures = np.random.default_rng(SEED), images.train.reshape(-1, *images.shape)
    shown = [pictures, *(moved(pictures, rng) for _ in range(recipe.copies))]
    network = MLPClassifier(recipe.hidden, alpha=1e-5, max_iter=recipe.epochs, random_state=SEED)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)      # passes are counted
        network.fit(np.concatenate([shrunk(one, recipe.side) for one in shown]),
                    np.tile(images.train_labels, len(shown)))
    return network


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("names", nargs="*", default=list(RECIPES))
    arguments = parser.parse_args()
    for name in arguments.names:
        recipe, start = RECIPES[name], time.perf_counter()
        images = load(recipe, arguments.data)
        network = fit(recipe, images)
        layers = [half for pair in zip(network.coefs_, network.intercepts_, strict=True)
                  for half in (np.asarray(one, np.float16) for one in pair)]
        found = Classifier(name=name, weights=tuple(one.astype(np.float64) for one in layers[::2]),
                           biases=tuple(one.astype(np.float64) for one in layers[1::2]), accuracy=0)
        held_out = shrunk(images.held_out.reshape(-1, *images.shape), recipe.side)
        odds = found.probabilities(found.features(held_out))
        accuracy = float((odds.argmax(axis=1) == images.held_out_labels).mean())
        names = [f"{kind}{layer}" for layer in range(len(layers) // 2) for kind in "wb"]
        metadata = {"accuracy": f"{accuracy:.4f}", "data": recipe.family, "sha256": images.sha256,
                    "seed": str(SEED), "scikit-learn": sklearn.__version__}
        with replacing(FOLDER / f"{name}.safetensors") as temporary:
            save_file(dict(zip(names, layers, strict=True)), temporary, metadata)
        print(f"{name}: {accuracy:.2%} of {len(held_out)} held-out images, "
              f"{(odds.max(axis=1) > 0.9).mean():.2%} with probability > 0.9; "
              f"{time.perf_counter() - start:.0f} s", flush=True)


if __name__ == "__main__":
    main()
