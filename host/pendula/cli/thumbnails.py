"""Small grey images in a terminal: two pixels a character, one above the other."""

import numpy as np
import numpy.typing as npt
from rich.color import Color
from rich.style import Style
from rich.text import Text

__all__ = ["thumbnails"]

_UPPER_HALF = "▀"
_GAP = 1        # blank columns between images


def thumbnails(images: npt.ArrayLike, width: int) -> Text:
    """Return as many images side by side as fit.

    Parameters
    ----------
    images : array of float, shape (n, rows, columns)
        Pixels from 0 (black) to 1 (white).
    width : int
        Characters in a line.
    """
    pixels = np.asarray(images, np.float64)
    shown = pixels[:max(1, width // (pixels.shape[2] + _GAP))]
    spaced = np.pad(shown, ((0, 0), (0, pixels.shape[1] % 2), (0, _GAP)))
    lines = np.rint(255 * np.clip(np.concatenate(list(spaced), axis=1), 0, 1)).astype(int)
    text = Text(no_wrap=True)
    for upper, lower in zip(lines[::2], lines[1::2], strict=True):
        for above, below in zip(upper, lower, strict=True):
            text.append(_UPPER_HALF, _style(above, below))
        text.append("\n")
    return text


def _style(above: int, below: int) -> Style:
    return Style(color=Color.from_rgb(above, above, above),
                 bgcolor=Color.from_rgb(below, below, below))
