"""A whole training: updates, checkpoints, a log, and the program at the end."""

import itertools
import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
import numpy.typing as npt

import pendula
from pendula import modelfile
from pendula.contract.noise import check_seed
from pendula.device import AbstractDevice
from pendula.errors import CheckpointError, DivergenceError
from pendula.files import naming, replacing
from pendula.metrics.energy import energy_distance
from pendula.program import Program
from pendula.training.ais.checkpoint import read_checkpoint, write_checkpoint
from pendula.training.ais.codes import from_program
from pendula.training.ais.in_loop import DeviceSampler, calibrated_response
from pendula.training.ais.presets import AisPreset
from pendula.training.ais.trainer import Figures, Sampler, State, Trainer
from pendula.training.data import Images

__all__ = ["Progress", "Report", "checkpoint_path", "log_path", "train_ais"]

_JUDGED = 512       # samples and held-out images of a score

_RULES = {"critic": "Wasserstein distance on end states (AIS-like)",
          "drifting": "drifting of end states (AIS-like)"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Where a training stands.

    Parameters
    ----------
    update, updates : int
        Updates so far, and in all.
    distance, slope : float
        See :class:`pendula.training.ais.trainer.Figures`.
    energy : float or None
        Energy distance of samples to held-out images in pixels, at every checkpoint.
    samples : array of float, shape (n, rows, columns), or None
        Some of those samples, pixels from 0 to 1.
    """

    update: int
    updates: int
    distance: float
    slope: float
    energy: float | None = None
    samples: npt.NDArray[np.float32] | None = None


Progress = Callable[[Report], None]


def checkpoint_path(output: Path) -> Path:
    """Return where the training of a model file keeps its checkpoint."""
    return output.with_name(output.name + ".checkpoint")


def log_path(output: Path) -> Path:
    """Return where the training of a model file writes its log: JSON, one line a checkpoint."""
    return output.with_name(output.name + ".log.jsonl")


def train_ais(preset: AisPreset, images: Images, *, seed: int = 0, output: Path | None = None,
              resume: bool = False, start: Program | None = None,
              device: AbstractDevice | None = None,
              progress: Progress | None = None) -> Program:
    """Train an AIS-like program: codes against a critic of the end states.

    Parameters
    ----------
    preset : AisPreset
        What to train.
    images : Images
        What to learn.
    seed : int
        64-bit seed.
    output : path, optional
        Model file to write; checkpoint and log are kept beside it.
    resume : bool
        Whether to go on from that checkpoint.
    start : Program, optional
        Program to start from, made for the same array; random codes where not given.
    device : AbstractDevice, optional
        Device in the loop, which draws all samples; its response is measured first.
    progress : callable, optional
        Told where the training stands after each update.

    Returns
    -------
    Program
        Of the running average of the codes. A training that was killed and resumed gives the same
        program as one that was not.

    Raises
    ------
    CheckpointError
        If there is a checkpoint and `resume` is not set, or there is none that fits and it is.
    DivergenceError
        If a figure is no finite number; the message says where.
    ProgramError
        If `start` is for another array, or the array does not fit the device.
    """
    check_seed(seed)
    trainer = Trainer(preset, images, seed)
    first = trainer.first_state(None if start is None else from_program(trainer.shape, start))
    sampler: Sampler = trainer
    if device is not None:
        probe = trainer.program(first.latent)
        trainer = replace(trainer, response=calibrated_response(device, probe))
        sampler = DeviceSampler(trainer, device)
    identity = {**_identity(preset, images, seed), "in_loop": device.url if device else None,
                "start": start.digest if start else None}
    files = _Files(output, identity)
    state = files.open(first, resume)
    for now, report in _updates(trainer, sampler, state, files):
        state = now
        if progress:
            progress(report)
    versions = {"pendula": pendula.__version__, "numpy": np.__version__, "jax": jax.__version__}
    program = trainer.program(state.average, rule=_RULES[preset.loss], versions=versions,
                              **identity)
    files.finish(program)
    return program


def _updates(trainer: Trainer, sampler: Sampler, state: State, files: "_Files"
             ) -> Iterator[tuple[State, Report]]:
    preset, saved, start = trainer.preset, int(state.iteration), time.monotonic()
    while int(state.iteration) < preset.iterations:
        state, figures = trainer.advance(state, sampler)
        update = int(state.iteration)
        if not all(map(math.isfinite, figures)):
            raise DivergenceError(
                f"training must stay finite, not reach {figures.distance} (distance) and "
                f"{figures.slope} (slope) at update {update}: {files.kept(saved)}; "
                "take a lower rate")
        report = Report(update=update, updates=preset.iterations, distance=figures.distance,
                        slope=figures.slope)
        if update % preset.interval == 0 or update == preset.iterations:
            report = _judged(trainer, sampler, state, figures)
            files.keep(state, report, time.monotonic() - start)
            saved = update
        yield state, report


def _judged(trainer: Trainer, sampler: Sampler, state: State, figures: Figures) -> Report:
    """Return a report with a score, by samples and images that are the same whenever it is made."""
    ends = sampler.draw(state.average, jax.random.key(trainer.seed), _JUDGED)
    samples, held_out = np.asarray(trainer.pixels(ends), np.float64), trainer.images.held_out
    judges = np.random.default_rng(trainer.seed).permutation(len(held_out))[:_JUDGED]
    score = energy_distance(samples, held_out[judges])
    return Report(update=int(state.iteration), updates=trainer.preset.iterations,
                  distance=figures.distance, slope=figures.slope, energy=score.distance,
                  samples=samples[:16].reshape(-1, *trainer.images.shape).astype(np.float32))


def _identity(preset: AisPreset, images: Images, seed: int) -> dict[str, Any]:
    return {"preset": asdict(preset), "seed": seed,
            "data": {"name": preset.data, "sha256": images.sha256, "images": len(images.train)}}


class _Files:
    """Checkpoint and log beside a model file; nothing without one.

    Parameters
    ----------
    output : path or None
        The model file.
    identity : dict
        What a checkpoint must belong to.
    """

    def __init__(self, output: Path | None, identity: dict[str, Any]) -> None:
        self._output, self._identity = output, identity

    def open(self, state: State, resume: bool) -> State:
        """Return the state to go on from: `state`, or that of the checkpoint."""
        if self._output is None:
            return state
        checkpoint = checkpoint_path(self._output)
        if resume:
            state = read_checkpoint(checkpoint, self._identity, state)
        elif checkpoint.exists():
            raise CheckpointError(f"checkpoint {checkpoint} must be gone on from with --resume, "
                                  "or deleted")
        _trim(log_path(self._output), int(state.iteration))
        return state

    def keep(self, state: State, report: Report, seconds: float) -> None:
        """Write a line of the log, then the checkpoint."""
        if self._output is None:
            return
        line = {"update": report.update, "distance": report.distance, "slope": report.slope,
                "energy": report.energy, "seconds": round(seconds, 2)}
        path = log_path(self._output)
        with naming(path), path.open("a") as log:
            log.write(json.dumps(line) + "\n")
        write_checkpoint(checkpoint_path(self._output), self._identity, state)

    def kept(self, update: int) -> str:
        """Say what is kept of a training."""
        if self._output is None or not update:
            return "no checkpoint is kept"
        return f"update {update} is kept in {checkpoint_path(self._output)}"

    def finish(self, program: Program) -> None:
        """Write the model file, then delete the checkpoint."""
        if self._output is not None:
            modelfile.save(program, self._output)
            checkpoint_path(self._output).unlink(missing_ok=True)


def _trim(log: Path, update: int) -> None:
    """Drop what a killed training logged after its last checkpoint."""
    if not log.exists():
        return
    lines = log.read_text().splitlines() if update else []
    kept = itertools.takewhile(lambda line: _logged_update(line) <= update, lines)
    with replacing(log) as temporary:
        temporary.write_text("".join(f"{line}\n" for line in kept))


def _logged_update(line: str) -> float:
    """Return the update of a line; beyond all others where it was cut short."""
    try:
        return float(json.loads(line)["update"])
    except (ValueError, KeyError, TypeError):
        return math.inf
