"""The margin that the anatomy allows: to the part of the zone's border that has liver beyond it.

Where a zone ends because the liver does, no tissue is left to ablate. Two things tell that part of its border: the depth
below the capsule, which two drawn masks know to about a millimeter, and whether the rest of the border, continued as it
bends, would go on beyond the capsule. The second is needed close to the capsule: a zone that ends there by itself has
tissue left beside it, however thin.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist

from ablmargin.geometry import Array, BoolArray, FloatArray
from ablmargin.metrics.depth import LiverDepth, is_inside_liver
from ablmargin.metrics.distance import distances_mm
from ablmargin.metrics.mesh import normals
from ablmargin.metrics.nearest import surface_tree
from ablmargin.metrics.surface import Surface

CUT_MM = 0.2
"""A border that lies this far inside its own continuation was cut by the capsule."""
DRAWN_MM = 0.05
"""What the surfaces' own error adds to half a voxel."""
FLUSH_MM, ROUGH_MM = 0.5, 0.3
"""Tumor farther than this out of the liver and of the zone, besides what the capsule is in doubt, sticks out."""
ROUNDED_MM, ROUNDED_DEPTH_MM = 0.75, 2.5
"""The sharp edge where the capsule cuts a zone is drawn round by so much, down to so deep, with voxels of 1 mm."""
LEAST_DEPTH_MM = 0.25
"""Border that is cut by more than it may be rounded is liver's border only if its continuation lies deeper than this."""
STEPS_MM = np.array([0.75, 1.5, 2.5, 3.5])
COARSE_VOXEL_MM = 1.5
"""From this spacing on these lengths grow with it."""
PATCH_MM = 8.0
"""How much of the border around a place tells how it bends there."""
RIM_MM, GAP_MM = 3.0, 0.3
MAX_RIM_PLACES, MAX_PATCH_TRIANGLES = 100, 2000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FreeBorder:
    """The zone's border that has liver beyond it.

    Parameters
    ----------
    inside_liver : ndarray of bool, shape (m,)
        Triangles of the zone that belong to it.
    vertices_mm, triangles : ndarray, shapes (n, 3) and (k, 3)
        These triangles, sharpened where the capsule cuts the zone.
    continuation : Continuation or None
        How it goes on toward the capsule; None if it is closed or there is none.
    depth : LiverDepth
    """

    inside_liver: BoolArray
    vertices_mm: FloatArray
    triangles: Array
    continuation: Continuation | None
    depth: LiverDepth

    @classmethod
    def of(cls, zone: Surface, depth: LiverDepth) -> FreeBorder:
        """Find it: all that is well inside the liver, and near the capsule what continues it and isn't beyond."""
        free, vertices, continuation = is_inside_liver(depth, zone.vertices_mm), zone.vertices_mm, None
        inside = np.asarray(free[zone.triangles].all(axis=1))
        if inside.any() and not inside.all():
            continuation = Continuation.of(zone, inside, depth)
            vertices, within = _sharpened(vertices, continuation, depth)
            inside = np.asarray((free | within)[zone.triangles].all(axis=1))
        return cls(
            inside_liver=inside,
            vertices_mm=vertices,
            triangles=zone.triangles[inside],
            continuation=continuation,
            depth=depth,
        )

    def margins_mm(self, points_mm: FloatArray, margin_mm: FloatArray) -> tuple[FloatArray, float]:
        """Margins of points, shape (n, 3), to this border only; never smaller than their plain margins, shape (n,).

        A point outside the zone keeps its plain negative margin, with one exception: where the zone was cut by the capsule
        and would have gone on beyond the point, sampling may shift the cut by half a voxel, so a point that lies outside
        by no more, right at the capsule, counts as ablated.

        Returns
        -------
        tuple of ndarray, shape (n,), and float
            The margins, and how far tumor that counts as ablated at the capsule may yet reach out of the zone, mm.
        """
        reach = distances_mm(self.vertices_mm, self.triangles, points_mm)
        ablated, excused_mm = self._ablated(points_mm, margin_mm)
        allowed = np.where(ablated, np.maximum(reach, margin_mm), margin_mm)
        return allowed, excused_mm if allowed.min() >= 0 else 0.0

    def _ablated(self, points_mm: FloatArray, margin_mm: FloatArray) -> tuple[BoolArray, float]:
        ablated, sampling = np.asarray(margin_mm >= 0), self.depth.sampling_at(points_mm) + DRAWN_MM
        flush = np.flatnonzero(
            (np.abs(margin_mm) <= sampling) & (self.depth.at(points_mm) < self.depth.slack_at(points_mm))
        )
        if self.continuation is None or not len(flush):
            return ablated, 0.0
        flush = flush[self.continuation.moves_mm(points_mm[flush])[0] >= CUT_MM]
        if not len(flush):
            return ablated, 0.0
        points, margins = points_mm[flush], margin_mm[flush]
        depth, doubt = self.depth.at(points), self.depth.doubt_at(points)
        ablated[flush[np.maximum(depth + FLUSH_MM, margins + ROUGH_MM) >= -doubt]] = True
        outside = np.maximum(-margins, np.minimum(-depth, sampling[flush]))
        return ablated, float((doubt + outside)[ablated[flush]].max(initial=0.0))


