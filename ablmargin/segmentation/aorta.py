"""The aorta beside the spine: how bright its blood is, where it can be followed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ablmargin.geometry import Array
from ablmargin.segmentation.workgrid import WorkImage

Values = NDArray[np.float32]

BEFORE_ARCH_MM = (30.0, 100.0)
LEFT_OF_ARCH_MM = (-10.0, 45.0)
"""Where the aorta runs, from the middle of the vertebral arch. The vena cava lies farther right."""
CORE_MM, AROUND_MM = 5.0, 18.0
"""Of a vessel's core, and how far from its middle other tissue must begin."""
DIRECTIONS = 8
DARKER_DIRECTIONS = 5
"""In so many of all directions; in the others there are the spine, the vena cava or a branch."""
CLEAR_HU = 120.0
"""More contrast with what lies around doesn't count more."""
EVEN_HU, UNEVEN_HU = 15.0, 75.0
"""Standard deviation in a core: from the first on it counts against a place."""
LOWEST_HU, HIGHEST_HU = -150.0, 700.0
LEAST_BLOOD_HU = 10.0
STEP_COST, JUMP_COST_HU = 0.1, 60.0
"""What one voxel aside costs from slice to slice, and the change of brightness that costs 1."""
NOWHERE = -3.0
"""Score of a place where no aorta runs."""
SURE_SCORE = 0.3
LEAST_SURE_MM = 30.0
LEAST_SURE_SHARE = 0.5
UNEVEN_SHARE, UNEVEN_ALONG_HU = 0.3, 15.0
"""Half of the slices differ by no more than this share of the median, or these HU."""

_STEPS = tuple((rows, columns) for rows in (-1, 0, 1) for columns in (-1, 0, 1))


def aorta_hu(image: WorkImage, first: int, spine: Array) -> float | None:
    """How bright the aorta is, as the median over its course.

    Followed is the course (dynamic programming, a voxel aside at most from slice to slice) along which a round, even core
    stands out most from what lies around it, in front of the spine and not to its right.

    Parameters
    ----------
    image : WorkImage
    first : int
        The first slice in which to look.
    spine : ndarray of int, shape (slices, 2)
        Index (j, i) of the vertebral arch in that slice and the following ones.

    Returns
    -------
    float or None
        HU. None where the image ends where the aorta could run, nothing is found over 30 mm and half of the slices, or what
        is found isn't of one brightness.
    """
    places = _places(image, first, spine)
    if places is None:
        return None
    core_hu, score = _followed(places)
    sure = score > SURE_SCORE
    if np.count_nonzero(sure) < max(LEAST_SURE_MM / image.spacing_mm, LEAST_SURE_SHARE * len(sure)):
        return None
    low, middle, high = np.percentile(core_hu[sure], (25, 50, 75))
    return float(middle) if high - low <= max(UNEVEN_ALONG_HU, UNEVEN_SHARE * middle) else None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Places:
    """Mean HU of a vessel's core at each place of a box, and how much it looks like one; both of shape (k, j, i)."""

    core_hu: Values
    score: Values


def _places(image: WorkImage, first: int, spine: Array) -> _Places | None:
    """Everything in the box before the spine; None if the image doesn't hold it."""
    near, far = (round(mm / image.spacing_mm) for mm in BEFORE_ARCH_MM)
    right, left = (round(mm / image.spacing_mm) for mm in LEFT_OF_ARCH_MM)
    low = np.array([spine[:, 0].min() - far, spine[:, 1].min() + right])
    high = np.array([spine[:, 0].max() - near, spine[:, 1].max() + left]) + 1
    low[0] = max(low[0], 0)
    reach = round(AROUND_MM / image.spacing_mm) + 2
    if low[1] < 0 or high[1] > image.hu.shape[2] or low[0] >= high[0]:
        return None
    rows, columns = (np.arange(start, stop) for start, stop in zip(low, high, strict=True))
    slab = np.pad(image.hu[first : first + len(spine)], ((0, 0), (reach, reach), (reach, reach)), mode="edge")
    part = np.clip(slab[:, low[0] : high[0] + 2 * reach, low[1] : high[1] + 2 * reach], LOWEST_HU, HIGHEST_HU)
    core_hu, score = _likeness(part, reach, image.spacing_mm)
    before, beside = spine[:, :1, None] - rows[None, :, None], columns[None, None] - spine[:, 1:, None]
    inside = (before >= near) & (before <= far) & (beside >= right) & (beside <= left)
    score[~inside | (core_hu < LEAST_BLOOD_HU)] = NOWHERE
    return _Places(core_hu=core_hu, score=score)


