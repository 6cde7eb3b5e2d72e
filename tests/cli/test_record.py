"""``--record`` of the commands, and what plays it."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from pendula import cli
from pendula.modelfile import save
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


@pytest.mark.parametrize("command", ["sample", "compare", "moments", "info"])
def test_every_command_hands_it_to_the_device(model, tmp_path, path, command):
    """Which has no bytes to record here, and says so."""
    device = ["twin://"] if command == "info" else [model, "--device", "twin://"]
    output = ["-o", tmp_path / "S.npz"] if command == "sample" else []
    code, _, err = run(command, *device, *output, "--record", path)
    assert (code, "twin:// cannot be recorded, it exchanges no bytes" in err) == (2, True)
    assert not path.exists()


def test_the_folder_must_exist(tmp_path):
    code, _, err = run("info", "pysim://", "--record", tmp_path / "none" / "F.jsonl")
    assert (code, f"folder {tmp_path / 'none'} must exist" in err) == (2, True)
