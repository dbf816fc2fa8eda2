"""Tumors below a liver capsule with an exact constrained margin, their masks, and what is measured on them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ablmargin.geometry import BoolArray, FloatArray, Geometry, triple
from ablmargin.metrics.capsule import measure_capsule
from ablmargin.metrics.depth import LiverDepth
from ablmargin.metrics.edt import border_voxels
from ablmargin.metrics.margin import measure_margin
from ablmargin.metrics.surface import surface_of
from ablmargin.regrid import resampled
from ablmargin.volume import LabelMask, Structure

TUMOR_MM, ZONE_MM, REQUIRED_MM = 8.0, 15.0, 5.0
IN_PLANE_MM, HALF_BOX_MM = 0.7, 25.0
TILTED = (0.5, 0.3, 0.8)
DIRECTIONS = 40_000

Variant = Callable[["Scene", Geometry], LabelMask]


@dataclass(frozen=True, kw_only=True)
class Truth:
    """Exact values of one scene, mm and 0..1."""

    minimum_mm: float
    limited_share: float
    shortfall_mm: float


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A tumor ``gap_mm`` below the capsule; the zone's center is moved along and away from the capsule, mm.

    The capsule is flat or a sphere of ``capsule_radius_mm``; ``inward`` is its normal at the tumor, into the liver. A
    negative gap lets the tumor stick out of the liver.
    """

    name: str
    gap_mm: float = 0.0
    along_mm: float = 0.0
    away_mm: float = 0.0
    capsule_radius_mm: float | None = None
    inward: tuple[float, float, float] = (0.0, 0.0, 1.0)

    @property
    def normal(self) -> FloatArray:
        return np.array(self.inward) / np.linalg.norm(self.inward)

    @property
    def tumor_center_mm(self) -> FloatArray:
        return (TUMOR_MM + self.gap_mm) * self.normal

    @property
    def zone_center_mm(self) -> FloatArray:
        side = np.array([1.0, 0.0, 0.0]) - self.normal[0] * self.normal
        return self.tumor_center_mm + self.along_mm * side / np.linalg.norm(side) + self.away_mm * self.normal

    def depth_mm(self, points_mm: FloatArray) -> FloatArray:
        """Exact depth below the capsule, negative outside the liver."""
        if self.capsule_radius_mm is None:
            return np.asarray(points_mm @ self.normal)
        center = self.capsule_radius_mm * self.normal
        return np.asarray(self.capsule_radius_mm - np.linalg.norm(points_mm - center, axis=-1))

    def truth(self, *, clipped: bool) -> Truth:
        """From points of the tumor's surface: to the zone's sphere, or to the circle where it meets the capsule."""
        points = self._tumor_points_mm()
        depth = self.depth_mm(points)
        away = points - self.zone_center_mm
        reach = np.linalg.norm(away, axis=1)
        nearest = self.zone_center_mm + away * (ZONE_MM / np.maximum(reach, 1e-9))[:, None]
        free = self.depth_mm(nearest) >= 0
        margin = np.where((reach > ZONE_MM) | free, ZONE_MM - reach, self._to_circle_mm(points))
        if clipped:
            margin = np.where(depth < -1e-9, np.minimum(margin, depth), margin)
        missing = np.minimum(REQUIRED_MM, np.maximum(depth, 0.0)) - margin
        return Truth(
            minimum_mm=float(margin.min()),
            limited_share=float((depth < REQUIRED_MM).mean()),
            shortfall_mm=float(max(missing.max(), 0.0)),
        )

    def grid(self, slice_mm: float, rng: np.random.Generator) -> Geometry:
        """A grid around tumor and zone that begins anywhere within a voxel."""
        spacing = np.array([slice_mm, IN_PLANE_MM, IN_PLANE_MM])
        sizes = np.ceil(2 * HALF_BOX_MM / spacing).astype(int) + 1
        middle = (self.tumor_center_mm + self.zone_center_mm) / 2
        first = middle - HALF_BOX_MM - (rng.uniform(0, 1, 3) * spacing)[::-1]
        return Geometry(
            shape=(int(sizes[0]), int(sizes[1]), int(sizes[2])), spacing_mm=triple(spacing), origin_mm=triple(first)
        )

    def tumor(self, grid: Geometry) -> LabelMask:
        inside = np.linalg.norm(_centers_mm(grid) - self.tumor_center_mm, axis=-1) <= TUMOR_MM
        return LabelMask(voxels=inside, geometry=grid, structure=Structure.TUMOR)

    def zone(self, grid: Geometry, *, clipped: bool) -> LabelMask:
        points = _centers_mm(grid)
        inside = np.linalg.norm(points - self.zone_center_mm, axis=-1) <= ZONE_MM
        if clipped:
            inside &= self.depth_mm(points) >= 0
        return LabelMask(voxels=inside, geometry=grid, structure=Structure.ABLATION_ZONE)

    def liver(self, grid: Geometry, *, grown_mm: float = 0.0) -> LabelMask:
        inside = self.depth_mm(_centers_mm(grid)) >= -grown_mm
        return LabelMask(voxels=inside, geometry=grid, structure=Structure.LIVER)

    def _tumor_points_mm(self) -> FloatArray:
        count = np.arange(DIRECTIONS) + 0.5
        polar, turn = np.arccos(1 - 2 * count / DIRECTIONS), np.pi * (1 + 5**0.5) * count
        rays = np.stack([np.cos(turn) * np.sin(polar), np.sin(turn) * np.sin(polar), np.cos(polar)], axis=1)
        apart = self.tumor_center_mm - self.zone_center_mm
        extremes = [-self.normal] + ([apart / np.linalg.norm(apart)] if apart.any() else [])
        return np.asarray(self.tumor_center_mm + TUMOR_MM * np.vstack([rays, *extremes]))

    def _to_circle_mm(self, points_mm: FloatArray) -> FloatArray:
        """Distance to the circle where the zone's sphere meets the capsule; infinite if it doesn't."""
        if self.capsule_radius_mm is None:
            axis, height = self.normal, 0.0
            squared = ZONE_MM**2 - float(self.zone_center_mm @ axis) ** 2
            center = self.zone_center_mm - float(self.zone_center_mm @ axis) * axis
        else:
            liver = self.capsule_radius_mm * self.normal
            apart = float(np.linalg.norm(self.zone_center_mm - liver))
            axis = (self.zone_center_mm - liver) / max(apart, 1e-9)
            height = (apart**2 + self.capsule_radius_mm**2 - ZONE_MM**2) / max(2 * apart, 1e-9)
            squared, center = self.capsule_radius_mm**2 - height**2, liver + height * axis
        if squared <= 0:
            return np.full(len(points_mm), np.inf)
        along = (points_mm - center) @ axis
        across = np.sqrt(np.maximum(((points_mm - center) ** 2).sum(axis=1) - along**2, 0.0))
        return np.hypot(across - np.sqrt(squared), along)


