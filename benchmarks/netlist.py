"""The shipped digits on the netlists of the gateware: equality, build time and speed.

    python benchmarks/netlist.py [--fabric NAME ...] [-n COUNT]

Draws samples by ``pendula sample digits --device netlist://...``, compares all bits with the twin
by ``pendula compare``, and prints seconds of one core, side by side with ``verilator://``. What
the cache holds takes nearly no time to build.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from engines import processor_seconds

import pendula

MODEL = "digits"


def run(*arguments: str) -> None:
    """Run a command of pendula; it must succeed."""
    subprocess.run([sys.executable, "-m", "pendula", *arguments], check=True)


def measure(url: str, count: int) -> float:
    """Print what a device takes to be built and to draw samples; return its cycles a second."""
    start = processor_seconds()
    with pendula.open(url) as device:
        device.load(pendula.load(MODEL))
        loaded = processor_seconds()
        batch = device.sample(count, seed=1, pixels=True)
        seconds = processor_seconds() - loaded
    assert batch.cycles is not None
    rate = batch.cycles / seconds
    print(f"{url:16} build and load {loaded - start:6.1f} s  {count} samples {seconds:6.1f} s  "
          f"{rate / 1e3:8.1f} kcycles/s", flush=True)
    return rate


def main() -> None:
    parser = argparse.ArgumentParser(description="The shipped digits on netlists.")
    parser.add_argument("--fabric", nargs="+", choices=["ecp5", "ice40"], default=["ecp5", "ice40"])
    parser.add_argument("-n", dest="count", type=int, default=32)
    args = parser.parse_args()
    reference = measure("verilator://", args.count)
    for fabric in args.fabric:
        url, count = f"netlist://{fabric}", str(args.count)
        print(f"{url:16} 1/{reference / measure(url, args.count):.0f} of verilator://")
        with tempfile.TemporaryDirectory() as folder:
            run("sample", MODEL, "--device", url, "-n", count, "--seed", "1",
                "-o", str(Path(folder) / "samples.npz"))
        run("compare", MODEL, "--device", url, "--against", "twin://", "-n", count)


if __name__ == "__main__":
    main()
