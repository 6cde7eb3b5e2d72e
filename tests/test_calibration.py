"""Calibration: what is measured is what was built in."""

import numpy as np
import pytest

from pendula.calibration import calibrate
from pendula.contract import PHYSICS, ArraySpec, cells
from pendula.device import open_device
from pendula.mismatch import Mismatch
from pendula.program import Program, random_program

GRAPH = cells(6, 7, 2, [(0, 0, 1), (0, 1, 0), (1, 0, 0), (1, 0, 1)])
SIGMA = 0.05


def program(physics: str) -> Program:
    spec = ArraySpec(physics=PHYSICS[physics], nodes=GRAPH.nodes, offsets=GRAPH.offsets)
    return random_program(spec, np.random.default_rng(0), segments=2)


@pytest.mark.parametrize("url", ["float://?functions=exact", "float://", "twin://"])
@pytest.mark.parametrize("physics", PHYSICS)
def test_an_ideal_device_has_unit_gains_and_no_offsets(physics: str, url: str) -> None:
    described = PHYSICS[physics]
    with open_device(url) as device:
        found = calibrate(device, program(physics))
    rows = len(described.u) + 1 if described.u else 1
    ideal = np.eye(rows, described.rank + 1)
    ideal[described.rank:] = 0
    bound = 1e-9 if "exact" in url else 0.003          # tables: half a code of 127, averaged
    np.testing.assert_allclose(found.coupling, np.stack([ideal] * 2), atol=bound)
    np.testing.assert_allclose(found.local[..., 0], 1, atol=bound)
    np.testing.assert_allclose(found.local[..., 1], 0, atol=10 * bound)
    assert found.coupling_spread.max() < 3 * bound


def line(ideal: np.ndarray, real: np.ndarray) -> np.ndarray:
    """Return gain and offset of a real table, in units of its largest value."""
    largest = ideal.max()
    return np.polyfit(ideal / largest, real / largest, 1)


def test_it_finds_the_tables_and_gains_that_run() -> None:
    ideal = program("kuramoto")
    real = Mismatch(SIGMA, 3).program(ideal)
    with open_device(f"twin://?mismatch={SIGMA}&mismatch_seed=3") as device:
        found = calibrate(device, ideal)
    (a0, b0), (a1, b1), (c0, d0), (c1, d1) = (
        line(ideal.tables[name], real.tables[name]) for name in ("u0", "u1", "v0", "v1"))
    product = np.array([[a0 * c0, 0, a0 * d0], [0, a1 * c1, a1 * d1],
                        [b0 * c0, b1 * c1, b0 * d0 + b1 * d1]])
    edges = np.count_nonzero(GRAPH.mask)
    for s in range(ideal.segments):
        gain = found.coupling[s, 0, 0] / product[0, 0]
        assert 0 < abs(gain - 1) < 4 * SIGMA
        np.testing.assert_allclose(found.coupling[s], gain * product, atol=0.01)
    # The errors of the couplers themselves are what is left.
    assert abs(found.coupling_spread.mean() / SIGMA - 1) < 4 / np.sqrt(2 * edges) + 0.05


def test_segments_differ_by_their_gains() -> None:
    with open_device(f"twin://?mismatch={SIGMA}&mismatch_seed=3") as device:
        found = calibrate(device, program("kuramoto"))
    ratio = found.coupling[1] / found.coupling[0]
    large = abs(found.coupling[0]) > 0.5
    assert np.ptp(ratio[large]) < 1e-6 * 100
    assert abs(ratio[large].mean() - 1) > 0.005
