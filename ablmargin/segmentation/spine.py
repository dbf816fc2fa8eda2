"""Where the spine runs: what lies before and beside it is found from there."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from ablmargin.geometry import Array, BoolArray
from ablmargin.segmentation.trunk import BODY_HU, find_body
from ablmargin.segmentation.workgrid import WorkImage

BONE_HU = 200.0
SPINE_BLUR_MM = (15.0, 12.0, 12.0)
BACK_SHARE = 0.25
"""Of the body from front to back: here lie the vertebral arches, and neither aorta nor stomach, which may be as bright."""
LEAST_SPINE = 0.12
"""Share of bone, blurred, that the spine has at least; less is no spine."""
CUT_SHARE = 0.5
"""Of the slices: if the body behind the spine reaches the border of the image in more, what is taken for its back is none."""
SPINE_WANDERS_MM = 35.0
"""From its mean place, over the height of a liver."""


def find_spine(image: WorkImage, first: int, last: int) -> Array | None:
    """Index (j, i) of the vertebral arch in each slice from ``first`` to before ``last``, shape (slices, 2).

    None if there is no spine, or the image ends in front of the back.
    """
    hu = image.hu[first:last]
    body = find_body(hu, BODY_HU, image.spacing_mm)
    rows = np.flatnonzero(body.any(axis=(0, 2)))
    if not rows.size:
        return None
    bone = (body & (hu > BONE_HU)).astype(np.float32)
    bone[:, : rows[-1] - round(BACK_SHARE * (rows[-1] - rows[0]))] = 0
    blurred = ndimage.gaussian_filter(bone, np.array(SPINE_BLUR_MM) / image.spacing_mm, mode="nearest")
    mean = blurred.mean(axis=0)
    middle = np.unravel_index(mean.argmax(), mean.shape)
    back_is_cut_off = body[:, -1, middle[1]].mean() > CUT_SHARE
    if mean.max() < LEAST_SPINE or back_is_cut_off:
        return None
    blurred *= _near(middle, mean.shape, SPINE_WANDERS_MM / image.spacing_mm)
    flat = blurred.reshape(len(blurred), -1).argmax(axis=1)
    return np.stack(np.unravel_index(flat, mean.shape), axis=1)


def _near(middle: Array | tuple[np.intp, ...], shape: tuple[int, ...], reach: float) -> BoolArray:
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    return np.asarray((np.abs(rows - middle[0]) <= reach) & (np.abs(columns - middle[1]) <= reach))
