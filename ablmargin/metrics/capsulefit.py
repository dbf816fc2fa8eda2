"""A smooth border through the staircase of a mask that goes on beyond its box: the capsule of a liver cut out around a tumor.

One level set, a penalized cubic B-spline on a coarse grid of cells, is fitted to the voxel edges that cross the border.
Where a capsule runs along the slices, its place between two of them isn't told there but by the steps around: the fit
carries it over with the least change of curvature. A border that is flat and parallel to the slices has no steps; it stays
halfway between them.
"""

from __future__ import annotations

import numpy as np
from scipy import linalg
from scipy.spatial import cKDTree

from ablmargin.geometry import BoolArray, FloatArray
from ablmargin.metrics.bspline import roughness_matrix
from ablmargin.metrics.crossings import some
from ablmargin.metrics.levelfit import cells_over, normal_equations
from ablmargin.metrics.levelset import LevelSet
from ablmargin.threads import one_blas_thread

FINEST_CELL_MM, MAX_COEFFICIENTS = 6.0, 700
SMOOTHNESS = 5000.0
"""Weight of the integral of the squared third derivatives, against 1/variance per mm² of a border crossing."""
SCALE_MM, SCALE_WEIGHT = 5.0, 0.1
"""So far to both sides of the border the field is told its value, faintly, per mm²."""
MAX_CROSSINGS, MAX_SCALES = 6000, 1000
MIN_CROSSING_SD_MM = 0.1
PULLS = 2
TRUSTED_VOXELS, SPARE_MM = 0.5, 0.25
"""The fit may move a foot by half a voxel along the normal and some more; beyond that it is trusted less and less."""


@one_blas_thread()
def smooth_feet(
    voxels: BoolArray, spacing: FloatArray, feet_mm: FloatArray, inward: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Points of a mask's border, moved onto its smooth fit, and the normals there.

    Parameters
    ----------
    voxels : ndarray of bool, shape (k, j, i)
        The array's own faces are no border.
    spacing : ndarray, shape (3,)
    feet_mm, inward : ndarray, shape (n, 3)
        Points all over the border, mm along the array's axes, and unit normals, known to about half a voxel.

    Returns
    -------
    tuple of ndarray, shapes (n, 3)
        Where the fit strays from a point by more than the voxels allow, as at an edge or in a fissure, the point stays.
    """
    border = _fitted(voxels, spacing, feet_mm, inward)
    moved, normals = feet_mm, inward
    for _ in range(PULLS):
        values, slopes = border.values_at(moved), border.slopes_at(moved)[:, 0]
        steepness = np.maximum(np.linalg.norm(slopes, axis=1, keepdims=True), 1e-9)
        normals = slopes / steepness
        moved = moved - np.clip(values / steepness, -spacing.max(), spacing.max()) * normals
    limit = TRUSTED_VOXELS * np.linalg.norm(inward * spacing, axis=1) + SPARE_MM
    trust = np.clip(2.0 - np.linalg.norm(moved - feet_mm, axis=1) / limit, 0.0, 1.0)
    trust[(normals * inward).sum(axis=1) < 0.5] = 0.0
    turned = (1 - trust)[:, None] * inward + trust[:, None] * normals
    turned /= np.linalg.norm(turned, axis=1, keepdims=True)
    return feet_mm + trust[:, None] * (moved - feet_mm), turned


def _fitted(voxels: BoolArray, spacing: FloatArray, feet_mm: FloatArray, inward: FloatArray) -> LevelSet:
    """One field for the whole border, positive inside."""
    low, cell, sizes = cells_over(
        np.zeros(3), (np.array(voxels.shape) - 1) * spacing, finest_mm=FINEST_CELL_MM, most=MAX_COEFFICIENTS
    )
    middles, weights, area = _crossings(voxels, spacing, feet_mm, inward)
    few = some(len(feet_mm), MAX_SCALES)
    scales = [feet_mm[few] + side * SCALE_MM * inward[few] for side in (1, -1)]
    scaled = np.clip((np.concatenate([middles, *scales]) - low) / cell, 0.0, np.array(sizes) - 3.0)
    values = np.repeat([0.0, SCALE_MM, -SCALE_MM], [len(middles), len(few), len(few)])
    weights = np.concatenate([weights, np.full(2 * len(few), SCALE_WEIGHT * area / (2 * len(few)))])
    matrix, side = normal_equations(scaled, values, weights, sizes)
    matrix += SMOOTHNESS * roughness_matrix(sizes, cell)
    matrix[np.diag_indices_from(matrix)] += 1e-9 * np.trace(matrix) / len(matrix)
    solution = linalg.solve(matrix, side, assume_a="pos", check_finite=False)
    return LevelSet(coefficients=solution.reshape(1, *sizes), low_mm=low, cell_mm=cell)


def _crossings(
    voxels: BoolArray, spacing: FloatArray, feet_mm: FloatArray, inward: FloatArray
) -> tuple[FloatArray, FloatArray, float]:
    """Middles of the edges that cross the border, shape (n, 3), their weights, (n,), and the border's area, mm².

    An edge weighs as much as the area it stands for, over the variance of where on it the border is.
    """
    firsts = [np.argwhere(np.diff(voxels, axis=axis)) for axis in range(3)]
    axes = np.repeat(np.arange(3), [len(first) for first in firsts])
    middles = (np.concatenate(firsts) + np.eye(3)[axes] / 2) * spacing
    chosen, total = some(len(middles), MAX_CROSSINGS), len(middles)
    middles, axes = middles[chosen], axes[chosen]
    along = np.abs(inward[cKDTree(feet_mm).query(middles)[1], axes])
    areas = spacing.prod() / spacing[axes] * (total / len(chosen))
    sd = np.maximum(spacing[axes] * along / np.sqrt(12.0), MIN_CROSSING_SD_MM)
    return middles, areas / sd**2, float(areas @ along)
