"""The ablation zone: its shape, cut at the capsule, and the exact signed distance to its surface."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.spatial import KDTree

from ablmargin.geometry import BoolArray, FloatArray
from ablmargin.simulation.fields import Points, Values, sphere_directions
from ablmargin.simulation.star import StarShape

SURFACE_POINTS = 40_000
MARCH_MM = 1.0
BISECTIONS = 26

Level = Callable[[Points], Values]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ZoneSurface:
    """Dense points on the surface of an ablation zone, in the post frame.

    Parameters
    ----------
    points_mm, normals : ndarray, shape (n, 3)
        On the surface; outward unit normals there.
    on_capsule : ndarray of bool, shape (n,)
        Where the zone ends because the liver does.
    shape : StarShape
    liver : callable
        Level of the liver in the post frame.
    tree, free_tree : KDTree
        Of all points, and of those that aren't on the capsule (None if there are none).
    """

    points_mm: FloatArray
    normals: FloatArray
    on_capsule: BoolArray
    shape: StarShape
    liver: Level
    tree: KDTree
    free_tree: KDTree | None

    @classmethod
    def of(cls, shape: StarShape, liver: Level, *, count: int = SURFACE_POINTS) -> ZoneSurface:
        """The surface of what a shape and the liver share, as seen from the shape's center."""
        directions = sphere_directions(count)
        center = np.array(shape.center_mm)
        radii = shape.radii_along(directions)
        outside = _first_exits(liver, center, directions, radii)
        cut = np.isfinite(outside)
        points = center + directions * np.where(cut, outside, radii)[:, None]
        normals = np.empty_like(points)
        normals[~cut] = shape.normals(points[~cut])
        normals[cut] = _gradients(liver, points[cut])
        return cls(
            points_mm=points,
            normals=normals,
            on_capsule=cut,
            shape=shape,
            liver=liver,
            tree=KDTree(points),
            free_tree=None if cut.all() else KDTree(points[~cut]),
        )

    def holds(self, points_mm: FloatArray) -> BoolArray:
        """Which post points (n, 3) are ablated."""
        return np.asarray(self.shape.holds(points_mm) & (self.liver(points_mm) < 0))

    def signed_distances_mm(self, points_mm: FloatArray) -> FloatArray:
        """Distance of post points (n, 3) to the zone's surface, positive inside the zone.

        The nearest of the dense surface points, about 0.4 mm apart, is refined by its tangent plane; the error is
        below 0.02 mm.
        """
        distance = _distances(self.tree, self.normals, points_mm)
        return np.asarray(np.where(self.holds(points_mm), distance, -distance))

    def constrained_distances_mm(self, points_mm: FloatArray) -> FloatArray | None:
        """The same, to the part of the surface that isn't the capsule; None if there is no such part."""
        if self.free_tree is None:
            return None
        distance = _distances(self.free_tree, self.normals[~self.on_capsule], points_mm)
        return np.asarray(np.where(self.holds(points_mm), distance, -distance))


def _distances(tree: KDTree, normals: FloatArray, points: FloatArray) -> FloatArray:
    """Distance to a densely sampled surface, by the tangent plane wherever the foot lies beside the nearest sample."""
    nearest, index = tree.query(points)
    height = np.abs(np.einsum("ij,ij->i", points - tree.data[index], normals[index]))
    aside = np.sqrt(np.maximum(nearest**2 - height**2, 0.0))
    reach = 1.5 * _sample_distance(tree)
    return np.asarray(np.where(aside < reach, height, nearest))


def _sample_distance(tree: KDTree) -> float:
    """Distance to the second neighbor that nearly all samples stay below."""
    some = tree.data[:: max(1, tree.n // 300)]
    distances = np.asarray(tree.query(some, k=min(3, tree.n))[0])
    return float(np.percentile(distances[:, -1], 95))


def _first_exits(liver: Level, center: FloatArray, directions: FloatArray, radii: FloatArray) -> FloatArray:
    """How far from the center each ray leaves the liver; infinite where it doesn't before the shape's surface."""
    exits = np.full(len(directions), np.inf)
    inner = np.zeros(len(directions))
    open_rays = np.arange(len(directions))
    for step in np.arange(MARCH_MM, float(np.max(radii)) + MARCH_MM, MARCH_MM):
        reach = np.minimum(float(step), radii[open_rays])
        out = liver(center + directions[open_rays] * reach[:, None]) >= 0
        left = open_rays[out]
        exits[left] = _bisected(liver, center, directions[left], inner[left], reach[out])
        inner[open_rays] = reach
        open_rays = open_rays[~out & (reach < radii[open_rays])]
        if not len(open_rays):
            break
    return exits


def _bisected(liver: Level, center: FloatArray, rays: FloatArray, low: FloatArray, high: FloatArray) -> FloatArray:
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        inside = liver(center + rays * middle[:, None]) < 0
        low, high = np.where(inside, middle, low), np.where(inside, high, middle)
    return np.asarray(low)


def _gradients(level: Level, points: FloatArray) -> FloatArray:
    step = 0.05
    columns = [level(points + axis) - level(points - axis) for axis in step * np.eye(3)]
    gradient = np.stack(columns, axis=-1)
    return np.asarray(gradient / np.linalg.norm(gradient, axis=1, keepdims=True))
