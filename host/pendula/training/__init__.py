"""Training: from images to a program for an array."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import pendula
from pendula.contract import ArraySpec, InitialState, OffsetGraph, grid
from pendula.contract.physics import QUARTIC
from pendula.program import Program, pixel_map
from pendula.training.data import Images
from pendula.training.force_matching import SegmentFit, fit_segment, time_grid
from pendula.training.presets import PRESETS, Preset, get_preset
from pendula.training.quantise import SegmentCodes, quantise_segment

__all__ = ["PRESETS", "Preset", "get_preset", "train"]


def train(preset: str | Preset, *, data: str | Path | None = None, seed: int = 0,
          progress: Callable[[int], None] | None = None) -> Program:
    """Train a preset by force matching in closed form, and quantise it to the array's codes.

    Parameters
    ----------
    preset : str or Preset
        What to train: a name of :data:`PRESETS`, or a preset of your own.
    data : path-like, optional
        Folder with the images, for presets that need one.
    seed : int
        Seed of the noised images.
    progress : callable, optional
        Called with 1 after each time segment, ``preset.segments + 1`` times.

    Raises
    ------
    DataError
        If there is no such preset, or its data are missing or damaged.
    MissingExtraError
        If SciPy or scikit-learn is not installed.
    """
    chosen = get_preset(preset) if isinstance(preset, str) else preset
    images = chosen.load(None if data is None else Path(data))
    graph = grid(*images.shape, radius=chosen.radius)
    spec = ArraySpec(physics=QUARTIC, nodes=graph.nodes, offsets=graph.offsets)
    rng = np.random.default_rng(seed)
    states_val = (images.train - 0.5) * chosen.scale
    fits, codes = [], []
    for times in time_grid(chosen):
        fits.append(fit_segment(states_val, times, graph, chosen, rng))
        codes.append(quantise_segment(fits[-1], graph, spec))
        if progress is not None:
            progress(1)
    return _assemble(chosen, images, spec, graph, fits, codes, seed)


def _assemble(preset: Preset, images: Images, spec: ArraySpec, graph: OffsetGraph,
              fits: list[SegmentFit], codes: list[SegmentCodes], seed: int) -> Program:
    unit_variance = min(round(1 / spec.noise_term.unit_val), spec.gain.hi)
    return Program(
        spec=spec, graph=graph,
        codes=np.array([segment.codes for segment in codes]),
        local_codes=np.array([segment.local_codes for segment in codes]),
        steps=np.array([fit.steps for fit in fits]),
        coupling_gain=np.array([segment.coupling_gain for segment in codes]),
        local_gains=np.array([segment.local_gains for segment in codes]),
        noise_gain=np.array([segment.noise_gain for segment in codes]),
        visible=np.ones(spec.nodes, bool), image_shape=images.shape,
        initial=InitialState.GAUSSIAN, initial_gain=unit_variance,
        **pixel_map(spec, -preset.scale / 2, preset.scale / 2),
        provenance=_provenance(preset, images, fits, codes, seed))


def _provenance(preset: Preset, images: Images, fits: list[SegmentFit],
                codes: list[SegmentCodes], seed: int) -> dict[str, Any]:
    settings = {name: getattr(preset, name) for name in (
        "radius", "scale", "segments", "steps", "first_a", "last_ratio", "draws", "ridge")}
    return {
        "preset": preset.name, "rule": "force matching, closed form", "seed": seed,
        "images": len(images.train), "data_sha256": images.digest, "settings": settings,
        "pendula": pendula.__version__, "numpy": np.__version__,
        # mean square of what the force misses and of what quantisation adds, over the target's
        "unexplained": [round(fit.residual / fit.power, 6) for fit in fits],
        "quantisation": [round(segment.error, 6) for segment in codes],
    }
