"""Tumors and ablation zones: where they are put, and how they look on CT."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from ablmargin.errors import UsageError
from ablmargin.geometry import FloatArray, triple
from ablmargin.simulation.ct import GAS_HU, blend
from ablmargin.simulation.fields import Points, Values, inside_share, sphere_directions
from ablmargin.simulation.star import Lobe, StarShape, random_wobble
from ablmargin.simulation.zone import ZoneSurface

Level = Callable[[Points], Values]

CANDIDATES = 6000
GAP_BELOW_CAPSULE_MM = 1.5
"""How far below the capsule the surface of a subcapsular tumor lies."""
SPARE_MM = 3.0
"""How much larger than needed a zone is made, so that it can be moved until its margin is as asked."""
LARGEST_SHIFT_MM = 30.0
GAS_RADII_MM = (3.5, 3.5, 10.0)
"""Gas gathers along the applicator's track, within these semi-axes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LesionPlan:
    """What one tumor and its ablation are meant to be."""

    tumor_radius_mm: float
    nominal_mam_mm: float
    subcapsular: bool = False

    @property
    def zone_radius_mm(self) -> float:
        return self.tumor_radius_mm * 1.1 + max(self.nominal_mam_mm, 3.0) + SPARE_MM


@dataclass(frozen=True, slots=True, kw_only=True)
class LesionLook:
    """Mean HU of tumor and ablated tissue; ``rim_hu`` is added around the zone."""

    tumor_hu: float
    zone_hu: float
    rim_hu: float


def place_tumor(
    rng: np.random.Generator,
    plan: LesionPlan,
    liver: Level,
    box_mm: tuple[FloatArray, FloatArray],
    allowed: Callable[[FloatArray], bool],
) -> StarShape:
    """A tumor at a random place of the liver, deep enough for its ablation or just below the capsule.

    Parameters
    ----------
    liver : callable
        Level of the liver, pre frame.
    box_mm : two ndarrays, shape (3,)
        Corners of the region to look in, pre frame.
    allowed : callable
        Whether a center, shape (3,), is acceptable for other reasons (vessels, other lesions).

    Raises
    ------
    UsageError
        If the liver has no such place.
    """
    shape = tumor_shape(rng, plan.tumor_radius_mm)
    points = rng.uniform(*box_mm, (CANDIDATES, 3))
    depth = -liver(points)
    wanted = plan.tumor_radius_mm + 4.0 if plan.subcapsular else plan.zone_radius_mm + 4.0
    slack = 3.0 if plan.subcapsular else np.inf
    for center in points[(depth > wanted) & (depth < wanted + slack)]:
        tumor = _below_capsule(shape.moved_to(center), liver) if plan.subcapsular else shape.moved_to(center)
        if tumor is not None and allowed(np.array(tumor.center_mm)):
            return tumor
    raise UsageError(f"the liver has no place for a tumor of radius {plan.tumor_radius_mm} mm and its ablation")


def tumor_shape(rng: np.random.Generator, radius_mm: float) -> StarShape:
    """A lumpy ellipsoid of about a radius, centered at the origin."""
    radii = radius_mm * rng.uniform(0.9, 1.12, 3)
    lobe = Lobe(radii_mm=triple(radii), axes=random_axes(rng))
    return StarShape(center_mm=(0.0, 0.0, 0.0), lobes=(lobe,), wobble=random_wobble(rng, share=0.04))


def zone_shape(rng: np.random.Generator, plan: LesionPlan) -> StarShape:
    """Two overlapping ellipsoids, as two positions of the applicator leave them, centered at the origin."""
    axes = random_axes(rng)
    radius = plan.zone_radius_mm
    pull = 0.12 * radius
    first = Lobe(radii_mm=(radius, radius * 1.04, radius * 1.18), axes=axes)
    second = Lobe(
        radii_mm=(radius * 0.97, radius, radius * 1.05), offset_mm=triple(pull * axes[0] + pull * axes[2]), axes=axes
    )
    return StarShape(center_mm=(0.0, 0.0, 0.0), lobes=(first, second))


