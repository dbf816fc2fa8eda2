"""Large dark lesions in the liver or at its border, which no gray level brings in: taken in where the liver embraces them."""

from __future__ import annotations

from itertools import product

import numpy as np

from ablmargin.geometry import BoolArray
from ablmargin.segmentation.livercore import Level
from ablmargin.segmentation.liverscene import Scene, Values
from ablmargin.segmentation.morphology import grown, opened, parts_touching

VIEW_MM = 60.0
DEEP_SHARE, SHALLOW_SHARE = 0.62, 0.48
"""Of the directions in which liver is seen: at the bottom of a bay, and where it opens. A flat surface fills one half."""
LUNG_WEIGHT = 0.5
"""Of a direction in which lung is seen, against one with liver: what lies between both is mostly liver."""
BETWEEN_MM = 12.0
"""How far a lesion may go from the bottom of its bay toward its opening."""
FLUID_HU, DEEP_SHARE_OF_FLUID = 30.0, 0.9
"""Fluid that the liver embraces less than this is the gallbladder or gut."""
LEAST_RADIUS_MM = 5.0
ROUNDS = 2
"""What the first one finds counts as liver in the next."""

DIRECTIONS = tuple(step for step in product((-1, 0, 1), repeat=3) if any(step))


def embraced_lesions(scene: Scene, level: Level, liver: BoolArray, excluded: BoolArray) -> BoolArray:
    """Soft tissue darker than the liver that fills its bays and holes; never what is excluded.

    Parameters
    ----------
    scene : Scene
    level : Level
    liver : ndarray of bool
        As far as it is known.
    excluded : ndarray of bool
        Other organs.
    """
    dark = (scene.smooth < level.hu + 2 * level.sd_hu) & (scene.smooth > 0) & ~scene.fat
    open_space = scene.cavity & dark & ~excluded & ~liver & (scene.above_lungs_mm < 0)
    found = np.zeros_like(liver)
    for _ in range(ROUNDS):
        found |= _round(scene, level, liver | found, open_space & ~found)
    return found


def _round(scene: Scene, level: Level, liver: BoolArray, open_space: BoolArray) -> BoolArray:
    seen = share_in_view(liver, open_space, scene.spacing_mm)
    seen += LUNG_WEIGHT * share_in_view(scene.trunk.lungs, open_space, scene.spacing_mm)
    fluid = scene.smooth < min(FLUID_HU, level.hu - 3 * level.sd_hu)
    allowed = open_space & (seen > np.where(fluid, DEEP_SHARE_OF_FLUID, SHALLOW_SHARE))
    deep = opened(allowed & (seen > DEEP_SHARE), LEAST_RADIUS_MM, scene.spacing_mm)
    if not deep.any():
        return deep
    near = allowed & grown(deep, BETWEEN_MM, scene.spacing_mm)
    return parts_touching(near, deep)


def share_in_view(seen: BoolArray, open_space: BoolArray, spacing_mm: float) -> Values:
    """In which share of 26 directions a mask is the first thing seen from a voxel of the open space; zero elsewhere.

    Computed on every second voxel, at most ``VIEW_MM`` far.
    """
    coarse = (slice(None, None, 2),) * 3
    target, clear = np.pad(seen[coarse], 1), np.pad(open_space[coarse], 1)
    steps = int(VIEW_MM / (2 * spacing_mm))
    total = np.zeros(target.shape, np.float32)
    for direction in DIRECTIONS:
        back = tuple(-at for at in direction)
        view = np.zeros_like(target)
        for _ in range(max(1, round(steps / np.linalg.norm(direction)))):
            view = np.roll(target | (clear & view), back, axis=(0, 1, 2))
        total += view
    share = total[1:-1, 1:-1, 1:-1] / np.float32(len(DIRECTIONS))
    for axis in range(3):
        share = np.repeat(share, 2, axis=axis)
    whole = tuple(slice(0, size) for size in seen.shape)
    return np.asarray(share[whole] * open_space, np.float32)
