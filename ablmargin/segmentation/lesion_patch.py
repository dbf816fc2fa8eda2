"""The surroundings of a prompt on a small isotropic grid along the patient's axes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ablmargin.geometry import Array, BoolArray, FloatArray, Geometry, triple
from ablmargin.itk import resample
from ablmargin.volume import LabelMask, Volume

LOWEST_HU, HIGHEST_HU = -200.0, 300.0
"""What is darker or brighter counts as gas or as metal; how dark or bright doesn't matter."""
SMOOTHING_SHARE, SMOOTHING_MM = 0.05, (0.7, 1.6)
"""Width of the Gaussian that the image is smoothed with, as a share of the expected size, and its limits."""
THICK_MM = 2.0
"""Slices farther apart than this aren't smoothed across."""
LOCAL_MM = 4.0
SOFT_TISSUE_HU = (-20.0, 220.0)
LEAST_NOISE_HU = 3.0
BEYOND_IMAGE_HU = -1024.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Patch:
    """What a lesion is looked for in.

    Parameters
    ----------
    geometry : Geometry
        Isotropic, along the patient's axes, so that an image's own orientation doesn't matter.
    hu : ndarray of float32, shape ``geometry.shape``
        The image, lightly smoothed, clipped to what tells tissues apart.
    is_image : ndarray of bool
        Where there is any image.
    liver_mm : ndarray of float32, optional
        Signed distance to the border of the liver's mask, positive inside.
    noise_sd_hu : float
        Of the smoothed image, within soft tissue.
    smoothing_mm : float
        Width of the Gaussian that the image was smoothed with.
    """

    geometry: Geometry
    hu: Array
    is_image: BoolArray
    liver_mm: Array | None
    noise_sd_hu: float
    smoothing_mm: float

    @property
    def spacing_mm(self) -> float:
        return self.geometry.spacing_mm[0]

    def offsets_mm(self, point_mm: FloatArray) -> Array:
        """From a point to the voxel centers, shape (3, *shape), components (z, y, x)."""
        origin = np.array(self.geometry.origin_mm)[::-1] - point_mm[::-1]
        axes = [
            start + self.spacing_mm * np.arange(size) for start, size in zip(origin, self.geometry.shape, strict=True)
        ]
        return np.stack(np.meshgrid(*axes, indexing="ij")).astype(np.float32)

    def at(self, values: Array, points_mm: FloatArray) -> FloatArray:
        """Values on the grid at points (n, 3), interpolated."""
        index = self.geometry.indices_at(points_mm).T
        return np.asarray(ndimage.map_coordinates(values, index, order=1, mode="nearest"))


def patch_around(
    volume: Volume, liver: LabelMask | None, center_mm: FloatArray, *, half_mm: float, size_mm: float, spacing_mm: float
) -> Patch:
    """Cut out a cube of a half width around a center, and bring it onto a grid of a spacing.

    ``size_mm`` is the diameter expected of the lesion: the larger, the more smoothing it bears.
    """
    grid = _cube(center_mm, half_mm, spacing_mm, volume.geometry.frame_uid)
    start, stop = volume.geometry.box_around(grid.corners_mm, pad_mm=2 * max(volume.geometry.spacing_mm))
    native = volume.cropped(start, stop)
    smoothing = float(np.clip(SMOOTHING_SHARE * size_mm, *SMOOTHING_MM))
    hu = resample(_smoothed(native, smoothing), native.geometry, grid, fill=BEYOND_IMAGE_HU)
    is_image = hu > BEYOND_IMAGE_HU + 1
    hu = np.clip(hu, LOWEST_HU, HIGHEST_HU).astype(np.float32)
    return Patch(
        geometry=grid,
        hu=hu,
        is_image=is_image,
        liver_mm=None if liver is None else _liver_mm(liver.cropped(start, stop), grid),
        noise_sd_hu=_noise_sd(hu, spacing_mm),
        smoothing_mm=smoothing,
    )


def _cube(center_mm: FloatArray, half_mm: float, spacing_mm: float, frame_uid: str | None) -> Geometry:
    count = 2 * int(np.ceil(half_mm / spacing_mm)) + 1
    return Geometry(
        shape=(count, count, count),
        spacing_mm=(spacing_mm,) * 3,
        origin_mm=triple(center_mm - (count - 1) / 2 * spacing_mm),
        frame_uid=frame_uid,
    )


def _smoothed(native: Volume, sd_mm: float) -> Array:
    hu = np.clip(native.voxels_hu, BEYOND_IMAGE_HU + 2, 2 * HIGHEST_HU)
    width = [0.0 if spacing > THICK_MM else sd_mm / spacing for spacing in native.geometry.spacing_mm]
    return np.asarray(ndimage.gaussian_filter(hu, width, truncate=2.5), np.float32)


def _liver_mm(liver: LabelMask, grid: Geometry) -> Array | None:
    inside = resample(liver.voxels, liver.geometry, grid) >= 0.5
    if not inside.any():
        return None
    depth = ndimage.distance_transform_edt(inside) - ndimage.distance_transform_edt(~inside)
    return np.asarray(depth * grid.spacing_mm[0], np.float32)


def _noise_sd(hu: Array, spacing_mm: float) -> float:
    """Robust deviation of soft tissue from its own local mean."""
    tissue = (hu > SOFT_TISSUE_HU[0]) & (hu < SOFT_TISSUE_HU[1])
    if not tissue.any():
        return LEAST_NOISE_HU
    rest = (hu - ndimage.gaussian_filter(hu, LOCAL_MM / spacing_mm, truncate=2.0))[tissue]
    return max(float(np.median(np.abs(rest))) * 1.4826, LEAST_NOISE_HU)
