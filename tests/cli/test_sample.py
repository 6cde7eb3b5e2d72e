"""``pendula sample``: the file, and what an interruption leaves."""

import json
import signal
import subprocess
import sys
import time
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from pendula import cli
from pendula.contract.jitter import RAW_BITS, draw_seed, model_bits
from pendula.contract.step import pixel, run_sample
from pendula.device import AbstractDevice, open_device
from pendula.modelfile import save
from pendula.program import random_program


def run(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(cli.main, [str(item) for item in arguments], prog_name="pendula")
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def drawn(model, tmp_path):
    """The file of an uninterrupted run of 100 samples, and its arguments."""
    path, _ = model
    output = tmp_path / "whole.npz"
    arguments = ["sample", path, "--device", "twin://", "-n", "100", "--seed", "5", "--raw", "-o"]
    assert run(*arguments, output)[0] == 0
    return output.read_bytes(), arguments


def test_the_file_holds_the_samples_and_what_was_asked_for(model, tmp_path):
    path, program = model
    output = tmp_path / "S.npz"
    code, out, err = run("sample", path, "--device", "twin://", "-n", 3, "--seed", 7, "--first", 2,
                         "-o", output, "--json")
    assert (code, err) == (0, "")
    report = json.loads(out)
    with np.load(output) as file:
        arrays = dict(file)
    runs = [run_sample(program, 7, index) for index in (2, 3, 4)]
    assert arrays["values"].tolist() == [
        [pixel(program.spec, program.pixel_gain, program.pixel_offset, x) for x in run.x]
        for run in runs]
    assert arrays["values"].dtype == np.uint8
    assert arrays["saturations"] == report["saturations"] == sum(r.saturations for r in runs)
    assert arrays["program"] == report["program"] == program.digest
    assert [int(arrays[name]) for name in ("seed", "first", "count")] == [7, 2, 3]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["S.npz", "small.pendula"]


def test_raw_states(model, drawn, tmp_path):
    _, program = model
    with np.load(tmp_path / "whole.npz") as file:
        values = file["values"]
    assert values.dtype == np.int32
    assert values[:5].tolist() == [run_sample(program, 5, index).x for index in range(5)]


def fail_after(monkeypatch, calls: int, error: BaseException) -> None:
    """Make the device fail after some calls of sample()."""
    made = []

    def limited_device(url: str):
        device = open_device(url)
        draw = device.sample

        def limited(*arguments, **options):
            made.append(1)
            if len(made) > calls:
                raise error
            return draw(*arguments, **options)

        monkeypatch.setattr(device, "sample", limited)
        return device

    monkeypatch.setattr("pendula.cli.sample.open_device", limited_device)


@pytest.mark.parametrize("cut", [0, 1, 30])
def test_an_interrupted_run_goes_on_and_ends_with_the_same_file(monkeypatch, drawn, tmp_path, cut):
    whole, arguments = drawn
    output = tmp_path / "S.npz"
    partial = tmp_path / "S.npz.partial"
    with monkeypatch.context() as patch:
        fail_after(patch, 2, KeyboardInterrupt())
        code, _, err = run(*arguments, output)
    assert code == 130
    assert "48 of 100 samples are kept" in err
    assert err.endswith("pendula: interrupted\n")
    assert not output.exists()
    partial.write_bytes(partial.read_bytes()[:-cut or None])      # killed while it wrote
    drawn_again = []
    original = AbstractDevice.sample
    monkeypatch.setattr(AbstractDevice, "sample",
                        lambda self, n, **o: drawn_again.append(n) or original(self, n, **o))
    assert run(*arguments, output)[0] == 0
    assert sum(drawn_again) == (52 if cut == 0 else 84)
    assert output.read_bytes() == whole
    assert not partial.exists()


def test_a_damaged_record_is_drawn_again(monkeypatch, drawn, tmp_path):
    whole, arguments = drawn
    partial = tmp_path / "S.npz.partial"
    with monkeypatch.context() as patch:
        fail_after(patch, 2, KeyboardInterrupt())
        run(*arguments, tmp_path / "S.npz")
    content = bytearray(partial.read_bytes())
    content[-5] ^= 1
    partial.write_bytes(content)
    assert run(*arguments, tmp_path / "S.npz")[0] == 0
    assert (tmp_path / "S.npz").read_bytes() == whole


@pytest.mark.parametrize("change", [["--seed", "6"], ["--first", "1"], ["-n", "99"],
                                    ["--hidden"], ["--device", "float://"]])
def test_samples_of_another_run_are_refused(monkeypatch, drawn, tmp_path, change):
    _, arguments = drawn
    partial = tmp_path / "S.npz.partial"
    with monkeypatch.context() as patch:
        fail_after(patch, 1, KeyboardInterrupt())
        run(*arguments, tmp_path / "S.npz")
    before = partial.read_bytes()
    code, _, err = run(*arguments, tmp_path / "S.npz", *change)
    assert code == 2
    assert "S.npz.partial must hold samples of" in err
    assert partial.read_bytes() == before


def test_samples_of_another_model_are_refused(monkeypatch, drawn, model, tmp_path):
    _, arguments = drawn
    path, program = model
    with monkeypatch.context() as patch:
        fail_after(patch, 1, KeyboardInterrupt())
        run(*arguments, tmp_path / "S.npz")
    save(random_program(program.spec, np.random.default_rng(1)), path)
    code, _, err = run(*arguments, tmp_path / "S.npz")
    assert (code, "must hold samples of" in err) == (2, True)


def test_a_foreign_partial_file_is_left_alone(drawn, tmp_path):
    _, arguments = drawn
    partial = tmp_path / "S.npz.partial"
    partial.write_bytes(b"my diary")
    code, _, err = run(*arguments, tmp_path / "S.npz")
    assert (code, "not of something else" in err) == (2, True)
    assert partial.read_bytes() == b"my diary"


def test_a_failed_run_without_samples_leaves_nothing(monkeypatch, model, tmp_path):
    path, _ = model
    fail_after(monkeypatch, 0, ConnectionError("gone"))
    code, _, err = run("sample", path, "--device", "twin://", "-o", tmp_path / "S.npz")
    assert (code, err) == (2, "pendula: error: system: gone\n")
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_an_output_that_cannot_be_written_is_noticed_before_the_run(model, tmp_path):
    path, _ = model
    code, _, err = run("sample", path, "-o", tmp_path / "nowhere" / "S.npz")
    assert (code, f"folder {tmp_path / 'nowhere'} must exist" in err) == (2, True)


JITTER = ["--device", "pysim://?jitter=model", "--seed", "jitter", "-n", 2]


def test_a_drawn_seed_is_printed_and_kept_and_repeats_the_run(model, tmp_path):
    path, _ = model
    drawn, again = tmp_path / "drawn.npz", tmp_path / "again.npz"
    code, out, err = run("sample", path, *JITTER, "-o", drawn, "--json")
    seed = json.loads(out)["seed"]
    _, expected = draw_seed([*islice(model_bits(), RAW_BITS)])
    assert (code, seed) == (0, expected)
    assert err == f"Seed {seed}, drawn from jitter; --seed {seed} repeats this run\n"
    assert run("sample", path, "--device", "twin://", "--seed", seed, "-n", 2, "-o", again)[0] == 0
    with np.load(drawn) as first, np.load(again) as second:
        assert int(first["seed"]) == seed
        differ = {name for name in first if not np.array_equal(first[name], second[name])}
    assert differ == {"device"}


def test_the_seed_of_every_run_is_reported(model, tmp_path):
    path, _ = model
    out = run("sample", path, "--device", "twin://", "--seed", 7, "-n", 1, "-o",
              tmp_path / "S.npz")[1]
    assert "seed 7" in [" ".join(line.split()) for line in out.splitlines()]


def test_an_interrupted_run_says_how_it_goes_on_with_the_drawn_seed(monkeypatch, model, tmp_path):
    path, _ = model
    output = tmp_path / "S.npz"
    with monkeypatch.context() as patch:
        fail_after(patch, 1, KeyboardInterrupt())
        code, _, err = run("sample", path, *JITTER[:-1], 20, "-o", output)
    assert code == 130
    seed = err.split()[1].rstrip(",")
    assert f"16 of 20 samples are kept in {output}.partial; " in err
    assert f"the same command with --seed {seed} goes on from there" in err
    assert run("sample", path, "--device", "pysim://?jitter=model", "--seed", seed, "-n", 20, "-o",
               output)[0] == 0


@pytest.mark.parametrize("url", ["float://", "twin://", "pysim://"])
def test_a_device_without_a_seeder_is_told_apart(model, tmp_path, url):
    path, _ = model
    code, out, err = run("sample", path, "--device", url, "--seed", "jitter", "-o",
                         tmp_path / "S.npz")
    assert (code, out) == (2, "")
    assert f"{url} has none: give a seed, or open a device with a seeder" in err
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for a child")
def test_ctrl_c_of_a_real_run(model, tmp_path):
    path, _ = model
    output = tmp_path / "S.npz"
    partial = Path(f"{output}.partial")
    arguments = [sys.executable, "-m", "pendula", "sample", str(path), "--device", "twin://",
                 "-n", "100000000", "-o", str(output)]
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        while not (partial.exists() and partial.stat().st_size > 1000):
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate()        # the suite's timeout ends a hang
    finally:
        process.kill()
    assert process.returncode == 130, err
    assert out == ""
    assert "100000000 samples are kept in" in err
    assert "Traceback" not in err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["S.npz.partial", "small.pendula"]
