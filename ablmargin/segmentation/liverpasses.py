"""From the core to the whole liver: the random walker, twice, the second time from what the first one found."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ablmargin.geometry import BoolArray
from ablmargin.segmentation.livercore import Core, Level
from ablmargin.segmentation.liverlesions import embraced_lesions
from ablmargin.segmentation.liverprior import (
    REGION_BLUR_HU,
    VOXEL_BLUR_HU,
    Background,
    find_background,
    likelihood,
    prior,
    regional_level,
)
from ablmargin.segmentation.liverscene import Scene, Values
from ablmargin.segmentation.morphology import distance_to, grown, largest_part, opened, shrunk
from ablmargin.segmentation.randomwalker import walk

COUPLING = 0.15
EDGE_SD = 1.6
"""Neighbors that differ by more standard deviations of the liver are parted."""
FIRST_REACH_MM, SECOND_REACH_MM = 100.0, 60.0
FIRST_THIN_SHARE, SECOND_THIN_SHARE = 0.4, 0.65
BRIDGE_MM = 6.0
"""Parts that hang on the liver by less than twice this are none of it."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Marks:
    """What the reader vouches for."""

    inside: BoolArray
    outside: BoolArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Found:
    """The walker's result: the part that is liver, and the probability of each voxel."""

    voxels: BoolArray
    probability: Values
    background: Background


def grow(scene: Scene, core: Core, marks: Marks) -> Found:
    """Two passes: what the first one finds, with the lesions that it embraces, is where the second one starts."""
    background = find_background(scene, core, core.voxels)
    rest = scene.cavity & ~core.voxels & (distance_to(core.voxels, scene.spacing_mm) < 60)
    looks = _looks(scene, core, rest)
    share = prior(scene, core, background, looks, core.voxels, thin_share=FIRST_THIN_SHARE)
    sure = shrunk(core.voxels, 5, scene.spacing_mm) & (core.permission > 0.6)
    first = _pass(scene, core.level, background, marks, sure=sure, share=share, reach_mm=FIRST_REACH_MM)
    known = first.voxels | embraced_lesions(scene, core.level, first.voxels, background.other_organs)
    background = find_background(scene, core, known)
    share = prior(scene, core, background, looks, known, thin_share=SECOND_THIN_SHARE)
    sure = shrunk(known, 6, scene.spacing_mm) & (core.permission > 0.6)
    return _pass(scene, core.level, background, marks, sure=sure, share=share, reach_mm=SECOND_REACH_MM)


def _looks(scene: Scene, core: Core, rest: BoolArray) -> Values:
    """Probability of liver by gray level: both the voxel and its neighborhood must look like it."""
    region = regional_level(scene, core.level)
    by_voxel = likelihood(scene.smooth, core.voxels, rest, blur_hu=VOXEL_BLUR_HU).at(scene.smooth)
    return by_voxel * likelihood(region, core.voxels, rest, blur_hu=REGION_BLUR_HU).at(region)


def _pass(
    scene: Scene,
    level: Level,
    background: Background,
    marks: Marks,
    *,
    sure: BoolArray,
    share: Values,
    reach_mm: float,
) -> Found:
    inside = (sure | marks.inside) & ~marks.outside
    far = distance_to(inside, scene.spacing_mm) > reach_mm
    outside = (background.excluded | far | marks.outside) & ~inside
    box = _box(~outside)
    probability = np.zeros(share.shape, np.float32)
    probability[box] = walk(
        scene.smooth[box],
        inside=inside[box],
        outside=outside[box],
        prior=share[box],
        edge_sd=EDGE_SD * level.sd_hu,
        coupling=COUPLING,
    )
    voxels = _without_bridges(probability > 0.5, inside, scene.spacing_mm)
    return Found(voxels=voxels, probability=probability, background=background)


def _without_bridges(mask: BoolArray, inside: BoolArray, spacing_mm: float) -> BoolArray:
    """The part that holds most of the seeds after thin bridges are cut, grown back to where it ended."""
    labels, count = ndimage.label(opened(mask, BRIDGE_MM, spacing_mm))
    shared = np.bincount(labels[inside], minlength=count + 1)
    shared[0] = 0
    kept = labels == shared.argmax() if shared.max() > 0 else largest_part(mask)
    return mask & grown(np.asarray(kept), BRIDGE_MM + 1, spacing_mm)


def _box(mask: BoolArray) -> tuple[slice, ...]:
    """Where the mask is, with one voxel around it."""
    if not mask.any():
        return (slice(None),) * mask.ndim
    found = np.nonzero(mask)
    return tuple(slice(max(0, int(at.min()) - 1), int(at.max()) + 2) for at in found)
