"""Where the liver surely is: the largest ball of one gray level on the patient's right, below the lungs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ablmargin.geometry import BoolArray
from ablmargin.segmentation.trunk import NO_LUNG, Trunk

Values = NDArray[np.float32]

LEVELS_HU = range(15, 191, 5)
LEVEL_WIDTH_HU = 18.0
FLUID_HU = 50.0
"""Balls as dark as fluid count less: bladder, stomach."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seed:
    """A ball in the liver: its center as (k, j, i) index, its radius, and how sure it is (radius times plausibility, mm)."""

    center: tuple[int, int, int]
    radius_mm: float
    score_mm: float


def find_seed(hu: Values, trunk: Trunk, spacing_mm: float) -> Seed | None:
    """The most plausible ball, searched on every second voxel; None where there is no soft tissue at all."""
    every_second = (slice(None, None, 2),) * 3
    smooth = ndimage.gaussian_filter(np.clip(hu, -200, 400), 0.8)[every_second]
    smooth = ndimage.gaussian_filter(ndimage.median_filter(smooth, 3), 0.7)
    cavity = (trunk.body & ~trunk.wall & ~trunk.gas)[every_second]
    plausible = _plausibility(trunk, spacing_mm)[every_second]
    best = Seed(center=(0, 0, 0), radius_mm=0.0, score_mm=0.0)
    for level in LEVELS_HU:
        like = ndimage.binary_closing(cavity & (np.abs(smooth - level) < LEVEL_WIDTH_HU))
        if not like.any():
            continue
        radius_mm = ndimage.distance_transform_edt(like) * 2 * spacing_mm
        score = radius_mm * plausible * np.clip((level + 20) / (FLUID_HU + 20), 0.4, 1)
        k, j, i = np.unravel_index(score.argmax(), score.shape)
        if score[k, j, i] > best.score_mm:
            center = (int(2 * k), int(2 * j), int(2 * i))
            best = Seed(center=center, radius_mm=float(radius_mm[k, j, i]), score_mm=float(score[k, j, i]))
    return best if best.score_mm > 0 else None


def _plausibility(trunk: Trunk, spacing_mm: float) -> Values:
    """How likely the liver's center lies at each voxel, 0..1: right of the middle, below the lungs, not beside the spine."""
    shape = trunk.body.shape
    right = np.clip(1 - (side_of(trunk.body) + 0.12) / 0.35, 0.25, 1)
    share = np.broadcast_to(right, shape).astype(np.float32)
    known = trunk.lung_base[trunk.lung_base < NO_LUNG]
    if known.size:
        below_mm = (np.median(known) - np.arange(shape[0])) * spacing_mm
        height = np.clip(1 - (below_mm - 140) / 120, 0.3, 1) * np.clip(1 + (below_mm + 60) / 60, 0.3, 1)
        share *= height.astype(np.float32)[:, None, None]
    if trunk.vertebrae.any():
        behind = np.arange(shape[1])[:, None] > np.median(np.nonzero(trunk.vertebrae)[1])
        share *= np.where(behind & (np.abs(side_of(trunk.body)) < 0.5), np.float32(0.3), np.float32(1))
    return share


def side_of(body: BoolArray) -> Values:
    """Where each column index i lies across the body: -1 at the right skin, 1 at the left one."""
    columns = np.flatnonzero(body.any(axis=(0, 1)))
    if columns.size == 0:
        return np.zeros(body.shape[2], np.float32)
    middle, half = (columns[0] + columns[-1]) / 2, max((columns[-1] - columns[0]) / 2, 1)
    return np.asarray((np.arange(body.shape[2]) - middle) / half, np.float32)
