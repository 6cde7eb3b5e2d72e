"""The compiled gateware against the twin, on random programs, for as long as there is time.

    python benchmarks/soak.py [--updates N] [--log docs/figures/soak.json]

Each round draws an array of any physics, lanes, fold and fabric, programs for it, and for each of
them samples, forces and sums, which must be those of twin:// in every bit. A finished round is a
line in the log, and another call goes on after the last. The first difference ends it with an error
that names the round, whose number repeats it.
"""

import argparse
import json
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from pendula.contract import CONTRACT_ID  # noqa: E402
from pendula.files import replacing  # noqa: E402
from soaking import soak  # noqa: E402

ROUND_CYCLES = 40_000_000


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare the compiled gateware with the twin.")
    parser.add_argument("--updates", type=int, default=10**9,
                        help="node updates in all, those of the log too")
    parser.add_argument("--log", type=Path, default=ROOT / "docs" / "figures" / "soak.json")
    arguments = parser.parse_args()
    rounds = json.loads(arguments.log.read_text())["rounds"] if arguments.log.exists() else []
    while sum(item["updates"] for item in rounds) < arguments.updates:
        start_s = time.process_time()
        found = soak(len(rounds), ROUND_CYCLES)
        rounds.append({"round": len(rounds), "contract": CONTRACT_ID[:16], **found,
                       "seconds": round(time.process_time() - start_s, 1)})
        total = {name: sum(item[name] for item in rounds)
                 for name in ("updates", "samples", "saturations", "seconds")}
        with replacing(arguments.log) as temporary:
            lines = ",\n  ".join(map(json.dumps, rounds))
            temporary.write_text(f'{{"total": {json.dumps(total)},\n "rounds": [\n  {lines}]}}\n')
        print(json.dumps(total), flush=True)


if __name__ == "__main__":
    main()
