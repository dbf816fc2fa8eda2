"""A smooth level set through the staircase of a mask: penalized cubic B-splines on a coarse grid of knots.

The data are the midpoints of the voxel edges that cross the mask's border. Each says "zero is here", with the variance
of a uniform distribution over the edge, seen along the border's normal. The penalty is the integral of the squared third
derivatives, which costs nothing for quadrics: a sphere or an ellipsoid is reproduced without shrinking. Faint anchors,
the voxel distances of :mod:`ablmargin.metrics.edt`, give the field its scale. Where the result leaves a voxel next to the
border on the wrong side, as in the crease between two ablations, that voxel pulls harder in a second and third round.

Everything is in millimeters along the array's own axes, so the shape doesn't depend on how the grid lies in space.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import linalg, ndimage

from ablmargin.geometry import Array, BoolArray, FloatArray, Triple
from ablmargin.threads import one_blas_thread

PAD_VOXELS = 3
MAX_COEFFICIENTS = 900
MIN_KNOT_MM = 1.6
ANCHOR_WEIGHT = 0.02
"""Weight of a voxel's distance per mm³, against 1/variance per mm² of a border crossing."""
MIN_CROSSING_SD_MM = 0.1
ROUNDS = 2
STRAY_FACTOR = 10.0
"""How much more a voxel edge counts in the next round if the level set has missed it."""
ORDER = 3
"""The derivatives that the penalty counts; polynomials of a lower degree are free of charge."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LevelSet:
    """A tensor product of uniform cubic B-splines, positive inside the structure.

    Parameters
    ----------
    coefficients : ndarray, shape (a, b, c)
    low_mm : ndarray, shape (3,)
        Where the first cell begins, along the array axes.
    knot_mm : float
        Size of the cells, the same along all axes.
    """

    coefficients: FloatArray
    low_mm: FloatArray
    knot_mm: float

    @property
    def high_mm(self) -> FloatArray:
        return np.asarray(self.low_mm + (np.array(self.coefficients.shape) - 3) * self.knot_mm)

    def on_grid(self, *axes_mm: FloatArray) -> FloatArray:
        """Values on the grid spanned by three axes, mm, within the box."""
        bases = [
            _axis_basis((axis - low) / self.knot_mm, size)
            for axis, low, size in zip(axes_mm, self.low_mm, self.coefficients.shape, strict=True)
        ]
        return np.asarray(np.einsum("ai,bj,ck,ijk->abc", *bases, self.coefficients, optimize=True))

    def values_at(self, points_mm: FloatArray) -> FloatArray:
        """Values at points, shape (n, 3), mm, within the box; shape (n,)."""
        weights, columns = _local_basis((points_mm - self.low_mm) / self.knot_mm, self.coefficients.shape)
        return np.asarray(np.einsum("nc,nc->n", weights, self.coefficients.ravel()[columns]))

    def pulled_to_zero(self, points_mm: FloatArray, *, max_step_mm: float) -> FloatArray:
        """Points, shape (n, 3), moved onto the zero level along the gradient by one Newton step."""
        weights, columns = _local_basis((points_mm - self.low_mm) / self.knot_mm, self.coefficients.shape)
        local = self.coefficients.ravel()[columns]
        value = np.einsum("nc,nc->n", weights, local)
        gradient = np.stack([np.einsum("nc,nc->n", self._slope(points_mm, axis), local) for axis in range(3)], axis=1)
        steepness = np.maximum((gradient**2).sum(axis=1), 1e-6)
        step = (value / steepness)[:, None] * gradient
        length = np.linalg.norm(step, axis=1, keepdims=True)
        return np.asarray(points_mm - step * np.minimum(1.0, max_step_mm / np.maximum(length, 1e-12)))

    def _slope(self, points_mm: FloatArray, axis: int) -> FloatArray:
        scaled = (points_mm - self.low_mm) / self.knot_mm
        return _local_basis(scaled, self.coefficients.shape, derived=axis)[0] / self.knot_mm


def fit_level_set(voxels: BoolArray, distance_mm: FloatArray, spacing_mm: Triple, *, smoothness: float) -> LevelSet:
    """Fit the level set to one connected mask.

    Parameters
    ----------
    voxels : ndarray of bool, shape (k, j, i)
        With at least ``PAD_VOXELS`` empty voxels on every side.
    distance_mm : ndarray, shape (k, j, i)
        The mask's averaged signed distances, see :mod:`ablmargin.metrics.edt`.
    spacing_mm : (float, float, float)
    smoothness : float
        Weight of the penalty.

    Returns
    -------
    LevelSet
        In mm along the array axes, voxel (0, 0, 0) at the origin.
    """
    spacing = np.array(spacing_mm)
    low, knot, sizes = _knots(voxels, spacing)
    anchors = _anchors(distance_mm, spacing, low, low + (np.array(sizes) - 3) * knot)
    fixed, target = _normal_equations(*anchors, low=low, knot=knot, sizes=sizes)
    fixed += smoothness * _penalty(sizes, knot)
    fixed[np.diag_indices_from(fixed)] += 1e-9 * np.trace(fixed) / len(fixed)
    inner, outer, weights = _crossings(voxels, distance_mm, spacing)
    points = (inner + outer) / 2
    level_set = _solved(fixed, target, points, weights, low=low, knot=knot, sizes=sizes)
    for _ in range(ROUNDS):
        wrong_in, wrong_out = level_set.values_at(inner) < 0, level_set.values_at(outer) > 0
        points = np.where(wrong_in[:, None], inner, np.where(wrong_out[:, None], outer, points))
        weights = np.where(wrong_in | wrong_out, STRAY_FACTOR * weights, weights)
        level_set = _solved(fixed, target, points, weights, low=low, knot=knot, sizes=sizes)
    return level_set


def _solved(
    fixed: FloatArray,
    target: FloatArray,
    points: FloatArray,
    weights: FloatArray,
    *,
    low: FloatArray,
    knot: float,
    sizes: tuple[int, int, int],
) -> LevelSet:
    """The level set that also passes through weighted points, shape (n, 3)."""
    crossings, _ = _normal_equations(points, np.zeros(len(points)), weights, low=low, knot=knot, sizes=sizes)
    with one_blas_thread():
        solution = linalg.solve(fixed + crossings, target, assume_a="pos", check_finite=False, overwrite_a=True)
    return LevelSet(coefficients=np.asarray(solution).reshape(sizes), low_mm=low, knot_mm=knot)


def _knots(voxels: BoolArray, spacing: FloatArray) -> tuple[FloatArray, float, tuple[int, int, int]]:
    """The box around the mask, its cells as fine as the number of coefficients allows, centered on the mask."""
    used = np.argwhere(voxels)
    low, high = (used.min(axis=0) - 1.5) * spacing, (used.max(axis=0) + 1.5) * spacing
    knot = MIN_KNOT_MM
    while np.prod(cells := np.ceil((high - low) / knot).astype(int) + 3) > MAX_COEFFICIENTS:
        knot *= 1.03
    start = (low + high - (cells - 3) * knot) / 2
    return start, float(knot), (int(cells[0]), int(cells[1]), int(cells[2]))


def _anchors(
    distance: FloatArray, spacing: FloatArray, low: FloatArray, high: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Voxels near the border, within the box: their points, distances and weights."""
    near = np.argwhere(np.abs(distance) <= max(1.5 * spacing.max(), 3.0))
    points = near * spacing
    inside = ((points >= low) & (points <= high)).all(axis=1)
    values = distance[tuple(near[inside].T)]
    return points[inside], values, np.full(len(values), ANCHOR_WEIGHT * float(spacing.prod()))


