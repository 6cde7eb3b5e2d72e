"""The float model on the array's own draws: near the twin, sample by sample."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from pendula.contract import PHYSICS, ArraySpec, InitialState
from pendula.contract.gaussian import GAUSSIAN_LAW
from pendula.contract.noise import SIGMA_RAW
from pendula.device import open_device
from pendula.errors import UrlError
from pendula.program import Program, random_program
from pendula.references import LinearNetwork
from pendula.twin.draws import ArrayDraws, OwnDraws, Refinement
from reference_systems import linear_network
from relaxing import relaxing_program

SPEC = ArraySpec(physics=PHYSICS["quartic"], nodes=40, offsets=(1,))


def draw(program: Program, url: str, count: int = 200, seed: int = 3) -> np.ndarray:
    with open_device(url) as device:
        device.load(program)
        values = device.sample(count, seed=seed, hidden=True).values
    return values if values.dtype.kind == "f" else program.states_val(values)


@pytest.mark.parametrize("initial", [InitialState.UNIFORM, InitialState.GAUSSIAN,
                                     InitialState.ZERO])
@pytest.mark.parametrize("physics", list(PHYSICS))
def test_rounded_model_on_the_arrays_noise_is_the_twin(physics, initial):
    """But for ties of the rounding: products of reals are a little off those of integers."""
    base = relaxing_program(physics, initial=initial)
    program = replace(base, noise_gain=base.noise_gain * [0, 1])     # a segment without noise
    unit = 2.0**program.spec.state.f_bits
    found = draw(program, "float://?noise=array&states=rounded")
    expected = draw(program, "twin://")
    off = np.abs(found - expected) * unit
    assert np.all(found * unit == np.rint(found * unit))
    assert (off == 0).mean() > 0.98
    other = draw(program, "float://?noise=array&states=rounded", seed=4)
    assert (np.abs(other - expected) * unit > 1).mean() > 0.9


def test_clamped_nodes_leave_the_draws_of_the_others_alone():
    program = relaxing_program()
    spec = program.spec
    values = []
    for url in ("float://?noise=array&states=rounded", "twin://"):
        with open_device(url) as device:
            device.load(program)
            device.set_nodes(np.full(spec.nodes, 1000), np.arange(spec.nodes) == 3)
            values.append(device.sample(50, seed=1).values * (2.0**spec.state.f_bits
                                                              if "float" in url else 1))
    assert (values[0] == values[1]).mean() > 0.98
    assert np.all(values[0][:, 3] == 1000)


def test_ideal_draws_are_normal_and_near():
    array, ideal = (ArrayDraws(SPEC, 5, range(500), 30, ideal=flag) for flag in (False, True))
    both = [np.array([draws.normals() for _ in range(30)]) for draws in (array, ideal)]
    assert np.all(both[0] * SIGMA_RAW == np.rint(both[0] * SIGMA_RAW))
    assert stats.kstest(both[1].ravel(), "norm").pvalue > 0.01
    assert stats.kstest(both[0].ravel() + 2 / SIGMA_RAW, "norm").pvalue < 0.01  # it can tell
    middle = np.abs(both[0]) < 3
    assert np.abs(both[1] - both[0])[middle].max() < 1 / SIGMA_RAW
    assert len(np.unique(both[1])) == both[1].size


def test_ideal_draws_reach_beyond_the_last_raw_value():
    assert GAUSSIAN_LAW.reach.hi / SIGMA_RAW < 6.7
    draws = ArrayDraws(SPEC, 5, range(4), 1, ideal=True)
    draws._raw.fill(-GAUSSIAN_LAW.reach.hi)
    assert draws._spread
    low = draws._ideal(draws._spread)
    assert np.isfinite(low).all()
    assert low.max() < -6


def test_halves_of_a_step_are_independent_normals_that_add_up():
    refinement, own = Refinement(1, range(2000), 20, 2), OwnDraws(1, range(2000), 20)
    whole = own.normals()
    parts = np.array(refinement.split(whole))
    assert np.allclose(parts.sum(axis=0) / 2, whole)
    correlation = np.corrcoef(parts.reshape(4, -1))
    assert np.abs(correlation - np.eye(4)).max() < 4 / np.sqrt(40_000)
    assert stats.kstest(parts[2].ravel(), "norm").pvalue > 0.01
    coarse = np.array(Refinement(1, range(2000), 20, 1).split(whole))
    assert np.allclose((parts[0] + parts[1]) / np.sqrt(2), coarse[0])


@pytest.mark.parametrize("halvings", [0, 2])
def test_halved_steps_have_their_own_law(halvings):
    program = linear_network(20)
    network = LinearNetwork.of(program)
    fine = LinearNetwork(network.drift / 2**halvings, network.noise_val / 2 ** (halvings / 2))
    expected = np.diag(fine.euler_covariance(20 * 2**halvings))
    x = draw(program, f"float://?functions=exact&halvings={halvings}", 2000)
    assert (x**2).mean(axis=0) == pytest.approx(expected, rel=0.15)
    assert (x**2).mean() == pytest.approx(expected.mean(), rel=4 * np.sqrt(2 / x.size))
    assert np.diag(network.euler_covariance(20)).mean() / expected.mean() - 1 == pytest.approx(
        0.11 if halvings else 0, abs=0.03)


def test_along_one_path_coarse_and_fine_steps_stay_near():
    program = linear_network(20)
    coarse, fine, other = (draw(program, f"float://?functions=exact&halvings={halvings}", seed=seed)
                           for halvings, seed in ((0, 3), (2, 3), (2, 4)))
    assert np.corrcoef(coarse.ravel(), fine.ravel())[0, 1] > 0.97
    assert abs(np.corrcoef(coarse.ravel(), other.ravel())[0, 1]) < 0.06


def test_steps_without_noise_are_halved_too():
    program = random_program(SPEC, np.random.default_rng(1), noisy=False)
    assert not np.array_equal(draw(program, "float://", 1), draw(program, "float://?halvings=1", 1))


@pytest.mark.parametrize(("option", "message"), [
    ("noise=none", "noise must be own, array or ideal, not 'none'"),
    ("states=int", "states must be real or rounded, not 'int'"),
    ("halvings=9", "halvings must be 0, 1, 2, 3 or 4, not '9'"),
])
def test_options_are_checked(option, message):
    with pytest.raises(UrlError, match=message):
        open_device(f"float://?{option}")
