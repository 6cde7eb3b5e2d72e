"""``pendula score``: the table, the report, and what cannot be scored."""

import json
import sys

import numpy as np
import pytest
from click.testing import CliRunner

from pendula import cli
from pendula.device import open_device
from pendula.metrics import mlp
from pendula.metrics.referee import COLUMNS
from pendula.modelfile import load
from pendula.scores import ROWS, frozen_program, parameter_count


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    """Train the perceptron for a moment only: how good it is is not judged here."""
    monkeypatch.setattr(mlp, "_STEPS", 5)


def run(*arguments):
    result = CliRunner().invoke(cli.main, [str(item) for item in arguments], prog_name="pendula")
    return result.exit_code, result.stdout, result.stderr


def test_a_model_beside_floor_and_controls(tmp_path):
    report = tmp_path / "r.html"
    code, out, err = run("score", "digits", "-n", 100, "--json", "--report", report)
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert (found["dataset"], found["held_out"]) == ("digits", 100)
    assert found["classifier"]["name"] == "digits-8"
    rows = {row["name"]: row for row in found["rows"]}
    assert len(rows) == ROWS
    assert set(COLUMNS) < set(rows["samples"])
    assert rows["samples"]["energy"][0] < rows["frozen random array"]["energy"][1]
    assert rows["samples"]["energy"][0] < rows["Bernoulli pixels by class"]["energy"][1]
    page = report.read_text()
    assert "Scores of digits" in page
    assert "frozen random array" in page


def test_a_file_of_samples_gets_the_same_figures(tmp_path):
    path = tmp_path / "S.npz"
    with open_device("twin://") as device:
        device.load(load("digits"))
        np.savez(path, values=device.sample(100, seed=1, pixels=True).values)
    _, whole, _ = run("score", "digits", "-n", 100, "--json")
    code, out, _ = run("score", path, "--dataset", "digits", "-n", 100, "--json")
    assert code == 0
    assert json.loads(out)["rows"] == json.loads(whole)["rows"][:ROWS - 2]
    code, out, _ = run("score", path, "--dataset", "digits", "-n", 100)
    assert code == 0
    assert "frechet" in out
    assert "training images" in out


def test_a_frozen_array_has_the_same_codes_elsewhere():
    program = load("digits")
    frozen, present = frozen_program(program, 1), np.array(program.graph.mask)
    assert parameter_count(program) == 31 * (present.sum() + 64 * 3)
    for before, after in zip(program.codes, frozen.codes, strict=True):
        assert not np.array_equal(before, after)
        assert np.array_equal(np.sort(before[present]), np.sort(after[present]))
    assert np.array_equal(np.sort(program.local_codes, axis=1), np.sort(frozen.local_codes, axis=1))
    assert program.unrounded
    assert not frozen.unrounded         # they would be what was learnt


@pytest.mark.parametrize(("values", "arguments", "text"), [
    (np.zeros((30, 64), np.uint8), [], "must be named with --dataset"),
    (np.zeros((30, 63), np.uint8), ["--dataset", "digits"], "must have 64 pixels, not 63"),
    (np.zeros((30, 64), np.int32), ["--dataset", "digits"], "values must be 8-bit pixels"),
    (np.zeros((30, 64), np.uint8), ["--dataset", "cats"], "must be one with a classifier"),
    (np.zeros((30, 64), np.uint8), ["--dataset", "mnist"], "--data"),
    (np.zeros((30, 64), np.uint8), ["--report", "r.html"], "--report needs a model"),
])
def test_what_cannot_be_scored_is_named(tmp_path, values, arguments, text):
    path = tmp_path / "S.npz"
    np.savez(path, values=values)
    code, out, err = run("score", path, *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert text in err


@pytest.mark.parametrize("raw", [b"", b"PK\x03\x04 no zip", b"something"])
def test_damaged_files_are_named(tmp_path, raw):
    path = tmp_path / "S.npz"
    path.write_bytes(raw)
    code, _, err = run("score", path, "--dataset", "digits")
    assert (code, err.count("\n")) == (2, 1)
    assert "must be a file of samples" in err


def test_inception_needs_its_weights_and_its_library(tmp_path, monkeypatch):
    code, _, err = run("score", "digits", "--inception", tmp_path / "none.pth")
    assert (code, err.count("\n")) == (2, 1)
    assert "none.pth must exist" in err
    monkeypatch.setitem(sys.modules, "torch_fidelity", None)
    (tmp_path / "w.pth").write_bytes(b"")
    code, _, err = run("score", "digits", "--inception", tmp_path / "w.pth")
    assert (code, err.count("\n")) == (2, 1)
    assert "pip install 'pendula[fid]'" in err
