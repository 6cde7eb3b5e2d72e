"""Images in a terminal: every pixel at its place, in its grey."""

import numpy as np
from rich.color_triplet import ColorTriplet
from rich.text import Text

from pendula.cli.thumbnails import thumbnails


def greys(text: Text) -> np.ndarray:
    """Return the greys that a terminal would show, two rows a line."""
    cells = {}
    for span in text.spans:
        triplets = [getattr(span.style, name).triplet for name in ("color", "bgcolor")]
        assert all(isinstance(triplet, ColorTriplet) and len(set(triplet)) == 1
                   for triplet in triplets)
        cells[span.start] = [triplet.red for triplet in triplets]
    rows, position = [], 0
    for line in text.plain.splitlines():
        pairs = [cells[position + column] for column in range(len(line))]
        rows += list(zip(*pairs, strict=True))
        position += len(line) + 1
    return np.array(rows)


def test_pixels_stand_side_by_side() -> None:
    images = np.random.default_rng(0).random((2, 4, 3))
    shown = greys(thumbnails(images, 80))
    assert shown.shape == (4, 8)
    np.testing.assert_array_equal(shown[:, :3], np.rint(255 * images[0]))
    np.testing.assert_array_equal(shown[:, 4:7], np.rint(255 * images[1]))
    assert not shown[:, [3, 7]].any()


def test_as_many_as_fit_and_one_at_least() -> None:
    images = np.ones((5, 2, 6))
    for width, count in ((80, 5), (21, 3), (20, 2), (3, 1)):
        assert greys(thumbnails(images, width)).shape == (2, 7 * count)


def test_an_odd_number_of_rows_ends_in_black() -> None:
    shown = greys(thumbnails(np.ones((1, 3, 2)), 80))
    assert shown[:, 0].tolist() == [255, 255, 255, 0]
