"""What every statistic takes: real samples, one a row."""

import numpy as np
import numpy.typing as npt

from pendula.errors import DataError

__all__ = ["FloatArray", "IndexArray", "check_pair", "check_samples"]

FloatArray = npt.NDArray[np.float64]
IndexArray = npt.NDArray[np.intp]

_LEAST = 4      # samples without which no spread can be estimated


def check_samples(name: str, value: npt.ArrayLike) -> FloatArray:
    """Return `value` as float64 samples of shape (n, V), in the order they were drawn.

    Raises
    ------
    DataError
        If there are fewer than four samples, no variable, or a number that is not finite.
    """
    samples = np.asarray(value, dtype=np.float64)
    if samples.ndim != 2 or len(samples) < _LEAST or not samples.shape[1]:
        raise DataError(f"{name} must have shape (n, V) with n >= {_LEAST} and V >= 1, "
                        f"not {samples.shape}")
    if not np.isfinite(samples).all():
        row, column = (int(i) for i in np.argwhere(~np.isfinite(samples))[0])
        raise DataError(f"{name}[{row}, {column}] must be finite, not {samples[row, column]}")
    return samples


def check_pair(a: npt.ArrayLike, b: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Return two sets of samples of the same variables.

    Raises
    ------
    DataError
        If either is wrong, or they have different numbers of variables.
    """
    first, second = check_samples("a", a), check_samples("b", b)
    if first.shape[1] != second.shape[1]:
        raise DataError(f"a and b must have equally many variables, "
                        f"not {first.shape[1]} and {second.shape[1]}")
    return first, second
