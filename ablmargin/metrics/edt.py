"""Signed distances from voxels: what every step that only needs half-voxel accuracy reads."""

from __future__ import annotations

import math

import numpy as np
from scipy import ndimage

from ablmargin.geometry import Array, BoolArray, FloatArray, Triple

UNBOUNDED_MM = 1000.0
"""Stands for the distance to a border that isn't in the array."""


def averaged_signed_edt_mm(voxels: BoolArray, spacing_mm: Triple, *, reach_mm: float = math.inf) -> FloatArray:
    """Signed distance of voxel centers to a mask's border, positive inside, without the usual half-voxel bias.

    The border lies between the last voxel inside and the first one outside, so the distance is the mean of those to
    the nearest inner and to the nearest outer border voxel. The array's own faces are no border: pad a mask that
    ends at the edge of its image.

    Parameters
    ----------
    voxels : ndarray of bool, shape (k, j, i)
    spacing_mm : (float, float, float)
    reach_mm : float
        How far from the border distances matter. Neither of the two is told larger, which is found far sooner.

    Returns
    -------
    ndarray of float, shape (k, j, i)
        In mm, in single precision with a reach; ±UNBOUNDED_MM everywhere if the mask fills the array or is empty.
    """
    if voxels.all() or not voxels.any():
        return np.where(voxels, UNBOUNDED_MM, -UNBOUNDED_MM)
    to_inner, to_outer = (_distances_mm(side, spacing_mm, reach_mm) for side in border_voxels(voxels))
    return np.asarray(np.where(voxels, 0.5, -0.5) * (to_inner + to_outer))


def border_voxels(voxels: BoolArray) -> tuple[BoolArray, BoolArray]:
    """Voxels inside that touch one outside by a face, and those outside that touch one inside."""
    touching = np.zeros(voxels.shape, dtype=bool)
    for axis in range(3):
        along, found = np.moveaxis(voxels, axis, 0), np.moveaxis(touching, axis, 0)  # views
        crossed = along[1:] != along[:-1]
        found[1:] |= crossed
        found[:-1] |= crossed
    return touching & voxels, touching & ~voxels


def _distances_mm(places: BoolArray, spacing_mm: Triple, reach_mm: float) -> FloatArray:
    """Distance of all voxels to the nearest of some, or the reach if that is smaller."""
    if math.isinf(reach_mm):
        return np.asarray(ndimage.distance_transform_edt(~places, sampling=spacing_mm))
    squared = np.where(places, np.float32(0), np.float32(np.inf))
    for plane in squared.swapaxes(0, 1):  # one at a time stays in the processor's cache
        _lower_along(plane, spacing_mm[0], reach_mm)
    for plane in squared:
        _lower_along(plane, spacing_mm[1], reach_mm)
        _lower_along(plane.T, spacing_mm[2], reach_mm)
    return np.sqrt(np.minimum(squared, np.float32(reach_mm**2)))


def _lower_along(squared: Array, spacing_mm: float, reach_mm: float) -> None:
    """Lower squared distances to what any place within reach along the first axis brings; in place."""
    before = squared.copy()
    for step in range(1, min(int(reach_mm / spacing_mm), len(before) - 1) + 1):
        from_there = before + np.float32((step * spacing_mm) ** 2)
        np.minimum(squared[step:], from_there[:-step], out=squared[step:])
        np.minimum(squared[:-step], from_there[step:], out=squared[:-step])
