"""The one connected solid that a lesion is, taken from log odds on a patch, and how its tissue differs from around."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ablmargin.geometry import Array, BoolArray, FloatArray
from ablmargin.segmentation.lesion_field import density, hu_bins
from ablmargin.segmentation.lesion_patch import Patch

STRETCH = 0.3
"""By how much of what is missing at the ends of a drawn axis the surface is moved outward, or inward."""
SHELL_SHARE, LEAST_SHELL_MM = 0.5, 3.0
LEAST_RADIUS_MM = 3.0
SEARCH_MM = 4.0
"""A prompt may lie this far beside the solid."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Solid:
    """One connected solid on a patch; ``inside_mm`` is the signed distance to its surface, positive inside."""

    patch: Patch
    inside_mm: Array

    @property
    def voxels(self) -> BoolArray:
        return np.asarray(self.inside_mm > 0)

    @property
    def volume_mm3(self) -> float:
        return float(np.count_nonzero(self.inside_mm > 0)) * self.patch.spacing_mm**3

    @property
    def radius_mm(self) -> float:
        """Of the ball with the same volume."""
        return float((self.volume_mm3 * 3 / 4 / np.pi) ** (1 / 3))

    @property
    def center_mm(self) -> FloatArray:
        center: FloatArray = self.patch.geometry.points_at(np.argwhere(self.voxels)).mean(axis=0)
        return center

    @property
    def shell(self) -> BoolArray:
        """What lies around it."""
        thickness = max(SHELL_SHARE * self.radius_mm, LEAST_SHELL_MM)
        return np.asarray((self.inside_mm <= 0) & (self.inside_mm > -thickness) & self.patch.is_image)

    def distinction(self) -> float:
        """Mean log ratio of how often an HU that is found inside occurs inside and around: 0 if both look alike."""
        bins, width = hu_bins(self.patch), max(0.5 * self.patch.noise_sd_hu, 2.0)
        inside, shell = (where.astype(np.float32) for where in (self.voxels, self.shell))
        ratio = np.log(density(bins, inside, width) / density(bins, shell, width))
        return float(ratio[bins[self.voxels.ravel()]].mean())


def unshrunk(solid: Solid, *widths_mm: float) -> Solid:
    """The solid, moved outward by what Gaussians of some widths took from it.

    Where a ball of radius R is smoothed by a Gaussian of width s, its half-way level lies s²/R too far in.
    """
    shift = sum(width**2 for width in widths_mm) / max(solid.radius_mm, LEAST_RADIUS_MM)
    return Solid(patch=solid.patch, inside_mm=solid.inside_mm + np.float32(shift))


def solid_at(patch: Patch, log_odds: Array, point_mm: FloatArray) -> Solid | None:
    """The connected part that holds a point or comes near it, its holes filled; None if there is none."""
    parts, count = ndimage.label(log_odds > 0)
    if not count:
        return None
    chosen = _part_at(patch, parts, point_mm)
    if not chosen:
        return None
    voxels = ndimage.binary_fill_holes(parts == chosen)
    return Solid(patch=patch, inside_mm=_signed_distance_mm(voxels, log_odds, patch.spacing_mm))


def _part_at(patch: Patch, parts: Array, point_mm: FloatArray) -> int:
    index = np.rint(patch.geometry.indices_at(point_mm[None])[0]).astype(int)
    k, j, i = np.clip(index, 0, np.array(parts.shape) - 1)
    if parts[k, j, i]:
        return int(parts[k, j, i])
    reach = int(np.ceil(SEARCH_MM / patch.spacing_mm))
    near = parts[tuple(slice(max(at - reach, 0), at + reach + 1) for at in (k, j, i))]
    counts = np.bincount(near.ravel())
    counts[0] = 0
    return int(counts.argmax())


def _signed_distance_mm(voxels: BoolArray, log_odds: Array, spacing_mm: float) -> Array:
    """Distance to the border of voxels, placed between voxel centers where the log odds cross zero."""
    inside, outside = (ndimage.distance_transform_edt(where) for where in (voxels, ~voxels))
    distance = (np.where(voxels, inside - 0.5, 0.5 - outside)).astype(np.float32)
    border = np.abs(distance) < 1.01
    slope = np.maximum(_slope(log_odds), np.float32(0.2))
    exact = np.clip(log_odds / slope, -1.2, 1.2)
    same_side = (exact > 0) == voxels
    distance = np.where(border & same_side, exact, distance)
    return np.asarray(distance * spacing_mm, np.float32)


def _slope(values: Array) -> Array:
    z, y, x = np.gradient(values)
    return np.asarray(np.sqrt(z**2 + y**2 + x**2), np.float32)


def stretched(solid: Solid, ends_mm: FloatArray) -> Solid:
    """The solid, moved half way to where a drawn axis, shape (2, 3), says that it ends.

    The image can't tell whether a bright rim or a part that looks like liver belongs to a lesion; its reader can.
    """
    middle, half = ends_mm.mean(axis=0), float(np.linalg.norm(ends_mm[1] - ends_mm[0])) / 2
    along_mm = (ends_mm[1] - ends_mm[0]) / (2 * half)
    reach = (solid.patch.geometry.points_at(np.argwhere(solid.voxels)) - middle) @ along_mm
    first, second = half + np.percentile(reach, 1), half - np.percentile(reach, 99)
    along = np.tensordot((along_mm / half)[::-1].astype(np.float32), solid.patch.offsets_mm(middle), 1)
    missing = (first + second) / 2 + (second - first) / 2 * np.clip(along, -1, 1)
    moved = np.asarray(solid.inside_mm + STRETCH * missing, np.float32)
    return Solid(patch=solid.patch, inside_mm=moved) if (moved > 0).any() else solid
