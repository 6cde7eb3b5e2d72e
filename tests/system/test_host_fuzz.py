"""What the host decodes, fuzzed under guidance by coverage; longer: ``benchmarks/fuzz_host.py``."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from decoding import ALL, TARGETS

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "fuzz_host.py"
RUNS = 4000


@pytest.mark.parametrize("name", TARGETS)
def test_what_is_sound_is_decoded_and_none_of_its_beginnings_is_an_accident(name):
    for seed in TARGETS[name].seeds():
        for end in {*range(0, len(seed), 1 + len(seed) // 50), len(seed)}:
            TARGETS[name].decode(seed[:end])


def test_bytes_let_out_no_error_but_those_of_pendula(tmp_path):
    pytest.importorskip("atheris", reason="there is a wheel for Linux on x86-64 alone")
    run = subprocess.run(
        [sys.executable, SCRIPT, "--targets", "all", "--runs", str(RUNS), "--corpus", tmp_path,
         "--log", tmp_path / "log.json"], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr[-3000:]
    found = json.loads((tmp_path / "log.json").read_text())["all"]
    assert found["inputs"] == RUNS
    assert found["corpus"] > 2 * len(ALL.seeds())
