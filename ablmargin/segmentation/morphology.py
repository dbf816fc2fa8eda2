"""Balls rolled over masks, on isotropic grids: growing, shrinking, opening, closing, and picking parts.

Beyond the array's faces nothing is known: a mask that reaches a face isn't eroded from there.
"""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from scipy import ndimage

from ablmargin.geometry import BoolArray

FAR_MM = 1e4
"""Stands for the distance to a mask without voxels."""


def distance_to(mask: BoolArray, spacing_mm: float) -> NDArray[np.float32]:
    """Distance of each voxel center to the nearest one in a mask, mm; zero inside, ``FAR_MM`` if the mask is empty."""
    if not mask.any():
        return np.full(mask.shape, FAR_MM, np.float32)
    image = sitk.GetImageFromArray(mask.astype(np.uint8))
    image.SetSpacing([spacing_mm] * 3)
    signed = sitk.GetArrayFromImage(sitk.SignedMaurerDistanceMap(image, False, False, True))
    return np.asarray(np.maximum(signed, 0), np.float32)


def grown(mask: BoolArray, radius_mm: float, spacing_mm: float) -> BoolArray:
    """All voxels within a distance of a mask."""
    return np.asarray(distance_to(mask, spacing_mm) <= radius_mm)


def shrunk(mask: BoolArray, radius_mm: float, spacing_mm: float) -> BoolArray:
    """The voxels of a mask that lie deeper than a distance."""
    return np.asarray(distance_to(~mask, spacing_mm) > radius_mm)


def opened(mask: BoolArray, radius_mm: float, spacing_mm: float) -> BoolArray:
    """What a ball covers that rolls inside a mask: its thick parts."""
    return grown(shrunk(mask, radius_mm, spacing_mm), radius_mm, spacing_mm) & mask


def closed(mask: BoolArray, radius_mm: float, spacing_mm: float) -> BoolArray:
    """What a ball can't reach that rolls outside of a mask: the mask and its narrow bays."""
    return shrunk(grown(mask, radius_mm, spacing_mm), radius_mm, spacing_mm) | mask


def largest_part(mask: BoolArray) -> BoolArray:
    """The connected part with most voxels; an empty mask stays empty."""
    labels, count = ndimage.label(mask)
    if count == 0:
        return mask
    return np.asarray(labels == np.bincount(labels.ravel())[1:].argmax() + 1)


def parts_touching(mask: BoolArray, marker: BoolArray) -> BoolArray:
    """The connected parts of a mask that hold a voxel of a marker."""
    labels, count = ndimage.label(mask)
    kept = np.zeros(count + 1, np.bool_)
    kept[np.unique(labels[marker])] = True
    kept[0] = False
    return np.asarray(kept[labels])


def without_holes(mask: BoolArray, axes: tuple[int, ...] = (0, 1, 2)) -> BoolArray:
    """A mask with the holes of its planes filled, plane by plane along each axis."""
    filled = mask.copy()
    for axis in axes:
        planes = np.moveaxis(filled, axis, 0)
        for at in np.flatnonzero(planes.any(axis=(1, 2))):
            planes[at] = ndimage.binary_fill_holes(planes[at])
    return filled
