"""Coarse to fine: an exam's picture and surface at the three resolutions of an alignment."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ablmargin.geometry import Array, BoolArray, Geometry
from ablmargin.registration.images import (
    WORKING_MM,
    Picture,
    PreparedExam,
    blur,
    coarser,
    counted_around,
    extend,
    regrid,
)

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


class Pyramids:
    """An exam's pyramids, each made when asked for; what they share is made once."""

    def __init__(self, exam: PreparedExam) -> None:
        self._exam = exam
        self._filled = counted_around(exam.counts, _FILL_MM, exam.grid)
        self._frames: dict[int, _Frame] = {}

    def signed(self) -> Pyramid:
        """For two exams in the same contrast phase: bright must meet bright."""
        return tuple(self._level(number, self._exam.texture) for number in range(len(LEVELS)))

    def sign_free(self) -> Pyramid:
        """For any two contrast phases: whatever stands out, bright or dark, must meet what stands out."""
        exam = self._exam
        smooth = blur(exam.texture, _EDGE_BLUR_MM, exam.grid) * exam.counts
        spread = 1.4826 * np.median(np.abs(smooth[exam.counts > 0])) + 1e-6
        standing_out = np.clip(np.abs(smooth) / spread - 1.0, 0.0, _EDGE_CAP)
        picture = _EDGE_SCALE * blur(standing_out, WORKING_MM / 2.0, exam.grid) * exam.counts
        return tuple(self._level(number, picture) for number in range(len(LEVELS)))

    def _level(self, number: int, picture: Array) -> Level:
        exam, sigma_mm = self._exam, LEVELS[number][1]
        if number not in self._frames:
            self._frames[number] = _Frame.of(exam, *LEVELS[number])
        frame = self._frames[number]
        smooth = blur(picture * exam.counts, sigma_mm, exam.grid) / frame.counted if sigma_mm else picture
        extended = extend(smooth.astype(np.float32), exam.counts, _FILL_MM, exam.grid, counted=self._filled)
        return Level(
            grid=frame.grid,
            picture=regrid(extended, exam.grid, frame.grid),
            counts=frame.counts,
            distance_mm=frame.distance_mm,
            seen=frame.seen,
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Frame:
    """What a level has whatever its picture; ``counted`` is how much counts around each voxel of the working grid."""

    grid: Geometry
    counts: Picture
    distance_mm: Picture
    seen: BoolArray
    counted: Picture

    @classmethod
    def of(cls, exam: PreparedExam, voxel_mm: float, sigma_mm: float) -> _Frame:
        grid = coarser(exam.grid, voxel_mm)
        return cls(
            grid=grid,
            counts=(regrid(exam.counts, exam.grid, grid) > 0.5).astype(np.float32),
            distance_mm=regrid(exam.distance_mm, exam.grid, grid),
            seen=regrid(exam.seen.astype(np.float32), exam.grid, grid) > 0.5,
            counted=counted_around(exam.counts, sigma_mm, exam.grid),
        )
