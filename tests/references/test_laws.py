import numpy as np
import pytest
from scipy import stats

from pendula.errors import DataError
from pendula.references import PlaneLaw, euler_law, euler_plane_law, gibbs_law

GRID = np.linspace(-4, 4, 401)


def test_gibbs_law_is_normalised_and_has_its_moments():
    law = gibbs_law(GRID, -((GRID - 0.25) ** 2) / (2 * 0.09) + 700)
    assert law.density.sum() * law.step_val == pytest.approx(1, abs=1e-12)
    assert law.moment(1) == pytest.approx(0.25, abs=1e-12)
    assert law.moment(2) == pytest.approx(0.09, abs=1e-12)
    assert law.moment(4) == pytest.approx(3 * 0.09**2, abs=1e-12)
    x = np.array([-4, 0.0, 0.25, 1, 4])
    assert np.allclose(law.cdf(x), stats.norm.cdf(x, 0.25, 0.3), atol=2e-4)
    draws = law.draw(4000, np.random.default_rng(1))
    assert stats.kstest(draws, stats.norm(0.25, 0.3).cdf).pvalue > 0.01


@pytest.mark.parametrize("steps", [1, 2, 7, None])
def test_euler_law_of_a_linear_drift_is_the_autoregression(steps):
    law = euler_law(lambda x: 0.1 - 0.3 * x, 0.2, GRID, steps=steps)
    powers = 0.7 ** np.arange(1000 if steps is None else steps)
    assert law.moment(1) == pytest.approx(0.1 * powers.sum(), abs=1e-10)
    assert law.moment(2) == pytest.approx(0.04 * (powers**2).sum(), abs=1e-10)
    assert law.moment(4) == pytest.approx(3 * law.moment(2) ** 2, abs=1e-9)


def test_euler_law_starts_where_it_is_told():
    start = gibbs_law(GRID, -((GRID - 1) ** 2) / (2 * 0.04)).density
    law = euler_law(lambda x: -0.3 * x, 0.2, GRID, steps=2, start=start)
    assert law.moment(1) == pytest.approx(0.49, abs=1e-10)
    assert law.moment(2) == pytest.approx(0.04 * (1 + 0.49 + 0.49**2), abs=1e-10)


def test_on_a_circle_free_steps_spread_as_a_wrapped_normal():
    grid = np.linspace(-1, 1, 256, endpoint=False)
    law = euler_law(np.zeros_like, 0.2, grid, periodic=True, steps=4)
    cosine = (np.cos(np.pi * grid) @ law.density) * law.step_val
    assert cosine == pytest.approx(np.exp(-4 * (0.2 * np.pi) ** 2 / 2), abs=1e-12)
    assert np.allclose(euler_law(np.zeros_like, 0.2, grid, periodic=True).density, 0.5)
    assert law.cdf(np.array([-1.0, 0.0, 1.0])) == pytest.approx([0, 0.5, 1], abs=1e-9)


def test_plane_law_of_linear_drifts():
    grid = np.linspace(-2, 2, 61)
    start = np.exp(-grid[:, None] ** 2 - grid**2)
    law = euler_plane_law((lambda x, y: -0.3 * x + 0.1 * y, lambda x, y: 0.1 * x - 0.3 * y),
                          0.2, PlaneLaw(grid, start))
    step = np.array([[0.7, 0.1], [0.1, 0.7]])
    expected = 0.04 * np.linalg.inv(np.eye(2) - step @ step)
    assert np.allclose(law.covariance, expected, rtol=1e-6)
    assert law.marginal().moment(2) == pytest.approx(expected[0, 0], rel=1e-6)


def test_cells_are_the_probabilities_of_squares():
    grid = np.linspace(-2, 2, 161)
    density = np.exp(-(grid[:, None] ** 2 + (2 * grid) ** 2) / (2 * 0.16))
    law = PlaneLaw(grid, density / (density.sum() * 0.025**2))
    edges = np.array([-0.4, 0.1, 0.6])
    p = law.cells(edges)
    one, other = (np.diff(stats.norm.cdf([-np.inf, *edges, np.inf], scale=s)) for s in (0.4, 0.2))
    assert np.allclose(p, np.outer(one, other), atol=1e-3)
    assert p.sum() == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize(("call", "message"), [
    (lambda: euler_law(lambda x: -0.1 * x, 0.01, GRID), "Spacing of the grid must be at most 0.01"),
    (lambda: euler_law(lambda x: -0.01 * x, 0.3, GRID), "Grid must reach where there is no mass"),
    (lambda: gibbs_law(GRID, -GRID**2 / 8), "Grid must reach where there is no mass"),
])
def test_grids_that_do_not_suffice_are_refused(call, message):
    with pytest.raises(DataError, match=message):
        call()
