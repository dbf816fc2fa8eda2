"""Smooth random functions of space, and the few operations that shapes are built with.

A *level* is a function that is negative inside a shape, zero on its surface and grows by about 1 per millimeter.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ablmargin.geometry import FloatArray

Points = NDArray[Any]
"""Points (n, 3), LPS mm; float32 where a picture is painted, float64 where the truth is computed."""
Values = NDArray[Any]
"""One number a point, shape (n,), in the points' precision."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WaveField:
    """A smooth random field as a finite sum of plane waves: analytic, so exact at every point.

    Parameters
    ----------
    waves : ndarray, shape (m, 3)
        Angular frequencies in radians per mm.
    phases : ndarray, shape (m,)
    weights : ndarray, shape (m, components)
    """

    waves: FloatArray
    phases: FloatArray
    weights: FloatArray

    @classmethod
    def random(
        cls, rng: np.random.Generator, *, correlation_mm: float, components: int = 1, waves: int = 24
    ) -> WaveField:
        """A field of zero mean and unit standard deviation a component, with a Gaussian correlation function."""
        return cls(
            waves=rng.standard_normal((waves, 3)) / correlation_mm,
            phases=rng.uniform(0.0, 2.0 * np.pi, waves),
            weights=rng.standard_normal((waves, components)) * np.sqrt(2.0 / waves),
        )

    def __call__(self, points_mm: Points) -> NDArray[Any]:
        """The field at points (n, 3): shape (n, components), in the points' precision."""
        kind = points_mm.dtype
        phase = points_mm @ self.waves.T.astype(kind) + self.phases.astype(kind)
        return np.asarray(np.sin(phase, out=phase) @ self.weights.astype(kind))

    def scalar(self, points_mm: Points) -> Values:
        """The first component, shape (n,)."""
        return np.asarray(self(points_mm)[:, 0])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lattice:
    """Values on a regular lattice, read by linear interpolation; beyond its border the nearest value."""

    values: NDArray[np.float32]
    low_mm: FloatArray
    step_mm: float

    @classmethod
    def noise(
        cls, rng: np.random.Generator, *, low_mm: FloatArray, high_mm: FloatArray, step_mm: float, correlation_mm: float
    ) -> Lattice:
        """Gaussian random values of zero mean and unit standard deviation, smooth over a correlation length."""
        shape = lattice_shape(low_mm, high_mm, step_mm)
        white = rng.standard_normal(shape, dtype=np.float32)
        smooth = ndimage.gaussian_filter(white, correlation_mm / step_mm / np.sqrt(2.0), truncate=3.0)
        return cls(values=smooth / smooth.std(), low_mm=np.asarray(low_mm, float), step_mm=step_mm)

    def __call__(self, points_mm: Points) -> Values:
        """Interpolated values at points (n, 3), shape (n,)."""
        kind = points_mm.dtype
        index = (points_mm.T - self.low_mm.astype(kind)[:, None]) * kind.type(1.0 / self.step_mm)
        return np.asarray(ndimage.map_coordinates(self.values, index, output=kind, order=1, mode="nearest"))


def lattice_shape(low_mm: FloatArray, high_mm: FloatArray, step_mm: float) -> tuple[int, int, int]:
    """Number of lattice points along (x, y, z) that cover a box."""
    x, y, z = (int(np.ceil(size / step_mm)) + 1 for size in np.asarray(high_mm) - np.asarray(low_mm))
    return (x, y, z)


def ellipsoid_level(points_mm: Points, center_mm: tuple[float, ...], radii_mm: tuple[float, ...]) -> Values:
    """Level of an axis-aligned ellipsoid, to first order a distance."""
    kind = points_mm.dtype.type
    near, far = kind(1e-12 * min(radii_mm) ** 2), kind(1e-12)  # so that the very center has a level too
    for column, center, radius in zip(points_mm.T, center_mm, radii_mm, strict=True):  # faster than rows of three
        squared = ((column - kind(center)) * kind(1 / radius)) ** 2
        near = near + squared
        far = far + squared * kind(1 / radius**2)
    near = np.sqrt(near)
    return np.asarray(near * (near - 1) / np.sqrt(far))


def tube_level(points_mm: Points, path_mm: FloatArray, radii_mm: FloatArray) -> Values:
    """Level of a chain of rounded cones through (m, 3) points with a radius at each, shape (m,)."""
    kind = points_mm.dtype
    level = np.full(len(points_mm), np.inf, kind)
    for start, stop, first, last in zip(path_mm, path_mm[1:], radii_mm, radii_mm[1:], strict=False):
        np.minimum(level, cone_level(points_mm, start, stop, float(first), float(last)), out=level)
    return level


def cone_level(points_mm: Points, start: FloatArray, stop: FloatArray, first_mm: float, last_mm: float) -> Values:
    """Level of one rounded cone, from a ball of radius ``first_mm`` to one of ``last_mm``."""
    kind = points_mm.dtype
    axis = (stop - start).astype(kind)
    offset = points_mm - start.astype(kind)
    along = np.clip(offset @ axis / (axis @ axis), 0, 1)
    offset -= along[:, None] * axis
    distance = np.sqrt(np.einsum("ij,ij->i", offset, offset))
    return np.asarray(distance - (kind.type(first_mm) + along * kind.type(last_mm - first_mm)))


def smooth_union(first: Values, second: Values, width_mm: float) -> Values:
    """Level of two shapes melted into each other over a width."""
    share = np.clip(0.5 + 0.5 * (second - first) / width_mm, 0, 1)
    return np.asarray(second + (first - second) * share - width_mm * share * (1 - share))


def smooth_common(first: Values, second: Values, width_mm: float) -> Values:
    """Level of what two shapes share, its edge rounded over a width."""
    return np.asarray(-smooth_union(-first, -second, width_mm))


def inside_share(level: Values, softness_mm: float = 0.7) -> Values:
    """How much of the surroundings of a point is inside: 1 within, 0 without, a ramp over twice the softness."""
    return np.asarray(np.clip(0.5 - level * (0.5 / softness_mm), 0, 1))


def sphere_directions(count: int) -> FloatArray:
    """Unit vectors spread evenly over the sphere (a Fibonacci lattice), shape (count, 3)."""
    rank = np.arange(count) + 0.5
    height = 1.0 - 2.0 * rank / count
    angle = rank * np.pi * (3.0 - np.sqrt(5.0))
    ring = np.sqrt(1.0 - height**2)
    return np.stack([ring * np.cos(angle), ring * np.sin(angle), height], axis=1)
