"""Frechet distance over Inception's features, for those who have its weights.

torch-fidelity (``pip install 'pendula[fid]'``) computes it, in its TensorFlow-compatible
InceptionV3. Figures compare with others of the same protocol alone; :func:`protocol` states ours.
"""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pendula.errors import DataError
from pendula.extras import import_extra

__all__ = ["inception_distance", "protocol"]

_COLOURS = 3


def protocol(samples: int, reference: int) -> str:
    """Return in words how a distance was taken."""
    return (f"{samples} samples against {reference} training images; 8-bit grey in three equal "
            "channels, resized to 299x299 by torch-fidelity's inception-v3-compat, 2048 features")


def inception_distance(samples: npt.NDArray[np.uint8], reference: npt.NDArray[np.uint8],
                       weights: Path) -> float:
    """Return the Frechet distance of two sets of images, of shape (n, rows, columns) each.

    Parameters
    ----------
    samples, reference : array of uint8
        Images; 0 is black.
    weights : Path
        File ``weights-inception-2015-12-05-6726825d.pth`` of torch-fidelity.

    Raises
    ------
    DataError
        If there is no such file.
    MissingExtraError
        If torch-fidelity is not installed.
    """
    if not weights.is_file():
        raise DataError(f"weights must be a file of Inception's weights, not {str(weights)!r}")
    torch = import_extra("torch", "fid")
    fidelity = import_extra("torch_fidelity", "fid")

    class Colours(torch.utils.data.Dataset):
        """Grey images in three equal channels."""

        def __init__(self, images: npt.NDArray[np.uint8]) -> None:
            self.images = images

        def __len__(self) -> int:
            return len(self.images)

        def __getitem__(self, index: int) -> Any:
            return torch.from_numpy(np.repeat(self.images[index][None], _COLOURS, axis=0))

    found = fidelity.calculate_metrics(
        input1=Colours(samples), input2=Colours(reference), fid=True, verbose=False,
        cuda=torch.cuda.is_available(), feature_extractor_weights_path=str(weights))
    return float(found["frechet_inception_distance"])
