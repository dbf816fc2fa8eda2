"""How likely each voxel is liver by itself: by its gray level, its place, and the thickness of what it belongs to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ablmargin.geometry import BoolArray
from ablmargin.segmentation.livercore import SD_RANGE_HU, Core, Level, level_of
from ablmargin.segmentation.liverscene import Scene, Values
from ablmargin.segmentation.liverseed import side_of
from ablmargin.segmentation.morphology import distance_to, grown, opened, shrunk

LOWEST_BIN_HU, HIGHEST_BIN_HU, BIN_HU = -100, 300, 2
REGION_MM = 5.0
LEAST_REGIONAL_SD_HU = 2.0
VOXEL_BLUR_HU, REGION_BLUR_HU = 6.0, 3.0
"""Smoothing of the histograms."""
REST_WEIGHT = 0.6
"""Of what isn't liver, against the liver."""
THIN_MM = 8.0
THIN_BY_SPINE_MM = ((75.0, 12.0), (45.0, 16.0))
"""So near to the spine, parts in which a ball of the second size finds no room are gut, pancreas or large vessels."""
THIN_SHARE = 0.4
BELOW_LUNG_MM, BESIDE_SPINE_MM = 20.0, 25.0
"""So near to a lung, and not beside the spine, lies the dome, thin as it may be."""
NEAR_CORE_MM = 6.0
OTHER_ORGAN_MM, OTHER_ORGAN_ML = 10.0, 15.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Background:
    """What is no liver whatever its neighbors say, and what is thin.

    Parameters
    ----------
    excluded : ndarray of bool
        Wall, gas, fat, bone, what is much brighter, spleen, heart.
    other_organs : ndarray of bool
        Spleen and heart alone.
    thin : ndarray of bool
        Of the liver's gray level, but thin.
    thin_by_spine : ndarray of bool
        Thin for the neighborhood of the spine.
    """

    excluded: BoolArray
    other_organs: BoolArray
    thin: BoolArray
    thin_by_spine: BoolArray


def find_background(scene: Scene, core: Core, known: BoolArray) -> Background:
    """What the core's level and place decide; what is known to be liver, lesions included, makes its rim thick."""
    spacing_mm, trunk, level = scene.spacing_mm, scene.trunk, core.level
    like = scene.cavity & (np.abs(scene.smooth - level.hu) < 3 * level.sd_hu + 5)
    others = _other_organs(scene, like, core.voxels)
    bright = opened(scene.smooth > level.hu + 5 * level.sd_hu + 25, 5, spacing_mm)
    bone = trunk.bone & (scene.smooth > 250) & ~grown(core.voxels, 4, spacing_mm)
    forbidden = core.permission < 0.02
    like |= known
    below_lung = (distance_to(trunk.lungs, spacing_mm) < BELOW_LUNG_MM) & (scene.spine_mm > BESIDE_SPINE_MM)
    by_spine = np.zeros_like(like)
    for reach_mm, radius_mm in THIN_BY_SPINE_MM:
        by_spine |= (scene.spine_mm < reach_mm) & _beyond_balls(like, radius_mm, 4, spacing_mm)
    return Background(
        excluded=~trunk.body | trunk.gas | trunk.wall | scene.fat | forbidden | bright | bone | others,
        other_organs=others,
        thin=_beyond_balls(like, THIN_MM, 3, spacing_mm) & ~below_lung,
        thin_by_spine=by_spine & ~below_lung,
    )


def _beyond_balls(like: BoolArray, radius_mm: float, slack_mm: float, spacing_mm: float) -> BoolArray:
    """What lies in the mask, but farther than a slack from all balls that fit into it."""
    return like & ~grown(opened(like, radius_mm, spacing_mm), slack_mm, spacing_mm)


