"""What is asked of any outlined liver, whoever outlined it: a plausible volume, and whether the image holds all of it."""

from __future__ import annotations

import numpy as np

from ablmargin.errors import Caution
from ablmargin.volume import LabelMask

LEAST_ML, MOST_ML = 500.0, 4500.0
CUT_CM2 = 15.0
"""A smaller area at the image's border isn't worth a word."""


def volume_doubts(volume_ml: float, *, is_cut: bool) -> tuple[str, ...]:
    """Why a volume isn't a liver's, as a sentence; none if it is. A liver that is cut off may be small."""
    if volume_ml <= MOST_ML and (volume_ml >= LEAST_ML or is_cut):
        return ()
    return (f"The liver found has {volume_ml:.0f} ml; a whole one has {LEAST_ML:.0f} to {MOST_ML:.0f} ml.",)


def truncation(mask: LabelMask) -> Caution | None:
    """LIVER_TRUNCATED if a liver reaches the border of the image over a noteworthy area."""
    area_cm2 = max(_face_areas_cm2(mask))
    if area_cm2 < CUT_CM2:
        return None
    message = f"the image doesn't hold the whole liver: {area_cm2:.0f} cm² of it lie on the image's border"
    return Caution(code="LIVER_TRUNCATED", message=message)


def _face_areas_cm2(mask: LabelMask) -> list[float]:
    """Area of the mask on each of the six outer faces of its grid."""
    spacing_mm = mask.geometry.spacing_mm
    pixels_cm2 = [float(np.prod(spacing_mm)) / along / 100 for along in spacing_mm]
    return [
        float(np.count_nonzero(mask.voxels.take(end, axis=axis))) * pixels_cm2[axis]
        for axis in range(3)
        for end in (0, -1)
    ]
