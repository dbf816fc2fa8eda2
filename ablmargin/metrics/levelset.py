"""Smooth level sets through the staircase of a mask: penalized cubic B-splines on a coarse grid of cells.

The data are the voxel edges that cross the mask's border. Each says "zero is here": at its middle, with the variance of a
uniform distribution over the edge, seen along the border's normal; in a soft mask where the shares of its two voxels
pass one half, and more exactly. The penalty is the integral of the squared third derivatives, which costs nothing for
quadrics: a sphere or an ellipsoid is reproduced without shrinking. Faint anchors, the voxel distances of
:mod:`ablmargin.metrics.edt`, give the field its scale. Where the result leaves a voxel next to the border on the wrong
side, that voxel pulls harder in a second and third round.

Overlapping ablations meet in a sharp crease, which one smooth field would fill in. A mask whose border is closer to a few
balls than to one is therefore tried as a union of smooth parts, each with its own field. If together they need far less
roughness, they are what the shape is made of, and the crease between them stays sharp.

Everything is in millimeters along the array's own axes, so the shape doesn't depend on how the grid lies in space.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, ndimage
from scipy.spatial import cKDTree

from ablmargin.geometry import Array, BoolArray, FloatArray, Triple
from ablmargin.metrics.balls import fit_balls
from ablmargin.metrics.bspline import axis_basis, first_places, live_places, live_values, roughness_matrix
from ablmargin.threads import one_blas_thread

PAD_VOXELS = 3
MAX_COEFFICIENTS = 900
MIN_CELL_MM = 1.6
ANCHOR_WEIGHT = 0.02
"""Weight of a voxel's distance per mm³, against 1/variance per mm² of a border crossing."""
MAX_ANCHORS, MAX_CROSSINGS = 4000, 8000
MIN_CROSSING_SD_MM, MIN_SOFT_CROSSING_SD_MM = 0.1, 0.05
SOFT_CROSSING_SHARE = 0.08
"""Standard deviation of a crossing read from a soft mask, in units of the edge's length along the normal."""
SOFTER = (0.1, 0.01)
"""The penalty is weakened by these factors where the smoothest level set isn't plausible."""
ROUNDS = 2
STRAY_FACTOR = 10.0
"""How much more a voxel edge counts in the next round if the level set has missed it."""
MAX_PARTS = 3
WORTH_A_TRIAL = {2: 0.5, 3: 0.1}
"""Parts are tried if balls, so many, come this much closer to the border than one ball, by mean squared distance."""
HARDLY_CLOSER = 0.85
"""Beyond this share of one ball's misfit more of them aren't looked at."""
WORTH_PARTS, HOPELESS = 0.3, 0.7
"""Parts must need less than the first share of the roughness that one field needs; beyond the second they never get there."""
TAKEOVERS = 3
FEWEST_EDGES = 120
"""Border crossings that a part must rest on."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LevelSet:
    """The largest of some tensor products of uniform cubic B-splines; positive inside the structure.

    Parameters
    ----------
    coefficients : ndarray, shape (parts, a, b, c)
    low_mm : ndarray, shape (3,)
        Where the first cell begins, along the array axes.
    cell_mm : float
        Size of the cells, the same along all axes.
    """

    coefficients: FloatArray
    low_mm: FloatArray
    cell_mm: float

    @property
    def parts(self) -> int:
        return len(self.coefficients)

    @property
    def high_mm(self) -> FloatArray:
        return np.asarray(self.low_mm + (np.array(self._sizes) - 3) * self.cell_mm)

    @property
    def _sizes(self) -> tuple[int, int, int]:
        _, first, second, third = self.coefficients.shape
        return first, second, third

    def on_grid(self, *axes_mm: FloatArray) -> FloatArray:
        """Values of the parts on the grid spanned by three axes, mm, within the box; shape (parts, a, b, c)."""
        bases = [
            axis_basis((axis - low) / self.cell_mm, size)
            for axis, low, size in zip(axes_mm, self.low_mm, self._sizes, strict=True)
        ]
        return np.asarray(np.einsum("ai,bj,ck,pijk->pabc", *bases, self.coefficients, optimize=True))

    def values_at(self, points_mm: FloatArray) -> FloatArray:
        """Values of the parts at points, shape (n, 3), mm, within the box; shape (n, parts)."""
        return np.asarray(
            np.einsum("nc,ncp->np", live_values(self._scaled(points_mm), self._sizes), self._live(points_mm))
        )

    def slopes_at(self, points_mm: FloatArray) -> FloatArray:
        """Gradients of the parts, per mm, at points, shape (n, 3); shape (n, parts, 3)."""
        scaled, live = self._scaled(points_mm), self._live(points_mm)
        slopes = [
            np.einsum("nc,ncp->np", live_values(scaled, self._sizes, slope_along=axis), live) / self.cell_mm
            for axis in range(3)
        ]
        return np.stack(slopes, axis=-1)

    def pulled_to_zero(self, points_mm: FloatArray, *, max_step_mm: float) -> FloatArray:
        """Points, shape (n, 3), moved onto the zero level along the gradient of the leading part by one Newton step."""
        values, slopes = self.values_at(points_mm), self.slopes_at(points_mm)
        rows, leading = np.arange(len(values)), values.argmax(axis=1)
        value, slope = values[rows, leading], slopes[rows, leading]
        step = (value / np.maximum((slope**2).sum(axis=1), 1e-6))[:, None] * slope
        return points_mm - _shortened(step, max_step_mm)

    def pulled_to_crease(self, points_mm: FloatArray, first: Array, second: Array, *, max_step_mm: float) -> FloatArray:
        """Points, shape (n, 3), moved to where two parts, numbers of shape (n,) each, are zero together; two Newton steps."""
        rows, places = np.arange(len(points_mm)), points_mm
        for _ in range(2):
            values, slopes = self.values_at(places), self.slopes_at(places)
            both = np.stack([slopes[rows, first], slopes[rows, second]], axis=1)
            zero = np.stack([values[rows, first], values[rows, second]], axis=1)
            gram = both @ both.transpose(0, 2, 1) + 1e-6 * np.eye(2)
            places = places - np.einsum("nij,ni->nj", both, np.linalg.solve(gram, zero[..., None])[..., 0])
        return points_mm + _shortened(places - points_mm, max_step_mm)

    def _scaled(self, points_mm: FloatArray) -> FloatArray:
        return np.asarray((points_mm - self.low_mm) / self.cell_mm)

    def _live(self, points_mm: FloatArray) -> FloatArray:
        """Coefficients of the splines that live at points; shape (n, LIVE, parts)."""
        places = first_places(self._scaled(points_mm), self._sizes)[:, None] + live_places(self._sizes)
        return np.asarray(self.coefficients.reshape(self.parts, -1).T[places])


def fit_level_set(
    voxels: BoolArray,
    distance_mm: FloatArray,
    spacing_mm: Triple,
    *,
    smoothness: float,
    shares: NDArray[np.float32] | None = None,
) -> Iterator[LevelSet]:
    """Fit level sets to one connected mask, the preferred one first: in parts if it has any, then smooth, then less so.

    Parameters
    ----------
    voxels : ndarray of bool, shape (k, j, i)
        With at least ``PAD_VOXELS`` empty voxels on every side.
    distance_mm : ndarray, shape (k, j, i)
        The mask's averaged signed distances, see :mod:`ablmargin.metrics.edt`.
    spacing_mm : (float, float, float)
    smoothness : float
        Weight of the penalty.
    shares : ndarray, shape (k, j, i), optional
        Of a soft mask: the share of each voxel that lies inside, 0.5 or more where ``voxels`` are set.

    Yields
    ------
    LevelSet
        In mm along the array axes, voxel (0, 0, 0) at the origin.
    """
    problem = _Problem.of(voxels, distance_mm, np.array(spacing_mm), smoothness=smoothness, shares=shares)
    with one_blas_thread():
        whole = _Fit(problem, (np.ones(len(problem.edges), dtype=bool),))
        parts = _in_parts(problem, whole)
        if parts is not None:
            yield parts.refined()
        yield whole.refined()
        for softer in SOFTER:
            looser = replace(problem, penalty=softer * problem.penalty)
            yield _Fit(looser, (np.ones(len(problem.edges), dtype=bool),)).refined()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Edges:
    """Voxel edges that cross the border, shape (n, 3) each in mm: inner end, outer end and where the border is expected."""

    inner: FloatArray
    outer: FloatArray
    crossing: FloatArray
    weights: FloatArray

    def __len__(self) -> int:
        return len(self.weights)

    def some(self, count: int) -> _Edges:
        """At most so many of them, the weights raised in turn."""
        if len(self) <= count:
            return self
        chosen, weights = _some(len(self), count), self.weights * (len(self) / count)
        return _Edges(
            inner=self.inner[chosen],
            outer=self.outer[chosen],
            crossing=self.crossing[chosen],
            weights=weights[chosen],
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Problem:
    """What doesn't depend on the parts: the cells, the data, and the penalty times the smoothness."""

    low_mm: FloatArray
    cell_mm: float
    sizes: tuple[int, int, int]
    edges: _Edges
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
    ) -> _Problem:
        low, cell, sizes = _cells(voxels, spacing)
        high = low + (np.array(sizes) - 3) * cell
        return cls(
            low_mm=low,
            cell_mm=cell,
            sizes=sizes,
            edges=_edges(voxels, distance, spacing, shares).some(MAX_CROSSINGS),
            anchors=_anchors(distance, spacing, low, high),
            penalty=smoothness * roughness_matrix(sizes, cell),
        )

    def equations(self, points: FloatArray, values: FloatArray, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Weighted least squares of point values: matrix and right-hand side, summed cell by cell."""
        scaled = (points - self.low_mm) / self.cell_mm
        first = first_places(scaled, self.sizes)
        order = np.argsort(first, kind="stable")
        first, basis = first[order], live_values(scaled[order], self.sizes)
        weighted, live = basis * weights[order, None], live_places(self.sizes)
        right = np.einsum("nc,n->nc", weighted, values[order])
        starts = np.flatnonzero(np.diff(first, prepend=-1))
        matrix, side = np.zeros(self.penalty.shape), np.zeros(len(self.penalty))
        for start, stop in zip(starts, np.append(starts[1:], len(first)), strict=True):
            places = first[start] + live
            matrix[places[:, None], places] += weighted[start:stop].T @ basis[start:stop]
            side[places] += right[start:stop].sum(axis=0)
        return matrix, side


class _Fit:
    """Parts fitted each to its own edges, refined in rounds."""

    def __init__(self, problem: _Problem, owners: Sequence[BoolArray]) -> None:
        """Solve once. ``owners`` tell for each part which edges are its own, shape (edges,)."""
        self.problem, self.owners = problem, owners
        edges, anchors = problem.edges, self._anchor_owners()
        self._systems = []
        for own, near in zip(owners, anchors, strict=True):
            points, values, weights = (data[near] for data in problem.anchors)
            matrix, side = problem.equations(points, values, weights)
            matrix += problem.penalty
            matrix[np.diag_indices_from(matrix)] += 1e-9 * np.trace(matrix) / len(matrix)
            matrix += problem.equations(edges.crossing[own], np.zeros(np.count_nonzero(own)), edges.weights[own])[0]
            self._systems.append((matrix, side))
        self.level_set = self._solved()

    @property
    def roughness(self) -> float:
        """The penalty of all parts together."""
        flat = self.level_set.coefficients.reshape(len(self.owners), -1)
        return float(np.einsum("pi,ij,pj->", flat, self.problem.penalty, flat, optimize=True))

    def refined(self) -> LevelSet:
        """The level set after all rounds, in which missed edges pull harder."""
        edges = self.problem.edges
        states = [(edges.crossing.copy(), np.where(own, edges.weights, 0.0)) for own in self.owners]
        for _ in range(ROUNDS):
            inner, outer = self.level_set.values_at(edges.inner), self.level_set.values_at(edges.outer)
            for number, own in enumerate(self.owners):
                missed_in = own & (inner.max(axis=1) < 0)
                missed_out = outer[:, number] > 0
                self._pull(number, states[number], missed_in, edges.inner)
                self._pull(number, states[number], missed_out, edges.outer)
            self.level_set = self._solved()
        return self.level_set

    def _pull(self, number: int, state: tuple[FloatArray, FloatArray], missed: BoolArray, ends: FloatArray) -> None:
        """Move missed edges' zeros to one end, and let them count more."""
        if not missed.any():
            return
        (points, weights), (matrix, _) = state, self._systems[number]
        matrix -= self._normal(points[missed], weights[missed])
        points[missed] = ends[missed]
        weights[missed] = STRAY_FACTOR * np.maximum(weights[missed], self.problem.edges.weights[missed])
        matrix += self._normal(points[missed], weights[missed])

    def _normal(self, points: FloatArray, weights: FloatArray) -> FloatArray:
        return self.problem.equations(points, np.zeros(len(points)), weights)[0]

    def _anchor_owners(self) -> list[BoolArray]:
        """To which part each anchor belongs: that of the nearest edge."""
        points = self.problem.anchors[0]
        if len(self.owners) == 1:
            return [np.ones(len(points), dtype=bool)]
        part = np.argmax(self.owners, axis=0)
        nearest = part[cKDTree(self.problem.edges.crossing).query(points)[1]]
        return [nearest == number for number in range(len(self.owners))]

    def _solved(self) -> LevelSet:
        solutions = [linalg.solve(matrix, side, assume_a="pos", check_finite=False) for matrix, side in self._systems]
        return LevelSet(
            coefficients=np.stack(solutions).reshape(-1, *self.problem.sizes),
            low_mm=self.problem.low_mm,
            cell_mm=self.problem.cell_mm,
        )


def _in_parts(problem: _Problem, whole: _Fit) -> _Fit | None:
    """The union of fewest parts that explains the border with far less roughness; None if none does."""
    points, weights = problem.edges.crossing, problem.edges.weights
    alone: float | None = None
    for balls in islice(fit_balls(points, weights), MAX_PARTS):
        misfit = float((weights * balls.misfit_mm2(points)).sum())
        alone = misfit if alone is None else alone
        if misfit > HARDLY_CLOSER * alone and len(balls.radii_mm) > 1:
            return None
        if len(balls.radii_mm) == 1 or misfit > WORTH_A_TRIAL[len(balls.radii_mm)] * alone:
            continue
        nearest = balls.nearest(points)
        trial = _settled(problem, whole, [nearest == number for number in range(len(balls.radii_mm))])
        if trial is not None:
            return trial
    return None


def _settled(problem: _Problem, whole: _Fit, owners: list[BoolArray]) -> _Fit | None:
    """Parts that took over each other's edges until they are smooth enough; None if they don't get there."""
    for _ in range(TAKEOVERS):
        if min(np.count_nonzero(own) for own in owners) < FEWEST_EDGES:
            return None
        trial = _Fit(problem, owners)
        if trial.roughness < WORTH_PARTS * whole.roughness:
            return trial
        if trial.roughness > HOPELESS * whole.roughness:
            return None
        leading = trial.level_set.values_at(problem.edges.crossing).argmax(axis=1)
        owners = [leading == number for number in range(len(owners))]
    return None


def _cells(voxels: BoolArray, spacing: FloatArray) -> tuple[FloatArray, float, tuple[int, int, int]]:
    """The box around the mask, its cells as fine as the number of coefficients allows, centered on the mask."""
    extents = [np.flatnonzero(voxels.any(axis=others)) for others in ((1, 2), (0, 2), (0, 1))]
    low = (np.array([used[0] for used in extents]) - 1.5) * spacing
    high = (np.array([used[-1] for used in extents]) + 1.5) * spacing
    cell = MIN_CELL_MM
    while np.prod(sizes := np.ceil((high - low) / cell).astype(int) + 3) > MAX_COEFFICIENTS:
        cell *= 1.03
    start = (low + high - (sizes - 3) * cell) / 2
    return start, float(cell), (int(sizes[0]), int(sizes[1]), int(sizes[2]))


def _anchors(
    distance: FloatArray, spacing: FloatArray, low: FloatArray, high: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Voxels near the border, within the box: their points, distances and weights."""
    near = np.argwhere(np.abs(distance) <= max(1.5 * spacing.max(), 3.0))
    points = near * spacing
    inside = ((points >= low) & (points <= high)).all(axis=1)
    points, values = points[inside], distance[tuple(near[inside].T)]
    chosen = _some(len(points), MAX_ANCHORS)
    weight = ANCHOR_WEIGHT * float(spacing.prod()) * len(points) / max(len(chosen), 1)
    return points[chosen], values[chosen], np.full(len(chosen), weight)


def _edges(voxels: BoolArray, distance: FloatArray, spacing: FloatArray, shares: NDArray[np.float32] | None) -> _Edges:
    normals: list[FloatArray] = list(np.gradient(ndimage.gaussian_filter(distance, 1.0), *spacing))
    inner, outer, crossing, weights = [], [], [], []
    for axis in range(3):
        first = np.argwhere(np.diff(voxels, axis=axis))
        second = first + np.eye(3, dtype=int)[axis]
        middle = (first + second).T / 2
        normal = np.stack([ndimage.map_coordinates(component, middle, order=1) for component in normals], axis=1)
        along = spacing[axis] * np.abs(normal[:, axis]) / np.maximum(np.linalg.norm(normal, axis=1), 1e-6)
        starts_in = voxels[tuple(first.T)][:, None]
        within, beyond = np.where(starts_in, first, second), np.where(starts_in, second, first)
        part, spread, least = _crossed(within, beyond, shares)
        inner.append(within * spacing)
        outer.append(beyond * spacing)
        crossing.append((within + part[:, None] * (beyond - within)) * spacing)
        sd = np.maximum(spread * along, least)
        weights.append(spacing.prod() / spacing[axis] / sd**2)  # by the area that one edge stands for
    return _Edges(
        inner=np.concatenate(inner),
        outer=np.concatenate(outer),
        crossing=np.concatenate(crossing),
        weights=np.concatenate(weights),
    )


def _crossed(
    within: Array, beyond: Array, shares: NDArray[np.float32] | None
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Where along edges the border is expected, from 0 inside to 1, its spread, and its least spread in mm; (edges,) each.

    An edge from 1 to 0 says no more in a soft mask, which may be joined to a hard one, than in a hard one.
    """
    middle, spread = np.full(len(within), 0.5), np.full(len(within), 1 / math.sqrt(12.0))
    if shares is None:
        return middle, spread, np.full(len(within), MIN_CROSSING_SD_MM)
    more, less = shares[tuple(within.T)].astype(float), shares[tuple(beyond.T)].astype(float)
    told = (more < 1) | (less > 0)
    return (
        np.where(told, (more - 0.5) / np.maximum(more - less, 1e-6), middle),
        np.where(told, SOFT_CROSSING_SHARE, spread),
        np.where(told, MIN_SOFT_CROSSING_SD_MM, MIN_CROSSING_SD_MM),
    )


def _some(total: int, count: int) -> Array:
    """Numbers of at most ``count`` of ``total`` things, always the same ones."""
    return np.arange(total) if total <= count else np.sort(np.random.default_rng(0).choice(total, count, replace=False))


def _shortened(steps: FloatArray, longest: float) -> FloatArray:
    """Steps, shape (n, 3), none longer than allowed."""
    lengths = np.linalg.norm(steps, axis=1, keepdims=True)
    return np.asarray(steps * np.minimum(1.0, longest / np.maximum(lengths, 1e-12)))
