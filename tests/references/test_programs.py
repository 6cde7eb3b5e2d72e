import numpy as np
import pytest

from pendula.contract import ArraySpec, InitialState, get_physics
from pendula.device import open_device
from pendula.errors import ProgramError
from pendula.references import autonomous_program, neighbour_matrix

SPEC = ArraySpec(physics=get_physics("quartic"), nodes=6, offsets=(-2, 1), segments=1)


def test_parameters_are_held_to_within_half_a_code():
    rng = np.random.default_rng(1)
    local = rng.uniform(-0.2, 0.2, (6, 3))
    couplings = np.diag(rng.uniform(-0.1, 0.1, 5), 1) + np.diag(rng.uniform(-0.1, 0.1, 4), -2)
    program = autonomous_program(SPEC, local_val=local, coupling_val=couplings, noise_val=0.1,
                                 steps=3, initial=InitialState.GAUSSIAN, initial_val=0.5)
    held = program.local_val[0]
    assert np.abs(held - local).max() <= np.abs(local).max() / 127 / 2 * 1.02
    matrix = neighbour_matrix(program)
    assert np.abs(matrix - couplings).max() <= np.abs(couplings).max() / 7 / 2 * 1.02
    assert np.array_equal(matrix != 0, (matrix != 0) & (couplings != 0))
    assert program.noise_val[0] == pytest.approx(0.1, abs=1e-5)
    assert program.initial_val == pytest.approx(0.5, abs=1e-5)


def test_matrix_is_what_the_forces_say():
    rng = np.random.default_rng(2)
    couplings = np.diag(rng.uniform(-0.1, 0.1, 5), 1) + np.diag(rng.uniform(-0.1, 0.1, 4), -2)
    program = autonomous_program(SPEC, local_val=(0, 0, 0), coupling_val=couplings, noise_val=0,
                                 steps=1)
    states = rng.integers(-1000, 1000, (4, 6))
    with open_device("float://?functions=exact") as device:
        device.load(program)
        expected = program.states_val(states) @ neighbour_matrix(program).T
        assert np.allclose(device.forces(states), expected, atol=1e-12)


def test_missing_edges_are_named():
    couplings = np.zeros((6, 6))
    couplings[3, 5] = 0.1
    with pytest.raises(ProgramError, match=r"coupling_val\[3, 5\] must be 0, not 0.1: the graph"):
        autonomous_program(SPEC, local_val=(0, 0, 0), coupling_val=couplings, noise_val=0, steps=1)


def test_too_large_gains_are_refused():
    with pytest.raises(ProgramError, match="local_gains"):
        autonomous_program(SPEC, local_val=(-3, 0, 0), noise_val=0, steps=1)
