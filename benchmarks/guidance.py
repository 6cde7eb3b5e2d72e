"""What coverage guidance wins: branches reached, and bytes until planted faults are found.

    python benchmarks/guidance.py [--bytes N] [--fault-bytes N] [--log docs/figures/guidance.json]

Campaigns by grammar alone and guided ones (tests/guided.py) attack the same instrumented gateware.
Each fault is planted into a copy of the gateware's sources; its campaigns run in a process of their
own, which imports that copy. What is in the log is not run again.
"""

import argparse
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from fuzzing import attacked_spec  # noqa: E402
from guided import GuidedCampaign  # noqa: E402
from pendula.contract import PHYSICS  # noqa: E402
from pendula.files import replacing  # noqa: E402
from pendula_sim.coverage import CoverageEngine  # noqa: E402

SHARES = {"grammar": 0.0, "guided": 0.5}
SEEDS = range(2)
CHECKPOINTS = 8

FAULTS = {
    "COBS block a byte short": (
        "link/cobs.py", "(code == FULL_CODE - 1)", "(code == FULL_CODE - 2)"),
    "CRC kept over a dropped frame": (
        "link/deframer.py", "crc.start.eq(1), read.en", "crc.start.eq(good), read.en"),
    "frame a byte too long": (
        "link/deframer.py", "(length <= MAX_FRAME_BYTES)\n", "(length <= MAX_FRAME_BYTES + 1)\n"),
    "tail of no bytes": ("link/parser.py", "known & (short | (length", "known & ((length"),
    "sequence number lost with a bad length": (
        "link/controller.py", "response.p.sequence.eq(request.p.sequence)",
        "response.p.sequence.eq(Mux(request.p.bad_length, 0, request.p.sequence))"),
    "a segment too many": (
        "link/runner.py", "self.segments > self._capacity", "self.segments > self._capacity + 1"),
    "thinning without bound": (
        "link/controller.py", "\n                & (values.thin != 0) & (values.thin <= "
        "RUN_SAMPLES_HI))", ")"),
    "row after the last written": (
        "link/memory_port.py", "near & (row < limit)", "near & (row <= limit)"),
}


def is_link(component: str) -> bool:
    """Return whether a component is none of the array."""
    return not component.startswith("top.flat.inner.array")


def watch(physics: str, seed: int, share: float, size: int) -> dict[str, Any]:
    """Run one campaign, and return which branches it reached after how many bytes."""
    engine = CoverageEngine(attacked_spec(physics))
    branches = engine.branches()
    campaign = GuidedCampaign(engine, seed, physics, corpus_share=share)
    start_s, curve = time.process_time(), []
    for k in reversed(range(CHECKPOINTS)):
        while campaign.sent < size >> k:
            campaign.step()
        curve.append((campaign.sent, int(campaign.reached.sum())))
    missed = [f"{branch.component.removeprefix('top.flat.inner.')}:{branch.line} {branch.kind}"
              for branch, taken in zip(branches, campaign.reached, strict=True) if not taken]
    link = [branch for branch in branches if is_link(branch.component)]
    engine.close()
    return {"branches": len(branches), "link_branches": len(link), "curve": curve,
            "corpus": len(campaign.corpus), "missed": missed,
            "seconds": round(time.process_time() - start_s, 1)}


def find(physics: str, seed: int, share: float, size: int) -> dict[str, Any]:
    """Run one campaign until it fails, and return the bytes that it sent, or None."""
    campaign = None
    try:
        campaign = GuidedCampaign(CoverageEngine(attacked_spec(physics)), seed, physics,
                                  corpus_share=share)
        while campaign.sent < size:
            campaign.step()
    except (AssertionError, IndexError) as error:
        return {"bytes": campaign.sent if campaign else 0, "error": str(error)[:80]}
    return {"bytes": None}


def planted(fault: str, folder: Path) -> dict[str, str]:
    """Copy the gateware with a fault, and return an environment that imports the copy."""
    spec = importlib.util.find_spec("pendula_gateware")
    assert spec is not None
    assert spec.submodule_search_locations
    copy = shutil.copytree(spec.submodule_search_locations[0], folder / "pendula_gateware",
                           ignore=shutil.ignore_patterns("__pycache__"))
    name, old, new = FAULTS[fault]
    text = (copy / name).read_text()
    assert text.count(old) == 1, (fault, text.count(old))
    (copy / name).write_text(text.replace(old, new))
    return {**os.environ, "PYTHONPATH": str(folder)}


def find_planted(fault: str, size: int) -> Iterator[dict[str, Any]]:
    """Yield what each campaign needs for a fault."""
    with TemporaryDirectory() as name:
        environment = planted(fault, Path(name))
        for seed in SEEDS:
            for kind in SHARES:
                job = {"physics": "quartic", "seed": seed, "share": SHARES[kind], "size": size}
                run = subprocess.run([sys.executable, __file__, "--find", json.dumps(job)],
                                     env=environment, check=True, capture_output=True, text=True)
                yield {"kind": kind, "seed": seed, **json.loads(run.stdout)}


class Log:
    """What has been run, in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.content: dict[str, dict[str, Any]] = json.loads(path.read_text()) \
            if path.exists() else {"coverage": {}, "faults": {}}

    def add(self, part: str, name: str, value: Any) -> None:
        self.content[part][name] = value
        with replacing(self._path) as temporary:
            temporary.write_text(json.dumps(self.content, indent=1) + "\n")
        shown = {key: item for key, item in value.items() if key != "missed"} \
            if isinstance(value, dict) else value
        print(part, name, json.dumps(shown), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure what coverage guidance wins.")
    parser.add_argument("--bytes", type=int, default=2_000_000, help="of each campaign")
    parser.add_argument("--fault-bytes", type=int, default=1_000_000, help="a fault is given up")
    parser.add_argument("--log", type=Path, default=ROOT / "docs" / "figures" / "guidance.json")
    parser.add_argument("--find", type=json.loads, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.find:
        print(json.dumps(find(**arguments.find)))
        return
    log = Log(arguments.log)
    for fault in FAULTS:
        if fault not in log.content["faults"]:
            log.add("faults", fault, [*find_planted(fault, arguments.fault_bytes)])
    for physics in PHYSICS:
        for kind, share in SHARES.items():
            name = f"{physics} {kind}"
            if name not in log.content["coverage"]:
                log.add("coverage", name, watch(physics, 1, share, arguments.bytes))


if __name__ == "__main__":
    main()
