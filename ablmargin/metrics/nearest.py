"""The nearest place on a triangle mesh, exactly: corners are searched first, and the few triangles that can matter measured.

Seen from a point, the nearest place on a mesh lies on a triangle at distance d. In any triangle no place is farther from
its nearest corner than the triangle's reach r, and from the nearest place the point and that corner are seen at a right
angle, so one corner of the right triangle is no farther from the point than the root of d² + r². Any triangle that was
measured bounds d from above: only those with a corner so near are left. Large triangles don't widen the search for small
ones: a fourth coordinate of the corners, the root of R² - r² with R the largest reach, moves each corner as far away as its
own triangles are smaller.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy.spatial import cKDTree

from ablmargin.geometry import Array, BoolArray, FloatArray

FIRST_CORNERS, MORE_CORNERS = 6, 4
"""Corners looked up for each point at first, and by what factor more where they don't prove the nearest triangle."""
CORNERS_AT_ONCE = 60_000
ROUNDING_MM2 = 1e-9
surface_tree = partial(cKDTree, leafsize=64, balanced_tree=False, compact_nodes=False)
"""Made and asked faster than by default where points on a surface are searched from far off."""
THIN = 1e-9
"""A triangle whose height is a smaller share of its base counts as a line."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TriangleSearch:
    """Triangles made ready to be searched.

    Each triangle lies in a plane frame of its own: its longest side runs from (0, 0) to (base, 0), its third corner is at
    (foot, height). Lengths are in mm.

    Parameters
    ----------
    vertices_mm : ndarray, shape (n, 3)
    corners : ndarray of int, shape (m, 3)
        The triangles' vertices, the longest side's first.
    axes : ndarray, shape (m, 3, 3)
        Unit vectors: along the longest side, across it and normal to the triangle.
    sizes_mm : ndarray, shape (3, m)
        Base, foot and height.
    tree : cKDTree
        Vertices that belong to triangles, with the fourth coordinate.
    used : ndarray of int
        Their numbers.
    reach_mm2 : float
        Square of the largest reach.
    around, starts : ndarray of int, shapes (3 m,) and (n + 1,)
        The triangles around each vertex: ``around[starts[vertex]:starts[vertex + 1]]``.
    """

    vertices_mm: FloatArray
    corners: Array
    axes: FloatArray
    sizes_mm: FloatArray
    tree: cKDTree
    used: Array
    reach_mm2: float
    around: Array
    starts: Array

    @classmethod
    def of(cls, vertices_mm: FloatArray, triangles: Array) -> TriangleSearch:
        """Make triangles, shape (m, 3) with m > 0, of vertices, shape (n, 3) in mm, searchable."""
        corners = _longest_first(vertices_mm, triangles)
        axes, sizes = _frames(*(vertices_mm[corners[:, corner]] for corner in range(3)))
        reach, flat = _reach_mm2(*sizes), corners.ravel()
        counts = np.bincount(flat, minlength=len(vertices_mm))
        starts, around = np.concatenate([[0], np.cumsum(counts)]), np.argsort(flat, kind="stable") // 3
        used = np.flatnonzero(counts)
        widest = np.maximum.reduceat(reach[around], starts[used])
        fourth = np.sqrt(widest.max() - widest)
        return cls(
            vertices_mm=vertices_mm,
            corners=corners,
            axes=axes,
            sizes_mm=sizes,
            tree=surface_tree(np.column_stack([vertices_mm[used], fourth])),
            used=used,
            reach_mm2=float(widest.max()),
            around=around,
            starts=starts,
        )

    def distances_mm(self, points_mm: FloatArray) -> FloatArray:
        """Distance of points, shape (n, 3), to the nearest triangle, shape (n,), never negative."""
        return np.sqrt(self._nearest(points_mm)[0])

    def signed_distances_mm(self, points_mm: FloatArray) -> FloatArray:
        """The same, negative on the side that the triangles face; they must form closed surfaces."""
        squared, nearest = self._nearest(points_mm)
        return np.copysign(np.sqrt(squared), -self._outside_by(points_mm, nearest))

    def _nearest(self, points_mm: FloatArray) -> tuple[FloatArray, Array]:
        """Squared distance of points to the nearest triangle, and its number."""
        squared, nearest = np.full(len(points_mm), np.inf), np.zeros(len(points_mm), int)
        open_rows, count = np.arange(len(points_mm)), FIRST_CORNERS
        while len(open_rows):
            count = min(count, len(self.used))
            unproven = []
            for rows in _chunks(open_rows, max(CORNERS_AT_ONCE // count, 1)):
                proven = self._look(points_mm, rows, count, squared, nearest)
                unproven.append(rows[~proven])
            open_rows, count = np.concatenate(unproven), MORE_CORNERS * count
        return squared, nearest

    def _look(self, points_mm: FloatArray, rows: Array, count: int, squared: FloatArray, nearest: Array) -> BoolArray:
        """Measure the triangles around the ``count`` nearest corners of some points; for which that proves the nearest."""
        lifted = np.column_stack([points_mm[rows], np.zeros(len(rows))])
        apart, order = (np.asarray(part) for part in self.tree.query(lifted, k=np.arange(1, count + 1)))
        far, found = apart**2 - (self.reach_mm2 + ROUNDING_MM2), self.used[order]
        self._measure(points_mm, rows, found[:, 0], squared, nearest)
        place, column = np.nonzero(far[:, 1:] <= squared[rows, None])
        self._measure(points_mm, rows[place], found[place, column + 1], squared, nearest)
        return np.asarray((far[:, -1] > squared[rows]) | (count == len(self.used)))

    def _measure(
        self, points_mm: FloatArray, rows: Array, vertices: Array, squared: FloatArray, nearest: Array
    ) -> None:
        """Write down where triangles around vertices, one for each row, are nearer to points than what was found yet."""
        pair, triangles = self._around(vertices)
        rows = rows[pair]
        away = points_mm[rows] - self.vertices_mm[self.corners[triangles, 0]]
        above = _dot(away, self.axes[triangles, 2])
        near = above**2 < squared[rows]
        rows, triangles, away, above = rows[near], triangles[near], away[near], above[near]
        flat = np.einsum("nd,nad->an", away, self.axes[triangles, :2])
        distance = above**2 + _in_plane_mm2(flat, self.sizes_mm[:, triangles])[0].min(axis=0)
        np.minimum.at(squared, rows, distance)
        best = distance == squared[rows]
        nearest[rows[best]] = triangles[best]

    def _around(self, vertices: Array) -> tuple[Array, Array]:
        """All triangles around vertices: for each the place of its vertex in the list, and its number."""
        starts, counts = self.starts[vertices], self.starts[vertices + 1] - self.starts[vertices]
        pair = np.repeat(np.arange(len(vertices)), counts)
        step = np.arange(len(pair)) - np.repeat(np.cumsum(counts) - counts, counts)
        return pair, self.around[starts[pair] + step]

    def _outside_by(self, points_mm: FloatArray, nearest: Array) -> FloatArray:
        """Positive where points lie on the side that their nearest triangles face, negative on the other."""
        away = points_mm - self.vertices_mm[self.corners[nearest, 0]]
        x, y, above = np.einsum("nd,nad->an", away, self.axes[nearest])
        squared, along = _in_plane_mm2(np.stack([x, y]), self.sizes_mm[:, nearest])
        rim = np.flatnonzero(squared.min(axis=0) > 0)
        side = squared[:3, rim].argmin(axis=0)
        share = along[side, rim]
        first, second = self.corners[nearest[rim], side], self.corners[nearest[rim], (side + 1) % 3]
        place = self.vertices_mm[first] + share[:, None] * (self.vertices_mm[second] - self.vertices_mm[first])
        first, second = np.where(share < 1, first, second), np.where(share > 0, second, first)
        above[rim] = _dot(points_mm[rim] - place, self._rim_normals(first, second))
        return np.asarray(above)

    def _rim_normals(self, first: Array, second: Array) -> FloatArray:
        """Normals at the sides between two vertices, or at a vertex that is named twice: sums over triangles, by angle."""
        pair, triangles = self._around(first)
        both = (self.corners[triangles] == second[pair, None]).any(axis=1)
        pair, triangles = pair[both], triangles[both]
        weights = np.where(first == second, 0.0, 1.0)[pair]
        alone = weights == 0
        weights[alone] = self._angles(triangles[alone], first[pair[alone]])
        normals = weights[:, None] * self.axes[triangles, 2]
        return np.stack([np.bincount(pair, part, minlength=len(first)) for part in normals.T], axis=1)

    def _angles(self, triangles: Array, vertices: Array) -> FloatArray:
        """Of each triangle at one of its vertices."""
        own = (self.corners[triangles] == vertices[:, None]).argmax(axis=1)
        sides = [
            self.vertices_mm[self.corners[triangles, (own + step) % 3]] - self.vertices_mm[vertices] for step in (1, 2)
        ]
        crossed = np.linalg.norm(np.cross(*sides), axis=1)
        return np.asarray(np.arctan2(crossed, _dot(*sides)))


def _chunks(rows: Array, size: int) -> Iterator[Array]:
    return (rows[start : start + size] for start in range(0, len(rows), size))


def _longest_first(vertices: FloatArray, triangles: Array) -> Array:
    """Triangles turned so that their first two corners end the longest side."""
    sides = vertices[np.roll(triangles, -1, axis=1)] - vertices[triangles]
    longest = np.einsum("msd,msd->ms", sides, sides).argmax(axis=1)
    return np.take_along_axis(triangles, (longest[:, None] + np.arange(3)) % 3, axis=1)


def _frames(a: FloatArray, b: FloatArray, c: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Axes, shape (m, 3, 3), and base, foot and height, shape (3, m), of triangles; any axes where one has no area."""
    base = np.linalg.norm(b - a, axis=1)
    along = _unit(np.where(base[:, None] > 0, b - a, [1.0, 0.0, 0.0]))
    foot = _dot(c - a, along)
    across = c - a - foot[:, None] * along
    thin = _dot(across, across) <= (THIN * base) ** 2
    across[thin] = np.cross(along[thin], np.eye(3)[np.abs(along[thin]).argmin(axis=1)])
    across = _unit(across)
    across = _unit(across - _dot(across, along)[:, None] * along)  # of a thin triangle it was askew by rounding
    axes = np.stack([along, across, np.cross(along, across)], axis=1)
    return axes, np.stack([base, foot, _dot(c - a, across)])


