"""What uploads cost where programs follow one another: one buffer against two, on a board's link.

    python benchmarks/uploads.py [MODEL ...] [-n SAMPLES ...] [-p PROGRAMS]

The Verilated gateware of each model's array, one lane, behind a link that moves a byte each way in
the time of a UART with 3 Mbaud, while the array runs at 50 MHz; the host takes no time. Programs
are the model with other codes each time. Printed are milliseconds of the device: for samples alone,
and for a program's upload and samples with one buffer and with two.
"""

import argparse
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from pendula import modelfile
from pendula.contract.spec import ArraySpec
from pendula.contract.uart import FRAME_BITS
from pendula.device import SampleRequest
from pendula.link.engine import AbstractEngine, Exchange
from pendula.program import Program
from pendula_sim.build import build_library
from pendula_sim.devices import SimulatedDevice
from pendula_sim.verilator import VerilatorEngine

BAUD_HZ, CLOCK_HZ = 3_000_000, 50_000_000
ALWAYS = (1 << 64) - 1
BYTE_CYCLES = round(CLOCK_HZ * FRAME_BITS / BAUD_HZ)


class PacedEngine(AbstractEngine):
    """A device behind a link that moves one byte each way in so many cycles; it counts them.

    A byte that the device has ready waits in it until the one before is over.
    """

    slice_cycles = 10 * BYTE_CYCLES     # what the host learns late

    def __init__(self, engine: VerilatorEngine) -> None:
        self._engine = engine
        self.cycles = 0

    def exchange(self, data: bytes, max_cycles: int) -> Exchange:
        output, consumed, cycles, idle = b"", 0, 0, False
        while cycles < max_cycles and not idle:
            taken = 0
            for stalls, most in ((ALWAYS, BYTE_CYCLES - 1), (0, 1)):
                self._engine.stalls = stalls
                result = self._engine.exchange(data[consumed:consumed + 1 - taken], most)
                taken += result.consumed
                output += result.output
            consumed += taken
            cycles += BYTE_CYCLES
            idle = result.idle and consumed == len(data)
        self.cycles += cycles
        return Exchange(consumed, output, cycles, idle)

    def close(self) -> None:
        self._engine.close()


class PacedDevice(SimulatedDevice):
    """A simulator behind such a link."""

    engine: PacedEngine

    def _start(self, spec: ArraySpec) -> AbstractEngine:
        self.engine = PacedEngine(VerilatorEngine(build_library(spec, self._options)))
        return self.engine


def changed(program: Program, count: int) -> Iterator[Program]:
    """Yield programs with other codes of the same couplings."""
    rng = np.random.default_rng(1)
    for _ in range(count):
        yield replace(program, codes=program.codes * rng.choice([-1, 1], program.codes.shape),
                      unrounded={})


def per_program_ms(program: Program, buffers: int, count: int, samples: int) -> float:
    """Return what a program and its samples take, after a first one."""
    request = SampleRequest(count=samples, seed=1, pixels=True)
    jobs = [(each, request) for each in changed(program, count + 1)]
    with PacedDevice(f"verilator://?buffers={buffers}", buffers=str(buffers)) as device:
        begun = [device.engine.cycles for _ in device.sample_each(jobs)]
    return (begun[-1] - begun[0]) / count / CLOCK_HZ * 1e3


def run_ms(program: Program, samples: int) -> float:
    """Return what the samples alone take."""
    with PacedDevice("verilator://") as device:
        device.load(program)
        start = device.engine.cycles
        device.sample(samples, seed=1, pixels=True)
        return (device.engine.cycles - start) / CLOCK_HZ * 1e3


def main() -> None:
    parser = argparse.ArgumentParser(description="What uploads cost, with one buffer and two.")
    parser.add_argument("models", nargs="*", default=["ais-digits", "digits", "mnist01-12"],
                        metavar="MODEL")
    parser.add_argument("-n", "--samples", type=int, nargs="+", default=[1, 30, 100, 300])
    parser.add_argument("-p", "--programs", type=int, default=4)
    chosen = parser.parse_args()
    for name in chosen.models:
        program = modelfile.load(name)
        for samples in chosen.samples:
            one, two = (per_program_ms(program, buffers, chosen.programs, samples)
                        for buffers in (1, 2))
            print(f"{name:12} {samples:4} samples | run alone {run_ms(program, samples):7.1f} ms | "
                  f"one buffer {one:7.1f} ms | two {two:7.1f} ms | {1 - two / one:4.0%} less",
                  flush=True)


if __name__ == "__main__":
    main()
