"""What hidden nodes, segments, bits and neighbours are worth; resumable, one JSON file.

    python benchmarks/ablations.py --data FOLDER [--json docs/figures/ais-ablations.json]

MNIST at 14x14, 16 steps, a short training each, all else as in the presets. Figures are energy
distances of samples of the twin to held-out images: 0 for equal laws, `floor` for training images.
"""

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

import pendula
from pendula.metrics import energy_distance
from pendula.training.ais.presets import AisPreset
from pendula.training.ais.training import train_ais
from pendula.training.data import Images, area_average, load_images

SIDE, STEPS, SAMPLES = 14, 16, 2000
BASE = AisPreset(name="ablation", summary="", data="mnist", hidden=1, segments=4, steps=4,
                 degree=24, iterations=1500, interval=1500, critic=(256, 128), critic_steps=2)


def small(images: Images) -> Images:
    def shrunk(values):
        return area_average(values.reshape(-1, 28, 28), (SIDE, SIDE)).reshape(len(values), -1)
    return replace(images, shape=(SIDE, SIDE), train=shrunk(images.train),
                   held_out=shrunk(images.held_out))


def variants() -> dict[str, AisPreset]:
    """Return what is compared; the most telling ones first."""
    def segmented(hidden: int, segments: int) -> AisPreset:
        return replace(BASE, hidden=hidden, segments=segments, steps=STEPS // segments)

    return {
        "hidden 1, segments 4, 4 bits, degree 24": BASE,
        "hidden 0": segmented(0, 4), "segments 1": segmented(1, 1),
        "hidden 0, segments 1": segmented(0, 1),
        "degree 8": replace(BASE, degree=8), "2 bits": replace(BASE, code_bits=2),
        "8 bits": replace(BASE, code_bits=8), "hidden 2": segmented(2, 4),
        "segments 8": segmented(1, 8), "degree 48": replace(BASE, degree=48),
        "3 bits": replace(BASE, code_bits=3), "6 bits": replace(BASE, code_bits=6),
        "segments 2": segmented(1, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--json", type=Path, default=Path("docs/figures/ais-ablations.json"))
    parser.add_argument("--seeds", type=int, default=1)
    arguments = parser.parse_args()
    images = small(load_images("mnist", arguments.data))
    judges = images.held_out[:SAMPLES]
    found = json.loads(arguments.json.read_text()) if arguments.json.exists() else {}
    found["floor"] = energy_distance(images.train[:SAMPLES], judges).distance
    for seed in range(arguments.seeds):
        for name, preset in variants().items():
            key = f"{name}, seed {seed}"
            if key in found:
                continue
            start = time.perf_counter()
            program = train_ais(preset, images, seed=seed)
            with pendula.open("twin://") as device:
                device.load(program)
                values = device.sample(SAMPLES, seed=11, pixels=True).values / 255
            score = energy_distance(values, judges)
            found[key] = {"energy": score.distance, "standard_error": score.standard_error,
                          "codes": int(program.codes.size),
                          "seconds": round(time.perf_counter() - start)}
            arguments.json.write_text(json.dumps(found, indent=1) + "\n")
            print(f"{key:45} {score.distance:.4f} +- {score.standard_error:.4f}", flush=True)


if __name__ == "__main__":
    main()