def _dot(first: FloatArray, second: FloatArray) -> FloatArray:
    return np.asarray(np.einsum("md,md->m", first, second))


def _unit(vectors: FloatArray) -> FloatArray:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def _reach_mm2(base: FloatArray, foot: FloatArray, height: FloatArray) -> FloatArray:
    """Squared: how far the farthest place of a triangle is from its nearest corner, or more.

    With three acute angles that is the radius of the circle through the corners; else less than half the longest side.
    """
    acute = (height**2 > foot * (base - foot)) & (height > THIN * base)
    around = (foot**2 + height**2) * ((base - foot) ** 2 + height**2) / np.where(acute, 2 * height, 1.0) ** 2
    return np.where(acute, around, base**2 / 4)


def _in_plane_mm2(flat_mm: FloatArray, sizes_mm: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Squared distance to the sides of triangles, zero inside, and how far along each side its nearest place is, 0..1.

    Points (2, n) lie in the frames of triangles with ``sizes_mm`` (3, n). Side s, of three rows, starts at corner s.
    """
    (x, y), (base, foot, height) = flat_mm, sizes_mm
    zero = np.zeros_like(base)
    inside, squared, along = np.ones(len(x), dtype=bool), [], []
    for start, rise, run_x, run_y in (
        (zero, zero, base, zero),
        (base, zero, foot - base, height),
        (foot, height, -foot, -height),
    ):
        from_x, from_y = x - start, y - rise
        inside &= run_x * from_y > run_y * from_x
        share = (from_x * run_x + from_y * run_y) / np.maximum(run_x**2 + run_y**2, np.finfo(float).tiny)
        share = np.clip(share, 0.0, 1.0)
        squared.append((from_x - share * run_x) ** 2 + (from_y - share * run_y) ** 2)
        along.append(share)
    return np.where(inside, 0.0, np.stack(squared)), np.stack(along)
