"""Named choices for :mod:`pendula.training.thermal_training`."""

from dataclasses import dataclass

__all__ = ["THERMAL_PRESETS", "ThermalPreset"]


@dataclass(frozen=True, kw_only=True)
class ThermalPreset:
    """Digits that an array is taught to draw at constant couplings.

    Parameters
    ----------
    name, summary : str
        Name on the command line, and one line about it.
    data : str
        Data set that the images come from.
    digits : int
        The first image of each digit below this is learnt.
    side : int
        Rows and columns of an image; each pixel has a visible and a hidden node.
    links, reach : int
        Pairs of opposite offsets, and how many rows and columns they reach.
    code_bits : int
        Width of the coupling codes.
    largest : float
        The largest code stands for this share of the largest bond.
    step_val, steps : float, int
        Time step, and steps with and without couplings.
    cycles : int
        Times that every image is shown.
    white_val : float
        State that is shown white.
    """

    name: str
    summary: str
    data: str = "mnist"
    digits: int = 3
    side: int = 28
    links: int = 60
    reach: int = 12
    code_bits: int = 4
    largest: float = 0.5
    step_val: float = 0.01
    steps: int = 250
    cycles: int = 60
    white_val: float = 0.8


THERMAL_PRESETS = {preset.name: preset for preset in (
    ThermalPreset(name="whitelam-3", summary="one 0, one 1 and one 2 of MNIST, constant couplings "
                                             "(needs --data)"),
)}
