"""``pendula train``: the file, the figures, and what errors and interruptions leave."""

import json
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from pendula import cli, training
from pendula.modelfile import load
from pendula.training import presets
from pendula.training.ais.presets import AIS_PRESETS
from pendula.twin.twin_device import TwinDevice


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the preset small: its quality is not judged here."""
    quick = replace(presets.PRESETS["digits"], segments=2, steps=3, draws=1)
    monkeypatch.setitem(presets.PRESETS, "digits", quick)
    tiny = replace(AIS_PRESETS["ais-digits-critic"], name="ais-digits", degree=4, segments=2,
                   steps=2, iterations=4, interval=2, batch=16, critic=(16,), critic_steps=1)
    monkeypatch.setitem(AIS_PRESETS, "ais-digits", tiny)


def run(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(cli.main, [str(item) for item in arguments], prog_name="pendula")
    return result.exit_code, result.stdout, result.stderr


def test_it_writes_the_model_and_prints_the_figures(tmp_path: Path) -> None:
    output = tmp_path / "M.pendula"
    code, out, err = run("train", "digits", "-o", output, "--seed", 3, "--json")
    assert (code, err) == (0, "")
    report, program = json.loads(out), load(output)
    assert report["program"] == program.digest
    assert program.provenance["seed"] == 3
    assert report["output"] == str(output)
    assert (report["nodes"], report["neighbours"]) == (64, 24)
    assert (report["segments"], report["steps"], report["code_bits"]) == (3, 7, 4)
    assert 0 < report["excess"] < report["loss"] < 1
    assert [path.name for path in tmp_path.iterdir()] == ["M.pendula"]


def test_the_figures_are_readable_without_json(tmp_path: Path) -> None:
    code, out, _ = run("train", "digits", "-o", tmp_path / "M.pendula")
    assert code == 0
    assert "code bits" in out


@pytest.mark.parametrize(("arguments", "text"), [
    (["letters"], "preset must be one of digits, "),
    (["mnist01-12"], "--data"),
    (["digits", "--data", "here"], "digits needs no data folder"),
    (["digits", "--seed", "-1"], "Seed must be within"),
    (["mnist01-12", "--data", "nowhere"], "nowhere"),
    (["digits", "--resume"], "are for ais- presets, not digits"),
    (["ais-digits", "--resume"], "leave out --resume to start anew"),
    (["ais-digits", "--start", "digits"], "program must be for the array"),
    (["ais-digits", "--in-loop", "nothing://"], "device URL must start with"),
    (["ais-mnist28"], "--data"),
    (["digits", "--updates", "3"], "--updates needs the device that is learnt from"),
    (["ais-digits", "--updates", "0"], "0 is not in the range x>=1"),
])
def test_errors_are_one_line_and_leave_nothing(tmp_path: Path, arguments: list[str],
                                               text: str) -> None:
    code, out, err = run("train", *arguments, "-o", tmp_path / "M.pendula")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert text in err
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    code, _, err = run("train", "digits", "-o", tmp_path / "none" / "M.pendula")
    assert code == 2
    assert str(tmp_path / "none") in err


def test_an_interruption_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt
    monkeypatch.setattr(training, "quantise", interrupt)
    code, _, err = run("train", "digits", "-o", tmp_path / "M.pendula")
    assert (code, err.strip()) == (130, "pendula: interrupted")
    assert not list(tmp_path.iterdir())


# Training on end states

def test_end_states_are_trained_with_a_log_beside_the_model(tmp_path: Path) -> None:
    output = tmp_path / "M.pendula"
    code, out, err = run("train", "ais-digits", "-o", output, "--seed", 3, "--json")
    assert (code, err) == (0, "")
    report, program = json.loads(out), load(output)
    assert report["program"] == program.digest
    assert (report["nodes"], report["neighbours"], report["steps"]) == (128, 4, 4)
    assert report["log"] == str(output) + ".log.jsonl"
    assert [json.loads(line)["update"] for line in Path(report["log"]).read_text().splitlines()] \
        == [2, 4]


def test_updates_may_be_fewer(tmp_path: Path) -> None:
    output = tmp_path / "M.pendula"
    code, _, err = run("train", "ais-digits", "-o", output, "--updates", 1)
    assert (code, err) == (0, "")
    assert load(output).provenance["preset"]["iterations"] == 1


@pytest.mark.parametrize("method", ["_forces", "_sample"])
def test_an_interruption_of_the_device_in_the_loop_leaves_nothing(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    monkeypatch.setattr(TwinDevice, method, lambda *_: signal.raise_signal(signal.SIGINT))
    code, out, err = run("train", "ais-digits", "-o", tmp_path / "M.pendula", "--in-loop",
                         "twin://")
    assert (code, out, err) == (130, "", "\npendula: interrupted\n")
    assert not list(tmp_path.iterdir())


def test_an_interrupted_training_says_how_to_go_on(tmp_path: Path,
                                                   monkeypatch: pytest.MonkeyPatch) -> None:
    from pendula.training.ais.checkpoint import write_checkpoint

    def interrupt(*arguments: Any) -> None:
        write_checkpoint(*arguments)
        raise KeyboardInterrupt
    output = tmp_path / "M.pendula"
    with monkeypatch.context() as patch:
        patch.setattr("pendula.training.ais.training.write_checkpoint", interrupt)
        code, _, err = run("train", "ais-digits", "-o", output)
    assert code == 130
    assert f"{output}.checkpoint; --resume goes on from there" in err
    assert run("train", "ais-digits", "-o", output, "--resume")[0] == 0
    assert load(output).provenance["preset"]["iterations"] == 4
