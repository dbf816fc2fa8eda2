"""Signed distances from voxels: what every step that only needs half-voxel accuracy reads."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from ablmargin.geometry import BoolArray, FloatArray, Triple

UNBOUNDED_MM = 1000.0
"""Stands for the distance to a border that isn't in the array."""


def averaged_signed_edt_mm(voxels: BoolArray, spacing_mm: Triple) -> FloatArray:
    """Signed distance of voxel centers to a mask's border, positive inside, without the usual half-voxel bias.

    The border lies between the last voxel inside and the first one outside, so the distance is the mean of those to
    the nearest inner and to the nearest outer border voxel. The array's own faces are no border: pad a mask that
    ends at the edge of its image.

    Parameters
    ----------
    voxels : ndarray of bool, shape (k, j, i)
    spacing_mm : (float, float, float)

    Returns
    -------
    ndarray of float, shape (k, j, i)
        In mm; ±UNBOUNDED_MM everywhere if the mask fills the array or is empty.
    """
    if voxels.all() or not voxels.any():
        return np.where(voxels, UNBOUNDED_MM, -UNBOUNDED_MM)
    inner, outer = border_voxels(voxels)
    to_inner = ndimage.distance_transform_edt(~inner, sampling=spacing_mm)
    to_outer = ndimage.distance_transform_edt(~outer, sampling=spacing_mm)
    return np.asarray(np.where(voxels, 0.5, -0.5) * (to_inner + to_outer))


def border_voxels(voxels: BoolArray) -> tuple[BoolArray, BoolArray]:
    """Voxels inside that touch one outside by a face, and those outside that touch one inside."""
    inner = voxels & ~np.asarray(ndimage.binary_erosion(voxels, border_value=1))
    outer = np.asarray(ndimage.binary_dilation(voxels)) & ~voxels
    return inner, outer
