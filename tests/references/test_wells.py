from dataclasses import replace

import numpy as np
import pytest
from scipy import integrate, special

from pendula.contract import ArraySpec, get_physics
from pendula.errors import ProgramError
from pendula.references import CoupledWells, QuarticWell, autonomous_program

SPEC = ArraySpec(physics=get_physics("quartic"), nodes=4, offsets=(-1, 1), segments=1)


def small(well, parts):
    """Return the same well in steps that many times smaller."""
    return QuarticWell(well.linear / parts, well.cubic / parts, well.constant / parts,
                       well.noise_val / np.sqrt(parts))


def test_pure_quartic_well_has_the_closed_form():
    """E x^2 = 2 sqrt(T / k) Gamma(3/4) / Gamma(1/4) for V = k x^4 / 4."""
    well = QuarticWell(0.0, -0.1, 0.0, 0.3)
    expected = 2 * np.sqrt(well.temperature / 0.1) * special.gamma(0.75) / special.gamma(0.25)
    assert well.boltzmann().moment(2) == pytest.approx(expected, rel=1e-10)


def test_boltzmann_is_what_quad_integrates():
    well = QuarticWell(0.1, -0.08, 0.02, 0.25)
    def weight(x):
        return np.exp((0.1 * x**2 / 2 - 0.08 * x**4 / 4 + 0.02 * x) / (0.25**2 / 2))
    mass, mean = (integrate.quad(lambda x, k=k: x**k * weight(x), -4, 4)[0] for k in (0, 1))
    law = well.boltzmann()
    assert law.moment(1) == pytest.approx(mean / mass, rel=1e-9)
    below = integrate.quad(weight, -4, 0.5)[0] / mass
    assert law.cdf(np.array([0.5]))[0] == pytest.approx(below, abs=1e-4)


def test_bias_of_the_step_vanishes_at_first_order():
    well = QuarticWell(-0.05, -0.1, 0.02, 0.25)
    limit = well.boltzmann().moment(2)
    bias = [small(well, parts).euler().moment(2) - limit for parts in (1, 2, 4, 8, 16)]
    assert bias[1] / bias[2] == pytest.approx(2, abs=0.3)
    assert bias[3] / bias[4] == pytest.approx(2, abs=0.05)


def test_long_runs_come_to_rest():
    well = QuarticWell(-0.1, -0.1, 0.05, 0.2)
    assert np.allclose(well.euler(200).density, well.euler().density, atol=1e-9)


def test_without_coupling_two_wells_are_two():
    well = QuarticWell(-0.1, -0.1, 0.0, 0.2)
    pair = CoupledWells((well, well), 0.0)
    for law, single in ((pair.boltzmann(), well.boltzmann()), (pair.euler(), well.euler())):
        assert law.covariance[0, 1] == pytest.approx(0, abs=1e-12)
        assert law.marginal().moment(2) == pytest.approx(single.moment(2), rel=1e-6)


def test_coupled_wells_approach_boltzmann():
    wells = QuarticWell(-0.2, -0.1, 0.0, 0.25)
    limit = CoupledWells((wells, wells), 0.08).boltzmann().covariance
    assert limit[0, 1] / limit[0, 0] > 0.2
    bias = []
    for parts in (1, 2):
        fine = small(wells, parts)
        bias.append(CoupledWells((fine, fine), 0.08 / parts).euler().covariance - limit)
    assert np.abs(bias[0] - 2 * bias[1]).max() < 0.1 * np.abs(bias[0]).max()


def test_programs_are_read():
    couplings = np.zeros((4, 4))
    couplings[0, 1] = couplings[1, 0] = 0.05
    program = autonomous_program(SPEC, local_val=(0.1, -0.2, 0.01), noise_val=0.2, steps=1,
                                 coupling_val=couplings)
    pair = CoupledWells.of(program, 0, 1)
    assert pair.coupling == program.coupling_val[0, 0, 1]
    assert pair.wells[1].cubic == program.local_val[0, 1, 1]
    with pytest.raises(ProgramError, match="nodes 1 and 2 must pull each other equally"):
        CoupledWells.of(program, 1, 2)
    one_sided = replace(program, codes=program.codes * (np.arange(4) == 0)[:, None])
    with pytest.raises(ProgramError, match=r"not by .* and 0$"):
        CoupledWells.of(one_sided, 0, 1)
    with pytest.raises(ProgramError, match="one segment of quartic physics, not 2"):
        QuarticWell.of(replace(
            program, spec=replace(SPEC, segments=2), steps=np.array([1, 1]),
            **{name: np.repeat(getattr(program, name), 2, axis=0) for name in (
                "codes", "local_codes", "coupling_gain", "local_gains", "noise_gain")}))
