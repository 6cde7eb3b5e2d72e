"""The whole chain once: train, load, sample, compare, report."""

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pendula import modelfile, samplefile
from pendula.comparison import Comparison, Side, compare
from pendula.contract.step import PIXEL_HI
from pendula.device import Progress, open_device
from pendula.errors import PendulaError
from pendula.metrics import Power, Score, TwoSample, image_scores
from pendula.program import Program
from pendula.report import Figure, Grid, state_images, write_report
from pendula.training import get_preset, train
from pendula.training.data import Images

__all__ = ["Demo", "Stage", "demo"]

Stage = Callable[[str, int], Progress]
"""Called with a stage's name and its number of items; returns what advances it."""

PRESET = "digits"
MODEL_FILE, SAMPLES_FILE, REPORT_FILE = "digits.pendula", "samples.npz", "report.html"
LAW_FACTOR = 16          # samples for the comparison of laws, in units of those of the device
LAW_LEAST = 512


@dataclass(frozen=True, eq=False, kw_only=True)
class Demo:
    """What :func:`demo` found.

    Parameters
    ----------
    program : Program
        Trained model.
    bits : Comparison
        Device against twin, same seed: bit for bit.
    law : Comparison
        Twin against float model: in distribution.
    scores : tuple of Score
        Energy distances to held-out images, with floor and controls.
    figures : tuple of Figure
        What one should see.
    folder : Path
        Where model, samples and report were written.
    """

    program: Program
    bits: Comparison
    law: Comparison
    scores: tuple[Score, ...]
    figures: tuple[Figure, ...]
    folder: Path

    @property
    def equal(self) -> bool:
        """Whether bits and law agree."""
        return self.bits.equal and self.law.equal

    def to_dict(self) -> dict[str, Any]:
        """Return everything but samples and program as data that JSON can hold."""
        return {"equal": self.equal, "bits": self.bits.to_dict(), "law": self.law.to_dict(),
                "scores": [asdict(score) for score in self.scores],
                "figures": [asdict(figure) for figure in self.figures],
                "program": self.program.digest, "folder": str(self.folder)}


def demo(folder: str | os.PathLike[str] = ".", *, url: str = "verilator://", count: int = 256,
         seed: int = 1, stage: Stage | None = None) -> Demo:
    """Train on the built-in digits, run the gateware, and show that it draws what it should.

    Parameters
    ----------
    folder : path-like
        Gets ``digits.pendula``, ``samples.npz`` and ``report.html``.
    url : str
        Device that runs the model; must be exact.
    count : int
        Samples to draw from it.
    seed : int
        Seed of training and samples.
    stage : callable, optional
        Told what begins; see :data:`Stage`.

    Raises
    ------
    PendulaError
        If a part of the chain cannot run.
    OSError
        If a file cannot be written.
    """
    target = Path(folder)
    if not target.is_dir():
        raise PendulaError(f"folder must exist, not {str(target)!r}")
    begin = stage or (lambda _name, _total: lambda _done: None)
    preset = get_preset(PRESET)
    start = time.perf_counter()
    program = train(preset, seed=seed, progress=begin("train on the digits", preset.segments + 1))
    train_s = time.perf_counter() - start
    modelfile.save(program, target / MODEL_FILE)
    law_count = max(LAW_LEAST, LAW_FACTOR * count)
    with open_device(url) as device, open_device("twin://") as twin:
        bits = compare(program, device, twin, count=count, seed=seed, mode="exact",
                       progress=begin("device and twin: compare bits", 2 * count))
        law = compare(program, twin, "float://", count=law_count, seed=seed + 1,
                      progress=begin("twin and float model: compare laws", 2 * law_count))
        pixels = device.sample(count, seed=seed, pixels=True,
                               progress=begin("draw the samples to keep", count))
    begin("score and report", 1)
    samplefile.save(target / SAMPLES_FILE, pixels.values, seed=pixels.request.seed,
                    program=program.digest, image_shape=program.image_shape or ())
    images = preset.load(None)
    scores = _score(program, bits, law, images, seed)
    found = Demo(program=program, bits=bits, law=law, scores=scores, folder=target,
                 figures=tuple(_figures(program, bits, law, train_s)))
    again = f"pendula demo --device {bits.device.url} -n {count} --seed {seed}"
    _write_report(found, images, again)
    return found


def _score(program: Program, bits: Comparison, law: Comparison, images: Images,
           seed: int) -> tuple[Score, ...]:
    def pixels(side: Side) -> npt.NDArray[np.float64]:
        pictures = state_images(program, side.states_val)
        return pictures.reshape(len(pictures), -1) / PIXEL_HI

    samples = {bits.device.url: pixels(bits.device), law.device.url: pixels(law.device),
               law.against.url: pixels(law.against)}
    return image_scores(samples, train=images.train, held_out=images.held_out, seed=seed)


def _figures(program: Program, bits: Comparison, law: Comparison,
             train_s: float) -> Iterator[Figure]:
    device, nodes = bits.device, program.spec.nodes
    updates = bits.count * nodes * (program.total_steps + 1)
    codes = np.abs(program.codes)[:, np.array(program.graph.mask)]
    yield Figure(name="training, from images to 4-bit codes", value=train_s, unit="s")
    yield Figure(name="codes other than 0", value=100 * float((codes > 0).mean()), unit="%",
                 note=f"of {codes.size} couplings in {program.segments} time segments")
    yield Figure(name="steps of a sample", value=program.total_steps)
    yield Figure(name="states compared bit for bit", value=bits.count * nodes,
                 note="equal" if bits.equal else "not equal")
    yield Figure(name="saturated node updates", value=device.saturations,
                 note=f"of {updates}")
    if device.cycles:
        yield Figure(name="clock cycles of a sample", value=device.cycles / bits.count,
                     note=f"{updates / device.cycles:.3f} nodes a cycle, readout included")
    yield Figure(name="mean shift found with probability "
                      f"{_power(law).probability:g} if it were there",
                 value=_power(law).mean_shift_sd, unit="standard deviations",
                 note=f"twin against float model, {law.count} samples each")


def _power(law: Comparison) -> Power:
    assert isinstance(law.outcome, TwoSample)       # noqa: S101 (float:// is never exact)
    return law.outcome.power[0]


def _write_report(found: Demo, images: Images, command: str) -> None:
    program, sides = found.program, (found.bits.device, found.law.device, found.law.against)
    grids = [Grid(title=side.url, images=state_images(program, side.states_val)) for side in sides]
    shown = np.rint(images.held_out * PIXEL_HI).astype(np.uint8).reshape(-1, *images.shape)
    grids.append(Grid(title="held-out data", images=shown, note="never seen in training"))
    write_report(
        found.folder / REPORT_FILE, title="Pendula: the whole chain once", program=program,
        comparisons=(found.bits, found.law), grids=grids, figures=found.figures,
        scores=found.scores, command=command,
        summary="An oscillator array was trained on 8x8 digits, quantised to 4 bits, loaded into "
                "its gateware and sampled; the samples were held against the integer twin, the "
                "float model and the data.")
