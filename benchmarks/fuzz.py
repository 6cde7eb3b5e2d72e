"""The compiled gateware under grammar-based attack, for as many bytes as there is time.

    python benchmarks/fuzz.py [--bytes N] [--log docs/figures/fuzz.json]

Each campaign attacks a fresh device, of the next physics in turn; see tests/fuzzing.py. A finished
one is a line in the log, and another call goes on after the last. The first wrong answer, or one
that comes too late, ends it with an error that names the campaign, whose seed repeats it.
"""

import argparse
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from fuzzing import Campaign, attacked_spec  # noqa: E402
from pendula.contract import CONTRACT_ID, PHYSICS  # noqa: E402
from pendula.files import replacing  # noqa: E402
from pendula_sim.build import build_library  # noqa: E402
from pendula_sim.design import design_id  # noqa: E402
from pendula_sim.verilator import VerilatorEngine  # noqa: E402

CAMPAIGN_BYTES = 20_000_000


@dataclass
class Log:
    """Figures of the finished campaigns, in a file."""

    path: Path

    def __post_init__(self) -> None:
        self.campaigns = json.loads(self.path.read_text())["campaigns"] \
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


def attack(seed: int, size: int) -> dict:
    """Run one campaign, and return its figures."""
    physics = [*PHYSICS][seed % len(PHYSICS)]
    spec = attacked_spec(physics)
    engine = VerilatorEngine(build_library(spec))
    campaign = Campaign(engine, seed, physics)
    start_s = time.process_time()
    while campaign.sent < size:
        campaign.step()
    engine.close()
    return {"seed": seed, "physics": physics, "contract": CONTRACT_ID[:16],
            "design": design_id(spec)[:16], "bytes": campaign.sent,
            "answer_bytes": campaign.answered, "frames_dropped": campaign.dropped,
            "batches": sum(campaign.attacks.values()),
            "slowest_hello_cycles": campaign.slowest,
            "seconds": round(time.process_time() - start_s, 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description="Attack the compiled gateware.")
    parser.add_argument("--bytes", type=int, default=10**9, help="in all, those of the log too")
    parser.add_argument("--log", type=Path, default=ROOT / "docs" / "figures" / "fuzz.json")
    arguments = parser.parse_args()
    log = Log(arguments.log)
    while (left := arguments.bytes - sum(item["bytes"] for item in log.campaigns)) > 0:
        log.add(attack(len(log.campaigns), min(left, CAMPAIGN_BYTES)))


if __name__ == "__main__":
    main()
