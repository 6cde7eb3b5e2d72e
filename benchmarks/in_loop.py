"""What a device in the loop recovers of what its mismatch costs; resumable, one JSON file.

    python benchmarks/in_loop.py [--data FOLDER] [--json docs/figures/ais-in-loop.json]
        [--devices 10] [--gateware] [MODEL ...]

The shipped models were trained without a device. For every device with parts of its own that are
off (twin://?mismatch=SIGMA&mismatch_seed=K): the model as it is (blind), after a short training
with that device in the loop, and, as a control, after as long a training without it (without).
With --gateware the first device is also taken as compiled gateware (verilator://), which has to
make the same program. Figures are of the device's samples, against held-out images. What is in the
file is not run again.
"""

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from float_models import HELD_OUT, judged

import pendula
from pendula.metrics.classifier import load_classifier
from pendula.program import Program
from pendula.training.ais.presets import AIS_PRESETS
from pendula.training.ais.training import train_ais
from pendula.training.data import FloatArray

SIGMAS = {"ais-digits": 0.1, "ais-mnist01-12": 0.02}
UPDATES = 100
SAMPLES, SEED = 2000, 11
STATES = ("blind", "without", "in_loop")

Row = dict[str, Any]


class Case:
    """One model, the devices that it is loaded on, and what is known of them."""

    def __init__(self, name: str, data: Path | None) -> None:
        self.name, self.sigma = name, SIGMAS[name]
        self.preset = replace(AIS_PRESETS[name], iterations=UPDATES, interval=UPDATES)
        self.images = self.preset.load(None if self.preset.data == "digits" else data)
        self.blind = pendula.load(name)
        self.held_out = np.random.default_rng(0).permutation(self.images.held_out)[:HELD_OUT]

    def trained(self, url: str | None) -> Program:
        """Return the model after some more updates, with a device in the loop or without one."""
        if url is None:
            return train_ais(self.preset, self.images, start=self.blind)
        with pendula.open(url) as device:
            return train_ais(self.preset, self.images, start=self.blind, device=device)

    def judged(self, program: Program, url: str) -> Row:
        with pendula.open(url) as device:
            device.load(program)
            return self._judged(device.sample(SAMPLES, seed=SEED, pixels=True).values / 255)

    def _judged(self, images: FloatArray) -> Row:
        """Return distances to held-out images, and the share that the classifier is sure of."""
        classifier = load_classifier(self.preset.data)
        odds = classifier.probabilities(classifier.features(images))
        sure = classifier.sure(odds, self.images.train_labels)
        return {**judged(images, self.held_out, self.preset.data), "confident": float(sure.mean())}

    def url(self, scheme: str, seed: int) -> str:
        return f"{scheme}://?mismatch={self.sigma}&mismatch_seed={seed}"

    def ideal(self) -> Row:
        """Return what the model does on a device whose parts are right, and training images."""
        seen = np.random.default_rng(1).permutation(self.images.train)[:SAMPLES]
        return {"sigma": self.sigma, "updates": UPDATES, "samples": SAMPLES,
                "blind_digest": self.blind.digest, "ideal": self.judged(self.blind, "twin://"),
                "floor": self._judged(seen), "devices": {}}

    def device(self, seed: int, without: Program) -> Row:
        url = self.url("twin", seed)
        start_s = time.perf_counter()
        programs = dict(zip(STATES, (self.blind, without, self.trained(url)), strict=True))
        seconds = time.perf_counter() - start_s
        rows = {state: self.judged(program, url) for state, program in programs.items()}
        return {**rows, "digest": programs["in_loop"].digest, "seconds": round(seconds, 1)}

    def gateware(self) -> Row:
        """Return what the first device makes of the training as compiled gateware."""
        url = self.url("verilator", 1)
        with pendula.open(url) as device:       # built before the clock runs
            device.load(self.blind)
        start_s = time.perf_counter()
        digest = self.trained(url).digest
        return {"url": url, "digest": digest, "seconds": round(time.perf_counter() - start_s, 1)}


def measure(case: Case, found: dict[str, Any], devices: int, gateware: bool, path: Path) -> None:
    """Fill in what is missing of a model, and keep every figure as soon as it is known."""
    def keep(place: dict[str, Any], name: str, figures: Row) -> None:
        place[name] = figures
        path.write_text(json.dumps(found, indent=1) + "\n")
        print(case.name, name, figures, flush=True)

    if found.get(case.name, {}).get("blind_digest") != case.blind.digest:
        keep(found, case.name, case.ideal())
    known = found[case.name]
    missing = [seed for seed in range(1, devices + 1) if str(seed) not in known["devices"]]
    without = case.trained(None) if missing else case.blind
    for seed in missing:
        keep(known["devices"], str(seed), case.device(seed, without))
    if gateware and "gateware" not in known:
        keep(known, "gateware", case.gateware())
        if known["gateware"]["digest"] != known["devices"]["1"]["digest"]:
            raise SystemExit(f"{case.name}: gateware made another program than the twin")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", default=["ais-digits"], metavar="MODEL")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--json", type=Path, default=Path("docs/figures/ais-in-loop.json"))
    parser.add_argument("--devices", type=int, default=10)
    parser.add_argument("--gateware", action="store_true")
    arguments = parser.parse_args()
    found = json.loads(arguments.json.read_text()) if arguments.json.exists() else {}
    for name in arguments.models:
        measure(Case(name, arguments.data), found, arguments.devices, arguments.gateware,
                arguments.json)


if __name__ == "__main__":
    main()
