"""Time the array's forward pass and gradient: the hand-written adjoint beside plain autodiff.

    python benchmarks/gradient.py [--json docs/figures/ais-gradient.json]

An AIS-like array: 28x28 pixels, one hidden node each, 20 steps in 4 segments, 64 samples; and 256
samples, all at once beside a tile at a time. Two threads where there are two cores; `taskset -c 0`
for one.
"""

import argparse
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from pendula.contract import PHYSICS, ArraySpec, cells
from pendula.training.ais import array, functions
from pendula.training.ais.array import Parameters, Shape, end_states, fold, states_after
from pendula.training.ais.presets import links

SIDE, SEGMENTS, STEPS, BATCH, LARGE, REPEATS = 28, 4, 5, 64, 256, 7


def timed(function: Callable, *arguments: object) -> float:
    """Return the shortest of a few runs in seconds, compilation left out."""
    compiled = jax.jit(function)
    jax.block_until_ready(compiled(*arguments))
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        jax.block_until_ready(compiled(*arguments))
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def measure(degree: int) -> dict[str, float]:
    graph = cells(SIDE, SIDE, 2, links(2, degree, SIDE))
    spec = ArraySpec(physics=PHYSICS["kuramoto"], nodes=graph.nodes, offsets=graph.offsets)
    shape = Shape(spec, (STEPS,) * SEGMENTS)
    rng = np.random.default_rng(0)

    def normal(*sizes: int) -> jax.Array:
        return jnp.asarray(0.02 * rng.standard_normal(sizes), jnp.float32)

    given = Parameters(normal(SEGMENTS, degree, graph.nodes), normal(SEGMENTS, 3, graph.nodes))
    first = jnp.asarray(rng.uniform(-1, 1, (graph.nodes, BATCH)), jnp.float32)

    many = jnp.asarray(rng.uniform(-1, 1, (graph.nodes, LARGE)), jnp.float32)

    def loss(run: Callable, parameters: Parameters, first: jax.Array = first) -> jax.Array:
        return (fold(run(shape, parameters, first))**2).mean()

    def large() -> float:
        return timed(jax.grad(lambda p: loss(end_states, p, many)), given)

    def plain(shape: Shape, parameters: Parameters, first: jax.Array) -> jax.Array:
        return states_after(shape, parameters, first)[0]

    return {"degree": degree,
            "forward_s": timed(lambda p: loss(end_states, p), given),
            "adjoint_s": timed(jax.grad(lambda p: loss(end_states, p)), given),
            "autodiff_s": timed(jax.grad(lambda p: loss(plain, p)), given),
            "tiles_s": large(), "untiled_s": untiled(large), **trigonometry(first)}


def untiled(measured: Callable[[], float]) -> float:
    """Return what a function measures where all samples of a batch run together."""
    tile, array._TILE = array._TILE, LARGE
    try:
        return measured()
    finally:
        array._TILE = tile


def trigonometry(first: jax.Array) -> dict[str, float]:
    """Time sine and cosine of all phases in 20 steps, as polynomials and as jax.numpy has them."""
    def steps(pair: Callable) -> Callable:
        def step(x: jax.Array, _: None) -> tuple[jax.Array, None]:
            s, c = pair(x)
            return x + s - c, None
        return lambda x: jax.lax.scan(step, x, None, length=SEGMENTS * STEPS)[0]

    return {"polynomials_s": timed(steps(functions.sin_cos), first),
            "jnp_sin_cos_s": timed(steps(lambda x: (jnp.sin(jnp.pi * x), jnp.cos(jnp.pi * x))),
                                   first)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    rows = []
    for degree in (24, 50):
        row = measure(degree)
        rows.append(row)
        print(f"{2 * SIDE**2} nodes, K = {degree}, {SEGMENTS * STEPS} steps, batch {BATCH}")
        for name, seconds in row.items():
            if name.endswith("_s"):
                print(f"  {name[:-2]:14} {1e3 * seconds:8.1f} ms")
        print(f"  autodiff / adjoint {row['autodiff_s'] / row['adjoint_s']:.1f}, "
              f"adjoint / forward {row['adjoint_s'] / row['forward_s']:.1f}, "
              f"untiled / tiles {row['untiled_s'] / row['tiles_s']:.1f}")
    if arguments.json:
        load = os.getloadavg()[0]
        arguments.json.write_text(json.dumps(
            {"cores": len(os.sched_getaffinity(0)), "load": load, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
