"""What a level set is fitted to: the voxel edges that cross a mask's border, and voxel distances as faint anchors."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ablmargin.geometry import Array, BoolArray, FloatArray

ANCHOR_WEIGHT = 0.02
"""Weight of a voxel's distance per mm³, against 1/variance per mm² of a border crossing."""
ANCHOR_MM, ANCHOR_VOXELS = 3.0, 1.5
"""How far from the border anchors lie: so many mm or, if that is more, so many of the largest spacing."""
BLUR_VOXELS = 1.0
"""Standard deviation of the blur that takes the voxels' steps off the border's normals."""
MAX_ANCHORS, MAX_CROSSINGS = 4000, 8000
MIN_CROSSING_SD_MM, MIN_SOFT_CROSSING_SD_MM = 0.1, 0.05
SOFT_CROSSING_SHARE = 0.08
"""Standard deviation of a crossing read from a soft mask, in units of the edge's length along the normal."""
PER_EDGE = ("inner", "outer", "crossing", "sd_mm", "area_mm2", "in_plane")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Crossings:
    """Voxel edges that cross the border.

    Parameters
    ----------
    inner, outer, crossing : ndarray, shape (n, 3)
        The edge's ends inside and outside, and where the border is expected, mm.
    sd_mm : ndarray, shape (n,)
        How far the border may be from there, along its normal.
    area_mm2 : ndarray, shape (n,)
        For which area of the border's projection the edge stands.
    in_plane : ndarray of bool, shape (n,)
        Edges that don't run along the coarsest axis: they tell the outlines on the slices.
    uneven_mm : float
        Standard deviation of the outlines besides what voxels hide.
    """

    inner: FloatArray
    outer: FloatArray
    crossing: FloatArray
    sd_mm: FloatArray
    area_mm2: FloatArray
    in_plane: BoolArray
    uneven_mm: float = 0.0

    def __len__(self) -> int:
        return len(self.sd_mm)

    @property
    def variance_mm2(self) -> FloatArray:
        return np.asarray(self.sd_mm**2 + self.uneven_mm**2)

    @property
    def weights(self) -> FloatArray:
        return np.asarray(self.area_mm2 / self.variance_mm2)

    def some(self, count: int) -> Crossings:
        """At most so many of them, their areas raised in turn."""
        if len(self) <= count:
            return self
        chosen = some(len(self), count)
        fewer: dict[str, Any] = {name: getattr(self, name)[chosen] for name in PER_EDGE}
        return Crossings(**{**fewer, "area_mm2": fewer["area_mm2"] * (len(self) / count)})

    def less_certain(self, sd_mm: float) -> Crossings:
        """The same edges if outlines are off by a standard deviation besides what voxels hide."""
        return replace(self, uneven_mm=sd_mm)


def border_crossings(
    voxels: BoolArray, distance: FloatArray, spacing: FloatArray, shares: NDArray[np.float32] | None
) -> Crossings:
    """All edges of a mask's border; arguments as for :func:`~ablmargin.metrics.levelcandidates.fit_level_set`."""
    smooth = np.asarray(ndimage.gaussian_filter(distance, BLUR_VOXELS))
    along = [_along(axis, voxels, spacing, smooth, shares) for axis in range(3)]
    together: dict[str, Any] = {name: np.concatenate([getattr(one, name) for one in along]) for name in PER_EDGE}
    return Crossings(**together)


def _along(
    axis: int, voxels: BoolArray, spacing: FloatArray, smooth: FloatArray, shares: NDArray[np.float32] | None
) -> Crossings:
    """The edges along one axis."""
    first = np.argwhere(np.diff(voxels, axis=axis))
    second = first + np.eye(3, dtype=int)[axis]
    normal = (_slopes(smooth, first) + _slopes(smooth, second)) / spacing
    length = spacing[axis] * np.abs(normal[:, axis]) / np.maximum(np.linalg.norm(normal, axis=1), 1e-6)
    starts_in = voxels[tuple(first.T)][:, None]
    within, beyond = np.where(starts_in, first, second), np.where(starts_in, second, first)
    part, spread, least = _crossed(within, beyond, shares)
    return Crossings(
        inner=within * spacing,
        outer=beyond * spacing,
        crossing=(within + part[:, None] * (beyond - within)) * spacing,
        sd_mm=np.maximum(spread * length, least),
        area_mm2=np.full(len(first), spacing.prod() / spacing[axis]),
        in_plane=np.full(len(first), spacing[axis] < spacing.max() or spacing[axis] == spacing.min()),
    )


def _slopes(values: FloatArray, places: Array) -> FloatArray:
    """Differences between both neighbors along each axis of voxels, shape (n, 3), none of them at the array's faces."""
    flat, steps = values.ravel(), np.array(values.strides) // values.itemsize
    at = np.ravel_multi_index(tuple(places.T), values.shape)
    return np.stack([flat[at + step] - flat[at - step] for step in steps], axis=1)


def _crossed(
    within: Array, beyond: Array, shares: NDArray[np.float32] | None
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Where along edges the border is expected, from 0 inside to 1, its spread, and its least spread in mm; (edges,) each.

    An edge from 1 to 0 says no more in a soft mask, which may be joined to a hard one, than in a hard one.
    """
    middle, spread = np.full(len(within), 0.5), np.full(len(within), 1 / math.sqrt(12.0))
    if shares is None:
        return middle, spread, np.full(len(within), MIN_CROSSING_SD_MM)
    more, less = shares[tuple(within.T)].astype(float), shares[tuple(beyond.T)].astype(float)
    told = (more < 1) | (less > 0)
    return (
        np.where(told, (more - 0.5) / np.maximum(more - less, 1e-6), middle),
        np.where(told, SOFT_CROSSING_SHARE, spread),
        np.where(told, MIN_SOFT_CROSSING_SD_MM, MIN_CROSSING_SD_MM),
    )


def anchors(
    distance: FloatArray, spacing: FloatArray, low: FloatArray, high: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Voxels near the border, within the box: their points, distances and weights."""
    centers = [np.arange(size) * step for size, step in zip(distance.shape, spacing, strict=True)]
    ends = [np.flatnonzero((own >= a) & (own <= b))[[0, -1]] for own, a, b in zip(centers, low, high, strict=True)]
    box = distance[tuple(slice(first, last + 1) for first, last in ends)]
    near = np.flatnonzero(np.abs(box) <= max(ANCHOR_VOXELS * spacing.max(), ANCHOR_MM))
    chosen = near[some(len(near), MAX_ANCHORS)]
    places = np.stack(np.unravel_index(chosen, box.shape), axis=1) + [first for first, _ in ends]
    weight = ANCHOR_WEIGHT * float(spacing.prod()) * len(near) / max(len(chosen), 1)
    return places * spacing, box.ravel()[chosen], np.full(len(chosen), weight)


def some(total: int, count: int) -> Array:
    """Numbers of at most ``count`` of ``total`` things, always the same ones."""
    return np.arange(total) if total <= count else np.sort(np.random.default_rng(0).choice(total, count, replace=False))
