"""``pendula train --in-loop``: local rules on a device."""

import json
import signal
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from pendula import cli
from pendula.modelfile import load
from pendula.training import local_rules, presets
from pendula.twin.twin_device import TwinDevice


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make preset and rule small: their quality is not judged here."""
    quick = replace(presets.PRESETS["mixture-2d"], segments=2, steps=3)
    monkeypatch.setitem(presets.PRESETS, "mixture-2d", quick)
    from pendula.training import catalogue
    monkeypatch.setitem(catalogue.CATALOGUE, "mixture-2d", quick)
    monkeypatch.setattr(local_rules.LocalRule.__init__, "__kwdefaults__",
                        {"name": "force-matching", "updates": 2, "batch": 3, "rate": 0.5,
                         "momentum": 0.9})


def run(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(cli.main, [str(item) for item in arguments], prog_name="pendula")
    return result.exit_code, result.stdout, result.stderr


@pytest.mark.parametrize("rule", ["force-matching", "cd1"])
def test_a_model_is_learnt_from_a_device(tmp_path: Path, rule: str) -> None:
    output = tmp_path / "M.pendula"
    code, out, err = run("train", "mixture-2d", "-o", output, "--in-loop", "twin://", "--rule",
                         rule, "--json")
    assert (code, err) == (0, "")
    report, program = json.loads(out), load(output)
    assert (report["rule"], report["device"]) == (rule, "twin://")
    assert report["observations"] == 2 * 3 * 3
    assert program.provenance["rule"] == f"{rule}, online"
    assert report["program"] == program.digest


def test_updates_may_be_fewer(tmp_path: Path) -> None:
    output = tmp_path / "M.pendula"
    code, out, _ = run("train", "mixture-2d", "-o", output, "--in-loop", "twin://", "--updates", 1,
                       "--json")
    assert (code, json.loads(out)["observations"]) == (0, 1 * 3 * 3)
    assert load(output).provenance["local_rule"]["updates"] == 1


@pytest.mark.parametrize(("rule", "method"), [("force-matching", "_forces"), ("cd1", "_sample")])
def test_an_interruption_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                        rule: str, method: str) -> None:
    monkeypatch.setattr(TwinDevice, method, lambda *_: signal.raise_signal(signal.SIGINT))
    code, out, err = run("train", "mixture-2d", "-o", tmp_path / "M.pendula", "--in-loop",
                         "twin://", "--rule", rule)
    assert (code, out, err) == (130, "", "\npendula: interrupted\n")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("arguments", "text"), [
    (["mixture-2d", "--rule", "cd1"], "--in-loop URL"),
    (["mixture-2d", "--resume"], "are for ais- presets"),
    (["ais-digits", "--rule", "cd1"], "--rule is not for ais- presets"),
    (["mixture-2d", "--in-loop", "nothing://"], "nothing"),
    (["mixture-2d", "--in-loop", "twin://", "--data", "here"], "needs no data folder"),
])
def test_what_does_not_fit_is_named(tmp_path: Path, arguments: list[str], text: str) -> None:
    code, out, err = run("train", *arguments, "-o", tmp_path / "M.pendula")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert text in err
    assert not list(tmp_path.iterdir())
