"""The liver after ablation, mended by what the exam before shows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import ndimage

from ablmargin.geometry import FloatArray, PointTransform
from ablmargin.metrics.edt import averaged_signed_edt_mm
from ablmargin.volume import LabelMask

NEAR_MM = 25.0
"""How far around the ablation zone the liver matters: the widest margin, the depth that is told, and some more."""
DEEP_MM = 3.0
"""What lies this deep in the liver before ablation is liver after it, whatever masks and registration are off by."""


def liver_seen_in_either(
    after: LabelMask, before: LabelMask, pre_from_post: PointTransform, *, near: LabelMask
) -> LabelMask:
    """Add to the liver after ablation, around the zone, what lies deep in the liver before.

    Segmentations tend to leave out the badly perfused tissue beside an ablation zone. Its border would pass for the
    capsule, beyond which nothing can be ablated, and a thin margin would be excused.

    Parameters
    ----------
    after, before : LabelMask
        The liver on either exam.
    pre_from_post : PointTransform
    near : LabelMask
        The ablation zones, on the grid of ``after``.

    Returns
    -------
    LabelMask
        On the grid of ``after``; the same mask if nothing is missing.
    """
    start, stop = near.bounding_box(pad_mm=NEAR_MM)
    outside = np.argwhere(~after.cropped(start, stop).voxels) + start
    if not len(outside):
        return after
    places = pre_from_post.map_points(after.geometry.points_at(outside))
    missing = outside[_depths_mm(before, places) >= DEEP_MM]
    if not len(missing):
        return after
    voxels = after.voxels.copy()
    voxels[tuple(missing.T)] = True
    voxels.setflags(write=False)
    return replace(after, voxels=voxels)


def _depths_mm(liver: LabelMask, points_mm: FloatArray) -> FloatArray:
    """Depth of points, shape (n, 3), below the liver's border, negative outside; 0 outside of the image."""
    index = liver.geometry.indices_at(points_mm)
    shape, pad = np.array(liver.geometry.shape), np.ceil(2 * DEEP_MM / np.array(liver.geometry.spacing_mm)).astype(int)
    low = np.clip(np.floor(index.min(axis=0)).astype(int) - pad, 0, shape - 1)
    high = np.clip(np.ceil(index.max(axis=0)).astype(int) + pad + 1, low + 1, shape)
    part = liver.cropped((low[0], low[1], low[2]), (high[0], high[1], high[2]))
    if part.is_empty:
        return np.zeros(len(index))
    depth = averaged_signed_edt_mm(part.voxels, part.geometry.spacing_mm)
    return np.asarray(ndimage.map_coordinates(depth, (index - low).T, order=1, mode="constant", cval=0.0))
