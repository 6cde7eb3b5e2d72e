"""Quantisation: exact where it can be, bounded elsewhere, never worse than plain rounding."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pendula.contract import PHYSICS, ArraySpec
from pendula.training.force_matching import Fit
from pendula.training.quantise import quantise

SPEC = ArraySpec(physics=PHYSICS["quartic"], nodes=5, offsets=(-2, -1, 1, 2))
NODES, COUPLINGS, LOCAL = 5, 4, 3
FEATURES = COUPLINGS + LOCAL


def a_fit(coefficients: np.ndarray, gram: np.ndarray | None = None) -> Fit:
    gram = np.broadcast_to(np.eye(FEATURES), (NODES, FEATURES, FEATURES)) if gram is None else gram
    return Fit(coefficients, gram, power=np.ones(NODES), loss=np.ones(NODES))


def values(codes: np.ndarray, local: np.ndarray, gain: int, local_gains: np.ndarray) -> np.ndarray:
    """Return the coefficients that codes and gains stand for."""
    units = np.array([term.unit_val for term in SPEC.local_terms])
    return np.concatenate([codes * gain * SPEC.coupling_term.unit_val, local * local_gains * units],
                          axis=1)


def random_fit(seed: int, size: float = 0.05) -> Fit:
    rng = np.random.default_rng(seed)
    roots = rng.standard_normal((NODES, FEATURES, 2 * FEATURES))
    return a_fit(size * rng.standard_normal((NODES, FEATURES)),
                 roots @ roots.transpose(0, 2, 1) / (2 * FEATURES))


def test_coefficients_on_the_lattice_come_back_exactly() -> None:
    rng = np.random.default_rng(0)
    codes = rng.integers(-7, 8, (NODES, COUPLINGS))
    local = rng.integers(-127, 128, (NODES, LOCAL))
    codes[0, 0], local[0] = 7, 127
    gains, local_gains = 321, np.array([40, 50, 60])
    found = quantise(SPEC, a_fit(values(codes, local, gains, local_gains)))
    assert found.coupling_gain == gains
    np.testing.assert_array_equal(found.codes, codes)
    np.testing.assert_array_equal(found.local_gains, local_gains)
    np.testing.assert_array_equal(found.local_codes, local)
    assert found.excess.max() < 1e-20


@given(st.integers(0, 10**6), st.floats(1e-4, 0.3))
def test_codes_and_gains_fit_and_the_excess_is_true(seed: int, size: float) -> None:
    fit = random_fit(seed, size)
    found = quantise(SPEC, fit)
    assert np.abs(found.codes).max() <= SPEC.code.hi
    assert np.abs(found.local_codes).max() <= SPEC.local_code.hi
    assert 1 <= found.coupling_gain <= SPEC.gain.hi
    assert (found.local_gains >= 1).all()
    assert (found.local_gains <= SPEC.gain.hi).all()
    np.testing.assert_allclose(found.coefficients, values(
        found.codes, found.local_codes, found.coupling_gain, found.local_gains))
    couplings, local = np.split(found.unrounded, [COUPLINGS], axis=1)
    np.testing.assert_allclose(fit.coefficients, values(
        couplings, local, found.coupling_gain, found.local_gains))
    off = found.coefficients - fit.coefficients
    np.testing.assert_allclose(found.excess, np.einsum("if,ifg,ig->i", off, fit.gram, off))


@given(st.integers(0, 10**6))
def test_never_worse_than_rounding_to_the_nearest_code(seed: int) -> None:
    fit = random_fit(seed)
    couplings = fit.coefficients[:, :COUPLINGS]
    unit = SPEC.coupling_term.unit_val
    gain = np.ceil(np.abs(couplings).max() / (7 * unit))
    units = [term.unit_val for term in SPEC.local_terms]
    local_gains = np.ceil(np.abs(fit.coefficients[:, COUPLINGS:]).max(axis=0)
                          / (127 * np.array(units)))
    scale = np.concatenate([[gain * unit] * COUPLINGS, local_gains * units])
    rounded = np.rint(fit.coefficients / scale) * scale
    assert quantise(SPEC, fit).excess.sum() <= fit.excess(rounded).sum()


def test_descent_makes_up_for_rounding_where_features_are_correlated() -> None:
    gram = np.full((NODES, FEATURES, FEATURES), 0.9) + 0.1 * np.eye(FEATURES)
    coefficients = np.random.default_rng(4).uniform(0.01, 0.05, (NODES, FEATURES))
    fit = a_fit(coefficients, gram)
    diagonal = quantise(SPEC, a_fit(coefficients))
    assert quantise(SPEC, fit).excess.sum() < 0.7 * fit.excess(diagonal.coefficients).sum()


def test_independent_features_are_off_by_half_a_code_at_most() -> None:
    fit = random_fit(5)
    fit = a_fit(fit.coefficients)
    found = quantise(SPEC, fit)
    largest = np.abs(fit.coefficients[:, :COUPLINGS]).max() / 7
    units = np.array([term.unit_val for term in SPEC.local_terms]) * found.local_gains
    bound = COUPLINGS * (largest / 2)**2 + (units**2).sum() / 4
    assert (found.excess.mean() <= 1.01 * bound).all()
    off = np.abs(found.coefficients - fit.coefficients)[:, COUPLINGS:]
    assert (off <= units / 2 * (1 + 1e-9)).all()


def test_a_large_coefficient_of_little_weight_does_not_coarsen_the_rest() -> None:
    coefficients = np.full((NODES, FEATURES), 0.003)
    coefficients[0, 0] = 0.03
    gram = np.tile(np.eye(FEATURES), (NODES, 1, 1))
    gram[0, 0, 0] = 0.01
    found = quantise(SPEC, a_fit(coefficients, gram))
    assert found.coupling_gain * SPEC.coupling_term.unit_val < 0.8 * 0.03 / 7
    assert (found.codes[1:] != 0).all()


def test_gains_cover_the_smallest_coefficients_too() -> None:
    units = np.array([term.unit_val for term in SPEC.local_terms])
    coefficients = np.zeros((NODES, FEATURES))
    coefficients[:, COUPLINGS:] = 1.9 * 127 * units
    found = quantise(SPEC, a_fit(coefficients))
    assert found.local_gains.tolist() == [2, 2, 2]
    assert (np.abs(found.coefficients - coefficients)[:, COUPLINGS:] <= units).all()


def test_a_node_without_an_edge_keeps_code_zero() -> None:
    fit = random_fit(6)
    fit.coefficients[2, 1] = 0
    fit.gram[2, 1] = fit.gram[2, :, 1] = np.eye(FEATURES)[1]
    assert quantise(SPEC, fit).codes[2, 1] == 0


def test_coefficients_beyond_the_array_are_clipped_and_counted() -> None:
    found = quantise(SPEC, a_fit(np.full((NODES, FEATURES), 50.0)))
    assert found.coupling_gain == SPEC.gain.hi
    assert (found.codes == SPEC.code.hi).all()
    assert found.excess.min() > 1


@pytest.mark.parametrize("bits", [3, 4, 6, 8])
def test_more_bits_leave_less_excess(bits: int) -> None:
    def excess(code_bits: int) -> float:
        spec = ArraySpec(physics=PHYSICS["quartic"], nodes=5, offsets=(-2, -1, 1, 2),
                         code_bits=code_bits)
        return float(quantise(spec, random_fit(7)).excess.sum())
    assert excess(bits) < excess(bits - 1)
