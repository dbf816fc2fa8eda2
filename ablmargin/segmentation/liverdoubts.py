"""Whether the built-in liver can be trusted: its size, its gray level, its edges."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from ablmargin.geometry import BoolArray
from ablmargin.segmentation.livercore import Core, Level
from ablmargin.segmentation.liverscene import Scene
from ablmargin.segmentation.morphology import distance_to
from ablmargin.segmentation.plausible import volume_doubts

LEAST_HU, MOST_HU = 10.0, 200.0
EDGE_HU = 15.0
LEAST_EDGE_SHARE = 0.6


def doubts_about(scene: Scene, core: Core, liver: BoolArray, *, truncated: bool) -> tuple[str, ...]:
    """Why a liver on the working grid can't be trusted, in sentences with their figures."""
    doubts = [*volume_doubts(float(liver.sum()) * scene.voxel_ml, is_cut=truncated)]
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
