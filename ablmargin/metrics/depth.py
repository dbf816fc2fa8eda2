"""How deep points lie below the liver capsule."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ablmargin.geometry import BoolArray, FloatArray, Geometry
from ablmargin.metrics.distance import voxelize
from ablmargin.metrics.edt import averaged_signed_edt_mm
from ablmargin.metrics.surface import Surface
from ablmargin.volume import LabelMask

DEEPEST_MM = 15.0
"""Depths are told up to here: no margin of interest is larger."""
MIN_SLACK_MM = 1.0
"""Two masks of the same capsule, drawn by hand, don't agree better than this."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LiverDepth:
    """The signed distance to the capsule on a part of the liver's grid, positive inside, mm."""

    distance_mm: FloatArray
    geometry: Geometry

    @classmethod
    def around(cls, liver: LabelMask, tumor: Surface, zone: Surface) -> LiverDepth:
        """Depth near a tumor and its ablation zone.

        The mask is mended first: the zone belongs to the liver even where an automatic segmentation left it out, and
        cavities enclosed in the liver are no capsule. Nor is the edge of the image: beyond it the liver is taken to go
        on as it is there. The tumor isn't added, as it may only seem to stick out because of the alignment.
        """
        start, stop = _box(liver.geometry, tumor, zone)
        part = liver.cropped(start, stop)
        mended = part.voxels | voxelize(zone, part.geometry)
        filled = np.asarray(ndimage.binary_fill_holes(mended))
        return cls(distance_mm=averaged_signed_edt_mm(filled, part.geometry.spacing_mm), geometry=part.geometry)

    def at(self, points_mm: FloatArray) -> FloatArray:
        """Depth of points, shape (n, 3) LPS mm to (n,); ``DEEPEST_MM`` stands for that or more."""
        index = self.geometry.indices_at(points_mm)
        values = ndimage.map_coordinates(self.distance_mm, index.T, order=1, mode="nearest")
        return np.asarray(np.minimum(values, DEEPEST_MM))

    def slack_at(self, points_mm: FloatArray) -> FloatArray:
        """How far the capsule may be off by sampling: half a voxel along its normal, ``MIN_SLACK_MM`` at least; (n,)."""
        index, spacing = self.geometry.indices_at(points_mm).T, np.array(self.geometry.spacing_mm)
        normal = np.stack([self._difference(index, axis) for axis in range(3)], axis=1) / spacing
        normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-9)
        return np.asarray(np.maximum(np.linalg.norm(normal * spacing, axis=1) / 2, MIN_SLACK_MM))

    def _difference(self, index: FloatArray, axis: int) -> FloatArray:
        step = np.eye(3)[axis][:, None]
        ahead, behind = (
            ndimage.map_coordinates(self.distance_mm, index + sign * step, order=1, mode="nearest") for sign in (1, -1)
        )
        return np.asarray((ahead - behind) / 2)


def _box(geometry: Geometry, tumor: Surface, zone: Surface) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """First and one past the last (k, j, i) index that matters, cut at the image's border."""
    spacing = np.array(geometry.spacing_mm)
    reach = np.concatenate([_padded(geometry, tumor, DEEPEST_MM / spacing), _padded(geometry, zone, 3.0)])
    size = np.array(geometry.shape)
    start = np.clip(np.floor(reach.min(axis=0)), 0, size - 1).astype(int).tolist()
    stop = np.clip(np.ceil(reach.max(axis=0)) + 1, np.array(start) + 1, size).astype(int).tolist()
    return (start[0], start[1], start[2]), (stop[0], stop[1], stop[2])


def _padded(geometry: Geometry, surface: Surface, voxels: FloatArray | float) -> FloatArray:
    index = geometry.indices_at(surface.vertices_mm)
    return np.stack([index.min(axis=0) - voxels, index.max(axis=0) + voxels])


def is_inside_liver(depth: LiverDepth, points_mm: FloatArray) -> BoolArray:
    """Which points, shape (n, 3), lie farther below the capsule than its sampling could feign; shape (n,)."""
    return np.asarray(depth.at(points_mm) > depth.slack_at(points_mm))