def _centers_mm(grid: Geometry) -> FloatArray:
    return grid.points_at(np.stack(np.indices(grid.shape), axis=-1))


def accurate_scenes() -> tuple[Scene, ...]:
    """Where the measured minimum must be right."""
    scenes = [
        Scene(name=f"{kind}, gap {gap:g}, {place}", gap_mm=gap, along_mm=along, away_mm=away, capsule_radius_mm=radius)
        for kind, radius in (("flat", None), ("R80", 80.0))
        for gap in (0.0, 2.0, 4.0, 8.0)
        for place, along, away in (("concentric", 0.0, 0.0), ("4 mm away", 0.0, 4.0), ("5 mm along", 5.0, 0.0))
    ]
    tilted = [
        Scene(name="tilted, gap 0, concentric", inward=TILTED),
        Scene(name="tilted, gap 0, 4 mm away", away_mm=4.0, inward=TILTED),
    ]
    return (*scenes, *tilted, *UNABLATED[:6])


UNABLATED = (
    Scene(name="out of the zone by 1.0", away_mm=8.0),
    Scene(name="out of the zone by 3.0", away_mm=10.0),
    Scene(name="R80, out of the zone by 1.0", away_mm=8.0, capsule_radius_mm=80.0),
    Scene(name="tilted, out of the zone by 1.0", away_mm=8.0, inward=TILTED),
    Scene(name="out of the zone by 0.4", away_mm=7.4),
    Scene(name="tilted, out of the zone by 0.4", away_mm=7.4, inward=TILTED),
    Scene(name="far side out by 1.0", gap_mm=4.0, away_mm=-8.0),
    Scene(name="sideways out by 2.0", along_mm=9.0),
    Scene(name="out of the liver by 1", gap_mm=-1.0),
    Scene(name="out of the liver by 2", gap_mm=-2.0),
    Scene(name="out of the liver by 3", gap_mm=-3.0),
    Scene(name="tilted, out of the liver by 1", gap_mm=-1.0, inward=TILTED),
)
"""Where tumor is left; the first six must also be right to 0.3 mm."""


