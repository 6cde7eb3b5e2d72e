"""Run test batteries on the noise. Results are added to a JSON file; runs it holds are skipped.

Run: python benchmarks/noise/batteries.py [--only TEXT] [--tools FOLDER] [--list]

The batteries are not part of this project. Needed on PATH or in FOLDER: ent and dieharder (Debian),
RNG_test (PractRand), and testu01_stdin, a program that hands the 32-bit words of its standard input
to TestU01 (unif01_CreateExternGenBits) and takes the name of a battery, or crushN for the Nth
test of Crush alone (bbattery_RepeatCrush), and `normal`.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

RESULTS = Path(__file__).parents[2] / "docs" / "figures" / "noise-batteries.json"
STREAM = 1 << 48                       # draws: one stream that does not end
ALONE = (1, STREAM)                    # streams at a time, draws of each
LANES_4 = (4, STREAM)
SAMPLES = (8, 4096)                    # eight lanes, a new sample every 4,096 draws

# dieharder's tests with their sizes of tuples: all of `-a` but the ones that it calls suspect, and
# of the lagged sums, which take most of its time, only some.
DIEHARDER = [*(f"-d {test}" for test in (0, 1, 2, 3, 4, *range(8, 14), 15, 16, 100, 101, 102)),
             *(f"-d 200 -n {size}" for size in range(1, 11)),
             *(f"-d {test} -n {size}" for test in (201, 202) for size in range(2, 6)),
             *(f"-d 203 -n {lag}" for lag in (0, 1, 2, 4, 8, 16)),
             *(f"-d {test}" for test in (204, 205, 206, 207, 208, 209)), "-d 17"]


@dataclass(frozen=True, kw_only=True)
class Run:
    """One battery on one stream of bytes."""

    tool: str
    argument: str                      # largest length, or the battery's name
    source: str = "twin://"
    kind: str = "draws"
    order: tuple[int, int] = ALONE
    reverse: bool = False
    seed: int = 1

    @property
    def name(self) -> str:
        turned = " reversed" if self.reverse else ""
        return (f"{self.tool} {self.argument}, {self.source} {self.kind}{turned}, "
                f"{self.order[0]} x {self.order[1]} draws, seed {self.seed}")

    @property
    def producer(self) -> list[str]:
        size = ["--bytes", self.argument] if self.tool == "ent" else []
        return [sys.executable, "-m", "pendula", "noise", self.source, "--kind", self.kind,
                "--streams", str(self.order[0]), "--draws", str(self.order[1]),
                "--seed", str(self.seed), *size, *(["--reverse"] if self.reverse else [])]

    @property
    def consumer(self) -> list[str]:
        return {"ent": ["ent", "-b"],
                "PractRand": ["RNG_test", "stdin32", "-tlmin", "1GB", "-tlmax", self.argument],
                "TestU01": ["testu01_stdin", self.argument, "normal"],
                "dieharder": ["sh", "-c", "; ".join(f"dieharder -g 200 {test}"
                                                    for test in DIEHARDER)]}[self.tool]


def practrand(size: str, *orders: tuple[int, int], **options: object) -> list[Run]:
    return [Run(tool="PractRand", argument=size, order=order, **options)   # pyright: ignore
            for order in orders]


PLAN = [
    *(Run(tool="ent", argument="1100M", kind=kind, seed=seed)
      for kind in ("draws", "words") for seed in (1, 2)),
    *(Run(tool="TestU01", argument="smallcrush", kind="words", reverse=reverse, order=order,
          seed=seed)
      for order in (ALONE, LANES_4) for reverse in (False, True) for seed in (1, 2, 3)),
    *practrand("64GB", LANES_4),
    *practrand("16GB", ALONE, SAMPLES),
    *practrand("16GB", ALONE, reverse=True),
    *practrand("16GB", ALONE, kind="words", seed=2),
    Run(tool="TestU01", argument="crush", kind="words"),
    Run(tool="dieharder", argument=f"{len(DIEHARDER)} tests"),
    *(Run(tool="TestU01", argument="crush10", kind="words", seed=seed)    # 2e-5 in the run above
      for seed in range(2, 10)),
    Run(tool="TestU01", argument="rabbit", kind="draws"),
    Run(tool="TestU01", argument="alphabit", kind="draws"),
    Run(tool="PractRand", argument="1GB", source="verilator://", kind="uniforms",
        order=(4, 4096)),
]


def read_practrand(text: str) -> dict[str, object]:
    lengths = re.findall(r"length= .*?2\^([\d.]+) bytes", text)
    judged = re.findall(r"^  (\S+)\s+R=.*?p\s*=\s*(\S+)\s+(.*)$", text, re.MULTILINE)
    tests = [int(n) for n in re.findall(r"(?:no anomalies in|and) (\d+) test result", text)]
    return {"bytes": int(2 ** float(lengths[-1])) if lengths else 0,
            "statistics": sum(tests) + len(judged),
            "remarks": [f"{name}: p = {p}, {word.strip()}" for name, p, word in judged],
            "failed": [name for name, _, word in judged if "FAIL" in word]}


def read_testu01(text: str) -> dict[str, object]:
    summaries = text.split("Summary results of")[1:]
    number = re.findall(r"Number of statistics:\s+(\d+)", text)
    outside = [pair for summary in summaries
               for pair in re.findall(r"^ *(\d+ +\S.*?) {2,}(\S.*?) *$", summary, re.MULTILINE)]

    def tail(p: str) -> float:
        """Return the distance of a p-value such as 2.2e-5, 0.9999, eps or 1 - eps1 from its end."""
        near = p.removeprefix("1 -").strip()
        value = 0.0 if near.startswith("eps") else float(near)
        return min(value, 1 - value)

    return {"statistics": sum(map(int, number)),
            "remarks": [f"{name}: p = {p}" for name, p in outside],
            "failed": [name for name, p in outside if tail(p) < 1e-10]}


def read_dieharder(text: str) -> dict[str, object]:
    rows = [[cell.strip() for cell in line.split("|")] for line in text.splitlines()
            if line.rstrip().endswith(("PASSED", "WEAK", "FAILED"))]
    named = [(f"{name} {ntup}: p = {p}", verdict) for name, ntup, _, _, p, verdict in rows]
    return {"statistics": len(rows), "remarks": [n for n, v in named if v != "PASSED"],
            "failed": [n for n, v in named if v == "FAILED"]}


def read_ent(text: str) -> dict[str, object]:
    exceeded = re.findall(r"would exceed this value ([\d.]+) percent", text)
    bits = re.findall(r"distribution for (\d+) samples", text)
    share = float(exceeded[0]) / 100 if exceeded else 0.0
    return {"bytes": int(bits[0]) // 8 if bits else 0, "statistics": 1,
            "remarks": [f"chi-square of the bits: p = {share:.4g}"],
            "failed": [] if 1e-4 < share < 1 - 1e-4 else ["chi-square"]}


READERS = {"PractRand": read_practrand, "TestU01": read_testu01, "dieharder": read_dieharder,
           "ent": read_ent}


def execute(run: Run, path: str) -> dict[str, object]:
    tool = shutil.which(run.consumer[0], path=path)
    if tool is None:
        raise SystemExit(f"{run.consumer[0]} must be on PATH or in --tools")
    start = time.monotonic()
    with subprocess.Popen(run.producer, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as source:
        result = subprocess.run([tool, *run.consumer[1:]], stdin=source.stdout, check=True,
                                capture_output=True, text=True, errors="replace")
        assert source.stdout is not None
        assert source.stderr is not None
        source.stdout.close()
        told = source.stderr.read().decode()
    given = re.findall(r"after about (\d+) bytes", told)
    figures = {"bytes": int(given[0]) if given else 0, **READERS[run.tool](result.stdout)}
    if not figures["statistics"]:
        raise SystemExit(f"{run.name}: nothing was tested\n{result.stdout}{result.stderr}{told}")
    return {"name": run.name, **asdict(run), **figures, "seconds": round(time.monotonic() - start)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="only runs whose name holds this text")
    parser.add_argument("--tools", default="", help="folder to look in before PATH")
    parser.add_argument("--list", action="store_true", help="only print the names of the runs")
    args = parser.parse_args()
    path = os.pathsep.join([args.tools, os.environ["PATH"]])
    done = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    for run in PLAN:
        if args.only not in run.name or any(old["name"] == run.name for old in done):
            continue
        print(run.name, flush=True)
        if args.list:
            continue
        figures = execute(run, path)
        print(f"  {figures['bytes']} bytes, {figures['statistics']} statistics, "
              f"{figures['seconds']} s, failed: {figures['failed'] or 'none'}; "
              f"{figures['remarks']}", flush=True)
        done = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
        done.append(figures)
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(done, indent=1) + "\n")


if __name__ == "__main__":
    main()
