"""Closing the loop: what the array really does, segment by segment, corrects what comes next.

Least squares gives the best force at the states of the noisy data. The force that the array can
make is not the ideal one, so its own states drift away from those, and errors add up. So an
ensemble runs along while the segments are trained, with the codes that were chosen. Before each
segment the moments m_i = E[x_i phi_i] of every node's state with its own features phi_i are
measured twice: in the ensemble, and in the noisy data of the same time. Their difference is the
contrast that contrastive divergence descends along. A change d_i of a node's coefficients moves its
moments by n E[phi_i phi_i^T] d_i in n steps, and twice that where the neighbour's equal coupling
changes as well. The segment therefore takes, besides its least-squares coefficients,

    d_i = (g / n) (G_i + ridge)^-1 (m_i of the data - m_i of the ensemble),     g = 1/2,

with the second moments G_i that the fit has anyway. All of it is local to a node and its
neighbours.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from pendula.contract import ArraySpec
from pendula.program import IntArray
from pendula.training.data import FloatArray
from pendula.training.force_matching import (
    Fit,
    Float32Array,
    Stretch,
    add_noise,
    features,
)
from pendula.training.presets import Preset
from pendula.twin.float_device import real_function

__all__ = ["correct", "moments", "noisy_moments", "run"]


def moments(spec: ArraySpec, columns: IntArray, states: Float32Array) -> FloatArray:
    """Return the mean of each node's state times each of its features, shape (N, F).

    Parameters
    ----------
    spec : ArraySpec
        Array.
    columns : array of int, shape (N, F)
        From :func:`pendula.training.force_matching.feature_columns`.
    states : array, shape (n, N)
        States.
    """
    products = features(spec, states).T @ states / len(states)
    padded = np.concatenate([products, np.zeros_like(products[:1])]).astype(np.float64)
    return padded[columns, np.arange(len(columns))[:, None]]


def correct(fit: Fit, contrast: FloatArray, steps: int, preset: Preset) -> Fit:
    """Return a fit with the coefficients that take `contrast` back in `steps` steps.

    Parameters
    ----------
    fit : Fit
        From :func:`pendula.training.force_matching.fit_stretch`.
    contrast : array, shape (N, F)
        Moments of the data less those of the ensemble.
    steps : int
        Steps of the segment.
    preset : Preset
        Its `feedback` is g, its `feedback_ridge` the ridge, relative to each feature's second
        moment.
    """
    ridge = preset.feedback_ridge * np.einsum("iff->if", fit.gram)
    raised = fit.gram + np.eye(ridge.shape[1]) * ridge[:, None, :]
    change = np.linalg.solve(raised, contrast[:, :, None])[:, :, 0]
    return replace(fit, coefficients=fit.coefficients + preset.feedback / steps * change)


def noisy_moments(spec: ArraySpec, columns: IntArray, data: Float32Array, stretch: Stretch,
                  least: int, rng: np.random.Generator) -> FloatArray:
    """Return the moments of the noisy data at the start of a stretch, from `least` or more."""
    copies = -(-least // len(data))
    start = (add_noise(data, stretch, np.zeros((len(data), 1), dtype=np.int64), rng)
             for _ in range(copies))
    return sum((moments(spec, columns, states) for states in start),
               np.zeros(columns.shape)) / copies


def run(spec: ArraySpec, columns: IntArray, states: Float32Array, coefficients: FloatArray,
        stretch: Stretch, rng: np.random.Generator) -> Float32Array:
    """Return states after a stretch under real coefficients, shape (n, N).

    Parameters
    ----------
    spec : ArraySpec
        Array: its functions, and the range in which states saturate.
    columns : array of int
        From :func:`pendula.training.force_matching.feature_columns`.
    states : array of float32, shape (n, N)
        States to start from.
    coefficients : array, shape (N, F)
        Of the couplings and of the local basis.
    stretch : Stretch
        Number of steps and noise.
    rng : numpy.random.Generator
        Source of the noise.
    """
    K, unit = len(spec.offsets), 2.0**-spec.state.f_bits
    edges, weights = columns[:, :K], np.zeros((spec.nodes + 1, spec.nodes), dtype=np.float32)
    weights[edges, np.arange(spec.nodes)[:, None]] = coefficients[:, :K]
    couple = real_function(spec.physics.v[0])
    local = [(real_function(name), coefficients[:, K + m].astype(np.float32))
             for m, name in enumerate(spec.physics.basis)]
    sigma_val = np.float32(stretch.sigma_val)
    x: npt.NDArray[Any] = states
    for _ in range(stretch.steps):
        move = couple(x) @ weights[:-1]
        for function, coefficient in local:
            move += coefficient * function(x)
        move += sigma_val * rng.standard_normal(x.shape, dtype=np.float32)
        x = np.clip(x + move, spec.state.lo * unit, spec.state.hi * unit)
    return x
