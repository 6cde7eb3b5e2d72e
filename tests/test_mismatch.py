"""Devices whose parts are off: by how much, by which seed, and the same on every exact device."""

from dataclasses import replace

import numpy as np
import pytest

from pendula.contract import PHYSICS, ArraySpec, InitialState, cells
from pendula.device import open_device
from pendula.errors import ProgramError, UrlError
from pendula.mismatch import MISMATCH_HI, Mismatch
from pendula.program import Program, random_program
from rounding import unrounded

GRAPH = cells(4, 6, 2, [(0, 0, 1), (0, 1, 0), (1, 0, 0), (1, 0, 1)])
SIGMA = 0.05


def program(physics: str = "kuramoto") -> Program:
    spec = ArraySpec(physics=PHYSICS[physics], nodes=GRAPH.nodes, offsets=GRAPH.offsets)
    drawn = random_program(spec, np.random.default_rng(0), segments=3, steps=4, noisy=False)
    return replace(drawn, coupling_gain=abs(drawn.coupling_gain) + 4000,
                   local_gains=abs(drawn.local_gains) + 500)


def relative(real: np.ndarray, ideal: np.ndarray) -> np.ndarray:
    return real[ideal != 0] / ideal[ideal != 0] - 1


@pytest.mark.parametrize("physics", PHYSICS)
def test_couplings_are_off_by_sigma_and_by_the_same_in_all_segments(physics: str) -> None:
    ideal = program(physics)
    real = Mismatch(SIGMA, 1).program(ideal)
    # Divide a segment's common gain out; what is left is the part's own error.
    shares = real.coupling_val / np.where(ideal.codes == 0, np.nan, ideal.coupling_val)
    shares /= np.nanmedian(shares, axis=(1, 2), keepdims=True)
    large = np.where(abs(ideal.codes) >= 4, shares, np.nan)      # rounding is small beside these
    count = np.count_nonzero(~np.isnan(large))
    spread = np.nanstd(large)
    assert abs(spread / SIGMA - 1) < 4 / np.sqrt(count / ideal.segments)
    np.testing.assert_allclose(large[0][~np.isnan(large[0] + large[1])],
                               large[1][~np.isnan(large[0] + large[1])], atol=0.04)


def test_real_parameters_are_none_of_the_parts() -> None:
    with (open_device("float://?parameters=real&mismatch=0.05") as device,
          pytest.raises(ProgramError, match="must hold the real parameters")):
        device.load(unrounded(program()))


def test_tables_and_gains_are_off() -> None:
    ideal = program()
    real = Mismatch(SIGMA, 1).program(ideal)
    for name, table in real.tables.items():
        slope, offset = np.polyfit(ideal.tables[name], table, 1)
        assert 0.001 < abs(slope - 1) < 4 * SIGMA
        assert 0.001 < abs(offset) / ideal.tables[name].max() < 4 * SIGMA
    local = relative(real.local_val, ideal.local_val)
    assert 0.5 * SIGMA < np.median(abs(local)) < 2 * SIGMA


def test_no_mismatch_leaves_the_couplings_but_for_rounding() -> None:
    ideal = program()
    real = Mismatch(0.0, 1).program(ideal)
    # Half a wide code of 18 a code, and half a unit of a gain of 4000 / 18.
    assert abs(relative(real.coupling_val, ideal.coupling_val)).max() < 0.032
    np.testing.assert_array_equal(real.local_val, ideal.local_val)
    for name, table in real.tables.items():
        np.testing.assert_array_equal(table, ideal.tables[name])


def test_the_seed_fixes_the_parts() -> None:
    ideal = program()
    first, again, other = (Mismatch(SIGMA, seed).program(ideal).digest for seed in (1, 1, 2))
    assert first == again != other


def test_forces_keep_their_unit() -> None:
    ideal = program()
    states = np.random.default_rng(1).integers(-1000, 1000, (3, GRAPH.nodes))
    with open_device("twin://") as plain, open_device(f"twin://?mismatch={SIGMA}") as off:
        plain.load(ideal)
        off.load(ideal)
        right, found = plain.forces(states, segment=1), off.forces(states, segment=1)
        assert off.program.spec == ideal.spec
    assert (right != found).any()
    assert 0.9 < np.polyfit(right.ravel(), found.ravel(), 1)[0] < 1.1


@pytest.mark.verilator
def test_gateware_and_twin_are_off_by_the_same() -> None:
    ideal, seen = program(), []
    for url in ("twin://", "verilator://"):
        with open_device(f"{url}?mismatch={SIGMA}&mismatch_seed=3") as device:
            device.load(ideal)
            device.set_nodes(clamped=np.arange(GRAPH.nodes) == 5)
            seen.append(device.sample(4, seed=7, hidden=True).values)
            assert device.info()["mismatch"] == SIGMA
    np.testing.assert_array_equal(*seen)
    assert ideal.initial is InitialState.UNIFORM


@pytest.mark.parametrize(("query", "text"), [
    ("mismatch=much", "must be a number and an integer, not 'much'"),
    ("mismatch=0.5", f"mismatch must be within 0..{MISMATCH_HI}, not 0.5"),
    ("mismatch=nan", "mismatch must be within"),
    ("mismatch=0.1&mismatch_seed=-1", "mismatch_seed must be within"),
    ("mismatch_seed=1", "must come with mismatch"),
])
def test_bad_options_are_named(query: str, text: str) -> None:
    with pytest.raises(UrlError, match=text):
        open_device(f"twin://?{query}")
