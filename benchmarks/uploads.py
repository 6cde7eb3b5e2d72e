"""What an upload costs beside the run after it: the shipped models, through the link.

    python benchmarks/uploads.py [MODEL ...] [-n SAMPLES]

Bytes are those of both directions, with frames and answers; a board moves them at 3 Mbaud, ten bits
a byte, and both directions at once. Its array runs at 50 MHz. Seconds of `verilator://` are those
of one core.
"""

import argparse
import time
from collections.abc import Callable

from pendula import modelfile
from pendula.contract.spec import ArraySpec
from pendula.contract.uart import FRAME_BITS
from pendula.link.engine import AbstractEngine, Exchange
from pendula.program import Program
from pendula_sim.build import build_library
from pendula_sim.devices import SimulatedDevice
from pendula_sim.verilator import VerilatorEngine

BAUD_HZ, CLOCK_HZ = 3_000_000, 50_000_000


class Counter(AbstractEngine):
    """An engine that counts what passes through it."""

    slice_cycles = VerilatorEngine.slice_cycles

    def __init__(self, engine: AbstractEngine) -> None:
        self._engine = engine
        self.sent = self.received = self.cycles = self.requests = 0

    def exchange(self, data: bytes, max_cycles: int) -> Exchange:
        result = self._engine.exchange(data, max_cycles)
        self.requests += data[:result.consumed].count(0)
        self.sent += result.consumed
        self.received += len(result.output)
        self.cycles += result.cycles
        return result

    def close(self) -> None:
        self._engine.close()


class CountedDevice(SimulatedDevice):
    counter: Counter

    def _start(self, spec: ArraySpec) -> AbstractEngine:
        self.counter = Counter(VerilatorEngine(build_library(spec, self._options)))
        return self.counter


def counted(device: CountedDevice, action: Callable[[], object]) -> tuple[float, dict[str, int]]:
    """Do something; return processor seconds and what passed through the engine."""
    names = ("sent", "received", "cycles", "requests")
    before = {name: getattr(device.counter, name) for name in names}
    start = time.process_time()
    action()
    seconds = time.process_time() - start
    return seconds, {name: getattr(device.counter, name) - before[name] for name in names}


def show(name: str, program: Program, samples: int) -> None:
    with CountedDevice("verilator://") as device:
        device.load(program)
        load_s, load = counted(device, lambda: device.load(program))
        run_s, run = counted(device, lambda: device.sample(samples, seed=1, pixels=True))
    wire = {part: max(count["sent"], count["received"]) * FRAME_BITS / BAUD_HZ
            for part, count in (("load", load), ("run", run))}
    board_run_s = max(wire["run"], run["cycles"] / CLOCK_HZ)
    print(f"{name:12} N = {program.spec.nodes:4}, {program.segments:2} segments, "
          f"{program.total_steps:4} steps | upload {load['sent']:7} bytes, "
          f"{load['requests']:3} requests | verilator: upload {load_s:6.3f} s, "
          f"{samples} samples {run_s:7.3f} s, {load_s / (load_s + run_s):4.0%} | 3 Mbaud: "
          f"upload {wire['load']:6.3f} s, {samples} samples {board_run_s:7.3f} s, "
          f"{wire['load'] / (wire['load'] + board_run_s):4.0%}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="What an upload costs beside a run.")
    parser.add_argument("models", nargs="*", default=list(modelfile.shipped_models()),
                        metavar="MODEL")
    parser.add_argument("-n", "--samples", type=int, nargs="+", default=[1, 100])
    chosen = parser.parse_args()
    for name in chosen.models:
        for samples in chosen.samples:
            show(name, modelfile.load(name), samples)


if __name__ == "__main__":
    main()