def _likeness(hu: Values, reach: int, spacing_mm: float) -> tuple[Values, Values]:
    """Mean of the core and likeness to a vessel (1: surely one) at each place but the outer ``reach`` rows and columns."""
    inner = (slice(None), slice(reach, -reach), slice(reach, -reach))
    disc = _disc(CORE_MM / spacing_mm)
    core, squares = (ndimage.convolve(values, disc, mode="nearest")[inner] for values in (hu, hu * hu))
    sd = np.sqrt(np.maximum(squares - core * core, 0))
    contrast = np.clip((core - _around(hu, spacing_mm)[inner]) / CLEAR_HU, -0.5, 1)
    return core, contrast - np.clip((sd - EVEN_HU) / (UNEVEN_HU - EVEN_HU), 0, 1)


def _around(hu: Values, spacing_mm: float) -> Values:
    """What a vessel's core must be brighter than: all of the darker directions around each place."""
    small = ndimage.convolve(hu, _disc(0.5 * CORE_MM / spacing_mm), mode="nearest")
    angles = np.arange(DIRECTIONS) * 2 * np.pi / DIRECTIONS
    offsets = np.rint(AROUND_MM / spacing_mm * np.stack([np.sin(angles), np.cos(angles)], axis=1)).astype(int)
    ring = np.stack([np.roll(small, tuple(-offset), axis=(1, 2)) for offset in offsets])
    return np.asarray(np.sort(ring, axis=0)[DARKER_DIRECTIONS - 1])


def _disc(radius: float) -> Values:
    """A disc within a slice as weights that sum to 1; its radius in voxels."""
    size = int(radius) + 1
    rows, columns = np.ogrid[-size : size + 1, -size : size + 1]
    disc = (np.hypot(rows, columns) <= radius + 0.05).astype(np.float32)
    return np.asarray((disc / disc.sum())[None])


def _followed(places: _Places) -> tuple[Values, Values]:
    """Core and score in each slice along the best course through all slices."""
    total, came = places.score[0], list[Array]()
    for before, core, score in zip(places.core_hu, places.core_hu[1:], places.score[1:], strict=False):
        reached = np.stack([_after_step(total, before, core, step) for step in _STEPS])
        best = reached.argmax(axis=0)
        came.append(best)
        total = np.take_along_axis(reached, best[None], axis=0)[0] + score
    j, i = (int(at) for at in np.unravel_index(total.argmax(), total.shape))
    course = [(j, i)]
    for best in reversed(came):
        step = _STEPS[best[j, i]]
        j, i = j - step[0], i - step[1]
        course.append((j, i))
    at = (np.arange(len(course)), *np.array(course[::-1]).T)
    return places.core_hu[at], places.score[at]


def _after_step(total: Values, before_hu: Values, core_hu: Values, step: tuple[int, int]) -> Values:
    """What courses are worth that reach each place by a step aside from the slice before; none come from beyond the box."""
    moved, moved_hu = (np.roll(values, step, axis=(0, 1)) for values in (total, before_hu))
    worth = moved - STEP_COST * float(np.abs(step).sum()) - np.clip(np.abs(core_hu - moved_hu) / JUMP_COST_HU, 0, 1)
    for axis, way in enumerate(step):
        edge = [slice(None), slice(None)]
        edge[axis] = slice(0, 1) if way > 0 else slice(-1, None)
        if way:
            worth[tuple(edge)] = -np.inf
    return np.asarray(worth, np.float32)
