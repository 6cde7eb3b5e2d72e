import numpy as np
import pytest

from pendula.contract import ArraySpec, get_physics
from pendula.errors import DataError, ProgramError
from pendula.references import LinearNetwork, autonomous_program

B = np.array([[-0.3, 0.1, 0.0], [-0.05, -0.2, 0.1], [0.0, 0.2, -0.4]])
NETWORK = LinearNetwork(B, 0.2)
START = np.diag([1.0, 2.0, 3.0])


def test_one_node_is_the_textbooks():
    node = LinearNetwork(np.array([[-0.2]]), 0.1)
    assert node.covariance()[0, 0] == pytest.approx(0.01 / 0.4)
    assert node.covariance(3.0)[0, 0] == pytest.approx(0.01 / 0.4 * (1 - np.exp(-1.2)))
    assert node.euler_covariance()[0, 0] == pytest.approx(0.01 / (1 - 0.64))
    assert node.euler_covariance(2)[0, 0] == pytest.approx(0.01 * (1 + 0.64))


@pytest.mark.parametrize("steps", [0, 1, 5])
def test_euler_covariance_is_the_recursion(steps):
    covariance, step = START, np.eye(3) + B
    for _ in range(steps):
        covariance = step @ covariance @ step.T + 0.04 * np.eye(3)
    assert np.allclose(NETWORK.euler_covariance(steps, START), covariance, atol=1e-12)


def test_continuous_covariance_is_the_limit_of_small_steps():
    """And the difference vanishes at first order in the step."""
    errors = []
    for parts in (64, 128):
        fine = LinearNetwork(B / parts, 0.2 / np.sqrt(parts))
        errors.append(fine.euler_covariance(5 * parts, START) - NETWORK.covariance(5.0, START))
    assert np.allclose(errors[0], 2 * errors[1], rtol=0.05)
    assert np.abs(errors[1]).max() < 5e-3
    rest = LinearNetwork(B / 1000, 0.2 / np.sqrt(1000)).euler_covariance()
    assert np.allclose(rest, NETWORK.covariance(), rtol=1e-3)


def test_rest_is_what_long_times_lead_to():
    assert np.allclose(NETWORK.covariance(400.0, START), NETWORK.covariance(), atol=1e-12)
    assert np.allclose(NETWORK.euler_covariance(400, START), NETWORK.euler_covariance(),
                       atol=1e-12)


def test_what_grows_has_no_rest():
    with pytest.raises(DataError, match="negative real parts"):
        LinearNetwork(np.array([[0.1]]), 0.1).covariance()
    with pytest.raises(DataError, match="unit circle"):
        LinearNetwork(np.array([[-2.5]]), 0.1).euler_covariance()


def test_programs_that_are_not_linear_are_refused():
    quartic = ArraySpec(physics=get_physics("quartic"), nodes=2, offsets=(1,), segments=1)
    cubic = autonomous_program(quartic, local_val=(-0.1, -0.1, 0), noise_val=0.1, steps=1)
    with pytest.raises(ProgramError, match="must have the local term x alone"):
        LinearNetwork.of(cubic)
    phases = ArraySpec(physics=get_physics("kuramoto"), nodes=2, offsets=(1,), segments=1)
    with pytest.raises(ProgramError, match="one segment of quartic physics, not 1 of kuramoto"):
        LinearNetwork.of(autonomous_program(phases, local_val=(0, 0, 0), noise_val=0.1, steps=1))
