"""Training as a whole: programs that draw what they were shown."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from pendula.contract import InitialState
from pendula.device import open_device
from pendula.errors import ContractError, DataError
from pendula.modelfile import load, save
from pendula.program import Program
from pendula.training import Preset, get_preset, train
from pendula.training.data import FloatArray, Images
from pendula.training.force_matching import schedule

QUICK = replace(get_preset("digits"), segments=4, steps=5, draws=1)


@dataclass(frozen=True, kw_only=True, eq=False)
class Toy(Preset):
    """Two pixels with data of our own, given as states."""

    name: str = "toy"
    summary: str = ""
    data: str = ""
    radius: int = 1
    white_val: float = 1.25
    draws: int = 4
    steps: int = 40
    code_bits: int = 8
    states: FloatArray = field(default_factory=lambda: np.zeros((0, 2)))

    def load(self, folder: object = None) -> Images:
        pixels = (self.states / self.white_val + 1) / 2
        labels = np.zeros(len(self.states), np.int64)
        return Images(shape=(1, 2), train=pixels, held_out=pixels, train_labels=labels,
                      held_out_labels=labels)


def draw(program: Program, count: int) -> FloatArray:
    with open_device("twin://") as device:
        device.load(program)
        batch = device.sample(count, seed=3)
        assert batch.saturations == 0
        return program.states_val(batch.values)


@pytest.fixture(autouse=True)
def _plain_provenance(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let presets hold arrays here: provenance is tested with the real ones."""
    from pendula import training
    real = training._provenance
    monkeypatch.setattr(training, "_provenance", lambda preset, *rest:
                        {} if isinstance(preset, Toy) else real(preset, *rest))


def test_gaussian_data_give_samples_of_their_covariance() -> None:
    covariance = np.array([[0.12, 0.08], [0.08, 0.12]])
    states = np.random.default_rng(0).multivariate_normal([0.1, -0.1], covariance, 20_000)
    toy = Toy(states=states)
    count = 4000
    samples = draw(train(toy), count)
    # The last step shows the mean of the data given the state, which varies less than the data.
    true = np.cov(states.T)
    shown = true @ np.linalg.inv(true + toy.noise_lo_val**2 * np.eye(2)) @ true
    found = np.cov(samples.T)
    error = np.sqrt((np.outer(np.diag(shown), np.diag(shown)) + shown**2) / count)
    assert (np.abs(found - shown) < 4 * error).all()
    mean_error = np.sqrt(np.diag(shown) / count)
    assert (np.abs(samples.mean(axis=0) - states.mean(axis=0)) < 4 * mean_error).all()


def test_two_points_give_samples_at_both_in_equal_shares() -> None:
    points = np.array([[0.8, 0.8], [-0.8, -0.8]])
    rng = np.random.default_rng(1)
    states = points[rng.integers(2, size=5000)] + 0.05 * rng.standard_normal((5000, 2))
    samples = draw(train(Toy(states=states)), 1000)
    control = rng.multivariate_normal([0, 0], np.cov(states.T), 1000)

    def distances(drawn: FloatArray) -> FloatArray:
        return np.linalg.norm(drawn[:, None] - points, axis=2)

    def near(drawn: FloatArray) -> float:
        return float((distances(drawn).min(axis=1) < 0.4).mean())

    # A linear force would leave a Gaussian; the cubic one takes three samples in four to a point.
    assert near(samples) > 0.7
    assert near(samples) > 2 * near(control)
    first = int((distances(samples).argmin(axis=1) == 0).sum())
    assert stats.binomtest(first, 1000, float((states[:, 0] > 0).mean())).pvalue > 1e-4


def test_the_program_is_complete_and_says_where_it_comes_from() -> None:
    program = train(QUICK, seed=5)
    assert program.spec.code_bits == 4
    assert (program.spec.nodes, len(program.spec.offsets)) == (64, 24)
    assert program.steps.tolist() == [5, 5, 5, 5, 1]
    assert program.noise_gain[-1] == 0
    assert (program.noise_gain[:-1] > 0).all()
    assert program.initial is InitialState.GAUSSIAN
    np.testing.assert_allclose(program.initial_val, QUICK.spread_val, rtol=1e-3)
    assert program.image_shape == (8, 8)
    assert np.abs(program.codes).max() == 7
    rounded, real = program.coefficients(), program.coefficients(real=True)
    assert np.corrcoef(rounded.coupling_val.ravel(), real.coupling_val.ravel())[0, 1] > 0.9
    assert np.corrcoef(rounded.local_val.ravel(), real.local_val.ravel())[0, 1] > 0.99
    stretches = schedule(QUICK)
    np.testing.assert_allclose(real.noise_val, [one.sigma_val for one in stretches], rtol=1e-6)
    source = program.provenance
    assert source["rule"] == "force matching with feedback"
    assert source["seed"] == 5
    assert source["preset"]["steps"] == 5
    assert source["data"]["sha256"] == QUICK.load().sha256
    assert len(source["segments"]) == 5
    for segment in source["segments"]:
        assert 0 < segment["loss"] < segment["power"]
        assert 0 < segment["excess"] < 0.1 * segment["power"]


def test_pixels_show_black_and_white_states() -> None:
    program = train(QUICK)
    x_raw = np.array([-1.2, 0, 1.2]) * 2**program.spec.state.f_bits
    from pendula.contract.step import pixel
    shown = [pixel(program.spec, program.pixel_gain, program.pixel_offset, int(x)) for x in x_raw]
    assert shown == [0, 128, 255]


def test_one_seed_one_file(tmp_path: Path) -> None:
    for name in ("a", "b"):
        save(train(QUICK, seed=1), tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert load(tmp_path / "a").digest != train(QUICK, seed=2).digest


def test_progress_counts_the_segments() -> None:
    done = []
    train(QUICK, progress=done.append)
    assert done == [1] * (QUICK.segments + 1)


def test_bad_requests_are_named() -> None:
    with pytest.raises(DataError, match=r"must be one of digits, .*, not 'letters'"):
        train("letters")
    with pytest.raises(DataError, match="digits needs no data folder"):
        train("digits", data="somewhere")
    with pytest.raises(ContractError, match="Seed must be within"):
        train("digits", seed=-1)
