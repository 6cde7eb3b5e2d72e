"""Speed of twin:// and float://, side by side. Run: python benchmarks/twin.py [--threads T]."""

import argparse
import time

import numpy as np

from pendula.contract.graph import OffsetGraph, grid
from pendula.contract.physics import PHYSICS
from pendula.contract.spec import ArraySpec
from pendula.program import Program, random_program
from pendula.twin.block_device import BLOCK, BlockDevice
from pendula.twin.float_device import FloatDevice
from pendula.twin.noise import GaussianSampler, NoiseStreams
from pendula.twin.twin_device import TwinDevice

GRAPHS = {"digits 8x8": grid(8, 8, 2), "12x12": grid(12, 12, 2), "28x56": grid(28, 56, 2)}
BATCHES = (1, 16, 128, 1024, 4096)
DEVICES = {"twin": TwinDevice, "float": FloatDevice}


def make_program(physics: str, graph: OffsetGraph, steps: int) -> Program:
    spec = ArraySpec(physics=PHYSICS[physics], nodes=graph.nodes, offsets=graph.offsets)
    return random_program(spec, np.random.default_rng(1), segments=1, steps=steps)


def time_sample(device: BlockDevice, program: Program, count: int) -> tuple[float, float]:
    """Return wall and processor seconds of one batch."""
    device.load(program)
    wall, busy = time.perf_counter(), time.process_time()
    device.sample(count, seed=1)
    return time.perf_counter() - wall, time.process_time() - busy


def time_gaussians(batch: int, seconds: float) -> float:
    """Return Gaussians a second on one thread."""
    rows = max(1, 32768 // batch)
    (words, sides), xi = np.empty((2, rows, batch), np.uint32), np.empty((rows, batch), np.int16)
    streams, sampler = NoiseStreams(1, range(batch), 1 << 30), GaussianSampler(words.shape)
    draws, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        streams.draw(words, sides)
        sampler.gaussians(words, sides, xi)
        draws += words.size
    return draws / (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--block", type=int, default=BLOCK)
    parser.add_argument("--seconds", type=float, default=1.0, help="time of one figure, about")
    parser.add_argument("--physics", choices=PHYSICS, nargs="+", default=["kuramoto", "quartic"])
    parser.add_argument("--batch", type=int, nargs="+", default=BATCHES)
    parser.add_argument("--graph", choices=GRAPHS, nargs="+", default=list(GRAPHS))
    parser.add_argument("--device", choices=DEVICES, nargs="+", default=list(DEVICES))
    args = parser.parse_args()
    print(f"{args.threads} threads, blocks of {args.block}; edges are those present, K = 24")
    for batch in args.batch:
        rate = time_gaussians(batch, args.seconds)
        print(f"noise, 1 thread, {batch:5} streams: {rate / 1e6:7.1f} M Gaussians/s")
    print(f"{'array':11} {'physics':9} {'samples':>7} {'device':6} {'steps':>6} {'G edges/s':>9} "
          f"{'M nodes/s':>9} {'cores':>5}")
    for name in args.graph:
        graph = GRAPHS[name]
        edges = sum(map(sum, graph.mask)) / graph.nodes
        for physics in args.physics:
            for batch in args.batch:
                for kind in args.device:
                    device = DEVICES[kind](f"{kind}://", threads=args.threads, block=args.block)
                    trial, _ = time_sample(device, make_program(physics, graph, 4), batch)
                    steps = max(4, min(20_000, round(4 * args.seconds / trial)))
                    wall, busy = time_sample(device, make_program(physics, graph, steps), batch)
                    rate = graph.nodes * steps * batch / wall
                    print(f"{name:11} {physics:9} {batch:7} {kind:6} {steps:6} "
                          f"{rate * edges / 1e9:9.3f} {rate / 1e6:9.2f} {busy / wall:5.2f}",
                          flush=True)


if __name__ == "__main__":
    main()
