"""The random walker with priors: labels by probability, from seeds, a prior for each voxel and the edges between them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.linalg import LinearOperator, cg

from ablmargin.geometry import Array, BoolArray

Values = NDArray[np.float32]

LEAST_WEIGHT = 1e-4
"""Of an edge between neighbors, however different: keeps the system well conditioned."""


def walk(
    image: Values,
    *,
    inside: BoolArray,
    outside: BoolArray,
    prior: Values,
    edge_sd: float,
    coupling: float,
    tolerance: float = 2e-3,
    most_steps: int = 150,
) -> Values:
    """Probability of each voxel to lie inside.

    Parameters
    ----------
    image : ndarray of float32, shape (k, j, i)
        Smoothed values; neighbors that differ by much more than ``edge_sd`` hardly influence each other.
    inside, outside : ndarray of bool, same shape
        Seeds: probability 1 and 0.
    prior : ndarray of float32, same shape
        Probability of each voxel by itself.
    edge_sd : float
        In units of the image.
    coupling : float
        Weight of the prior against the neighbors, whose weights are 1 at most.
    tolerance : float
        Relative residual at which the conjugate gradients stop.
    most_steps : int
        After so many steps they stop in any case.

    Returns
    -------
    ndarray of float32, same shape

    Notes
    -----
    Minimizes sum of w (x_a - x_b)² over neighbors + coupling (x - prior)², a positive definite linear system that is
    solved without building its matrix. Grady 2005, doi:10.1109/CVPR.2005.239.
    """
    weights = [
        np.exp(-((np.diff(image, axis=axis) / edge_sd) ** 2) / 2) + np.float32(LEAST_WEIGHT) for axis in range(3)
    ]
    free = ~(inside | outside)
    fixed = inside.astype(np.float32)
    diagonal = _neighbor_sum(np.ones_like(fixed), weights) + np.float32(coupling)
    target = np.where(free, np.float32(coupling) * prior + _neighbor_sum(fixed, weights), np.float32(0))

    def system(flat: Array) -> Array:
        x = flat.reshape(image.shape)
        return np.where(free, diagonal * x - _neighbor_sum(x, weights), x).ravel()

    size = image.size
    operator = LinearOperator((size, size), matvec=system, dtype=np.float32)
    scaling = LinearOperator((size, size), matvec=lambda flat: flat / diagonal.ravel(), dtype=np.float32)
    start = np.where(free, prior, np.float32(0)).ravel()
    solution, _ = cg(operator, target.ravel(), x0=start, rtol=tolerance, maxiter=most_steps, M=scaling)
    return np.asarray(np.where(free, solution.reshape(image.shape), fixed), np.float32)


def _neighbor_sum(x: Values, weights: list[Values]) -> Values:
    """Weighted sum over the six neighbors of each voxel."""
    total = np.zeros_like(x)
    for axis, weight in enumerate(weights):
        here, there = _shifted(axis)
        total[here] += weight * x[there]
        total[there] += weight * x[here]
    return total


def _shifted(axis: int) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    every = (slice(None),) * axis
    return (*every, slice(1, None)), (*every, slice(None, -1))
