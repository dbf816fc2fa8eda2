"""Coarse to fine: an exam's picture and surface at the three resolutions of an alignment."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ablmargin.geometry import Array, BoolArray, Geometry
from ablmargin.registration.images import WORKING_MM, Picture, PreparedExam, blur, coarser, extend, regrid

LEVELS = ((4.0, 2.0), (3.0, 1.0), (WORKING_MM, 0.0))
"""Voxel size and smoothing of each level, in mm."""

_FILL_MM = 3.0
_EDGE_BLUR_MM = 1.5
_EDGE_CAP = 5.0
_EDGE_SCALE = 1.5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Level:
    """An exam at one resolution; arrays have the grid's shape.

    ``picture`` is what is compared, carried on beyond where it ``counts``; ``distance_mm`` leads to the liver's surface.
    """

    grid: Geometry
    picture: Picture
    counts: Picture
    distance_mm: Picture
    seen: BoolArray


Pyramid = tuple[Level, ...]


def signed_pyramid(exam: PreparedExam) -> Pyramid:
    """For two exams in the same contrast phase: bright must meet bright."""
    return _pyramid(exam, exam.texture)


def sign_free_pyramid(exam: PreparedExam) -> Pyramid:
    """For any two contrast phases: whatever stands out, bright or dark, must meet what stands out."""
    smooth = blur(exam.texture, _EDGE_BLUR_MM, exam.grid) * exam.counts
    spread = 1.4826 * np.median(np.abs(smooth[exam.counts > 0])) + 1e-6
    standing_out = np.clip(np.abs(smooth) / spread - 1.0, 0.0, _EDGE_CAP)
    return _pyramid(exam, _EDGE_SCALE * blur(standing_out, WORKING_MM / 2.0, exam.grid) * exam.counts)


def _pyramid(exam: PreparedExam, picture: Array) -> Pyramid:
    return tuple(_level(exam, picture, voxel_mm, sigma_mm) for voxel_mm, sigma_mm in LEVELS)


def _level(exam: PreparedExam, picture: Array, voxel_mm: float, sigma_mm: float) -> Level:
    fine, counts = exam.grid, exam.counts
    smooth = blur(picture * counts, sigma_mm, fine) / (blur(counts, sigma_mm, fine) + 0.01) if sigma_mm else picture
    extended = extend(smooth.astype(np.float32), counts, _FILL_MM, fine)
    grid = coarser(fine, voxel_mm)
    return Level(
        grid=grid,
        picture=regrid(extended, fine, grid),
        counts=(regrid(counts, fine, grid) > 0.5).astype(np.float32),
        distance_mm=regrid(exam.distance_mm, fine, grid),
        seen=regrid(exam.seen.astype(np.float32), fine, grid) > 0.5,
    )
