"""Shapes of tumors and zones for lesion_scenes.py: unions of balls, stretched, with a wobble in space."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from ablmargin.geometry import FloatArray
from ablmargin.simulation.fields import Points, Values, WaveField, cone_level, smooth_union

Level = Callable[[Points], Values]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shape:
    """Level about the origin, of a ball's volume of the given radius; ``axis`` is its longest direction."""

    level: Level
    radius_mm: float
    axis: FloatArray


def tumor_shape(radius_mm: float, rng: np.random.Generator, *, is_lobulated: bool) -> Shape:
    """One or two balls, or three to five for a lobulated one, melted together, stretched and lumpy."""
    lobes = int(rng.integers(3, 6)) if is_lobulated else int(rng.integers(1, 3))
    spread = 1.0 if is_lobulated else 0.4
    centers = rng.normal(0, spread / np.sqrt(3), (lobes, 3))
    radii = rng.uniform(0.65, 1.0, lobes)
    turn = Rotation.random(rng=rng).as_matrix()
    stretch = np.array([1.0, rng.uniform(0.75, 1.0), rng.uniform(0.65, 1.0)])
    wobble = WaveField.random(rng, correlation_mm=0.55)

    def level(points: Points) -> Values:
        places = (points @ turn.T) / stretch
        balls = [np.linalg.norm(places - c, axis=1) - r for c, r in zip(centers, radii, strict=True)]
        union = balls[0]
        for ball in balls[1:]:
            union = smooth_union(union, ball, 0.25)
        return np.asarray(union + 0.1 * wobble.scalar(places))

    return _sized(level, turn[0], radius_mm, rng)


def zone_shape(radius_mm: float, rng: np.random.Generator) -> Shape:
    """A lumpy capsule, as an applicator's track leaves it."""
    turn = Rotation.random(rng=rng).as_matrix()
    half = rng.uniform(0.1, 0.45)
    ends = half * np.array([-turn[0], turn[0] + rng.normal(0, 0.25, 3)])
    wobble = WaveField.random(rng, correlation_mm=0.5)

    def level(points: Points) -> Values:
        tube = cone_level(points, ends[0], ends[1], 1.0, 0.85)
        return np.asarray(tube + 0.08 * wobble.scalar(points))

    return _sized(level, turn[0], radius_mm, rng)


def _sized(level: Level, axis: FloatArray, radius_mm: float, rng: np.random.Generator) -> Shape:
    """The shape about its centroid, scaled to the volume of a ball."""
    points = rng.uniform(-3, 3, (60_000, 3))
    inside = points[level(points) < 0]
    middle = inside.mean(axis=0)
    scale = radius_mm / (len(inside) / len(points) * 216 * 3 / 4 / np.pi) ** (1 / 3)
    return Shape(
        level=lambda points: scale * level(points / points.dtype.type(scale) + middle.astype(points.dtype)),
        radius_mm=radius_mm,
        axis=axis,
    )
