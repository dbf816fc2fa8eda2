"""The liver's core: what is thick, of one gray level and holds the seed; and what gray level that is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ablmargin.geometry import Array, BoolArray
from ablmargin.segmentation.liverscene import Scene, Values, muscle_level_hu, permission
from ablmargin.segmentation.morphology import opened, shrunk

CORE_BALLS_MM = (14.0, 11.0, 8.0, 6.0)
SD_RANGE_HU = (5.0, 18.0)
CLEAR_OF_MUSCLE = 4.0
"""So many standard deviations from muscle, the liver can't be taken for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """The liver's gray level: median and robust standard deviation of the smoothed image."""

    hu: float
    sd_hu: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Core:
    """A part that is liver for certain, its level, and the permission that goes with that level."""

    voxels: BoolArray
    level: Level
    permission: Values


def find_core(scene: Scene, ball: BoolArray) -> Core:
    """Grow the core from a seed's ball; the level found there decides how strict the place must be, so twice."""
    level = ball_level(scene.smooth[ball])
    core = _core(scene, ball, level, permission(scene, 1.0))
    return _core(scene, ball, core.level, permission(scene, strictness(scene, core.level)))


def strictness(scene: Scene, level: Level) -> float:
    """0 where muscle is far from the liver's level, 1 where it looks the same."""
    muscle_hu = muscle_level_hu(scene)
    if muscle_hu is None:
        return 1.0
    return float(np.clip((CLEAR_OF_MUSCLE - abs(level.hu - muscle_hu) / level.sd_hu) / 2, 0, 1))


def _core(scene: Scene, ball: BoolArray, level: Level, allowed: Values) -> Core:
    near = np.abs(scene.smooth - level.hu) < 2.6 * level.sd_hu + 4
    like = np.asarray(ndimage.binary_closing(scene.cavity & near & (allowed > 0.3))) & scene.cavity
    voxels = _thick_part(like, ball, scene.spacing_mm)
    inner = shrunk(voxels, 6, scene.spacing_mm) & like
    values = scene.smooth[inner if inner.sum() > 200 else voxels & like]
    return Core(voxels=voxels, level=level_of(values, level), permission=allowed)


def _thick_part(like: BoolArray, ball: BoolArray, spacing_mm: float) -> BoolArray:
    """The part with most of the ball after the strongest opening that leaves any of it."""
    for radius_mm in CORE_BALLS_MM:
        labels, count = ndimage.label(opened(like, radius_mm, spacing_mm))
        shared = np.bincount(labels[ball], minlength=count + 1)
        shared[0] = 0
        if shared.max() > 0:
            return np.asarray(labels == shared.argmax())
    return ball


def ball_level(values: Array) -> Level:
    """Level of a small sample that may hold vessels or a lesion: what is far from the median doesn't count."""
    middle = np.median(values)
    return level_of(values[np.abs(values - middle) < 40], Level(hu=float(middle), sd_hu=SD_RANGE_HU[1]))


def level_of(values: Array, otherwise: Level, *, least_sd_hu: float = SD_RANGE_HU[0]) -> Level:
    """Median and robust standard deviation within plausible bounds; ``otherwise`` of too few values."""
    if values.size < 10:
        return otherwise
    middle = np.median(values)
    sd = 1.4826 * np.median(np.abs(values - middle))
    return Level(hu=float(middle), sd_hu=float(np.clip(sd, least_sd_hu, SD_RANGE_HU[1])))
