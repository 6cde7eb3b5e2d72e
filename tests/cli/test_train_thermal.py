"""``pendula train whitelam-3``: the file, the figures, and what does not fit."""

import json
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from pendula import cli
from pendula.modelfile import load
from pendula.training import catalogue, thermal_training
from pendula.training.thermal_presets import THERMAL_PRESETS


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the preset small, with patterns in place of MNIST's."""
    small = replace(THERMAL_PRESETS["whitelam-3"], side=8, links=12, reach=2, cycles=2, digits=2,
                    steps=20)
    monkeypatch.setitem(catalogue.CATALOGUE, "whitelam-3", small)
    images = np.random.default_rng(0).choice([-1.0, 1.0], (2, 64))
    monkeypatch.setattr(thermal_training, "first_patterns", lambda *_: images)


def run(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(cli.main, [str(item) for item in arguments], prog_name="pendula")
    return result.exit_code, result.stdout, result.stderr


def test_it_writes_the_model_and_prints_the_loss(tmp_path: Path) -> None:
    output = tmp_path / "M.pendula"
    code, out, err = run("train", "whitelam-3", "-o", output, "--json")
    assert (code, err) == (0, "")
    report = json.loads(out)
    assert report["program"] == load(output).digest
    assert report["loss"] > 0
    assert (report["segments"], report["steps"], report["nodes"]) == (2, 40, 128)


@pytest.mark.parametrize("where", ["learn", "thermal_program"])
def test_an_interruption_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                        where: str) -> None:
    monkeypatch.setattr(thermal_training, where,
                        lambda *_, **__: signal.raise_signal(signal.SIGINT))
    code, out, err = run("train", "whitelam-3", "-o", tmp_path / "M.pendula")
    assert (code, out, err) == (130, "", "\npendula: interrupted\n")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("option", [["--resume"], ["--in-loop", "twin://"], ["--start", "digits"],
                                    ["--updates", "2"]])
def test_other_options_are_refused(tmp_path: Path, option: list[str]) -> None:
    code, out, err = run("train", "whitelam-3", "-o", tmp_path / "M.pendula", *option)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "takes --data and --seed alone" in err
    assert not list(tmp_path.iterdir())
