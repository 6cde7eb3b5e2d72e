"""The demonstration, from nothing to the report, on the quick device."""

import json
import signal
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

from pendula import modelfile
from pendula.cli import main
from pendula.demo import MODEL_FILE, REPORT_FILE, SAMPLES_FILE, demo
from pendula.device import open_device
from pendula.errors import PendulaError
from pendula.training import presets


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo") / "new"
    result = CliRunner().invoke(main, ["demo", "--device", "twin://", "-n", "64", "--seed", "3",
                                       "-o", str(folder), "--json"])
    assert result.exit_code == 0, result.output
    return folder, json.loads(result.stdout)


def test_everything_agrees(run):
    _, found = run
    assert found["equal"]
    assert found["bits"]["mode"] == "exact"
    assert found["law"]["mode"] == "statistical"
    assert found["law"]["against"]["url"] == "float://"


def test_samples_are_those_of_the_model(run):
    folder, found = run
    program = modelfile.load(folder / MODEL_FILE)
    assert program.digest == found["program"]
    with np.load(folder / SAMPLES_FILE) as kept, open_device("twin://") as device:
        device.load(program)
        again = device.sample(64, seed=3, pixels=True)
        assert np.array_equal(kept["values"], again.values)
        assert tuple(kept["image_shape"]) == program.image_shape


def test_scores_have_floor_and_controls(run):
    _, found = run
    scores = {score["name"]: score["distance"] for score in found["scores"]}
    assert scores["training images"] < scores["twin://"] < scores["linear Gaussian"]


def test_report_shows_the_verdicts(run):
    folder, found = run
    page = (folder / REPORT_FILE).read_text()
    assert "Equal, bit for bit" in page
    assert "No difference found" in page
    assert found["program"] in page
    assert "<script" not in page


def test_figures_for_people(tmp_path):
    result = CliRunner().invoke(main, ["demo", "--device", "twin://", "-n", "32", "-o",
                                       str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert "every bit of 32 samples x 64 nodes agrees" in result.stdout
    assert "energy distance, training images" in result.stdout


@pytest.mark.parametrize(("where", "left"), [
    ("pendula.training.quantise", []), ("pendula.demo.compare", [MODEL_FILE]),
    ("pendula.demo.image_scores", [MODEL_FILE, SAMPLES_FILE])])
def test_an_interruption_leaves_whole_files(tmp_path, monkeypatch, where, left):
    quick = replace(presets.PRESETS["digits"], segments=2, steps=3, draws=1)
    monkeypatch.setitem(presets.PRESETS, "digits", quick)
    monkeypatch.setattr(where, lambda *_, **__: signal.raise_signal(signal.SIGINT))
    result = CliRunner().invoke(main, ["demo", "--device", "twin://", "-n", "32", "-o",
                                       str(tmp_path)])
    assert (result.exit_code, result.stdout) == (130, "")
    assert result.stderr.endswith("pendula: interrupted\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == left
    if MODEL_FILE in left:
        assert modelfile.load(tmp_path / MODEL_FILE).segments == 3
    if SAMPLES_FILE in left:
        with np.load(tmp_path / SAMPLES_FILE) as kept:
            assert len(kept["values"]) == 32


def test_missing_folder_is_named(tmp_path):
    with pytest.raises(PendulaError, match=r"folder must exist, not '.*nowhere'"):
        demo(tmp_path / "nowhere", url="twin://")


def test_a_device_that_is_not_exact_is_refused(tmp_path):
    result = CliRunner().invoke(main, ["demo", "--device", "float://", "-o", str(tmp_path)])
    assert result.exit_code == 2
    assert "mode must be statistical for float://" in result.stderr