def _crossings(
    voxels: BoolArray, distance: FloatArray, spacing: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Both ends of the voxel edges that cross the border, the one inside first, and the edges' weights."""
    normals: list[FloatArray] = list(np.gradient(ndimage.gaussian_filter(distance, 1.0), *spacing))
    inner, outer, weights = [], [], []
    for axis in range(3):
        first = np.argwhere(np.diff(voxels, axis=axis))
        second = first + np.eye(3, dtype=int)[axis]
        middle = (first + second).T / 2
        normal = np.stack([ndimage.map_coordinates(component, middle, order=1) for component in normals], axis=1)
        along = np.abs(normal[:, axis]) / np.maximum(np.linalg.norm(normal, axis=1), 1e-6)
        sd = np.maximum(spacing[axis] * along / math.sqrt(12.0), MIN_CROSSING_SD_MM)
        starts_in = voxels[tuple(first.T)][:, None]
        inner.append(np.where(starts_in, first, second) * spacing)
        outer.append(np.where(starts_in, second, first) * spacing)
        weights.append(spacing.prod() / spacing[axis] / sd**2)  # by the area that one edge stands for
    return np.concatenate(inner), np.concatenate(outer), np.concatenate(weights)


def _normal_equations(
    points: FloatArray,
    values: FloatArray,
    weights: FloatArray,
    *,
    low: FloatArray,
    knot: float,
    sizes: tuple[int, int, int],
) -> tuple[FloatArray, FloatArray]:
    """Weighted least squares of point values: matrix and right-hand side, summed cell by cell."""
    basis, columns = _local_basis((points - low) / knot, sizes)
    order = np.argsort(columns[:, 0], kind="stable")
    basis, columns, values, weights = basis[order], columns[order], values[order], weights[order]
    starts = np.flatnonzero(np.diff(columns[:, 0], prepend=-1))
    matrix, right = np.zeros((math.prod(sizes),) * 2), np.zeros(math.prod(sizes))
    with one_blas_thread():
        for start, stop in zip(starts, np.append(starts[1:], len(points)), strict=True):
            part, local = basis[start:stop], columns[start]
            weighted = part * weights[start:stop, None]
            matrix[np.ix_(local, local)] += weighted.T @ part
            right[local] += weighted.T @ values[start:stop]
    return matrix, right


def _local_basis(scaled: FloatArray, sizes: tuple[int, ...], *, derived: int | None = None) -> tuple[FloatArray, Array]:
    """The 64 B-splines that live at each point, shape (n, 64), and their places among all coefficients.

    ``scaled`` counts cells from the box's corner; ``derived`` names an axis to differentiate along.
    """
    cell = np.clip(np.floor(scaled).astype(int), 0, np.array(sizes) - 4)
    local = scaled - cell
    first, second, third = (_cubic(local[:, axis], slope=axis == derived) for axis in range(3))
    weights = np.einsum("na,nb,nc->nabc", first, second, third).reshape(len(scaled), 64)
    steps = np.arange(4)
    offsets = ((steps[:, None, None] * sizes[1] + steps[:, None]) * sizes[2] + steps).ravel()
    corner = (cell[:, 0] * sizes[1] + cell[:, 1]) * sizes[2] + cell[:, 2]
    return weights, corner[:, None] + offsets


def _axis_basis(scaled: FloatArray, size: int) -> FloatArray:
    """Values of all B-splines of one axis at its points, shape (points, size)."""
    cell = np.clip(np.floor(scaled).astype(int), 0, size - 4)
    matrix = np.zeros((len(scaled), size))
    matrix[np.arange(len(scaled))[:, None], cell[:, None] + np.arange(4)] = _cubic(scaled - cell)
    return matrix


def _cubic(t: FloatArray, *, slope: bool = False) -> FloatArray:
    """The four uniform cubic B-splines over one cell at 0 <= t <= 1, or their slopes; shape (n, 4)."""
    if slope:
        parts = [-((1 - t) ** 2) / 2, (3 * t**2 - 4 * t) / 2, (-3 * t**2 + 2 * t + 1) / 2, t**2 / 2]
    else:
        parts = [(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3]
        parts = [part / 6 for part in parts]
    return np.stack(parts, axis=-1)


def _penalty(sizes: tuple[int, int, int], knot: float) -> FloatArray:
    """Matrix of the integral of all squared third derivatives over the box."""
    total = np.zeros((math.prod(sizes),) * 2)
    for first in range(ORDER + 1):
        for second in range(ORDER + 1 - first):
            orders = (first, second, ORDER - first - second)
            ways = math.factorial(ORDER) / math.prod(math.factorial(order) for order in orders)
            grams = [_gram(size, order, knot) for size, order in zip(sizes, orders, strict=True)]
            total += ways * np.kron(np.kron(grams[0], grams[1]), grams[2])
    return total


def _gram(size: int, order: int, knot: float) -> FloatArray:
    """Integrals of the products of one axis's B-splines, each differentiated ``order`` times; shape (size, size)."""
    nodes, weights = np.polynomial.legendre.leggauss(4)  # exact up to degree 7
    powers = np.array([[1, -3, 3, -1], [4, 0, -6, 3], [1, 3, 3, -3], [0, 0, 0, 1]]) / 6  # of t, ascending
    pieces = [np.polynomial.Polynomial(row).deriv(order) if order else np.polynomial.Polynomial(row) for row in powers]
    values = np.stack([piece((nodes + 1) / 2) for piece in pieces])
    cell = (values * weights / 2) @ values.T * knot ** (1 - 2 * order)
    matrix = np.zeros((size, size))
    for start in range(size - 3):
        matrix[start : start + 4, start : start + 4] += cell
    return matrix
