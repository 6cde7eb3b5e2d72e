"""The host's decoders under coverage-guided fuzzing, with Atheris.

    pip install 'pendula[fuzz]'
    python benchmarks/fuzz_host.py [--seconds 60] [--targets answers,model] [--corpus FOLDER]

Each target of tests/decoding.py runs in a process of its own, for as much processor time as is
given, and its corpus stays in a folder: another call goes on from there. The log counts what was
run. An input that lets out another error than one of Pendula, takes more than 10 s or 2 GiB, ends
it with the input in the corpus folder.
"""

import argparse
import importlib
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

DONE = re.compile(r"#(\d+)\s+DONE\s+cov: (\d+)")
LIMITS = ("-timeout=10", "-rss_limit_mb=2048", "-max_len=8192")


def fuzz(name: str, options: list[str]) -> None:
    """Fuzz one target, or all of them by turns, in this process; does not return."""
    atheris: Any = importlib.import_module("atheris")
    with atheris.instrument_imports(include=["pendula", "cobs"]):
        from decoding import ALL, TARGETS
    target, corpus = {"all": ALL, **TARGETS}[name], Path(options[-1])
    for k, seed in enumerate(target.seeds()):
        (corpus / f"seed{k}").write_bytes(seed)
    atheris.Setup([name, *options], target.decode)
    atheris.Fuzz()


def run(name: str, corpus: Path, *limits: str) -> dict[str, Any]:
    """Fuzz one target, and return how many inputs were run, and what they reached."""
    corpus.mkdir(parents=True, exist_ok=True)
    run = subprocess.run(
        [sys.executable, __file__, "--one", name, *LIMITS, *limits,
         f"-artifact_prefix={corpus}.", str(corpus)],
        capture_output=True, text=True, errors="replace", check=False)
    done = DONE.search(run.stderr)
    if run.returncode or not done:
        sys.exit(f"{name}: {run.stdout[-3000:]}\n{run.stderr[-3000:]}")
    return {"inputs": int(done[1]), "edges": int(done[2]), "corpus": len([*corpus.iterdir()])}


def main() -> None:
    from decoding import TARGETS
    from pendula.files import cache_folder, replacing
    parser = argparse.ArgumentParser(description="Fuzz the host's decoders.")
    parser.add_argument("--targets", default=",".join(TARGETS), help="with commas between")
    parser.add_argument("--seconds", type=int, default=60, help="of each target")
    parser.add_argument("--runs", type=int, help="inputs of each target, in place of seconds")
    parser.add_argument("--corpus", type=Path, default=cache_folder() / "fuzz_host")
    parser.add_argument("--log", type=Path, default=ROOT / "docs" / "figures" / "fuzz_host.json")
    arguments = parser.parse_args()
    limit = f"-max_total_time={arguments.seconds}" if arguments.runs is None \
        else f"-runs={arguments.runs}"
    log = json.loads(arguments.log.read_text()) if arguments.log.exists() else {}
    for name in arguments.targets.split(","):
        found = run(name, arguments.corpus / name, limit, f"-seed={int(bool(arguments.runs))}")
        found["inputs"] += log.get(name, {}).get("inputs", 0)
        log[name] = found
        print(name, json.dumps(found), flush=True)
        with replacing(arguments.log) as temporary:
            temporary.write_text(json.dumps(log, indent=1) + "\n")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        fuzz(sys.argv[2], sys.argv[3:])
    main()
