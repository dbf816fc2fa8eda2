"""A small liver before and after ablation with a known smooth map, sampled on any two grids."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from orientations import grid_around, rotation
from scipy import ndimage

from ablmargin.geometry import FloatArray, Geometry
from ablmargin.volume import LabelMask, Structure, Volume

HALF_MM = np.array([58.0, 44.0, 50.0])
TUMOR_MM = np.array([14.0, 8.0, -6.0])
TUMOR_RADIUS_MM = 8.0
ZONE_RADIUS_MM = 17.0
ZONE_OFFSET_MM = np.array([5.0, -4.0, 3.0])
POST_CENTER_MM = (40.0, -20.0, 130.0)
_STEP_MM = 1.5
_REACH_MM = 90.0


@dataclass(frozen=True, kw_only=True)
class Pair:
    pre: Volume
    post: Volume
    liver_pre: LabelMask
    liver_post: LabelMask
    tumor: LabelMask
    zone: LabelMask


@lru_cache
def texture(seed: int, *, vessel_hu: float = 60.0) -> FloatArray:
    """Blobs and tubes on a lattice in the pre frame, HU."""
    random = np.random.default_rng(seed)
    count = int(2 * _REACH_MM / _STEP_MM) + 1
    blobs = ndimage.gaussian_filter(random.standard_normal((count,) * 3), 5.0 / _STEP_MM)
    off_line = np.ones((count,) * 3, bool)
    for _ in range(45):
        start, end = random.uniform(0.15, 0.85, (2, 3)) * count
        line = start + np.linspace(0, 1, 4 * count)[:, None] * (end - start)
        off_line[tuple(line.astype(int).T)] = False
    distance = ndimage.distance_transform_edt(off_line) * _STEP_MM
    return 10.0 * blobs / blobs.std() + vessel_hu / (1.0 + np.exp(2.0 * (distance - 2.5)))


def pre_from_post(points_mm: FloatArray) -> FloatArray:
    """The truth: a shift of 130 mm, a turn by some degrees and a bend of up to 6 mm."""
    centered = (points_mm - np.array(POST_CENTER_MM)) @ rotation(6, -4, 3).T + np.array([4.0, -3.0, 9.0])
    x, y, z = centered.T / 30.0
    return centered + np.stack([3.0 * np.sin(y) + np.cos(z), 4.0 * np.sin(z + 0.5 * x), 3.5 * np.cos(x - y)], axis=1)


def post_from_pre(points_mm: FloatArray) -> FloatArray:
    """Its inverse, by Newton's iteration with a fixed slope."""
    posted = (points_mm - np.array([4.0, -3.0, 9.0])) @ rotation(6, -4, 3) + np.array(POST_CENTER_MM)
    for _ in range(60):
        posted = posted + (points_mm - pre_from_post(posted)) @ rotation(6, -4, 3)
    assert np.abs(pre_from_post(posted) - points_mm).max() < 1e-6
    return posted


def liver_points_pre(count: int = 300) -> FloatArray:
    random = np.random.default_rng(5)
    points = random.uniform(-1, 1, (8 * count, 3))
    return points[(points**2).sum(axis=1) < 0.85][:count] * HALF_MM


def tumor_points_pre(count: int = 200) -> FloatArray:
    directions = np.random.default_rng(6).standard_normal((count, 3))
    return TUMOR_MM + TUMOR_RADIUS_MM * directions / np.linalg.norm(directions, axis=1, keepdims=True)


def make_pair(
    *,
    orientation: str = "LPS",
    seed: int = 1,
    post_seed: int | None = None,
    post_shift_mm: tuple[float, float, float] = (0.0, 0.0, 0.0),
    post_vessel_hu: float = 45.0,
    noise_hu: float = 8.0,
) -> Pair:
    """The pair on grids of one orientation; ``post_shift_mm`` moves the whole post exam in its own frame."""
    shapes = {"pre": (60, 64, 76), "post": (52, 62, 70)}
    spacing = {"pre": (2.5, 2.2, 2.0), "post": (3.0, 2.3, 2.2)}
    shift = np.array(post_shift_mm)
    pre_grid = grid_around(
        (0, 0, 0), orientation=orientation, shape=shapes["pre"], spacing_mm=spacing["pre"], frame_uid="1.2.1"
    )
    post_grid = grid_around(
        tuple(np.array(POST_CENTER_MM) + shift),
        orientation=orientation,
        shape=shapes["post"],
        spacing_mm=spacing["post"],
        frame_uid="1.2.2",
    )
    at_pre = _points(pre_grid)
    at_post = _points(post_grid) - shift
    seen_post = pre_from_post(at_post)
    zone_center = post_from_pre(TUMOR_MM[None])[0] + ZONE_OFFSET_MM
    in_tumor = np.linalg.norm(at_pre - TUMOR_MM, axis=1) < TUMOR_RADIUS_MM
    in_zone = np.linalg.norm(at_post - zone_center, axis=1) < ZONE_RADIUS_MM
    pre_hu = _scene(at_pre, texture(seed), level_hu=105.0)
    post_hu = _scene(seen_post, texture(post_seed or seed, vessel_hu=post_vessel_hu), level_hu=95.0)
    pre_hu[in_tumor] = 65.0
    post_hu[in_zone] = 40.0
    random = np.random.default_rng(9)
    pre_hu += noise_hu * random.standard_normal(len(pre_hu))
    post_hu += noise_hu * random.standard_normal(len(post_hu))
    return Pair(
        pre=Volume(voxels_hu=pre_hu.reshape(pre_grid.shape), geometry=pre_grid),
        post=Volume(voxels_hu=post_hu.reshape(post_grid.shape), geometry=post_grid),
        liver_pre=_mask(_in_liver(at_pre), pre_grid, Structure.LIVER),
        liver_post=_mask(_in_liver(seen_post), post_grid, Structure.LIVER),
        tumor=_mask(in_tumor, pre_grid, Structure.TUMOR),
        zone=_mask(in_zone, post_grid, Structure.ABLATION_ZONE),
    )


def _points(grid: Geometry) -> FloatArray:
    return grid.points_at(np.argwhere(np.ones(grid.shape, bool)))


def _in_liver(pre_mm: FloatArray) -> np.ndarray:
    x, y, z = (pre_mm / HALF_MM).T
    dent = 0.5 * np.exp(-((x - 0.9) ** 2 + (y + 0.9) ** 2 + (z - 0.2) ** 2) / 0.2)
    return x**2 + y**2 + z**2 * (1 + 0.3 * x) + dent < 1.0


def _scene(pre_mm: FloatArray, lattice: FloatArray, *, level_hu: float) -> FloatArray:
    inside = ndimage.map_coordinates(lattice, ((pre_mm + _REACH_MM) / _STEP_MM).T, order=1, mode="nearest")
    return np.where(_in_liver(pre_mm), level_hu + inside, -60.0)


def _mask(inside: np.ndarray, grid: Geometry, structure: Structure) -> LabelMask:
    return LabelMask(voxels=inside.reshape(grid.shape), geometry=grid, structure=structure)
