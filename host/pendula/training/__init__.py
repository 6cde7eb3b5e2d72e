"""Training: from images to a program of small integer codes. Needs no device."""

import os
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

import pendula
from pendula.contract import ArraySpec, OffsetGraph
from pendula.contract.noise import check_seed
from pendula.program import Program
from pendula.training.assembly import assemble, make_array
from pendula.training.data import Images
from pendula.training.feedback import correct, moments, noisy_moments, run
from pendula.training.force_matching import (
    Fit,
    Stretch,
    feature_columns,
    fit_stretch,
    schedule,
)
from pendula.training.presets import PRESETS, Preset, get_preset
from pendula.training.quantise import Quantised, quantise

__all__ = ["PRESETS", "Images", "Preset", "get_preset", "train"]

Progress = Callable[[int], None]
"""Called with the number of segments finished since the last call."""


def train(preset: str | Preset, *, data: str | os.PathLike[str] | None = None, seed: int = 0,
          progress: Progress | None = None) -> Program:
    """Train a program by force matching with feedback, and quantise it.

    Parameters
    ----------
    preset : str or Preset
        What to learn, and on which array.
    data : path, optional
        Folder with the data set's files, where it does not come with a library.
    seed : int
        64-bit seed of the noise that the data are mixed with.
    progress : callable, optional
        Called with 1 after each segment, ``preset.segments + 1`` times.

    Returns
    -------
    Program
        Its provenance holds preset, seed, data hash, versions and losses.

    Raises
    ------
    DataError
        If the preset is unknown, or its data are missing or damaged.
    ContractError
        If the seed is no unsigned 64-bit integer.
    MissingExtraError
        If a library is missing.
    """
    preset = get_preset(preset) if isinstance(preset, str) else preset
    images = preset.load(data)
    spec, graph = make_array(preset, images.shape)
    stretches, fits, found = schedule(preset), [], []
    # One thread: the matrices are small, and the sums do not depend on the machine's cores.
    with threadpool_limits(1):
        for fit, codes in _segments(preset, images, spec, graph, stretches, check_seed(seed)):
            fits.append(fit)
            found.append(codes)
            if progress:
                progress(1)
    return assemble(preset, spec, graph, images.shape, found,
                    _provenance(preset, seed, images, stretches, fits, found))


def _segments(preset: Preset, images: Images, spec: ArraySpec, graph: OffsetGraph,
              stretches: list[Stretch], seed: int) -> Iterator[tuple[Fit, Quantised]]:
    """Yield the segments in the order in which the array runs them, each trained after the last."""
    columns, rng = feature_columns(spec, graph), np.random.default_rng(seed)
    data = ((2 * images.train - 1) * preset.white_val).astype(np.float32)
    shape = (preset.ensemble, spec.nodes)
    ensemble = rng.standard_normal(shape, dtype=np.float32) * np.float32(preset.spread_val)
    for stretch in stretches:
        fit = fit_stretch(spec, columns, data, stretch, draws=preset.draws, ridge=preset.ridge,
                          rng=rng)
        if stretch.sigma_val:
            contrast = noisy_moments(spec, columns, data, stretch, preset.ensemble, rng)
            contrast -= moments(spec, columns, ensemble)
            fit = correct(fit, contrast, stretch.steps, preset)
        codes = quantise(spec, fit)
        ensemble = run(spec, columns, ensemble, codes.coefficients, stretch, rng)
        yield fit, codes


def _provenance(preset: Preset, seed: int, images: Images, stretches: list[Stretch],
                fits: list[Fit], found: list[Quantised]) -> dict[str, Any]:
    """Return where a program comes from; the same call gives the same words."""
    return {
        "rule": "force matching with feedback" if preset.feedback else "force matching",
        "preset": asdict(preset),
        "seed": seed,
        "data": {"name": preset.data, "sha256": images.sha256, "images": len(images.train)},
        "versions": {"pendula": pendula.__version__, "numpy": np.__version__},
        "segments": [
            {"steps": stretch.steps,
             "signal": [round(float(a), 6) for a in stretch.signal[[0, -1]]],
             "power": _mean(fit.power), "loss": _mean(fit.loss), "excess": _mean(one.excess)}
            for stretch, fit, one in zip(stretches, fits, found, strict=True)],
    }


def _mean(values: Any) -> float:
    return float(f"{values.mean():.6g}")
