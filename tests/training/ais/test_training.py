"""Whole trainings: reports, kill -9 and resume, divergence, a device in the loop."""

import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest

from pendula.device import open_device
from pendula.errors import CheckpointError, DivergenceError, ProgramError
from pendula.modelfile import load
from pendula.training.ais.array import states_after
from pendula.training.ais.presets import AIS_PRESETS, AisPreset
from pendula.training.ais.trainer import Trainer
from pendula.training.ais.training import Report, checkpoint_path, log_path, train_ais
from pendula.training.data import Images

TINY = replace(AIS_PRESETS["ais-digits-critic"], degree=4, segments=2, steps=2, iterations=12,
               interval=4, batch=16, critic=(16,), critic_steps=1)


@pytest.fixture(scope="module")
def images() -> Images:
    return TINY.load()


@pytest.fixture(scope="module")
def whole(images: Images, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model file of a training that nothing interrupted."""
    output = tmp_path_factory.mktemp("whole") / "m.pendula"
    train_ais(TINY, images, seed=3, output=output)
    return output


def test_it_reports_logs_and_cleans_up(images: Images, whole: Path) -> None:
    assert sorted(path.name for path in whole.parent.iterdir()) == [
        "m.pendula", "m.pendula.log.jsonl"]
    lines = [json.loads(line) for line in log_path(whole).read_text().splitlines()]
    assert [line["update"] for line in lines] == [4, 8, 12]
    assert all(line["energy"] > 0 and line["slope"] > 0 for line in lines)
    program = load(whole)
    assert program.provenance["seed"] == 3
    assert program.provenance["data"]["sha256"] == images.sha256
    assert (program.spec.code_bits, program.image_shape) == (4, (8, 8))


def start_training(output: Path) -> subprocess.Popen[bytes]:
    """Start the same training in a process that takes its time between updates."""
    script = f"""
import sys, time
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_training import TINY, Path, train_ais
train_ais(TINY, TINY.load(), seed=3, output=Path({str(output)!r}),
          progress=lambda report: time.sleep(0.5 if report.update > 4 else 0))
"""
    return subprocess.Popen([sys.executable, "-c", script])


def test_a_killed_training_ends_with_the_same_file(images: Images, whole: Path,
                                                   tmp_path: Path) -> None:
    output = tmp_path / "m.pendula"
    with start_training(output) as process:
        while not checkpoint_path(output).exists():
            assert process.poll() is None
            time.sleep(0.05)
        time.sleep(0.7)                 # beyond the checkpoint, before the next
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert not output.exists()
    with pytest.raises(CheckpointError, match="must be gone on from with --resume"):
        train_ais(TINY, images, seed=3, output=output)
    updates: list[int] = []
    train_ais(TINY, images, seed=3, output=output, resume=True,
              progress=lambda report: updates.append(report.update))
    assert updates[0] in (5, 9)         # at most an interval is lost
    assert output.read_bytes() == whole.read_bytes()
    assert [json.loads(line)["update"] for line in log_path(output).read_text().splitlines()] == [
        4, 8, 12]


def test_a_checkpoint_of_something_else_is_refused(images: Images, tmp_path: Path) -> None:
    output = tmp_path / "m.pendula"
    with pytest.raises(CheckpointError, match=r"must be readable: .*leave out --resume"):
        train_ais(TINY, images, output=output, resume=True)
    with pytest.raises(KeyboardInterrupt):
        train_ais(TINY, images, seed=3, output=output, progress=stop_after(5))
    for preset, seed, text in ((TINY, 4, "must have seed 4, not 3"),
                               (replace(TINY, rate=0.5), 3, "must have preset .*'rate': 0.5")):
        with pytest.raises(CheckpointError, match=text):
            train_ais(preset, images, seed=seed, output=output, resume=True)
    checkpoint = checkpoint_path(output)
    checkpoint.write_bytes(checkpoint.read_bytes()[:-9])
    with pytest.raises(CheckpointError, match="must be a whole safetensors file"):
        train_ais(TINY, images, seed=3, output=output, resume=True)


def stop_after(update: int):
    def stop(report: Report) -> None:
        if report.update == update:
            raise KeyboardInterrupt
    return stop


def test_divergence_stops_and_keeps_the_last_good_checkpoint(images: Images,
                                                             tmp_path: Path) -> None:
    output = tmp_path / "m.pendula"
    wild = replace(TINY, interval=1, rate=1e30)
    text = r"at update 2: update 1 is kept in .*checkpoint; take a lower rate"
    with pytest.raises(DivergenceError, match=text):
        train_ais(wild, images, output=output)
    assert not output.exists()
    with pytest.raises(DivergenceError, match="at update 2"):       # from the good one
        train_ais(wild, images, output=output, resume=True)


def test_it_learns_and_reports_every_update(images: Images) -> None:
    preset = replace(AIS_PRESETS["ais-digits-critic"], degree=8, iterations=120, interval=40)
    reports: list[Report] = []
    train_ais(preset, images, progress=reports.append)
    assert [report.update for report in reports] == list(range(1, 121))
    judged = [report for report in reports if report.energy is not None]
    assert [report.update for report in judged] == [40, 80, 120]
    assert all(report.samples is not None and report.samples.shape == (16, 8, 8)
               for report in judged)
    energies = [report.energy or 0 for report in judged]
    assert 0 < energies[-1] < 0.5 * energies[0]


# A device in the loop

@pytest.fixture(scope="module")
def in_loop() -> AisPreset:
    return replace(TINY, iterations=2, interval=2)


@pytest.mark.verilator
def test_gateware_in_the_loop_trains_what_the_twin_does(images: Images, in_loop: AisPreset) -> None:
    digests = []
    for url in ("twin://?mismatch=0.05", "verilator://?mismatch=0.05",
                "twin://?mismatch=0.05&mismatch_seed=1"):
        with open_device(url) as device:
            program = train_ais(in_loop, images, device=device)
        assert program.provenance["in_loop"] == url
        digests.append(program.digest)
    assert digests[0] == digests[1] != digests[2]


def test_without_mismatch_the_loop_is_nearly_the_surrogate(images: Images) -> None:
    """First states differ, since the device draws its own; the samples' law does not."""
    trainer = Trainer(TINY, images, 0)
    from pendula.training.ais.in_loop import DeviceSampler
    latent = trainer.first_state().latent
    with open_device("twin://") as device:
        states, ends = DeviceSampler(trainer, device).trace(latent, jax.random.key(1), 64)
    first = states[0]
    follow = states_after(trainer.shape, trainer._real(latent), first)[0]
    apart = abs(trainer.pixels(ends) - trainer.pixels(follow))
    assert float(apart.mean()) < 0.01
    assert abs(float(first.mean())) < 4 / np.sqrt(3 * first.size)


def test_a_program_can_be_trained_on(images: Images, whole: Path) -> None:
    still = replace(TINY, iterations=1, rate=0.0)
    again = train_ais(still, images, start=load(whole))
    np.testing.assert_array_equal(again.codes, load(whole).codes)
    np.testing.assert_array_equal(again.coupling_gain, load(whole).coupling_gain)
    with pytest.raises(ProgramError, match=r"must be for the array .* not for"):
        train_ais(replace(TINY, degree=6), images, start=load(whole))
