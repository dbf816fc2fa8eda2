"""From the core to the whole liver: the random walker, twice, the second time from what the first one found."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ablmargin.geometry import BoolArray
from ablmargin.segmentation.livercore import Core, Level
from ablmargin.segmentation.liverprior import Background, Likelihood, find_background, likelihood, prior
from ablmargin.segmentation.liverscene import Scene, Values
from ablmargin.segmentation.morphology import closed, distance_to, grown, largest_part, opened, shrunk
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
    """Two passes; the first one's result tells the second where to start and how the neighborhood looks."""
    background = find_background(scene, core)
    rest = scene.cavity & ~core.voxels & (distance_to(core.voxels, scene.spacing_mm) < 60)
    looks = likelihood(scene.smooth, core.voxels, rest, core.level)
    share = prior(scene, core, background, looks, core.voxels, thin_share=FIRST_THIN_SHARE)
    sure = shrunk(core.voxels, 5, scene.spacing_mm) & (core.permission > 0.6)
    first = _pass(scene, core.level, background, marks, sure=sure, share=share, reach_mm=FIRST_REACH_MM)
    looks = _second_look(scene, core, first.voxels)
    share = prior(scene, core, background, looks, first.voxels, thin_share=SECOND_THIN_SHARE)
    sure = shrunk(first.voxels, 6, scene.spacing_mm) & (core.permission > 0.6)
    return _pass(scene, core.level, background, marks, sure=sure, share=share, reach_mm=SECOND_REACH_MM)


def _second_look(scene: Scene, core: Core, first: BoolArray) -> Likelihood:
    """Histograms after the first pass: of its inner part, and of what surrounds it without its own vessels and lesions."""
    bays = closed(first, 8, scene.spacing_mm)
    around = scene.cavity & ~bays & (distance_to(first, scene.spacing_mm) < 40)
    return likelihood(scene.smooth, shrunk(first, 4, scene.spacing_mm), around, core.level)


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
