import numpy as np
import pytest

from pendula.errors import DataError
from pendula.metrics.samples import check_pair, check_samples


@pytest.mark.parametrize("value", [np.zeros(5), np.zeros((3, 2)), np.zeros((5, 0)),
                                   np.zeros((5, 2, 2))])
def test_shape_is_checked(value):
    with pytest.raises(DataError, match=r"a must have shape \(n, V\) with n >= 4 and V >= 1, not"):
        check_samples("a", value)


def test_first_number_that_is_not_finite_is_named():
    samples = np.zeros((5, 3))
    samples[2, 1] = np.nan
    with pytest.raises(DataError, match=r"b\[2, 1\] must be finite, not nan"):
        check_pair(np.zeros((5, 3)), samples)


def test_variables_must_agree():
    with pytest.raises(DataError, match="equally many variables, not 3 and 2"):
        check_pair(np.zeros((5, 3)), np.zeros((5, 2)))


def test_integers_become_reals():
    assert check_samples("a", np.ones((4, 1), np.int32)).dtype == np.float64