def place_zone(
    shape: StarShape, tumor_points_mm: FloatArray, direction: FloatArray, nominal_mam_mm: float
) -> StarShape:
    """Move a zone from the tumor's center along a direction until the margin is as asked.

    Works on the whole shape: where the capsule cuts the zone, the margin that the anatomy allows is set.

    Raises
    ------
    ValueError
        If the shape is too small for such a margin.
    """
    surface = ZoneSurface.of(shape, _everywhere, count=15_000)
    center = tumor_points_mm.mean(axis=0)

    def margin(shift_mm: float) -> float:
        moved = tumor_points_mm - center - shift_mm * direction
        return float(surface.signed_distances_mm(moved).min())

    if margin(0.0) < nominal_mam_mm:
        raise ValueError(f"a zone of this size can't leave a margin of {nominal_mam_mm} mm")
    low, high = 0.0, LARGEST_SHIFT_MM
    for _ in range(13):
        middle = (low + high) / 2
        low, high = (middle, high) if margin(middle) > nominal_mam_mm else (low, middle)
    return shape.moved_to(center + low * direction)


def paint_tumor(hu: Values, organ_points_mm: Points, tumor: StarShape, hu_inside: float, texture: Values) -> Values:
    """Paint a tumor over HU at points given in the pre frame."""
    near = _near(organ_points_mm, tumor, 3.0)
    level = tumor.level(organ_points_mm[near])
    hu[near] = blend(hu[near], inside_share(level, 0.9), hu_inside + texture[near])
    return hu


def paint_zone(
    hu: Values, points_mm: Points, zone: StarShape, *, look: LesionLook, texture: Values, patent: Values
) -> Values:
    """Paint an ablation zone over HU at post points (n, 3) in the liver: core, gas, rim; patent vessels are left.

    ``texture`` has a standard deviation of about 4 HU; ``patent`` is the level of the vessels that stay open.
    """
    near = _near(points_mm, zone, 9.0)
    points, level = points_mm[near], zone.level(points_mm[near])
    core = look.zone_hu + 1.8 * texture[near] + 10.0 * np.exp(-((level / 8.0) ** 2))
    offset = (points - np.array(zone.center_mm, points.dtype)) / np.array(GAS_RADII_MM, points.dtype)
    track = inside_share(np.einsum("ij,ij->i", offset, offset) - 1.0, 0.2)
    gas = track * np.clip(texture[near] * 0.5 - 0.6, 0, 1)
    core = blend(core, gas, GAS_HU)
    open_vessel = inside_share(patent[near])
    painted = blend(hu[near], inside_share(level, 0.9) * (1 - open_vessel), core)
    rim = np.exp(-(((level - 1.8) / 1.6) ** 2)) * (1 - open_vessel)
    hu[near] = painted + look.rim_hu * rim
    return hu


def random_axes(rng: np.random.Generator) -> FloatArray:
    """Three orthonormal directions, as rows."""
    return np.asarray(Rotation.random(rng=rng).as_matrix())


def random_direction(rng: np.random.Generator) -> FloatArray:
    """A unit vector."""
    vector = rng.standard_normal(3)
    return np.asarray(vector / np.linalg.norm(vector))


def outward_direction(liver: Level, point_mm: FloatArray) -> FloatArray:
    """The way to the capsule: the direction in which the liver's level grows most, 12 mm around a point."""
    directions = sphere_directions(400)
    weights = liver(point_mm + 12.0 * directions)
    vector = (weights - weights.mean()) @ directions
    return np.asarray(vector / np.linalg.norm(vector))


def _below_capsule(tumor: StarShape, liver: Level) -> StarShape | None:
    """The tumor moved outward until its surface is just below the capsule; None if there is no such place near."""
    center = np.array(tumor.center_mm)
    way = outward_direction(liver, center)
    surface = tumor.surface(1500)
    low, high = 0.0, 15.0
    if liver(surface).max() > -GAP_BELOW_CAPSULE_MM:
        return None
    for _ in range(20):
        middle = (low + high) / 2
        inside = liver(surface + middle * way).max() < -GAP_BELOW_CAPSULE_MM
        low, high = (middle, high) if inside else (low, middle)
    return tumor.moved_to(center + low * way)


def _near(points_mm: Points, shape: StarShape, pad_mm: float) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    offset = np.abs(points_mm - np.array(shape.center_mm, points_mm.dtype))
    return np.flatnonzero(offset.max(axis=1) < shape.reach_mm + pad_mm)


def _everywhere(points_mm: Points) -> Values:
    return np.full(len(points_mm), -1.0)
