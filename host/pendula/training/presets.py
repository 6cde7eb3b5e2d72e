"""Presets: what ``pendula train NAME`` trains, and on which array."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pendula.errors import DataError
from pendula.training.data import Images, load_digits, load_mnist

__all__ = ["PRESETS", "Preset", "get_preset"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """A task and the array that learns it by force matching.

    Parameters
    ----------
    name, title : str
        Name on the command line, and what it is.
    images : callable
        Returns the images; its argument is the data folder, or None where the task needs none.
    needs_data : bool
        Whether the images come from a folder.
    radius : int
        Neighbourhood on the pixel grid.
    scale : float
        States x = (pixel - 1/2) * scale.
    segments, steps : int
        Noisy time segments, and steps of each; one noiseless step follows.
    first_a : float
        Share of the image in the state where the reverse process begins.
    last_ratio : float
        Noise-to-image ratio where the noisy segments end.
    draws : int
        Noised copies of each training image that a segment learns from.
    ridge : float
        Ridge penalty, relative to each feature's second moment.
    """

    name: str
    title: str
    images: Callable[[Path | None], Images]
    needs_data: bool
    radius: int = 2
    scale: float = 3.0
    segments: int = 12
    steps: int = 16
    first_a: float = 0.02
    last_ratio: float = 0.1
    draws: int = 8
    ridge: float = 1e-4

    def load(self, data: Path | None) -> Images:
        """Return the images.

        Raises
        ------
        DataError
            If the folder is missing or not wanted, or its files are damaged.
        """
        if self.needs_data and data is None:
            raise DataError(f"--data must name the folder with the files of {self.name}")
        if not self.needs_data and data is not None:
            raise DataError(f"--data must not be given for {self.name}, whose images are built in")
        return self.images(data)


def _digits(_: Path | None) -> Images:
    return load_digits()


def _mnist01(folder: Path | None) -> Images:
    assert folder is not None       # noqa: S101 (Preset.load has checked it)
    return load_mnist(folder, classes=(0, 1), side=12)


PRESETS = {preset.name: preset for preset in (
    Preset(name="digits", title="8x8 digits of scikit-learn, all ten classes", images=_digits,
           needs_data=False),
    Preset(name="mnist01-12", title="MNIST 0 and 1 at 12x12", images=_mnist01, needs_data=True,
           draws=1),
)}


def get_preset(name: str) -> Preset:
    """Return the preset called `name`.

    Raises
    ------
    DataError
        If there is none.
    """
    if name not in PRESETS:
        raise DataError(f"Preset must be one of {', '.join(PRESETS)}, not {name!r}")
    return PRESETS[name]
