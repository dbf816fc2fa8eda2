"""Uniform cubic B-splines in three dimensions: values, slopes and the matrix of their roughness.

A box is cut into cubic cells of one size. Along an axis with n coefficients there are n - 3 cells, and on each cell four
splines live.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ablmargin.geometry import Array, FloatArray

ORDER = 3
"""The derivatives that roughness counts; polynomials of a lower degree are smooth."""
LIVE = 64
"""B-splines that live on one cell."""


def axis_basis(scaled: FloatArray, size: int) -> FloatArray:
    """Values of all B-splines of one axis at its points, counted in cells from the box's corner; shape (points, size)."""
    cell = np.clip(np.floor(scaled).astype(int), 0, size - 4)
    matrix = np.zeros((len(scaled), size))
    matrix[np.arange(len(scaled))[:, None], cell[:, None] + np.arange(4)] = _cubic(scaled - cell)
    return matrix


def first_places(scaled: FloatArray, sizes: tuple[int, ...]) -> Array:
    """The first of the ``LIVE`` splines at points, shape (n, 3), as its place among all coefficients; shape (n,)."""
    cell = _cells(scaled, sizes)
    return np.asarray((cell[:, 0] * sizes[1] + cell[:, 1]) * sizes[2] + cell[:, 2])


def live_places(sizes: tuple[int, ...]) -> Array:
    """What to add to the first place for all splines that live on a cell; shape (LIVE,)."""
    steps = np.arange(4)
    return np.asarray(((steps[:, None, None] * sizes[1] + steps[:, None]) * sizes[2] + steps).ravel())


def live_values(scaled: FloatArray, sizes: tuple[int, ...]) -> FloatArray:
    """Values of the splines that live at points, shape (n, 3); shape (n, LIVE)."""
    local = scaled - _cells(scaled, sizes)
    first, second, third = (_cubic(local[:, axis]) for axis in range(3))
    plane = first[:, :, None] * second[:, None, :]
    return np.asarray((plane[:, :, :, None] * third[:, None, None, :]).reshape(len(scaled), LIVE))


def evaluated(coefficients: FloatArray, scaled: FloatArray, *, slope_along: int | None = None) -> FloatArray:
    """Sums of splines with coefficients, shape (parts, a, b, c), or their slopes by cell along one axis; shape (parts, n).

    The points, shape (n, 3), are counted in cells. The sums are taken axis by axis.
    """
    parts, *sizes = coefficients.shape
    cells = _cells(scaled, tuple(sizes))
    windows = sliding_window_view(coefficients, (4, 4, 4), axis=(1, 2, 3)).reshape(parts, -1, 4, 16)
    live = windows[:, np.ravel_multi_index(tuple(cells.T), [size - 3 for size in sizes])]
    local = scaled - cells
    first, second, third = (_cubic(local[:, axis], slope=axis == slope_along)[:, None] for axis in range(3))
    plane = (second @ (first @ live).reshape(parts, len(scaled), 4, 4))[:, :, 0]
    return np.asarray((plane * third[:, 0]).sum(axis=-1))


def roughness_matrix(sizes: tuple[int, int, int], cell_mm: float) -> FloatArray:
    """Matrix of the integral of all squared third derivatives over the box."""
    first, second, third = ([_gram(size, order, cell_mm) for order in range(ORDER + 1)] for size in sizes)
    planes = [
        _sum_of_products(
            [math.comb(ORDER, order) * math.comb(ORDER - order, other) * second[other] for other in range(left + 1)],
            third[left::-1],
        )
        for order, left in enumerate(range(ORDER, -1, -1))
    ]
    return _sum_of_products(first, planes)


def _sum_of_products(matrices: list[FloatArray], others: list[FloatArray]) -> FloatArray:
    """The sum of the Kronecker products of square matrices, (n, n), with others, (m, m); shape (n m, n m)."""
    own, other = len(matrices[0]), len(others[0])
    entries = np.reshape(matrices, (-1, own * own)).T @ np.reshape(others, (-1, other * other))
    return entries.reshape(own, own, other, other).swapaxes(1, 2).reshape(own * other, own * other)


def _cells(scaled: FloatArray, sizes: tuple[int, ...]) -> Array:
    return np.asarray(np.clip(np.floor(scaled).astype(int), 0, np.array(sizes) - 4))


def _cubic(t: FloatArray, *, slope: bool = False) -> FloatArray:
    """The four uniform cubic B-splines over one cell at 0 <= t <= 1, or their slopes; shape (n, 4)."""
    if slope:
        parts = [-((1 - t) ** 2) / 2, (3 * t**2 - 4 * t) / 2, (-3 * t**2 + 2 * t + 1) / 2, t**2 / 2]
    else:
        square, cube = t * t, t * t * t
        parts = [(1 - t) ** 3, 3 * cube - 6 * square + 4, -3 * cube + 3 * square + 3 * t + 1, cube]
        parts = [part / 6 for part in parts]
    return np.asarray(np.stack(parts, axis=-1))


def _gram(size: int, order: int, cell_mm: float) -> FloatArray:
    """Integrals of the products of one axis's B-splines, each differentiated ``order`` times; shape (size, size)."""
    cell = CELL_GRAMS[order] * cell_mm ** (1 - 2 * order)
    matrix = np.zeros((size, size))
    for start in range(size - 3):
        matrix[start : start + 4, start : start + 4] += cell
    return matrix


def _cell_gram(order: int) -> FloatArray:
    """The same over one cell of size 1, for the four splines that live on it; shape (4, 4)."""
    nodes, weights = np.polynomial.legendre.leggauss(4)  # exact up to degree 7
    powers = np.array([[1, -3, 3, -1], [4, 0, -6, 3], [1, 3, 3, -3], [0, 0, 0, 1]]) / 6  # of t, ascending
    pieces = [np.polynomial.Polynomial(row).deriv(order) if order else np.polynomial.Polynomial(row) for row in powers]
    values = np.stack([piece((nodes + 1) / 2) for piece in pieces])
    return np.asarray((values * weights / 2) @ values.T)


CELL_GRAMS = tuple(_cell_gram(order) for order in range(ORDER + 1))
