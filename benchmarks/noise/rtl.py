"""Whether contract, twin, Amaranth's simulator and the compiled RTL draw the same, bit for bit.

Run: python benchmarks/noise/rtl.py [--draws N] [--first N]
"""

import argparse
import itertools
import time
from collections.abc import Iterator

import numpy as np
from amaranth.sim import Simulator

from figures import keep
from pendula.contract.noise import DRAWS_HI, NoiseStream, gaussian, seed_state, uniform_word
from pendula.noise import PROBE_NODES, Kind, NoiseRequest, noise_bytes
from pendula_gateware.noise.source import NoiseSource

NAMES = ((0, 0), (1, 2**32 - 1), (2**64 - 1, 7))            # seed, index


def of_contract(seed: int, index: int, count: int) -> tuple[list[int], list[int]]:
    draws = list(itertools.islice(NoiseStream(seed, index), count))
    return [uniform_word(draw) for draw in draws], [gaussian(draw) for draw in draws]


def of_twin(seed: int, index: int, count: int) -> tuple[list[int], list[int]]:
    def take(kind: Kind, dtype: str) -> list[int]:
        request = NoiseRequest(kind=kind, seed=seed, first=index, draws=DRAWS_HI)
        return np.frombuffer(next(noise_bytes("twin://", request)), dtype)[:count].tolist()

    return take(Kind.WORDS, "<u4"), take(Kind.GAUSSIANS, "<i2")


def of_simulator(seed: int, index: int, count: int) -> tuple[list[int], list[int]]:
    """Draw with the gateware's noise source in Amaranth's simulator."""
    component, words, gaussians = NoiseSource(), [], []

    async def testbench(ctx):
        ctx.set(component.seed, list(seed_state(seed, index)))
        ctx.set(component.advance, 1)
        await ctx.tick()
        ctx.set(component.seed, [0] * 4)
        await ctx.tick().repeat(component.latency)
        async for _, _, word, xi in ctx.tick().sample(component.word, component.gaussian):
            words.append(word)
            gaussians.append(xi)
            if len(words) == count:
                return

    simulator = Simulator(component)
    simulator.add_clock(1e-6)
    simulator.add_testbench(testbench)
    simulator.run()
    return words, gaussians


def of_device(url: str, kind: Kind, seed: int) -> Iterator[bytes]:
    return noise_bytes(url, NoiseRequest(kind=kind, seed=seed, streams=4))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=10**7, help="of the compiled RTL, each kind")
    parser.add_argument("--first", type=int, default=10**6, help="of a stream, everywhere")
    args = parser.parse_args()
    figures = {"first_draws": args.first, "streams": [list(name) for name in NAMES],
               "rtl_draws": 0, "rtl_streams": 0}
    for name in NAMES:
        expected = of_contract(*name, args.first)
        for draw in (of_twin, of_simulator):
            start = time.monotonic()
            assert draw(*name, args.first) == expected, f"{draw.__name__} of {name} differs"
            print(f"{draw.__name__[3:]}, seed and index {name}: {args.first} words and Gaussians "
                  f"equal the contract's, {time.monotonic() - start:.0f} s", flush=True)
    for kind in (Kind.UNIFORMS, Kind.GAUSSIANS):      # of the same draws
        size, done = args.draws * kind.unit_bytes, 0
        pair = zip(of_device("verilator://", kind, 3), of_device("twin://", kind, 3), strict=True)
        for rtl, twin in pair:
            assert rtl == twin, f"{kind} differ within draws {done // kind.unit_bytes} and later"
            done += len(rtl)
            if done >= size:
                break
        figures["rtl_draws"] += done // kind.unit_bytes
        figures["rtl_streams"] += done // kind.unit_bytes // PROBE_NODES
        print(f"verilator://: {done // kind.unit_bytes} {kind} equal the twin's", flush=True)
    keep("equality", figures)


if __name__ == "__main__":
    main()