def _sharpened(vertices_mm: FloatArray, continuation: Continuation, depth: LiverDepth) -> tuple[FloatArray, BoolArray]:
    """Vertices, shape (n, 3), moved onto the continuation where they lie just inside it, and which are liver's border.

    A vertex that the continuation passes by is the liver's border no more if it does so beyond the capsule.
    """
    coarseness = _coarseness(depth)
    near = np.flatnonzero(depth.at(vertices_mm) < ROUNDED_DEPTH_MM * coarseness)
    inside_by, outward = continuation.moves_mm(vertices_mm[near])
    rounded = inside_by < ROUNDED_MM * coarseness
    within = np.ones(len(vertices_mm), dtype=bool)
    for step_mm in coarseness * STEPS_MM:  # beyond the capsule, there may be liver again
        moved = vertices_mm[near] + np.clip(inside_by, 0.0, step_mm)[:, None] * outward
        within[near] &= depth.at(moved) > np.where(rounded, 0.0, LEAST_DEPTH_MM * coarseness)
    sharp = vertices_mm.copy()
    sharp[near] = np.where(rounded[:, None], moved, sharp[near])
    return sharp, within


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Continuation:
    """How an open border goes on past its rim: as the spheres that fit it around each place of the rim.

    Parameters
    ----------
    rim_mm, centers_mm : ndarray, shape (r, 3)
        Places on the rim and the spheres' centers.
    radii_mm : ndarray, shape (r,)
        Negative where the border is hollow.
    """

    rim_mm: FloatArray
    centers_mm: FloatArray
    radii_mm: FloatArray

    @classmethod
    def of(cls, zone: Surface, border: BoolArray, depth: LiverDepth) -> Continuation:
        """Fit spheres to a part of a zone's triangles, shape (m,), around each place where it ends.

        Those that lie so shallow that they may be rounded don't count, unless all do.
        """
        points, outward = zone.centroids_mm, normals(zone.vertices_mm, zone.triangles)
        sharp = border & (depth.at(points) > ROUNDED_DEPTH_MM * _coarseness(depth))
        border = sharp if sharp.any() else border
        inner = np.flatnonzero(border)
        to_rest = np.asarray(surface_tree(points[~border]).query(points[inner])[0])
        rim = _thinned(inner[to_rest <= max(RIM_MM, to_rest.min())], MAX_RIM_PLACES)
        known = _thinned(inner, MAX_PATCH_TRIANGLES)
        patches = list(cKDTree(points[known]).query_ball_point(points[rim], PATCH_MM))
        centers, radii = _fitted_spheres(points[known], outward[known], zone.triangle_areas_mm2[known], patches)
        return cls(rim_mm=points[rim], centers_mm=centers, radii_mm=radii)

    def moves_mm(self, points_mm: FloatArray) -> tuple[FloatArray, FloatArray]:
        """How far points, shape (n, 3), lie inside the continued border, (n,), and the way out, unit vectors (n, 3).

        The nearest places of the rim count most.
        """
        weights = np.maximum(cdist(points_mm, self.rim_mm), GAP_MM) ** -4
        weights /= weights.sum(axis=1, keepdims=True)
        reach, sign = cdist(points_mm, self.centers_mm), np.sign(self.radii_mm)
        inside_by = (weights * (self.radii_mm - sign * reach)).sum(axis=1)
        pull = weights * sign / np.maximum(reach, 1e-9)
        outward = pull.sum(axis=1, keepdims=True) * points_mm - pull @ self.centers_mm
        return inside_by, outward / np.maximum(np.linalg.norm(outward, axis=1, keepdims=True), 1e-9)


def _coarseness(depth: LiverDepth) -> float:
    return max(max(depth.voxel_mm) / COARSE_VOXEL_MM, 1.0)


def _thinned(numbers: Array, count: int) -> Array:
    return numbers[:: -(-len(numbers) // count)]


def _fitted_spheres(
    points: FloatArray, outward: FloatArray, weights: FloatArray, patches: list[Any]
) -> tuple[FloatArray, FloatArray]:
    """Centers and radii of the spheres ``point = center + radius * normal`` that fit each patch best, least squares."""
    sizes = np.array([len(patch) for patch in patches])
    starts, members = np.concatenate([[0], np.cumsum(sizes)[:-1]]), np.concatenate(patches).astype(int)

    def mean(values: FloatArray) -> FloatArray:
        return np.asarray(np.add.reduceat(values * weights[members, None], starts) / total[:, None])

    total = np.add.reduceat(weights[members], starts)
    point, normal = mean(points[members]), mean(outward[members])
    together = mean((points[members] * outward[members]).sum(axis=1)[:, None])[:, 0] - (point * normal).sum(axis=1)
    spread = np.maximum(1.0 - (normal**2).sum(axis=1), 1e-6)
    radii = together / spread
    return point - radii[:, None] * normal, radii
