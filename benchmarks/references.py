"""Draw docs/figures/references.png: laws of small systems, samples of the twin, bias of the step.

    python benchmarks/references.py
"""

from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt

import pendula
from pendula.contract import ArraySpec, get_physics
from pendula.metrics.samples import FloatArray
from pendula.program import Program
from pendula.references import QuarticWell, autonomous_program, phase_difference, pinned_phase

FIGURE = Path(__file__).parents[1] / "docs" / "figures" / "references.png"
NODES = 32
WELLS, PHASES = (ArraySpec(physics=get_physics(name), nodes=NODES, offsets=(-1, 1), segments=1)
                 for name in ("quartic", "kuramoto"))


def draw(program: Program) -> FloatArray:
    with pendula.open("twin://") as device:
        device.load(program)
        return program.states_val(device.sample(1000, seed=1).values)


def panel(axes, title: str, samples: FloatArray, euler, limit) -> None:
    axes.hist(samples.ravel(), bins=80, density=True, color="#cfd8e3", label="twin")
    axes.plot(euler.x_val, euler.density, label="law of the array's steps")
    axes.plot(limit.x_val, limit.density, "--", label="law of continuous time")
    axes.set(title=title, xlim=(samples.min() - 0.1, samples.max() + 0.1), yticks=[])


def main() -> None:
    figure, axes = plt.subplots(1, 4, figsize=(13, 3.2), layout="constrained")
    program = autonomous_program(WELLS, local_val=(0.1, -0.1, 0), noise_val=0.2236, steps=80)
    well = QuarticWell.of(program)
    panel(axes[0], "quartic well", draw(program), well.euler(), well.boltzmann())
    axes[0].legend(fontsize=7, loc="lower center")
    program = autonomous_program(PHASES, local_val=(-0.1, 0, 0), noise_val=0.18, steps=60)
    phase = pinned_phase(program)
    panel(axes[1], "pinned phase (von Mises)", draw(program), phase.euler(), phase.law())
    pull, detuning = np.zeros((NODES, NODES)), np.zeros((NODES, 3))
    even = np.arange(0, NODES, 2)
    pull[even, even + 1] = pull[even + 1, even] = -0.05
    detuning[::2, 2], detuning[1::2, 2] = 0.03, -0.03
    program = autonomous_program(PHASES, local_val=detuning, coupling_val=pull, noise_val=0.1,
                                 steps=80)
    pair, x = phase_difference(program, 0, 1), draw(program)
    panel(axes[2], "difference of two phases", (x[:, ::2] - x[:, 1::2] + 1) % 2 - 1, pair.euler(),
          pair.law())
    steps = 2.0 ** -np.arange(6)
    well = QuarticWell(-0.3, -0.3, 0.0, 0.4)
    limit = well.boltzmann().moment(2)
    bias = [QuarticWell(-0.3 * h, -0.3 * h, 0.0, 0.4 * np.sqrt(h)).euler().moment(2) / limit - 1
            for h in steps]
    axes[3].loglog(steps, bias, "o-", ms=4, label="quartic well")
    axes[3].loglog(steps, bias[-1] * steps / steps[-1], ":", color="grey", label="first order")
    axes[3].set(title="bias of the step", xlabel="length of a step", ylabel="variance, relative")
    axes[3].legend(fontsize=7)
    figure.savefig(FIGURE, dpi=100, metadata={"Software": None})


if __name__ == "__main__":
    main()
