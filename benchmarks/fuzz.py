"""The compiled gateware under attack, for as many bytes as there is time.

    python benchmarks/fuzz.py [--bytes N] [--guided] [--log docs/figures/fuzz.json]

Each campaign attacks a fresh device, of the next physics in turn: by grammar (tests/fuzzing.py), or
with `--guided` from a corpus that coverage guides as well (tests/guided.py). A finished one, and
what an interrupted one has sent, is a line in the log, and another call goes on after the last. The
first wrong answer, or one that comes too late, ends it with an error that names the campaign, whose
seed repeats it.
"""

import argparse
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from fuzzing import Campaign, attacked_spec  # noqa: E402
from guided import GuidedCampaign  # noqa: E402
from pendula.contract import CONTRACT_ID, PHYSICS  # noqa: E402
from pendula.files import replacing  # noqa: E402
from pendula_sim.build import build_library  # noqa: E402
from pendula_sim.coverage import CoverageEngine  # noqa: E402
from pendula_sim.design import design_id  # noqa: E402
from pendula_sim.verilator import VerilatorEngine  # noqa: E402

CAMPAIGN_BYTES = 20_000_000
REPORT_S = 10.0


@dataclass
class Log:
    """Figures of the finished campaigns, in a file."""

    path: Path

    def __post_init__(self) -> None:
        self.campaigns: list[dict[str, Any]] = json.loads(self.path.read_text())["campaigns"] \
            if self.path.exists() else []

    def add(self, campaign: dict) -> None:
        self.campaigns.append(campaign)
        total = {name: sum(item[name] for item in self.campaigns)
                 for name in ("bytes", "answer_bytes", "frames_dropped", "seconds")}
        total["slowest_hello_cycles"] = max(c["slowest_hello_cycles"] for c in self.campaigns)
        with replacing(self.path) as temporary:
            lines = ",\n  ".join(json.dumps(item) for item in self.campaigns)
            temporary.write_text(f'{{"total": {json.dumps(total)},\n "campaigns": [\n  '
                                 f"{lines}]}}\n")
        print(json.dumps(total), flush=True)


def attack(seed: int, size: int, guided: bool, log: Log) -> None:
    """Run one campaign, and log its figures, those of a part where it is interrupted."""
    physics = [*PHYSICS][seed % len(PHYSICS)]
    spec = attacked_spec(physics)
    campaign = GuidedCampaign(CoverageEngine(spec), seed, physics) if guided \
        else Campaign(VerilatorEngine(build_library(spec)), seed, physics)
    start_s = time.process_time()
    try:
        _send(campaign, size)
    except KeyboardInterrupt:
        log.add(_figures(campaign, time.process_time() - start_s))
        raise
    log.add(_figures(campaign, time.process_time() - start_s))
    campaign.engine.close()


def _figures(campaign: Campaign, seconds: float) -> dict[str, Any]:
    reached = {"branches": int(campaign.reached.sum())} \
        if isinstance(campaign, GuidedCampaign) else {}
    return {"seed": campaign.seed, "physics": campaign.physics, "contract": CONTRACT_ID[:16],
            "design": design_id(campaign.spec)[:16], "bytes": campaign.sent,
            "answer_bytes": campaign.answered, "frames_dropped": campaign.dropped,
            "batches": sum(campaign.attacks.values()), "slowest_hello_cycles": campaign.slowest,
            "seconds": round(seconds, 1), **reached}


def _send(campaign: Campaign, size: int) -> None:
    """Attack, and show how far and how fast that goes."""
    start_s, shown_s = time.process_time(), time.monotonic()
    while campaign.sent < size:
        campaign.step()
        if time.monotonic() > shown_s + REPORT_S:
            shown_s = time.monotonic()
            rate = campaign.sent / (time.process_time() - start_s)
            print(f"campaign {campaign.seed}: {campaign.sent / 1e6:.1f} of {size / 1e6:.1f} MB, "
                  f"{rate / 1e3:.0f} kB a second of processor time", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="Attack the compiled gateware.")
    parser.add_argument("--bytes", type=float, default=1e9, help="in all, those of the log too")
    parser.add_argument("--guided", action="store_true", help="let coverage guide the campaigns")
    parser.add_argument("--log", type=Path, default=ROOT / "docs" / "figures" / "fuzz.json")
    arguments = parser.parse_args()
    log = Log(arguments.log)
    try:
        while (left := arguments.bytes - sum(item["bytes"] for item in log.campaigns)) > 0:
            attack(len(log.campaigns), int(min(left, CAMPAIGN_BYTES)), arguments.guided, log)
    except KeyboardInterrupt:
        sys.exit("interrupted; the same command goes on")


if __name__ == "__main__":
    main()
