"""What every rule of a preset shares: its array, and the program from the codes of each segment."""

from typing import Any

import numpy as np

from pendula.contract import ArraySpec, InitialState, OffsetGraph, grid
from pendula.contract.physics import QUARTIC
from pendula.program import Program, pixel_map
from pendula.training.force_matching import schedule
from pendula.training.presets import Preset
from pendula.training.quantise import Quantised

__all__ = ["assemble", "make_array"]


def make_array(preset: Preset, shape: tuple[int, int]) -> tuple[ArraySpec, OffsetGraph]:
    """Return the array of a preset for pictures of a shape."""
    graph = grid(*shape, preset.radius)
    spec = ArraySpec(physics=QUARTIC, nodes=graph.nodes, offsets=graph.offsets,
                     code_bits=preset.code_bits, local_code_bits=preset.local_code_bits)
    return spec, graph


def assemble(preset: Preset, spec: ArraySpec, graph: OffsetGraph, shape: tuple[int, int],
             found: list[Quantised], provenance: dict[str, Any]) -> Program:
    """Return the program that runs the codes of a preset's segments, one after another."""
    noise_unit, stretches = spec.noise_term.unit_val, schedule(preset)
    noise_gain = np.array([stretch.sigma_val / noise_unit for stretch in stretches])
    unrounded, K = np.stack([one.unrounded for one in found]), len(spec.offsets)
    return Program(
        spec=spec, graph=graph,
        codes=np.stack([one.codes for one in found]),
        local_codes=np.stack([one.local_codes for one in found]),
        steps=np.array([stretch.steps for stretch in stretches]),
        coupling_gain=np.array([one.coupling_gain for one in found]),
        local_gains=np.stack([one.local_gains for one in found]),
        noise_gain=np.rint(noise_gain).astype(np.int64),
        visible=np.ones(spec.nodes, dtype=bool),
        initial=InitialState.GAUSSIAN, initial_gain=round(preset.spread_val / noise_unit),
        **pixel_map(spec, -preset.white_val, preset.white_val),
        image_shape=shape, provenance=provenance,
        unrounded={"codes": unrounded[:, :, :K], "local_codes": unrounded[:, :, K:],
                   "noise_gain": noise_gain})
