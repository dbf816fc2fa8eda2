"""Random tumors with their ablation zones, on randomly placed grids."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
from scipy.spatial.transform import Rotation

from ablmargin.geometry import FloatArray, Geometry, Triple, triple, triples
from ablmargin.validation.shapes import Ball, Ellipsoid, Lumpy, Shape, Star
from ablmargin.validation.truth import Truth, truth_of
from ablmargin.validation.unions import FusedBalls, Union
from ablmargin.volume import LabelMask, Structure

Kind = Literal["sphere", "ellipsoid", "lumpy", "fused", "fused ellipsoids", "three balls"]
ALL_KINDS: tuple[Kind, ...] = get_args(Kind)
KINDS: tuple[Kind, ...] = ("sphere", "ellipsoid", "lumpy", "fused")
"""All but those with unions of any shapes, whose truth takes longer."""
SMOOTH_KINDS: tuple[Kind, ...] = ("sphere", "ellipsoid", "lumpy")
CREASED_KINDS: tuple[Kind, ...] = ("fused", "fused ellipsoids", "three balls")
IN_PLANE_MM = 0.7
TUMOR_RADIUS_MM, WIDER_MM, OFF_CENTER_MM = (5.0, 14.0), (1.0, 9.0), (0.0, 6.0)
STRETCH = 0.25
"""Semi-axes are a radius times exp(±this)."""
BUMPS, BUMP_SD, BUMP_SHARPNESS = 6, 0.06, (3.0, 8.0)
WORLD_MM = 150.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ShapePair:
    """A tumor and a zone as shapes, a grid around both, and the exact margins."""

    kind: Kind
    tumor: Star
    zone: Shape
    grid: Geometry
    truth: Truth

    @property
    def tumor_mask(self) -> LabelMask:
        return self.tumor.mask_on(self.grid, Structure.TUMOR)

    @property
    def zone_mask(self) -> LabelMask:
        return self.zone.mask_on(self.grid, Structure.ABLATION_ZONE)

    def on_another_grid(self, rng: np.random.Generator, slice_spacing_mm: float, *, oblique: bool) -> ShapePair:
        """The same shapes, sampled anew."""
        return replace(self, grid=_grid_around(self.tumor, self.zone, rng, slice_spacing_mm, oblique=oblique))


def random_pair(kind: Kind, rng: np.random.Generator, slice_spacing_mm: float, *, oblique: bool) -> ShapePair:
    """Draw a pair.

    Parameters
    ----------
    kind : {"sphere", "ellipsoid", "lumpy", "fused", "fused ellipsoids", "three balls"}
        Of both shapes; "fused" is a ball in the union of two balls, wholly or not, "fused ellipsoids" an ellipsoid in
        the union of two, "three balls" a ball in the union of three.
    rng : numpy.random.Generator
    slice_spacing_mm : float
        In plane it is 0.7 mm.
    oblique : bool
        Whether the grid lies at random in space or along the patient's axes.

    Returns
    -------
    ShapePair
        The same numbers drawn give the same shapes whatever the grid.
    """
    tumor, zone = _DRAWN[kind](rng) if kind in _DRAWN else _smooth(kind, rng)
    grid = _grid_around(tumor, zone, rng, slice_spacing_mm, oblique=oblique)
    return ShapePair(kind=kind, tumor=tumor, zone=zone, grid=grid, truth=truth_of(tumor, zone))


def _smooth(kind: Kind, rng: np.random.Generator) -> tuple[Star, Star]:
    radius, center = rng.uniform(*TUMOR_RADIUS_MM), rng.uniform(-WORLD_MM, WORLD_MM, 3)
    moved = center + _direction(rng) * rng.uniform(*OFF_CENTER_MM)
    wider = radius + rng.uniform(*WIDER_MM)
    return _star(kind, rng, center, radius), _star(kind, rng, moved, wider)


def _star(kind: Kind, rng: np.random.Generator, center: FloatArray, radius: float) -> Star:
    if kind == "sphere":
        return Ball(center_mm=triple(center), radius_mm=radius)
    ellipsoid = Ellipsoid(
        center_mm=triple(center),
        radii_mm=triple(radius * np.exp(rng.uniform(-STRETCH, STRETCH, 3))),
        axes=_axes(rng),
    )
    return ellipsoid if kind == "ellipsoid" else Lumpy(base=ellipsoid, bumps=tuple(_bump(rng) for _ in range(BUMPS)))


def _bump(rng: np.random.Generator) -> tuple[Triple, float, float]:
    return triple(_direction(rng)), float(rng.normal(0, BUMP_SD)), float(rng.uniform(*BUMP_SHARPNESS))


def _fused(rng: np.random.Generator) -> tuple[Star, FusedBalls]:
    """A ball near the crease of two balls, each at least as wide as it."""
    radius, center = rng.uniform(*TUMOR_RADIUS_MM), rng.uniform(-WORLD_MM, WORLD_MM, 3)
    first = radius + rng.uniform(*WIDER_MM)
    second = first * rng.uniform(0.8, 1.2)
    axis, apart = _direction(rng), rng.uniform(0.5, 1.2) * min(first, second)
    start = center + _direction(rng) * rng.uniform(*OFF_CENTER_MM) / 2 - axis * apart / 2
    zone = FusedBalls(
        first=Ball(center_mm=triple(start), radius_mm=first),
        second=Ball(center_mm=triple(start + axis * apart), radius_mm=second),
    )
    return Ball(center_mm=triple(center), radius_mm=radius), zone


def _fused_ellipsoids(rng: np.random.Generator) -> tuple[Star, Union]:
    """An ellipsoid near the crease of two others, each about as wide as it or wider."""
    radius, center = rng.uniform(*TUMOR_RADIUS_MM), rng.uniform(-WORLD_MM, WORLD_MM, 3)
    first = radius + rng.uniform(*WIDER_MM)
    second = first * rng.uniform(0.8, 1.2)
    axis, apart = _direction(rng), rng.uniform(0.5, 1.2) * min(first, second)
    start = center + _direction(rng) * rng.uniform(*OFF_CENTER_MM) / 2 - axis * apart / 2
    zone = (_star("ellipsoid", rng, start, first), _star("ellipsoid", rng, start + axis * apart, second))
    return _star("ellipsoid", rng, center, radius), Union(parts=zone)


def _three_balls(rng: np.random.Generator) -> tuple[Star, Union]:
    """A ball in three balls that overlap around it, each at least about as wide as it."""
    radius, center = rng.uniform(*TUMOR_RADIUS_MM), rng.uniform(-WORLD_MM, WORLD_MM, 3)
    wider, axes = radius + rng.uniform(*WIDER_MM), np.array(_axes(rng))
    angles = rng.uniform(0, 2 * np.pi) + np.array([0, 2, 4]) * np.pi / 3 + rng.uniform(-0.3, 0.3, 3)
    toward = np.cos(angles)[:, None] * axes[0] + np.sin(angles)[:, None] * axes[1]
    centers = center + wider * rng.uniform(0.3, 0.6, 3)[:, None] * toward
    radii = wider * rng.uniform(0.85, 1.15, 3)
    balls = [Ball(center_mm=triple(at), radius_mm=float(size)) for at, size in zip(centers, radii, strict=True)]
    return Ball(center_mm=triple(center), radius_mm=radius), Union(parts=tuple(balls))


_DRAWN: dict[Kind, Callable[[np.random.Generator], tuple[Star, Shape]]] = {
    "fused": _fused,
    "fused ellipsoids": _fused_ellipsoids,
    "three balls": _three_balls,
}


def _grid_around(
    tumor: Star, zone: Shape, rng: np.random.Generator, slice_spacing_mm: float, *, oblique: bool
) -> Geometry:
    """A grid that holds both with two voxels to spare, its origin at random within a voxel."""
    spacing = np.array([slice_spacing_mm, IN_PLANE_MM, IN_PLANE_MM])
    apart = float(np.linalg.norm(tumor.middle_mm - zone.middle_mm))
    half = max(zone.reach_mm, apart + tumor.reach_mm) + 2 * spacing
    shift, turned = rng.uniform(0, 1, 3) * spacing, _axes(rng)
    axes = turned if oblique else ((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0))
    sizes = np.ceil(2 * half / spacing).astype(int) + 2
    return Geometry(
        shape=(int(sizes[0]), int(sizes[1]), int(sizes[2])),
        spacing_mm=triple(spacing),
        origin_mm=triple(zone.middle_mm - (half + shift) @ np.array(axes)),
        directions=axes,
    )


def _direction(rng: np.random.Generator) -> FloatArray:
    vector = rng.normal(size=3)
    return np.asarray(vector / np.linalg.norm(vector))


def _axes(rng: np.random.Generator) -> tuple[Triple, Triple, Triple]:
    return triples(Rotation.random(random_state=rng).as_matrix())
