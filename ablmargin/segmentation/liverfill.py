"""What the walker leaves out but belongs to the liver: vessels, holes, bays, lesions that are given."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from ablmargin.geometry import BoolArray
from ablmargin.segmentation.livercore import Level
from ablmargin.segmentation.liverlesions import embraced_lesions
from ablmargin.segmentation.liverpasses import Found
from ablmargin.segmentation.liverscene import Scene
from ablmargin.segmentation.morphology import closed, grown, largest_part, opened, without_holes

BAY_MM = 8.0
LESION_BAY_MM = 25.0
"""Tissue between the liver and a lesion at its border, in bays narrower than twice this, is liver."""
LEAST_SOFT_HU = -10.0


def filled(scene: Scene, level: Level, found: Found, lesions: BoolArray) -> BoolArray:
    """The liver with its vessels, holes and narrow bays, and with given lesions and what lies between them and it."""
    soft = soft_tissue(scene, level)
    whole = _without_bays(scene, found.voxels, soft)
    whole |= embraced_lesions(scene, level, whole, found.background.other_organs)
    whole = _without_bays(scene, whole, soft)
    if lesions.any():
        whole = _with_lesions(scene, whole, lesions, soft & ~found.background.other_organs)
    return without_holes(_to_half_way(scene, level, largest_part(whole)))


def _to_half_way(scene: Scene, level: Level, liver: BoolArray) -> BoolArray:
    """The liver with the voxels beside it that hold fat or lung for less than one half."""
    beside = grown(liver, 1.1 * scene.spacing_mm, scene.spacing_mm) & ~liver & scene.trunk.body & ~scene.trunk.wall
    darkest = ndimage.minimum_filter(scene.hu, 3)
    mixed = (darkest < scene.trunk.fat_hu) & (scene.hu > (darkest + level.hu) / 2) & (scene.hu < level.hu)
    return liver | (beside & mixed)


def _without_bays(scene: Scene, liver: BoolArray, soft: BoolArray) -> BoolArray:
    bays = closed(liver, BAY_MM, scene.spacing_mm) & soft
    return liver | opened(bays, 2 * scene.spacing_mm, scene.spacing_mm)


def soft_tissue(scene: Scene, level: Level) -> BoolArray:
    """Neither wall, gas, fat nor much brighter than the liver."""
    brightest = level.hu + 4 * level.sd_hu + 60
    soft = (scene.smooth > max(LEAST_SOFT_HU, scene.trunk.fat_hu + 5)) & (scene.smooth < brightest)
    return np.asarray(scene.cavity & soft)


def _with_lesions(scene: Scene, liver: BoolArray, lesions: BoolArray, soft: BoolArray) -> BoolArray:
    """Liver and lesions with the soft tissue in the bays that they form together, near the lesions only."""
    whole = liver | lesions
    bays = closed(whole, LESION_BAY_MM, scene.spacing_mm) & soft
    return whole | (bays & grown(lesions, LESION_BAY_MM, scene.spacing_mm))
