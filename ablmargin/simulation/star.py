"""Shapes given by their radius in each direction: tumors and ablation zones.

The surface is known in closed form, so a point is inside or not without any error, and points on the surface are
exact.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ablmargin.geometry import BoolArray, FloatArray, Triple, triple
from ablmargin.simulation.fields import Points, Values, WaveField, sphere_directions

MELTING_POWER = 12
"""Lobes are joined by this power mean of their radii: a union with a slightly rounded crease."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lobe:
    """An ellipsoid that holds the shape's center.

    Parameters
    ----------
    offset_mm : (x, y, z)
        From the shape's center to the ellipsoid's.
    radii_mm : three semi-axes
    axes : ndarray, shape (3, 3)
        The semi-axes' directions, as rows.
    """

    radii_mm: Triple
    offset_mm: Triple = (0.0, 0.0, 0.0)
    axes: FloatArray

    def __post_init__(self) -> None:
        if not np.linalg.norm(self.axes @ np.array(self.offset_mm) / np.array(self.radii_mm)) < 1:
            raise ValueError("a lobe must hold the shape's center")

    def radii_along(self, directions: Points) -> Values:
        """Distance from the shape's center to the ellipsoid, along unit vectors (n, 3)."""
        kind = directions.dtype
        scale = (self.axes / np.array(self.radii_mm)[:, None]).astype(kind)
        ray = directions @ scale.T
        start = scale @ -np.array(self.offset_mm, kind)
        square = np.einsum("ij,ij->i", ray, ray)
        half = ray @ start
        return np.asarray((np.sqrt(half**2 + square * kind.type(1 - start @ start)) - half) / square)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StarShape:
    """A shape whose whole surface is seen from its center.

    Parameters
    ----------
    center_mm : (x, y, z)
    lobes : tuple of Lobe
        At least one.
    wobble : WaveField, optional
        Relative deviation of the radius, as a function of the unit direction.
    """

    center_mm: Triple
    lobes: tuple[Lobe, ...]
    wobble: WaveField | None = None

    def radii_along(self, directions: Points) -> Values:
        """Distance from the center to the surface along unit vectors (n, 3)."""
        radii = [lobe.radii_along(directions) for lobe in self.lobes]
        radius = radii[0]
        if len(radii) > 1:
            largest = np.max(radii, axis=0)
            radius = largest * sum((r / largest) ** MELTING_POWER for r in radii) ** (1.0 / MELTING_POWER)
        if self.wobble is not None:
            radius = radius * (1 + self.wobble.scalar(directions))
        return np.asarray(radius)

    @property
    def reach_mm(self) -> float:
        """No point of the shape is farther from its center than this."""
        return float(self.radii_along(sphere_directions(2000)).max()) * 1.03

    @property
    def volume_ml(self) -> float:
        """The integral of r³/3 over all directions."""
        return float((self.radii_along(sphere_directions(20000)) ** 3).mean() * 4 / 3 * np.pi / 1000)

    def surface(self, count: int) -> FloatArray:
        """Points on the surface, evenly spread in direction, shape (count, 3)."""
        return self.surface_along(sphere_directions(count))

    def surface_along(self, directions: FloatArray) -> FloatArray:
        """The surface's points in given unit directions, (n, 3) to (n, 3)."""
        return np.asarray(np.array(self.center_mm) + directions * self.radii_along(directions)[:, None])

    def level(self, points_mm: Points) -> Values:
        """Negative inside; exact in sign and on the surface, near to a distance elsewhere."""
        offset = points_mm - np.array(self.center_mm, points_mm.dtype)
        distance = np.sqrt(np.einsum("ij,ij->i", offset, offset))
        directions = offset / np.maximum(distance, points_mm.dtype.type(1e-6))[:, None]
        return np.asarray(distance - self.radii_along(directions))

    def holds(self, points_mm: Points) -> BoolArray:
        """Which points (n, 3) are inside."""
        return np.asarray(self.level(points_mm) < 0)

    def normals(self, points_mm: FloatArray) -> FloatArray:
        """Outward unit normals at points of the surface, shape (n, 3)."""
        step = 1e-4
        gradient = np.stack(
            [(self.level(points_mm + axis) - self.level(points_mm - axis)) for axis in step * np.eye(3)], axis=-1
        )
        return np.asarray(gradient / np.linalg.norm(gradient, axis=1, keepdims=True))

    def moved_to(self, center_mm: NDArray[np.float64]) -> StarShape:
        """The same shape elsewhere."""
        return replace(self, center_mm=triple(center_mm))


def random_wobble(rng: np.random.Generator, *, share: float, lumps: float = 1.6) -> WaveField:
    """Lumps of a surface: relative deviation with a given standard deviation."""
    field = WaveField.random(rng, correlation_mm=1.0 / lumps, waves=12)
    return replace(field, weights=field.weights * share)
