"""Whether a liver can be trusted: its size, its gray level, its edges, and whether the image holds all of it."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from ablmargin.errors import Caution
from ablmargin.geometry import BoolArray
from ablmargin.segmentation.livercore import Core, Level
from ablmargin.segmentation.liverscene import Scene
from ablmargin.segmentation.morphology import distance_to
from ablmargin.volume import LabelMask

LEAST_ML, MOST_ML = 500.0, 4500.0
LEAST_HU, MOST_HU = 10.0, 200.0
CUT_CM2 = 15.0
"""A smaller area at the image's border isn't worth a word."""
EDGE_HU = 15.0
LEAST_EDGE_SHARE = 0.6


def truncation(mask: LabelMask) -> Caution | None:
    """A caution if the liver reaches the border of the image over a noteworthy area."""
    area_cm2 = max(_face_areas_cm2(mask), default=0.0)
    if area_cm2 < CUT_CM2:
        return None
    message = f"the image doesn't hold the whole liver: {area_cm2:.0f} cm² of it lie on the image's border"
    return Caution(code="LIVER_TRUNCATED", message=message)


def _face_areas_cm2(mask: LabelMask) -> list[float]:
    """Area of the mask on each of the six faces of its grid."""
    areas = []
    for axis in range(3):
        pixel = np.prod(np.delete(mask.geometry.spacing_mm, axis)) / 100.0
        ends = np.take(mask.voxels, (0, -1), axis=axis).sum(axis=tuple(at for at in range(3) if at != axis))
        areas += [float(count * pixel) for count in ends]
    return areas


def doubts_about(scene: Scene, core: Core, liver: BoolArray, *, truncated: bool) -> tuple[str, ...]:
    """Why a liver on the working grid can't be trusted, in sentences with their figures."""
    volume_ml = float(liver.sum()) * scene.voxel_ml
    doubts = []
    if volume_ml > MOST_ML or (volume_ml < LEAST_ML and not truncated):
        doubts.append(f"The liver found has {volume_ml:.0f} ml; a whole one has {LEAST_ML:.0f} to {MOST_ML:.0f} ml.")
    if not LEAST_HU <= core.level.hu <= MOST_HU:
        doubts.append(
            f"Its level of {core.level.hu:.0f} HU isn't that of a liver ({LEAST_HU:.0f} to {MOST_HU:.0f} HU)."
        )
    share = edge_share(scene, liver, core.level)
    if share < LEAST_EDGE_SHARE:
        doubts.append(f"Only {share:.0%} of its border show an edge in the image: it may end elsewhere.")
    return tuple(doubts)


def edge_share(scene: Scene, liver: BoolArray, level: Level) -> float:
    """Share of the liver's surface beyond which the image differs from the liver."""
    border = liver & ~ndimage.binary_erosion(liver, border_value=1)
    if not border.any():
        return 0.0
    differs = np.abs(scene.smooth - level.hu) > max(EDGE_HU, 2 * level.sd_hu)
    differs |= ~scene.cavity
    beyond = ~liver & (distance_to(liver, scene.spacing_mm) < 2.5 * scene.spacing_mm) & differs
    return float((distance_to(beyond, scene.spacing_mm)[border] < 2.5 * scene.spacing_mm).mean())
