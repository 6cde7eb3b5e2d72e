"""Named choices of data, array and training for the AIS-like systems. Imports no JAX."""

import os
from dataclasses import dataclass
from functools import partial
from typing import Literal

from pendula.contract import ArraySpec, OffsetGraph, cells
from pendula.contract.physics import get_physics
from pendula.training.data import Images, load_images

__all__ = ["AIS_PRESETS", "LOOSE_GROWTH", "AisPreset", "links"]

LOOSE_GROWTH = 100.0
"""Largest growth of a sample's gradient in a preset's loose updates."""

# Rows down and columns right to cells that a node listens to, besides the opposite ones. Short
# links shape strokes, long ones let distant strokes agree within the few steps that there are.
_NEAR = ((0, 1), (1, 0), (1, 1), (1, -1))
_FAR = ((0, 3), (3, 0), (2, 2), (2, -2), (0, 5), (5, 0), (4, 4), (4, -4), (0, 2), (2, 0), (1, 2),
        (2, 1), (1, -2), (2, -1), (1, 3), (3, 1), (3, -1), (1, -3), (0, 4), (4, 0))


def links(cell: int, degree: int, columns: int) -> tuple[tuple[int, int, int], ...]:
    """Return the first links of cells with `cell` nodes that give every node `degree` neighbours.

    First come the other members of the cell, then all members of the next cells, then the same
    member of farther cells, then their other members. Cells farther than a row with `columns`
    cells can hold (:func:`pendula.contract.cells`) are left out.
    """
    widest = (columns - 1) // 2 - (cell > 1)
    beyond = [away for away in _FAR if abs(away[1]) <= widest]
    own = [(0, 0, onwards) for onwards in range(1, cell)]
    near = [(*away, onwards) for away in _NEAR for onwards in range(cell)]
    far = [(*away, onwards) for onwards in range(cell) for away in beyond]
    return tuple(own + near + far)[:degree // 2]


@dataclass(frozen=True, kw_only=True)
class AisPreset:
    """What is learnt, on which array, by which adversary.

    Parameters
    ----------
    name, summary : str
        Name on the command line, and one line about it.
    data : str
        One of :data:`pendula.training.data.DATASETS`.
    physics : str
        Physics of the nodes.
    hidden : int
        Hidden nodes a pixel.
    degree : int
        Neighbours of a node, an even number.
    segments, steps : int
        Time segments, and steps of each.
    code_bits, local_code_bits : int
        Widths of the codes of couplings and of local terms.
    coupling_val, local_val : float
        Standard deviation of the first couplings and local coefficients, in units of x a step.
    iterations : int
        Updates of the array.
    interval : int
        Updates between checkpoints.
    batch : int
        Images of one update.
    rate : float
        Learning rate of codes, in codes of 4 bits: codes of other widths move by the same share of
        their range.
    last_rate : float
        Learning rate after the last update, over `rate`; it falls in a line over the second half.
    gain_rate : float
        Learning rate of the logarithms of gains, over `rate`.
    rounded : bool
        Whether the forward pass takes rounded codes and gains; where not, those that were trained
        are rounded once, at the end.
    loss : str
        What end states follow: ``critic``, or ``drifting``
        (:mod:`pendula.training.ais.drifting`), which takes nothing of the critic.
    temperatures : tuple of float
        Of drifting.
    filters : int
        Random filters whose responses drift beside the pixels; none at 0.
    lyapunov : float
        Weight of the logarithm by which a small change of first states grows into one of pixels, a
        Lyapunov exponent over all steps; at 0 arrays turn chaotic.
    critic : tuple of int
        Widths of the critic's layers.
    critic_rate : float
        Its learning rate.
    critic_steps : int
        Its updates before each one of the array.
    penalty : float
        Weight of the gradient penalty.
    growth : float
        Largest growth of a sample's gradient on its way back through the array.
    loose : float
        Share of the updates, at the end, that let gradients grow to :data:`LOOSE_GROWTH`. It needs
        a calm array; samples between two kinds of image part there.
    average : float
        Share of the past in the running average of the latent codes, which becomes the program.
    """

    name: str
    summary: str
    data: str
    physics: str = "kuramoto"
    hidden: int = 1
    degree: int = 24
    segments: int = 4
    steps: int = 5
    code_bits: int = 4
    local_code_bits: int = 8
    coupling_val: float = 0.1
    local_val: float = 0.05
    iterations: int
    interval: int = 200
    batch: int = 64
    rate: float = 0.03
    last_rate: float = 0.05
    gain_rate: float = 1 / 3
    rounded: bool = True
    loss: Literal["critic", "drifting"] = "critic"
    temperatures: tuple[float, ...] = (0.05, 0.15, 0.4)
    filters: int = 0
    lyapunov: float = 0.0
    critic: tuple[int, ...] = (512, 256)
    critic_rate: float = 3e-4
    critic_steps: int = 3
    penalty: float = 10.0
    growth: float = 3.0
    loose: float = 0.0
    average: float = 0.99

    def load(self, folder: str | os.PathLike[str] | None = None) -> Images:
        """Return the images; see :func:`pendula.training.data.load_images`."""
        return load_images(self.data, folder)

    def graph(self, shape: tuple[int, int]) -> OffsetGraph:
        """Return the graph for images of a shape."""
        cell = 1 + self.hidden
        return cells(*shape, cell, links(cell, self.degree, shape[1]))

    def spec(self, graph: OffsetGraph) -> ArraySpec:
        """Return the array."""
        return ArraySpec(physics=get_physics(self.physics), nodes=graph.nodes,
                         offsets=graph.offsets, code_bits=self.code_bits,
                         local_code_bits=self.local_code_bits)


_drifting = partial(AisPreset, loss="drifting", batch=128, rate=0.05, steps=1, coupling_val=0.05,
                    critic=())
_weakly = partial(_drifting, batch=512, rate=0.1, gain_rate=1.0, coupling_val=0.01, interval=100,
                  last_rate=0.0, degree=36)
_calmly = partial(_weakly, filters=16, temperatures=(0.02, 0.05, 0.15, 0.4), loose=1 / 4)

AIS_PRESETS = {preset.name: preset for preset in (
    _calmly(name="ais-digits", summary="8x8 digits of scikit-learn, all ten classes",
            data="digits", segments=16, iterations=1500, lyapunov=1.0),
    AisPreset(name="ais-digits-critic", summary="The same digits, against a Wasserstein critic",
              data="digits", degree=16, iterations=1500, critic=(128, 64)),
    _calmly(name="ais-mnist01-12", summary="MNIST's zeros and ones, 12x12 (needs --data)",
            data="mnist01-12", segments=24, iterations=2400, lyapunov=4.0),
    _drifting(name="ais-mnist28", summary="MNIST, 28x28 (needs --data)",
              data="mnist", segments=16, iterations=5000, interval=100),
    _weakly(name="ais-fashion28", summary="Fashion-MNIST, 28x28 (needs --data)",
            data="fashion-mnist", segments=16, iterations=2400),
)}
