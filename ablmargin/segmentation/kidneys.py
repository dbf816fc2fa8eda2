"""The kidneys beside the spine: how bright they are, where both can be found."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ablmargin.geometry import Array, BoolArray
from ablmargin.segmentation.workgrid import WorkImage

Values = NDArray[np.float32]

BESIDE_ARCH_MM = (28.0, 85.0)
BEFORE_ARCH_MM = (-15.0, 65.0)
"""Where kidneys lie, from the middle of the vertebral arch."""
LEAST_HU, MOST_HU = 65.0, 450.0
"""Brighter than muscle, darker than urine with contrast agent."""
EVEN_HU = 35.0
LEAST_ML = 10.0
SAME_SHARE = 0.12
"""Both kidneys differ by no more. Contrast agent in the gut doesn't look the same on both sides."""


def kidneys_hu(image: WorkImage, first: int, spine: Array, liver: BoolArray) -> float | None:
    """How bright kidneys with contrast agent are; None where not both are found, or one is brighter than the other.

    Parameters
    ----------
    image : WorkImage
    first : int
        The first slice in which to look.
    spine : ndarray of int, shape (slices, 2)
        Index (j, i) of the vertebral arch in that slice and the following ones.
    liver : ndarray of bool, shape of the image
    """
    slab = slice(first, first + len(spine))
    hu = np.clip(image.hu[slab], -150, 700)
    smooth = ndimage.uniform_filter(hu, 3, mode="nearest")
    spread = np.sqrt(np.maximum(ndimage.uniform_filter(hu * hu, 3, mode="nearest") - smooth * smooth, 0))
    like = (spread < EVEN_HU) & (smooth > LEAST_HU) & (smooth < MOST_HU) & ~liver[slab]
    sides = [
        _brightest_hu(smooth, like & place, image.voxel_ml) for place in _places(hu.shape, spine, image.spacing_mm)
    ]
    one, other = sides
    if one is None or other is None or abs(one - other) > SAME_SHARE * max(one, other):
        return None
    return (one + other) / 2


def _places(shape: tuple[int, ...], spine: Array, spacing_mm: float) -> list[BoolArray]:
    """Where the right and the left kidney may lie."""
    before_mm = (spine[:, :1, None] - np.arange(shape[1])[None, :, None]) * spacing_mm
    left_mm = (np.arange(shape[2])[None, None] - spine[:, 1:, None]) * spacing_mm
    deep = (before_mm > BEFORE_ARCH_MM[0]) & (before_mm < BEFORE_ARCH_MM[1])
    return [deep & (side * left_mm > BESIDE_ARCH_MM[0]) & (side * left_mm < BESIDE_ARCH_MM[1]) for side in (-1, 1)]


def _brightest_hu(smooth_hu: Values, like: BoolArray, voxel_ml: float) -> float | None:
    """Median of the brightest connected part of noteworthy volume."""
    labels, count = ndimage.label(ndimage.binary_opening(like))
    large = np.flatnonzero(np.bincount(labels.ravel(), minlength=count + 1)[1:] * voxel_ml > LEAST_ML) + 1
    return max((float(np.median(smooth_hu[labels == part])) for part in large), default=None)
