"""``--record`` of the commands, and what plays it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from pendula import cli
from pendula.metrics import mlp
from pendula.modelfile import save
from pendula.training import local_rules
from recordings.record import make_program


def run(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(cli.main, [str(item) for item in arguments], prog_name="pendula")
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ü & %.jsonl"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    save(make_program(), tmp_path / "m.pendula")
    return tmp_path / "m.pendula"


REPLAY = "replay://{}/ü%20%26%20%25.jsonl"


def test_samples_are_recorded_and_replayed(model, tmp_path, path):
    for device, name in (("pysim://", "a"), (REPLAY.format(tmp_path), "b")):
        options = ["--record", path] if name == "a" else []
        code, _, err = run("sample", model, "--device", device, "-n", 18, "-o",
                           tmp_path / f"{name}.npz", *options)
        assert (code, err) == (0, "")
    with np.load(tmp_path / "a.npz") as first, np.load(tmp_path / "b.npz") as second:
        assert np.array_equal(first["values"], second["values"])
    code, _, err = run("info", "pysim://", "--record", path)
    assert (code, "it exists: delete it or choose another" in " ".join(err.split())) == (2, True)


def without_times(data: Any) -> Any:
    """Return plain data without what two runs need not share: times and the device's address."""
    if isinstance(data, dict):
        return {name: without_times(value) for name, value in data.items()
                if name not in ("seconds", "train_s", "url", "device", "output")}
    return [without_times(value) for value in data] if isinstance(data, list) else data


@pytest.mark.verilator
@pytest.mark.parametrize("command", [
    ["calibrate", "URL", "MODEL", "--json"],
    ["verify", "MODEL", "--device", "URL", "--rungs", "integers", "-n", 32, "--json"],
    ["train", "mixture-2d", "--in-loop", "URL", "-o", "OUTPUT", "--updates", 1, "--json"],
    ["score", "digits", "--device", "URL", "-n", 20, "--json"]], ids=lambda command: command[0])
def test_a_replay_comes_to_the_same(model, tmp_path, path, command, monkeypatch):
    monkeypatch.setattr(mlp, "_STEPS", 5)
    monkeypatch.setattr(local_rules.LocalRule.__init__, "__kwdefaults__",
                        {"name": "force-matching", "updates": 1, "batch": 2, "rate": 0.5,
                         "momentum": 0.9})
    found = []
    for url, option in (("verilator://", ["--record", path]), (REPLAY.format(tmp_path), [])):
        words = {"URL": url, "MODEL": model, "OUTPUT": tmp_path / "M.pendula"}
        code, out, err = run(*(words.get(word, word) for word in command), *option)
        assert code == 0, err
        assert "record=" not in out
        found.append(without_times(json.loads(out)))
    assert found[0] == found[1]
    assert path.stat().st_size > 1000


@pytest.mark.verilator
def test_noise_is_recorded_and_replayed(tmp_path, path):
    command = [sys.executable, "-m", "pendula", "noise", "URL", "--bytes", "60K", "--kind",
               "uniforms", "--seed", "5"]
    found = []
    for url, option in (("verilator://", ["--record", str(path)]), (REPLAY.format(tmp_path), [])):
        words = [url if word == "URL" else word for word in command]
        found.append(subprocess.run([*words, *option], check=True, capture_output=True).stdout)
    assert len(found[0]) == 60 << 10
    assert found[0] == found[1]


@pytest.mark.parametrize("command", [
    "sample", "compare", "moments", "info", "score", "calibrate", "noise", "verify", "demo",
    "train", "train ais"])
def test_every_command_hands_it_to_the_device(model, tmp_path, path, command, monkeypatch):
    """Which has no bytes to record here, and says so."""
    monkeypatch.chdir(tmp_path)
    device: dict[str, list[Any]] = {
        "info": ["twin://"], "calibrate": ["twin://", model],
        "noise": ["twin://", "--bytes", 11], "demo": ["--device", "twin://", "-n", 32],
        "score": ["digits", "-n", 20], "verify": [model, "--device", "twin://", "--rungs",
                                                  "integers", "-n", 32],
        "train": ["mixture-2d", "--in-loop", "twin://", "-o", "M.pendula"],
        "train ais": ["ais-digits", "--in-loop", "twin://", "-o", "M.pendula"]}
    output = ["-o", tmp_path / "S.npz"] if command == "sample" else []
    code, _, err = run(command.partition(" ")[0],
                       *device.get(command, [model, "--device", "twin://"]), *output,
                       "--record", path)
    assert (code, "twin:// cannot be recorded, it exchanges no bytes" in err) == (2, True)
    assert not path.exists()


@pytest.mark.parametrize(("arguments", "message"), [
    (["verify", "digits"], "--device URL"), (["train", "digits", "-o", "M.pendula"],
                                             "--in-loop URL"),
    (["score", "S.npz"], "--record needs a model, not a file of samples")])
def test_there_must_be_a_device(tmp_path, path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    code, out, err = run(*arguments, "--record", path)
    assert (code, out, message in err) == (2, "", True)
    assert not list(tmp_path.iterdir())


def test_the_folder_must_exist(tmp_path):
    code, _, err = run("info", "pysim://", "--record", tmp_path / "none" / "F.jsonl")
    assert (code, f"folder {tmp_path / 'none'} must exist" in err) == (2, True)
