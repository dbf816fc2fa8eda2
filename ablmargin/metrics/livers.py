"""The liver after ablation, mended by what the exam before shows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import ndimage

from ablmargin.geometry import BoolArray, FloatArray, PointTransform
from ablmargin.metrics.distance import voxelize
from ablmargin.metrics.edt import averaged_signed_edt_mm
from ablmargin.metrics.mesh import normals
from ablmargin.metrics.surface import Surface
from ablmargin.volume import LabelMask

NEAR_MM = 25.0
"""How far around the ablation zone the liver matters: the widest margin, the depth that is told, and some more."""
DEEP_MM = 3.0
"""What lies this deep in the liver before ablation is liver after it, whatever masks and registration are off by."""
GAP_MM, BEYOND_MM = 10.0, 3.0
"""How wide a gap between zone and liver may be to be left out rather than outside, and how thick the liver beyond it."""
LEAST_GAP_MM2 = 100.0
"""How much of the zone's border a gap must run along."""


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


def liver_across_gaps(liver: LabelMask, zone: Surface) -> LabelMask:
    """Add to the liver what its mask leaves out between a zone and the liver around it.

    For where no second exam can tell. Beyond the true capsule there is no liver again within a centimeter, straight away
    from the zone, but in a fissure: that one is filled, too, so more margin is asked for there than could be had.

    Parameters
    ----------
    liver : LabelMask
    zone : Surface
        In the liver's frame.

    Returns
    -------
    LabelMask
        The same mask if no gap runs along a square centimeter of the zone's border.
    """
    rays_mm = np.arange(0.5, GAP_MM + BEYOND_MM + 0.25, 0.5)
    start, stop = liver.geometry.box_around(zone.vertices_mm, pad_mm=rays_mm[-1] + 1)
    part = liver.cropped(start, stop)
    solid = part.voxels | voxelize(zone, part.geometry)
    places = zone.centroids_mm[:, None] + rays_mm[:, None] * normals(zone.vertices_mm, zone.triangles)[:, None]
    index = np.round(part.geometry.indices_at(places)).astype(int)
    known = np.asarray(((index >= 0) & (index < part.geometry.shape)).all(axis=2))
    index = np.where(known[..., None], index, 0)
    gap = _gaps(np.asarray(solid[tuple(np.moveaxis(index, 2, 0))] & known), round(BEYOND_MM / 0.5))
    if float(zone.triangle_areas_mm2[gap.any(axis=1)].sum()) < LEAST_GAP_MM2:
        return liver
    filled = np.zeros_like(solid)
    filled[tuple(index[gap & known].T)] = True
    filled = np.asarray(ndimage.binary_closing(filled | solid, iterations=1)) & ndimage.binary_dilation(filled)
    voxels = liver.voxels.copy()
    voxels[tuple(slice(a, b) for a, b in zip(start, stop, strict=True))] |= filled
    voxels.setflags(write=False)
    return replace(liver, voxels=voxels)


def _gaps(solid: BoolArray, beyond: int) -> BoolArray:
    """Steps of rays, shape (n, steps), that lie in a gap: not solid, but so many solid ones follow in a row."""
    steps = solid.shape[1]
    runs = np.asarray(np.stack([solid[:, first : first + steps - beyond + 1] for first in range(beyond)]).all(axis=0))
    follows = np.zeros_like(solid)
    follows[:, : runs.shape[1]] = np.logical_or.accumulate(runs[:, ::-1], axis=1)[:, ::-1]
    return np.asarray(follows & ~solid)


def _depths_mm(liver: LabelMask, points_mm: FloatArray) -> FloatArray:
    """Depth of points, shape (n, 3), below the liver's border, negative outside; 0 outside of the image."""
    part = liver.cropped(*liver.geometry.box_around(points_mm, pad_mm=2 * DEEP_MM + liver.coarsest_spacing_mm))
    if part.is_empty:
        return np.zeros(len(points_mm))
    depth, index = averaged_signed_edt_mm(part.voxels, part.geometry.spacing_mm), part.geometry.indices_at(points_mm)
    return np.asarray(ndimage.map_coordinates(depth, index.T, order=1, mode="constant", cval=0.0))