def _other_organs(scene: Scene, like: BoolArray, core: BoolArray) -> BoolArray:
    """Thick parts of the liver's level that aren't it: left in the back (spleen) or above the lungs' base (heart)."""
    spacing_mm, trunk = scene.spacing_mm, scene.trunk
    side, rows = side_of(trunk.body), np.flatnonzero(trunk.body.any(axis=(0, 2)))
    labels, count = ndimage.label(opened(like, OTHER_ORGAN_MM, spacing_mm) & ~grown(core, 3, spacing_mm))
    chosen = np.zeros(count + 1, np.bool_)
    sizes = np.bincount(labels.ravel())
    for label in np.flatnonzero(sizes * scene.voxel_ml > OTHER_ORGAN_ML):
        if label == 0:
            continue
        k, j, i = (int(at) for at in ndimage.center_of_mass(labels == label))
        is_left_back = side[i] > 0.25 and j > rows.mean()
        chosen[label] = is_left_back or k - trunk.lung_base[j, i] > 5 / spacing_mm
    return shrunk(np.asarray(chosen[labels]), 3, spacing_mm) if chosen.any() else np.zeros_like(like)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Likelihood:
    """Probability of liver for each bin of gray levels."""

    shares: NDArray[np.float64]

    def at(self, values: Values) -> Values:
        bins = ((values - LOWEST_BIN_HU) / BIN_HU).astype(int)
        return np.asarray(self.shares[np.clip(bins, 0, len(self.shares) - 1)], np.float32)


def likelihood(values: Values, liver: BoolArray, rest: BoolArray, *, blur_hu: float) -> Likelihood:
    """From the histograms of a sample of the liver and of one of what surrounds it: no window of HU is assumed."""
    centers = np.arange(LOWEST_BIN_HU, HIGHEST_BIN_HU, BIN_HU) + BIN_HU / 2
    inside, around = (_histogram(values[part], blur_hu) for part in (liver, rest))
    level = level_of(values[liver], Level(hu=0.0, sd_hu=SD_RANGE_HU[1]), least_sd_hu=LEAST_REGIONAL_SD_HU)
    widest = inside.max() * np.exp(-(((centers - level.hu) / (1.3 * level.sd_hu)) ** 2) / 2)
    inside = np.maximum(inside, widest)
    return Likelihood(shares=inside / (inside + REST_WEIGHT * around + 5e-5 * BIN_HU))


def _histogram(values: Values, blur_hu: float) -> NDArray[np.float64]:
    counts, _ = np.histogram(values, np.arange(LOWEST_BIN_HU, HIGHEST_BIN_HU + 1, BIN_HU))
    return np.asarray(ndimage.gaussian_filter1d(counts.astype(float), blur_hu / BIN_HU) / max(1, counts.sum()))


def regional_level(scene: Scene, level: Level) -> Values:
    """Mean over the neighborhood of what has about the liver's level; elsewhere the image itself.

    Noise hides small differences between organs from a single voxel, not from its neighborhood.
    """
    like = (np.abs(scene.smooth - level.hu) < 3 * level.sd_hu + 5) & scene.cavity
    sigma = REGION_MM / scene.spacing_mm
    weight = ndimage.gaussian_filter(like.astype(np.float32), sigma)
    total = ndimage.gaussian_filter(np.where(like, scene.smooth, np.float32(0)), sigma)
    return np.asarray(np.where(like, total / np.maximum(weight, 0.05), scene.smooth), np.float32)


def prior(
    scene: Scene, core: Core, background: Background, looks: Values, known: BoolArray, *, thin_share: float
) -> Values:
    """Probability of liver of each voxel by its looks and its place, given what is known to be liver.

    ``thin_share`` is left of it in thin parts far from the spine, less in those near it.
    """
    from_known_mm = distance_to(known, scene.spacing_mm)
    share = looks * core.permission * np.clip(1 - (from_known_mm - 20) / 80, 0, 1)
    beyond = from_known_mm > NEAR_CORE_MM
    share[background.thin & beyond] *= thin_share
    share[background.thin_by_spine & ~background.thin & beyond] *= THIN_SHARE
    return np.asarray(share, np.float32)
