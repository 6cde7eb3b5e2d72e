import numpy as np
import pytest
from scipy import integrate, special

from pendula.contract import ArraySpec, get_physics
from pendula.errors import ProgramError
from pendula.references import Phase, autonomous_program, phase_difference, pinned_phase

SPEC = ArraySpec(physics=get_physics("kuramoto"), nodes=4, offsets=(-1, 1), segments=1)


def resultant(law):
    """Return the mean of exp(i pi x)."""
    return complex(np.exp(1j * np.pi * law.x_val) @ law.density * law.step_val)


def small(phase, parts):
    return Phase(phase.sine / parts, phase.constant / parts, phase.noise_val / np.sqrt(parts))


@pytest.mark.parametrize("sine", [-0.1, 0.1])
def test_pinned_phase_is_von_mises(sine):
    phase = Phase(sine, 0.0, 0.2)
    kappa = phase.concentration
    assert abs(kappa) == pytest.approx(2 * 0.1 / (np.pi * 0.04))
    assert resultant(phase.law()) == pytest.approx(
        float(special.i1(kappa) / special.i0(kappa)), abs=1e-12)


def test_bias_of_the_step_vanishes_at_first_order():
    phase = Phase(-0.1, 0.04, 0.2)
    limit = resultant(phase.law())
    bias = [abs(resultant(small(phase, parts).euler()) - limit) for parts in (8, 16, 32)]
    assert bias[0] / bias[1] == pytest.approx(2, abs=0.1)
    assert bias[1] / bias[2] == pytest.approx(2, abs=0.05)


def test_tilted_law_has_a_constant_current():
    """Fokker-Planck: drift * p - s^2 / 2 p' is the same everywhere, but for the quadrature."""
    phase = Phase(-0.1, 0.08, 0.15)
    law = phase.law()
    slope = np.fft.ifft(np.fft.fft(law.density) * 1j * np.pi
                        * np.fft.fftfreq(len(law.x_val), 1 / len(law.x_val))).real
    current = phase.drift(law.x_val) * law.density - phase.noise_val**2 / 2 * slope
    assert np.ptp(current) < 1e-5 * abs(current.mean())
    assert current.mean() > 0


def test_law_without_tilt_is_the_limit_of_small_tilts():
    still, tilted = Phase(-0.1, 0.0, 0.2).law(), Phase(-0.1, 1e-9, 0.2).law()
    assert np.allclose(still.density, tilted.density, atol=1e-6)


def adler(phase, time, start=0.0):
    solution = integrate.solve_ivp(
        lambda _, x: phase.sine * np.sin(np.pi * x) + phase.constant, (0, time), [start],
        rtol=1e-9, atol=1e-9)
    return float(solution.y[0, -1])


def test_locking_threshold():
    locked, free = Phase(-0.1, 0.099, 0.0), Phase(-0.1, 0.101, 0.0)
    assert (locked.locks, free.locks) == (True, False)
    assert locked.beat_val == 0
    assert adler(locked, 4000) == pytest.approx(locked.rest_val, abs=1e-6)
    assert locked.drift(np.array([locked.rest_val]))[0] == pytest.approx(0, abs=1e-12)
    assert adler(free, 40_000) / 40_000 == pytest.approx(free.beat_val, rel=2e-3)
    assert Phase(-0.1, -0.2, 0.0).beat_val == -Phase(-0.1, 0.2, 0.0).beat_val
    other = Phase(0.1, 0.05, 0.0)
    assert adler(other, 4000, 0.9) == pytest.approx(other.rest_val, abs=1e-6)


def test_programs_are_read():
    couplings = np.zeros((4, 4))
    couplings[0, 1], couplings[1, 0] = -0.05, -0.025
    detuning = np.zeros((4, 3))
    detuning[:2, 2] = 0.02, -0.01
    detuning[2, 0] = -0.1
    program = autonomous_program(SPEC, local_val=detuning, noise_val=0.1, steps=1,
                                 coupling_val=couplings)
    pair = phase_difference(program, 0, 1)
    assert pair.sine == program.coupling_val[0, 0, 1] + program.coupling_val[0, 1, 0]
    assert pair.constant == program.local_val[0, 0, 2] - program.local_val[0, 1, 2]
    assert pair.noise_val == pytest.approx(np.sqrt(2) * 0.1, abs=1e-5)
    assert pinned_phase(program, 2).sine == program.local_val[0, 2, 0]
    with pytest.raises(ProgramError, match="node 0 must have no neighbours"):
        pinned_phase(program, 0)
    with pytest.raises(ProgramError, match="nodes 1 and 2 must be pulled by each other alone"):
        phase_difference(program, 1, 2)
    second = autonomous_program(SPEC, local_val=(0, 0.1, 0), noise_val=0.1, steps=1)
    with pytest.raises(ProgramError, match="node 3 must have no second harmonic"):
        pinned_phase(second, 3)
    wells = ArraySpec(physics=get_physics("quartic"), nodes=4, offsets=(-1, 1), segments=1)
    with pytest.raises(ProgramError, match="one segment of kuramoto physics, not 1 of quartic"):
        pinned_phase(autonomous_program(wells, local_val=(0, 0, 0), noise_val=0.1, steps=1))
