"""What hidden nodes, segments, bits and neighbours are worth; resumable, one JSON file.

    python benchmarks/ablations.py [--json docs/figures/ais-ablations.json] [--cache FOLDER]

The 8x8 digits of scikit-learn, 8 steps in all, the same number of updates for all; what a variant
does not name is as in the presets. Hidden nodes and segments are compared by both losses, all else
by drifting, which varies less from seed to seed. Seed k has the same batches everywhere, and all
are judged by all held-out images. Figures are energy distances in pixels and Frechet
distances in features of the shipped classifier, between samples of the twin and held-out images;
``float`` is trained and run without rounding. Runs are written down one by one, and what is there
is not run again. With --cache, programs that JAX has compiled once are kept for other seeds.
"""

import argparse
import json
import time
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import jax
import numpy as np

import pendula
from pendula.metrics import energy_distance
from pendula.metrics.classifier import load_classifier
from pendula.metrics.features import compare_features
from pendula.training.ais.presets import AisPreset
from pendula.training.ais.trainer import State, Trainer
from pendula.training.data import FloatArray, Images, load_images

DATA, STEPS, SAMPLES = "digits", 8, 1000
BASE = AisPreset(name="ablation", summary="", data=DATA, hidden=1, segments=4, steps=STEPS // 4,
                 degree=16, iterations=500, critic=(128, 64), critic_steps=1)
BASES = {"critic": BASE, "drifting": replace(BASE, loss="drifting", batch=128, rate=0.05)}
SEEDS = 8


def segmented(base: AisPreset, hidden: int, segments: int) -> AisPreset:
    """Return a variant with the same number of steps."""
    return replace(base, hidden=hidden, segments=segments, steps=STEPS // segments)


def square(base: AisPreset) -> dict[str, AisPreset]:
    """Return what the two mechanisms are compared by, each with and without the other."""
    return {f"hidden {hidden}, segments {segments}": segmented(base, hidden, segments)
            for hidden, segments in product((0, 1), (1, 4))}


def factors(base: AisPreset) -> dict[str, AisPreset]:
    """Return variants of one thing each; the most telling ones first."""
    return {
        "segments 8": segmented(base, 1, 8), "float": replace(base, rounded=False),
        "2 bits": replace(base, code_bits=2), "degree 8": replace(base, degree=8),
        "hidden 2": segmented(base, 2, 4), "degree 48": replace(base, degree=48),
        "3 bits": replace(base, code_bits=3), "6 bits": replace(base, code_bits=6),
        "segments 2": segmented(base, 1, 2), "degree 24": replace(base, degree=24),
    }


def runs() -> list[tuple[str, str, AisPreset, int]]:
    """Return loss, name, preset and seed of all runs, in order: the squares, then the rest.

    The base is one of the square, so that the factors' seeds have it to be compared with.
    """
    squares = [(loss, name, preset, seed) for loss, base in BASES.items()
               for seed in range(SEEDS) for name, preset in square(base).items()]
    rest = [("drifting", name, preset, seed)
            for name, preset in factors(BASES["drifting"]).items() for seed in range(SEEDS)]
    return squares + rest


def trained(trainer: Trainer) -> State:
    state = trainer.first_state()
    while int(state.iteration) < trainer.preset.iterations:
        state, _ = trainer.advance(state, trainer)
    return state


def drawn(trainer: Trainer, state: State) -> FloatArray:
    """Return samples of the twin; of the surrogate where nothing is rounded."""
    if not trainer.preset.rounded:
        ends = trainer.draw(state.average, jax.random.key(11), SAMPLES)
        return np.asarray(trainer.pixels(ends), np.float64)
    with pendula.open("twin://") as device:
        device.load(trainer.program(state.average))
        return device.sample(SAMPLES, seed=11, pixels=True).values / 255


def judged(samples: FloatArray, held_out: FloatArray) -> dict[str, float]:
    classifier = load_classifier(DATA)
    features = compare_features(classifier.features(samples), classifier.features(held_out))
    return {"energy": energy_distance(samples, held_out).distance,
            "frechet": features["frechet"].value}


def measure(preset: AisPreset, images: Images, seed: int) -> dict[str, Any]:
    start = time.process_time()
    trainer = Trainer(preset, images, seed)
    state = trained(trainer)
    return {**judged(drawn(trainer, state), images.held_out),
            "codes": int(state.latent.codes.size), "seconds": round(time.process_time() - start)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, default=Path("docs/figures/ais-ablations.json"))
    parser.add_argument("--cache", type=Path)
    arguments = parser.parse_args()
    if arguments.cache:
        jax.config.update("jax_compilation_cache_dir", str(arguments.cache))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    images = load_images(DATA)
    found = json.loads(arguments.json.read_text()) if arguments.json.exists() else {
        "updates": BASE.iterations, "steps": STEPS, "samples": SAMPLES,
        "floor": judged(images.train[:SAMPLES], images.held_out), "runs": {}}
    for loss, name, preset, seed in runs():
        rows = found["runs"].setdefault(loss, {}).setdefault(name, {})
        if str(seed) not in rows:
            rows[str(seed)] = measure(preset, images, seed)
            arguments.json.write_text(json.dumps(found, indent=1) + "\n")
            print(f"{loss} {name:24} seed {seed}: {rows[str(seed)]}", flush=True)


if __name__ == "__main__":
    main()
