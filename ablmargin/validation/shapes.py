"""Shapes whose surfaces are known in closed form, and their masks on any grid.

Everything here is computed from the formulas alone. No mask, mesh or distance of :mod:`ablmargin.metrics` takes part, so
that the truth doesn't share an error with what it is held against.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.spatial import cKDTree

from ablmargin.geometry import BoolArray, FloatArray, Geometry, Triple
from ablmargin.simulation.fields import sphere_directions
from ablmargin.volume import LabelMask, Structure

SURFACE_POINTS = 10_000
NEAREST_POINTS = 20_000
SUBVOXEL_MM = 0.2
"""Partial volumes are counted on points this far apart, at most."""


class Shape(ABC):
    """A solid in patient space, LPS mm."""

    @property
    @abstractmethod
    def middle_mm(self) -> FloatArray:
        """A point from which ``reach_mm`` counts, shape (3,)."""

    @property
    @abstractmethod
    def reach_mm(self) -> float:
        """No point of the shape is farther from its middle than this."""

    @abstractmethod
    def level_mm(self, points_mm: FloatArray) -> FloatArray:
        """Positive inside, 0 on the surface, (..., 3) to (...); exact in sign, only near to a distance elsewhere."""

    @abstractmethod
    def signed_distance_mm(self, points_mm: FloatArray) -> FloatArray:
        """Distance of points, shape (n, 3), to the surface, positive inside; shape (n,)."""

    @abstractmethod
    def surface_points(self, count: int = SURFACE_POINTS) -> tuple[FloatArray, FloatArray]:
        """About ``count`` points on the surface, shape (n, 3), and the area in mm² that each stands for, shape (n,)."""

    def contains(self, points_mm: FloatArray) -> BoolArray:
        """Which points, (..., 3), lie inside or on the surface; shape (...)."""
        return np.asarray(self.level_mm(points_mm) >= 0)

    def mask_on(self, geometry: Geometry, structure: Structure) -> LabelMask:
        """The voxels whose centers lie inside."""
        return LabelMask(voxels=self.contains(_centers_mm(geometry)), geometry=geometry, structure=structure)

    def fractions_on(self, geometry: Geometry) -> FloatArray:
        """Share of each voxel that lies inside, 0..1, shape ``geometry.shape``.

        Exact for voxels that the surface doesn't cut; the others are counted on points ``SUBVOXEL_MM`` apart.
        """
        centers = _centers_mm(geometry)
        distance = self.signed_distance_mm(centers.reshape(-1, 3)).reshape(geometry.shape)
        cut = np.abs(distance) <= np.linalg.norm(geometry.spacing_mm) / 2
        shares = (distance > 0).astype(np.float64)
        inside = [self.contains(centers[cut] + step) for step in _steps_mm(geometry)]
        shares[cut] = np.mean(inside, axis=0)
        return shares


class Star(Shape):
    """A smooth shape whose whole surface is seen from its center."""

    __slots__ = ()
    center_mm: Triple

    @abstractmethod
    def radii_along(self, directions: FloatArray) -> FloatArray:
        """Distance from the center to the surface along unit vectors, (..., 3) to (...)."""

    @property
    def middle_mm(self) -> FloatArray:
        return np.array(self.center_mm)

    @property
    def reach_mm(self) -> float:
        return 1.01 * float(self.radii_along(sphere_directions(NEAREST_POINTS)).max())

    def level_mm(self, points_mm: FloatArray) -> FloatArray:
        offset = np.asarray(points_mm) - self.middle_mm
        distance = np.linalg.norm(offset, axis=-1)
        return np.asarray(self.radii_along(offset / np.maximum(distance, 1e-9)[..., None]) - distance)

    def surface_along(self, directions: FloatArray) -> FloatArray:
        """The surface's points in given unit directions, (..., 3) to (..., 3)."""
        return np.asarray(self.middle_mm + directions * self.radii_along(directions)[..., None])

    def surface_points(self, count: int = SURFACE_POINTS) -> tuple[FloatArray, FloatArray]:
        directions = sphere_directions(count)
        radii = self.radii_along(directions)
        points = self.middle_mm + directions * radii[:, None]
        facing = np.einsum("ni,ni->n", directions, self.normals(points))
        return points, np.asarray(radii**2 / facing * (4 * np.pi / count))

    def normals(self, points_mm: FloatArray) -> FloatArray:
        """Outward unit normals at points of the surface, (n, 3) to (n, 3)."""
        step = 1e-4
        slopes = [self.level_mm(points_mm - axis) - self.level_mm(points_mm + axis) for axis in step * np.eye(3)]
        gradient = np.stack(slopes, axis=-1)
        return np.asarray(gradient / np.linalg.norm(gradient, axis=-1, keepdims=True))

    def signed_distance_mm(self, points_mm: FloatArray) -> FloatArray:
        """Distance to the nearest of many surface points, then one Newton step along the surface; good to 0.005 mm."""
        nearest, feet = whole_sheet(self).feet(points_mm)
        distance: FloatArray = np.minimum(nearest, np.linalg.norm(points_mm - feet, axis=1))
        return np.asarray(np.where(self.contains(points_mm), distance, -distance))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sheet:
    """Many points on a star's surface, or on a part of it, with two tangents each, as long as the points are apart."""

    star: Star
    tree: cKDTree
    points_mm: FloatArray
    tangents: tuple[FloatArray, FloatArray]

    @classmethod
    def of(cls, star: Star, points_mm: FloatArray) -> Sheet:
        """Of ``points_mm``, shape (n, 3): some of ``NEAREST_POINTS`` points spread over the star's whole surface."""
        normals = star.normals(points_mm)
        across = np.eye(3)[np.abs(normals).argmin(axis=1)]
        first = np.cross(normals, across)
        first *= star.reach_mm * np.sqrt(4 * np.pi / NEAREST_POINTS) / np.linalg.norm(first, axis=1, keepdims=True)
        return cls(star=star, tree=cKDTree(points_mm), points_mm=points_mm, tangents=(first, np.cross(normals, first)))

    def feet(self, points_mm: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Distance of each point, shape (n, 3), to the nearest of the sheet, and where beside it the surface is nearest."""
        nearest, number = map(np.asarray, self.tree.query(points_mm))
        middle = self.star.middle_mm
        start, first, second = self.points_mm[number] - middle, self.tangents[0][number], self.tangents[1][number]

        def foot(a: FloatArray | float, b: FloatArray | float) -> FloatArray:
            """The surface beside the nearest point, in steps along two tangents."""
            beside = start + np.multiply(first.T, a).T + np.multiply(second.T, b).T
            return self.star.surface_along(beside / np.linalg.norm(beside, axis=1, keepdims=True))

        def square(a: FloatArray | float, b: FloatArray | float) -> FloatArray:
            return np.asarray(((points_mm - foot(a, b)) ** 2).sum(axis=1))

        return nearest, foot(*_lowest_place(square, np.square(nearest)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Ball(Star):
    """A ball.

    Examples
    --------
    >>> Ball(center_mm=(0, 0, 0), radius_mm=10).signed_distance_mm(np.array([(4, 0, 3), (0, 12, 0)])).tolist()
    [5.0, -2.0]
    """

    center_mm: Triple
    radius_mm: float

    def radii_along(self, directions: FloatArray) -> FloatArray:
        return np.full(np.shape(directions)[:-1], float(self.radius_mm))

    def level_mm(self, points_mm: FloatArray) -> FloatArray:
        return np.asarray(self.radius_mm - np.linalg.norm(points_mm - self.middle_mm, axis=-1))

    def signed_distance_mm(self, points_mm: FloatArray) -> FloatArray:
        return self.level_mm(points_mm)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ellipsoid(Star):
    """An ellipsoid; ``axes`` holds the unit vectors (x, y, z) of its three semi-axes."""

    center_mm: Triple
    radii_mm: Triple
    axes: tuple[Triple, Triple, Triple]

    def radii_along(self, directions: FloatArray) -> FloatArray:
        scaled = np.asarray(directions) @ (np.array(self.axes) / np.array(self.radii_mm)[:, None]).T
        return np.asarray(1 / np.maximum(np.linalg.norm(scaled, axis=-1), 1e-12))


@dataclass(frozen=True, slots=True, kw_only=True)
class Lumpy(Star):
    """An ellipsoid with smooth bumps and dents.

    Parameters
    ----------
    base : Ellipsoid
    bumps : tuple of (direction, height, sharpness)
        The radius along u is the ellipsoid's times 1 + sum of height exp(sharpness (u·direction - 1)).
    """

    base: Ellipsoid
    bumps: tuple[tuple[Triple, float, float], ...]

    @property
    def center_mm(self) -> Triple:  # type: ignore[override]
        return self.base.center_mm

    def radii_along(self, directions: FloatArray) -> FloatArray:
        lumps = sum(
            height * np.exp(sharpness * (directions @ np.array(toward) - 1)) for toward, height, sharpness in self.bumps
        )
        return np.asarray(self.base.radii_along(directions) * (1 + lumps))


@lru_cache(maxsize=8)
def whole_sheet(star: Star) -> Sheet:
    """The sheet of a star's whole surface."""
    return Sheet.of(star, star.surface_along(sphere_directions(NEAREST_POINTS)))


def _lowest_place(
    function: Callable[[FloatArray | float, FloatArray | float], FloatArray], here: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Where the parabola through a function's values around (0, 0) is lowest, but no farther than 2 away."""
    ahead, behind, up, down, both = (function(a, b) for a, b in ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1)))
    slope_a, slope_b = (ahead - behind) / 2, (up - down) / 2
    bend_a, bend_b, bend_ab = ahead + behind - 2 * here, up + down - 2 * here, both - ahead - up + here
    size = bend_a * bend_b - bend_ab**2
    sound = (bend_a > 0) & (size > 1e-6 * bend_a * bend_b)
    size = np.where(sound, size, np.inf)
    a, b = (bend_ab * slope_b - bend_b * slope_a) / size, (bend_ab * slope_a - bend_a * slope_b) / size
    return np.clip(a, -2, 2), np.clip(b, -2, 2)


def _centers_mm(geometry: Geometry) -> FloatArray:
    """Centers of all voxels, shape (slices, rows, columns, 3)."""
    return geometry.points_at(np.moveaxis(np.indices(geometry.shape), 0, -1))


def _steps_mm(geometry: Geometry) -> FloatArray:
    """From a voxel's center to evenly spread points in it, shape (n, 3)."""
    counts = [int(np.ceil(spacing / SUBVOXEL_MM)) for spacing in geometry.spacing_mm]
    parts = [(np.arange(count) + 0.5) / count - 0.5 for count in counts]
    index = np.stack(np.meshgrid(*parts, indexing="ij"), axis=-1).reshape(-1, 3)
    return geometry.points_at(index) - geometry.points_at([(0, 0, 0)])
