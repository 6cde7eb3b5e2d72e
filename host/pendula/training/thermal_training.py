"""Train the sparse version of Whitelam's system: from one image each of a few digits."""

import os
from collections.abc import Callable
from dataclasses import asdict

import numpy as np

import pendula
from pendula.contract import OffsetGraph
from pendula.contract.graph import cells
from pendula.contract.noise import check_seed
from pendula.program import Program
from pendula.training.data import FloatArray, load_images
from pendula.training.reverse import Couplings, Thermodynamics, learn
from pendula.training.thermal import bonded_pairs, thermal_program
from pendula.training.thermal_presets import ThermalPreset

__all__ = ["first_patterns", "learn_thermal", "thermal_graph", "train_thermal"]

_LINK_SEED = 0
_ACROSS = 0.75      # share of the links that join visible and hidden nodes


def first_patterns(folder: str | os.PathLike[str] | None, digits: int) -> FloatArray:
    """Return the first image of each digit of MNIST, with zero mean and unit variance."""
    images = load_images("mnist", folder)
    first = [images.train[images.train_labels == digit][0] for digit in range(digits)]
    return np.stack([(image - image.mean()) / image.std() for image in first])


def thermal_graph(preset: ThermalPreset) -> OffsetGraph:
    """Return cells of a visible and a hidden node, linked over random distances up to `reach`."""
    rng, side, reach = np.random.default_rng(_LINK_SEED), preset.side, preset.reach
    found: dict[int, tuple[int, int, int]] = {}
    while len(found) < preset.links:
        down, right = int(rng.integers(reach + 1)), int(rng.integers(-reach, reach + 1))
        onwards = int(rng.choice([-1, 1])) if len(found) < _ACROSS * preset.links else 0
        offset = (down * side + right) * 2 + onwards
        if offset and (down or right >= 0):
            found.setdefault(abs(offset), (down, right, onwards))
    return cells(side, side, 2, list(found.values()))


def learn_thermal(preset: ThermalPreset, folder: str | os.PathLike[str] | None, seed: int,
                  progress: Callable[[float], None] | None = None) -> Couplings:
    """Return the couplings in float, before they are rounded; see :func:`train_thermal`."""
    graph, patterns = thermal_graph(preset), first_patterns(folder, preset.digits)
    visible = np.arange(graph.nodes) % 2 == 0
    constants = Thermodynamics(step_val=preset.step_val, steps=preset.steps)
    fields = (constants.field_val * patterns[:, np.arange(graph.nodes) // 2]).astype(np.float32)
    return learn(fields, bonded_pairs(graph, visible), ~visible, preset.cycles,
                 seed=check_seed(seed), constants=constants, progress=progress)


def train_thermal(preset: ThermalPreset, *, data: str | os.PathLike[str] | None = None,
                  seed: int = 0, progress: Callable[[float], None] | None = None) -> Program:
    """Learn in float, and round to codes.

    Parameters
    ----------
    preset : ThermalPreset
        Images, array and schedule.
    data : path, optional
        Folder with the MNIST IDX files.
    seed : int
        64-bit seed of the noise.
    progress : callable, optional
        Called with the loss after each trajectory, ``preset.cycles * preset.digits`` times.

    Raises
    ------
    DataError
        If data are missing, or learning diverges.
    """
    couplings, graph = learn_thermal(preset, data, seed, progress), thermal_graph(preset)
    return thermal_program(
        couplings, graph, np.arange(graph.nodes) % 2 == 0,
        Thermodynamics(step_val=preset.step_val, steps=preset.steps), code_bits=preset.code_bits,
        largest=preset.largest, image_shape=(preset.side, preset.side),
        white_val=preset.white_val, provenance={
            "rule": "reverse trajectory", "preset": asdict(preset), "seed": seed,
            "data": {"name": preset.data, "images": preset.digits},
            "versions": {"pendula": pendula.__version__, "numpy": np.__version__}})