def _staircase(scene: Scene, grid: Geometry) -> LabelMask:
    steps = np.round(_centers_mm(grid) / 3.0) * 3.0
    return LabelMask(voxels=scene.depth_mm(steps) >= 0, geometry=grid, structure=Structure.LIVER)


def _on_other_grid(scene: Scene, grid: Geometry) -> LabelMask:
    span = np.ptp(grid.corners_mm, axis=0)[::-1]
    spacing = np.array([2.5, 1.4, 1.4])
    sizes = np.floor(span / spacing).astype(int) + 1
    other = Geometry(
        shape=(int(sizes[0]), int(sizes[1]), int(sizes[2])), spacing_mm=triple(spacing), origin_mm=grid.origin_mm
    )
    return resampled(scene.liver(other), grid)


def _without(scene: Scene, grid: Geometry, target: LabelMask) -> LabelMask:
    voxels = scene.liver(grid).voxels & ~target.voxels
    return LabelMask(voxels=voxels, geometry=grid, structure=Structure.LIVER)


VARIANTS: dict[str, Variant] = {
    "right": lambda scene, grid: scene.liver(grid),
    "1 mm too large": lambda scene, grid: scene.liver(grid, grown_mm=1.0),
    "1 mm too small": lambda scene, grid: scene.liver(grid, grown_mm=-1.0),
    "staircase": _staircase,
    "another grid": _on_other_grid,
    "tumor left out": lambda scene, grid: _without(scene, grid, scene.tumor(grid)),
    "zone left out": lambda scene, grid: _without(scene, grid, scene.zone(grid, clipped=True)),
}


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What was found in one placement of the grid, mm and 0..1."""

    minimum_mm: float
    limited_share: float
    shortfall_mm: float
    excused_mm: float
    doubt_mm: float
    shortfall_doubt_mm: float
    voxel_tool_mm: float


def measured(scene: Scene, slice_mm: float, *, clipped: bool, seed: int, liver: Variant | None = None) -> Measured:
    """Measure one scene from masks; where no constrained margin is left, the plain one stands."""
    grid = scene.grid(slice_mm, np.random.default_rng(seed))
    tumor, zone = scene.tumor(grid), scene.zone(grid, clipped=clipped)
    drawn = scene.liver(grid) if liver is None else liver(scene, grid)
    outer, border = surface_of(tumor), surface_of(zone)
    depth = LiverDepth.around(drawn, outer, border)
    margin = measure_margin(outer, border, depth=depth)
    capsule = measure_capsule(margin, required_mm=REQUIRED_MM, zone=border, depth=depth)
    constrained = margin.constrained_minimum_mm
    return Measured(
        minimum_mm=margin.minimum_mm if constrained is None else constrained,
        limited_share=capsule.depth_limited_share,
        shortfall_mm=capsule.shortfall_mm,
        excused_mm=margin.excused_mm,
        doubt_mm=margin.capsule_doubt_mm,
        shortfall_doubt_mm=capsule.shortfall_doubt_mm,
        voxel_tool_mm=voxel_tool_mm(tumor, zone, scene.liver(grid)),
    )


def voxel_tool_mm(tumor: LabelMask, zone: LabelMask, liver: LabelMask, *, excluded_mm: float = 5.0) -> float:
    """Smallest distance from voxel to voxel, without the tumor's border voxels near the liver's border."""
    spacing = tumor.geometry.spacing_mm

    def distance(voxels: BoolArray) -> FloatArray:
        border, _ = border_voxels(voxels)
        away = ndimage.distance_transform_edt(~border, sampling=spacing)
        return np.where(voxels, away, -away)

    counted = border_voxels(tumor.voxels)[0] & (distance(liver.voxels) >= excluded_mm)
    return float(distance(zone.voxels)[counted].min()) if counted.any() else float("nan")


def is_hidden(scene: Scene, found: Measured, *, clipped: bool) -> bool:
    """Whether unablated tumor is reported as ablated."""
    return scene.truth(clipped=clipped).minimum_mm < -0.05 and found.minimum_mm >= 0
