"""The real gateware behind a link that damages bytes both ways."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pytest

import pendula
from noisy import SPEC, MeddlingTransport, NoisyDevice, RepeatingTransport
from pendula.contract import InitialState
from pendula.contract.step import run_sample
from pendula.errors import LinkError
from pendula.program import random_program
from pendula_sim.build import build_library

pytestmark = pytest.mark.verilator


@pytest.fixture(scope="module", autouse=True)
def built() -> None:
    build_library(SPEC)


def program_of(initial: InitialState = InitialState.UNIFORM) -> pendula.Program:
    return random_program(SPEC, np.random.default_rng(4), steps=3, initial=initial)


@pytest.fixture(params=range(5))
def noisy(request: pytest.FixtureRequest) -> Iterator[NoisyDevice]:
    with NoisyDevice(request.param, 5e-4) as device:
        yield device


def test_samples_and_forces_are_right(noisy):
    program = program_of()
    noisy.load(program)
    batch = noisy.sample(60, seed=3)
    runs = [run_sample(program, 3, index) for index in range(60)]
    assert batch.values.tolist() == [run.x for run in runs]
    assert batch.saturations == sum(run.saturations for run in runs)
    with pendula.open("twin://") as twin:
        twin.load(program)
        assert np.array_equal(noisy.forces(batch.values[:10]), twin.forces(batch.values[:10]))
    assert noisy.health.retries > 0


def test_moments_count_every_sample_once(noisy):
    program = program_of()
    options = {"seed": 3, "thin": 2, "edges": [(0, 3), (3, 1)], "histograms": [2, 5], "bins": 4}
    with pendula.open("twin://") as twin:
        twin.load(program)
        expected = twin.moments(150, **options)
    noisy.load(program)
    for _ in range(3):
        found = noisy.moments(150, **options)
        for name in ("totals", "squares", "products", "counts"):
            assert np.array_equal(getattr(found, name), getattr(expected, name)), name
        assert found.saturations == expected.saturations
    assert noisy.health.retries > 0


def test_frames_that_the_device_refuses_are_counted():
    with NoisyDevice(0, 0.0) as device:
        device.load(program_of())
        device.transport.write(b"no frame\0" * 3)
        device.sample(1, seed=1)
        assert device.health.frames_dropped == 3
        assert device.health.retries == 0


def test_a_chain_is_right_or_an_error(noisy):
    program = program_of(InitialState.KEEP)
    noisy.load(program)
    kept = [0] * SPEC.nodes
    for index in range(60):
        try:
            batch = noisy.sample(1, seed=3, first=index)
        except LinkError as error:
            assert str(error).startswith(f"sample {index} was lost")     # noqa: PT017
            return
        kept = run_sample(program, 3, index, kept=kept).x
        assert batch.values[0].tolist() == kept
    pytest.fail("nothing was lost in 60 samples")


def test_a_link_that_damages_everything_is_given_up():
    with NoisyDevice(1, 0.2) as device, pytest.raises(LinkError, match="no sound answer to HELLO"):
        device.load(program_of())


@pytest.mark.parametrize("seed", range(8))
def test_frames_that_are_meddled_with_give_right_samples_or_an_error(seed):
    """Samples, forces and sums are those of the twin, as often as they come."""
    program = program_of()
    with pendula.open("twin://") as twin:
        twin.load(program)
        expected = twin.sample(300, seed=3)
        totals = twin.moments(40, seed=5).totals
    came = 0
    with NoisyDevice(seed, 0.05, MeddlingTransport) as device:
        for _ in range(6):
            try:
                device.load(program)
                batch = device.sample(300, seed=3)
                assert np.array_equal(batch.values, expected.values)
                assert batch.saturations == expected.saturations
                assert device.moments(40, seed=5).totals.tolist() == totals.tolist()
                came += 1
            except LinkError:
                continue
        assert isinstance(device.transport, MeddlingTransport)
        assert len(device.transport.done) == 6
        assert device.health.retries > 0
    assert came >= 4


def drawn(device: NoisyDevice, index: int) -> npt.NDArray[np.float64]:
    """Return the next state of a chain, real."""
    return device.program.states_val(device.sample(1, seed=3, first=index, hidden=True).values[0])


def measured(device: NoisyDevice, index: int) -> npt.NDArray[np.float64]:
    """Return the next state of a chain as the mean of one sample."""
    return device.moments(1, seed=3, first=index).mean_val


@pytest.mark.parametrize("look", [drawn, measured])
@pytest.mark.parametrize("seed", range(8))
def test_a_chain_whose_frames_are_repeated_is_right_or_an_error(seed, look):
    """A RUN that is executed twice moves the chain on: that must not pass unnoticed."""
    program = program_of(InitialState.KEEP)
    with NoisyDevice(seed, 0.3, RepeatingTransport) as device:
        device.load(program)
        kept = [0] * SPEC.nodes
        for index in range(40):
            try:
                found = look(device, index)
            except LinkError as error:
                assert "moved on" in str(error)     # noqa: PT017
                return
            kept = run_sample(program, 3, index, kept=kept).x
            assert np.array_equal(found, program.states_val(kept)), index
    pytest.fail("no RUN was repeated")
