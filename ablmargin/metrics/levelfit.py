"""Fitting level sets to a mask's border: penalized cubic B-splines on a coarse grid of cells.

The data are the voxel edges that cross the mask's border. Each says "zero is here": at its middle, with the variance of a
uniform distribution over the edge, seen along the border's normal; in a soft mask where the shares of its two voxels
pass one half, and more exactly. The penalty is the integral of the squared third derivatives, which costs nothing for
quadrics: a sphere or an ellipsoid is reproduced without shrinking. Faint anchors, the voxel distances of
:mod:`ablmargin.metrics.edt`, give the field its scale. Where the result leaves a voxel next to the border on the wrong
side, that voxel pulls harder in a second and third round.

Outlines that were drawn slice by slice don't agree from slice to slice. How far they are off is measured on the first fit,
and each then counts with that much more variance: otherwise the field would bend to pass through them all.

Everything is in millimeters along the array's own axes, so the shape doesn't depend on how the grid lies in space.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import linalg
from scipy.spatial import cKDTree
from scipy.special import ndtri

from ablmargin.geometry import BoolArray, FloatArray
from ablmargin.metrics.bspline import first_places, live_places, live_values, roughness_matrix
from ablmargin.metrics.crossings import MAX_CROSSINGS, Crossings, anchors, border_crossings
from ablmargin.metrics.levelset import LevelSet

MAX_COEFFICIENTS = 900
MIN_CELL_MM = 1.6
ROUNDS = 2
STRAY_FACTOR = 10.0
"""How much more a voxel edge counts in the next round if the level set has missed it."""
LEAST_UNEVENNESS_MM, MOST_UNEVENNESS_MM = 0.1, 0.6
"""Outlines that lie less off than the first are even; what lies more off than the last is shape, not a reader's hand."""
OUTLIER_SDS = 3.0
"""A voxel that is missed by no more standard deviations of the outlines doesn't pull harder."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Problem:
    """What doesn't depend on the parts: the cells, the data, and the penalty times the smoothness."""

    low_mm: FloatArray
    cell_mm: float
    sizes: tuple[int, int, int]
    edges: Crossings
    anchors: tuple[FloatArray, FloatArray, FloatArray]
    penalty: FloatArray

    @classmethod
    def of(
        cls,
        voxels: BoolArray,
        distance: FloatArray,
        spacing: FloatArray,
        *,
        smoothness: float,
        shares: NDArray[np.float32] | None,
    ) -> Problem:
        low, cell, sizes = _cells(voxels, spacing)
        high = low + (np.array(sizes) - 3) * cell
        return cls(
            low_mm=low,
            cell_mm=cell,
            sizes=sizes,
            edges=border_crossings(voxels, distance, spacing, shares).some(MAX_CROSSINGS),
            anchors=anchors(distance, spacing, low, high),
            penalty=smoothness * roughness_matrix(sizes, cell),
        )

    def if_uneven(self, level_set: LevelSet) -> Problem:
        """The problem with less trust in each outline, as far as they lie from a level set beyond what voxels explain.

        The median tells whether: what is off in few places, as at a crease or a spike, doesn't count. How far is then told
        by what nine of ten keep within.
        """
        edges = self.edges
        points, own_mm = edges.crossing[edges.in_plane], float(np.median(edges.sd_mm[edges.in_plane]))
        values, slopes = level_set.values_at(points)[:, 0], level_set.slopes_at(points)[:, 0]
        off = np.abs(values) / np.maximum(np.linalg.norm(slopes, axis=1), 1e-6)
        if _excess_sd(off, own_mm, 0.5) < LEAST_UNEVENNESS_MM:
            return self
        unevenness = min(_excess_sd(off, own_mm, 0.9), MOST_UNEVENNESS_MM)
        return replace(self, edges=edges.less_certain(unevenness))

    def equations(self, points: FloatArray, values: FloatArray, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Weighted least squares of values at points, mm: matrix and right-hand side."""
        return normal_equations((points - self.low_mm) / self.cell_mm, values, weights, self.sizes)


class Fit:
    """Parts fitted each to its own edges, refined in rounds."""

    def __init__(self, problem: Problem, owners: Sequence[BoolArray]) -> None:
        """Solve once. ``owners`` tell for each part which edges are its own, shape (edges,)."""
        self.problem, self.owners = problem, owners
        self._systems = [self._system(*ours) for ours in zip(owners, self._anchor_owners(), strict=True)]
        self.level_set = self._solved()

    @property
    def roughness(self) -> float:
        """The penalty of all parts together."""
        flat = self.level_set.coefficients.reshape(len(self.owners), -1)
        return float(np.einsum("pi,ij,pj->", flat, self.problem.penalty, flat, optimize=True))

    def refined(self) -> LevelSet:
        """The level set after all rounds, in which missed edges pull harder."""
        edges, allowed = self.problem.edges, OUTLIER_SDS * self.problem.edges.uneven_mm
        states = [(edges.crossing.copy(), np.where(own, edges.weights, 0.0)) for own in self.owners]
        for _ in range(ROUNDS):
            inner, outer = self.level_set.values_at(edges.inner), self.level_set.values_at(edges.outer)
            for number, own in enumerate(self.owners):
                missed_in = own & (inner.max(axis=1) < -allowed)
                missed_out = outer[:, number] > allowed
                self._pull(number, states[number], missed_in, missed_out)
            self.level_set = self._solved()
        return self.level_set

    def _system(self, own: BoolArray, near: BoolArray) -> tuple[FloatArray, FloatArray]:
        """Matrix and right-hand side of a part with its own edges and the anchors near it."""
        edges, (points, values, weights) = self.problem.edges, (data[near] for data in self.problem.anchors)
        matrix, side = self.problem.equations(
            np.concatenate([points, edges.crossing[own]]),
            np.concatenate([values, np.zeros(np.count_nonzero(own))]),
            np.concatenate([weights, edges.weights[own]]),
        )
        matrix += self.problem.penalty
        matrix[np.diag_indices_from(matrix)] += 1e-9 * np.trace(matrix) / len(matrix)
        return matrix, side

    def _pull(
        self, number: int, state: tuple[FloatArray, FloatArray], missed_in: BoolArray, missed_out: BoolArray
    ) -> None:
        """Move missed edges' zeros to their inner or outer end, and let them count more."""
        edges, missed = self.problem.edges, missed_in | missed_out
        if not missed.any():
            return
        points, weights = state
        points_before, weights_before = points[missed], weights[missed]
        for strays, ends in ((missed_in, edges.inner), (missed_out, edges.outer)):
            points[strays] = ends[strays]
            weights[strays] = STRAY_FACTOR * np.maximum(weights[strays], edges.weights[strays])
        matrix, _ = self._systems[number]
        matrix += self.problem.equations(
            np.concatenate([points_before, points[missed]]),
            np.zeros(2 * len(points_before)),
            np.concatenate([-weights_before, weights[missed]]),
        )[0]

    def _anchor_owners(self) -> list[BoolArray]:
        """To which part each anchor belongs: that of the nearest edge."""
        points = self.problem.anchors[0]
        if len(self.owners) == 1:
            return [np.ones(len(points), dtype=bool)]
        part = np.argmax(self.owners, axis=0)
        nearest = part[cKDTree(self.problem.edges.crossing).query(points)[1]]
        return [nearest == number for number in range(len(self.owners))]

    def _solved(self) -> LevelSet:
        solutions = [solved(matrix, side, self.problem.sizes) for matrix, side in self._systems]
        return LevelSet(
            coefficients=np.stack(solutions),
            low_mm=self.problem.low_mm,
            cell_mm=self.problem.cell_mm,
            unevenness_mm=self.problem.edges.uneven_mm,
        )


def _excess_sd(off_mm: FloatArray, own_mm: float, share: float) -> float:
    """Standard deviation by which a share of distances exceeds a uniform distribution with a standard deviation of its own."""
    excess = float(np.quantile(off_mm, share)) ** 2 - 3 * (share * own_mm) ** 2
    return math.sqrt(max(excess, 0.0)) / float(ndtri((1 + share) / 2))


def normal_equations(
    scaled: FloatArray, values: FloatArray, weights: FloatArray, sizes: tuple[int, int, int]
) -> tuple[FloatArray, FloatArray]:
    """Weighted least squares of values at points, shape (n, 3), counted in cells: matrix and right-hand side.

    Summed cell by cell, since the same splines live on the whole of one.
    """
    first = first_places(scaled, sizes)
    order = np.argsort(first, kind="stable")
    first, basis = first[order], live_values(scaled[order], sizes)
    weighted, live, count = basis * weights[order, None], live_places(sizes), math.prod(sizes)
    values, block = values[order], (live[:, None] * count + live).ravel()
    starts = np.flatnonzero(np.diff(first, prepend=-1))
    matrix, side = np.zeros(count * count), np.zeros(count)
    for start, stop in zip(starts, np.append(starts[1:], len(first)), strict=True):
        own = weighted[start:stop].T
        matrix[first[start] * (count + 1) + block] += (own @ basis[start:stop]).ravel()
        side[first[start] + live] += own @ values[start:stop]
    return matrix.reshape(count, count), side


def solved(matrix: FloatArray, side: FloatArray, sizes: tuple[int, int, int]) -> FloatArray:
    """Coefficients, of shape ``sizes``, that solve normal equations; of splines that share no cell the matrix knows nothing."""
    width = int(live_places(sizes)[-1])
    band = np.zeros((len(matrix), width + 1))  # what leads up to the diagonal, row by row
    for row, entries in enumerate(matrix):
        before = min(row, width)
        band[row, width - before :] = entries[row - before : row + 1]
    return np.asarray(linalg.solveh_banded(band.T, side, overwrite_ab=True, check_finite=False)).reshape(sizes)


def cells_over(
    low_mm: FloatArray, high_mm: FloatArray, *, finest_mm: float, most: int
) -> tuple[FloatArray, float, tuple[int, int, int]]:
    """Cubic cells over a box, centered on it, as fine as the number of coefficients allows.

    Returns
    -------
    tuple
        Where the first cell begins, shape (3,), the cells' size, mm, and the number of coefficients along each axis.
    """
    cell = finest_mm
    while np.prod(sizes := np.maximum(np.ceil((high_mm - low_mm) / cell), 1).astype(int) + 3) > most:
        cell *= 1.03
    start = (low_mm + high_mm - (sizes - 3) * cell) / 2
    return start, float(cell), (int(sizes[0]), int(sizes[1]), int(sizes[2]))


def _cells(voxels: BoolArray, spacing: FloatArray) -> tuple[FloatArray, float, tuple[int, int, int]]:
    """The cells over the box around a mask."""
    extents = [np.flatnonzero(voxels.any(axis=others)) for others in ((1, 2), (0, 2), (0, 1))]
    low = (np.array([used[0] for used in extents]) - 1.5) * spacing
    high = (np.array([used[-1] for used in extents]) + 1.5) * spacing
    return cells_over(low, high, finest_mm=MIN_CELL_MM, most=MAX_COEFFICIENTS)
