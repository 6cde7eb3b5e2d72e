"""How chaotic an array is before its training begins, and after it.

    python benchmarks/chaos.py MODEL [--data FOLDER]

By how much a small perturbation of the first states has grown at the end: median and largest of 64
samples, for first codes of several standard deviations and for the shipped model of that name. And
for the latter, how far 64 samples of the twin are from those of the float model with exact
functions that begin at the same states: where an array is chaotic, they have nothing in common.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

import pendula
from pendula.contract import InitialState
from pendula.program import Program
from pendula.training.ais.array import states_after
from pendula.training.ais.codes import Latent, from_program, quantised, real
from pendula.training.ais.presets import AIS_PRESETS
from pendula.training.ais.trainer import Trainer
from pendula.training.data import FloatArray

COUPLINGS_VAL = (0.1, 0.05, 0.02, 0.01, 0.005)
SAMPLES, LENGTH = 64, 1e-4


def growth(trainer: Trainer, latent: Latent) -> str:
    present = np.array(trainer.graph.mask).T.astype(np.float32)
    parameters = real(trainer.spec, quantised(trainer.spec, latent), present)
    size = (trainer.spec.nodes, SAMPLES)
    first = jax.random.uniform(jax.random.key(5), size, minval=-1.0, maxval=1.0)
    away = jax.random.normal(jax.random.key(6), size)
    away *= LENGTH / jnp.linalg.norm(away, axis=0)
    ends = [states_after(trainer.shape, parameters, x)[0] for x in (first, first + away)]
    grown = np.linalg.norm(np.asarray(ends[1] - ends[0]), axis=0) / LENGTH
    return f"{np.median(grown):.3g} (at most {grown.max():.3g})"


def samples(program: Program, url: str) -> FloatArray:
    """Return pixels from 0 to 1 of samples that begin at the same states on any device."""
    state, rng = program.spec.state, np.random.default_rng(0)
    found = []
    with pendula.open(url) as device:
        device.load(replace(program, initial=InitialState.UPLOADED))
        for _ in range(SAMPLES):
            device.set_nodes(uploaded=rng.integers(state.lo, state.hi, program.spec.nodes,
                                                   endpoint=True))
            found.append(device.sample(1, seed=0, pixels=True).values[0] / 255)
    return np.array(found)


def agreement(program: Program) -> str:
    twin, ideal = (samples(program, url) for url in ("twin://", "float://?functions=exact"))
    mean = (twin.mean(0) + ideal.mean(0)) / 2
    correlation = np.corrcoef((twin - mean).ravel(), (ideal - mean).ravel())[0, 1]
    return f"pixels {abs(twin - ideal).mean():.4f} apart, correlated by {correlation:.4f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", choices=AIS_PRESETS)
    parser.add_argument("--data", type=Path)
    arguments = parser.parse_args()
    preset = AIS_PRESETS[arguments.model]
    images = preset.load(arguments.data)
    for coupling_val in COUPLINGS_VAL:
        trainer = Trainer(replace(preset, coupling_val=coupling_val), images, 0)
        print(f"first couplings of {coupling_val}: {growth(trainer, trainer.first_state().latent)}")
    trainer = Trainer(preset, images, 0)
    shipped = pendula.load(arguments.model)
    print(f"as shipped: {growth(trainer, from_program(trainer.shape, shipped))}")
    print(f"twin and float model: {agreement(shipped)}")


if __name__ == "__main__":
    main()
