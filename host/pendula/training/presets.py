"""Named choices of data, array and schedule."""

import os
from dataclasses import dataclass

from pendula.errors import DataError
from pendula.training.data import Images, load_images

__all__ = ["PRESETS", "Preset", "get_preset"]


@dataclass(frozen=True, kw_only=True)
class Preset:
    """What is learnt, on which array, along which protocol.

    Parameters
    ----------
    name, summary : str
        Name on the command line, and one line about it.
    data : str
        One of :data:`pendula.training.data.DATASETS`.
    radius : int
        Nodes listen to all nodes within this many rows and columns of the picture.
    code_bits, local_code_bits : int
        Widths of the codes of couplings and of local terms.
    white_val : float
        State of a white pixel; black is its negative.
    spread_val : float
        Standard deviation of the noise alone, sqrt(D / k): where samples start.
    signal_lo, noise_lo_val : float
        The protocol begins where the data's share a of the state is `signal_lo`, and ends where the
        noise is `noise_lo_val` times the signal.
    segments, steps : int
        Noisy time segments, and steps of each; one step without noise follows.
    draws : int
        Noisy copies of every image, a segment.
    ridge, feedback_ridge : float
        Ridges of fit and feedback, in units of each feature's second moment.
    feedback : float
        Gain g of the feedback; 0 leaves the array to itself.
    ensemble : int
        States that run along for the feedback.
    """

    name: str
    summary: str
    data: str
    radius: int = 2
    code_bits: int = 4
    local_code_bits: int = 8
    white_val: float = 1.2
    spread_val: float = 0.6
    signal_lo: float = 0.02
    noise_lo_val: float = 0.06
    segments: int = 30
    steps: int = 16
    draws: int = 1
    ridge: float = 1e-4
    feedback: float = 0.5
    feedback_ridge: float = 0.3
    ensemble: int = 4000

    def load(self, folder: str | os.PathLike[str] | None = None) -> Images:
        """Return the images; see :func:`pendula.training.data.load_images`."""
        return load_images(self.data, folder)


PRESETS = {preset.name: preset for preset in (
    Preset(name="digits", summary="8x8 digits of scikit-learn, all ten classes", data="digits",
           draws=16),
    Preset(name="mixture-2d", summary="two Gaussians in two dimensions", data="mixture-2d",
           radius=1, draws=4, segments=20, steps=16, noise_lo_val=0.12),
    Preset(name="mnist01-12", summary="MNIST's zeros and ones, 12x12 (needs --data)",
           data="mnist01-12", radius=3, segments=20, ensemble=2000),
)}


def get_preset(name: str) -> Preset:
    """Return the preset called `name`.

    Raises
    ------
    DataError
        If there is none.
    """
    if name not in PRESETS:
        raise DataError(f"preset must be one of {', '.join(PRESETS)}, not {name!r}")
    return PRESETS[name]
