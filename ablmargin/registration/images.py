"""What an alignment looks at: the liver on a working grid, its texture, its surface, and what must not count.

Working grids are isotropic and lie along the patient's axes. Their array axes run along x, y, z, so that indices and
points share one order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from scipy import ndimage

from ablmargin.errors import Fault, GeometryMismatchError, RegistrationError
from ablmargin.geometry import Array, BoolArray, Geometry, triple
from ablmargin.itk import image_of
from ablmargin.volume import LabelMask, Volume

Picture = NDArray[np.float32]

WORKING_MM = 2.0
AXES_XYZ = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
PAD_MM = 16.0
"""Room around the liver, so that its surface can be followed where it moves."""

_BLUR_REACH = 3.0
"""Standard deviations after which a Gaussian is cut off."""
_ANTI_ALIAS_MM = 1.0
_EROSION_MM = 1.0
_TEXTURE_MM = 14.0
_CLIP = 8.0
_FAR_MM = 1e4
_LEAST_VOXELS = 2000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PreparedExam:
    """One exam's liver on its working grid; arrays have the grid's shape.

    Parameters
    ----------
    grid : Geometry
    texture : ndarray of float32
        CT in robust standard deviations of the untreated liver, less its 14 mm Gaussian mean; 0 where it doesn't count.
    counts : ndarray of float32
        1 where the texture may be compared: inside the liver, in view and away from treated tissue; else 0.
    distance_mm : ndarray of float32
        Signed distance to the liver's surface, negative inside.
    treated_distance_mm : ndarray of float32
        Distance to the tissue to ignore, negative inside; huge where there is none.
    seen : ndarray of bool
        Where the CT has voxels.
    """

    grid: Geometry
    texture: Picture
    counts: Picture
    distance_mm: Picture
    treated_distance_mm: Picture
    seen: BoolArray


def prepare_exam(volume: Volume, liver: LabelMask, ignored: Sequence[LabelMask], *, rim_mm: float) -> PreparedExam:
    """Bring an exam to its working grid.

    Parameters
    ----------
    ignored : LabelMask
        Treated tissue: it belongs to the liver, but its looks don't count, nor those of a rim around it.
    rim_mm : float
        Width of that rim.

    Raises
    ------
    EmptyMaskError, GeometryMismatchError
        If the liver's mask is empty, or doesn't overlap the CT.
    RegistrationError
        If hardly any untreated liver is left to look at.
    """
    grid = working_grid(liver)
    seen = _seen(volume, grid)
    treated = _any_of(ignored, grid)
    distance = signed_distance_mm((_on_grid(liver, grid, extend=True) > 0.5) | treated, grid)
    to_treated = signed_distance_mm(treated, grid) if treated.any() else np.full(grid.shape, _FAR_MM, np.float32)
    counts = (distance < -_EROSION_MM) & seen & (to_treated > rim_mm)
    if np.count_nonzero(counts) < _LEAST_VOXELS:
        raise RegistrationError(
            f"only {np.count_nonzero(counts) * grid.voxel_volume_ml:.0f} ml of untreated liver can be compared;"
            f" {_LEAST_VOXELS * grid.voxel_volume_ml:.0f} ml are needed"
        )
    texture = _texture(_smooth_on(volume, grid), counts, grid)
    return PreparedExam(
        grid=grid,
        texture=texture,
        counts=counts.astype(np.float32),
        distance_mm=distance,
        treated_distance_mm=to_treated,
        seen=seen,
    )


def working_grid(liver: LabelMask) -> Geometry:
    """The working grid around a liver."""
    liver.require_not_empty()
    ends = liver.geometry.points_at(_row_ends(liver.voxels))
    low, high = ends.min(axis=0) - PAD_MM, ends.max(axis=0) + PAD_MM
    x, y, z = (int(np.ceil(length / WORKING_MM)) + 1 for length in high - low)
    return Geometry(
        shape=(x, y, z),
        spacing_mm=(WORKING_MM,) * 3,
        origin_mm=triple(low),
        directions=AXES_XYZ,
        frame_uid=liver.geometry.frame_uid,
    )


def _row_ends(voxels: BoolArray) -> Array:
    """Indices of the first and last voxel of each row: the extremes of a mask in any direction are among them."""
    k, j = np.nonzero(voxels.any(axis=2))
    first = voxels[k, j].argmax(axis=1)
    last = voxels.shape[2] - 1 - voxels[k, j, ::-1].argmax(axis=1)
    return np.concatenate([np.stack([k, j, i], axis=1) for i in (first, last)])


def coarser(grid: Geometry, spacing_mm: float) -> Geometry:
    """A grid with the same first voxel and extent, but larger voxels."""
    x, y, z = (int(np.ceil((count - 1) * grid.spacing_mm[0] / spacing_mm)) + 1 for count in grid.shape)
    return replace(grid, shape=(x, y, z), spacing_mm=(spacing_mm,) * 3)


def blur(picture: Array, sigma_mm: float, grid: Geometry) -> Picture:
    """Gaussian smoothing; none at all for a width of zero."""
    if sigma_mm <= 0:
        return picture.astype(np.float32)
    return _blurred(picture, [sigma_mm / grid.spacing_mm[0]] * 3)


def _blurred(picture: Array, widths: Sequence[float]) -> Picture:
    """Gaussian smoothing by so many voxels along each axis; the picture goes on beyond its borders as it ends there."""
    smooth = ndimage.gaussian_filter(picture, widths, output=np.float32, mode="nearest", truncate=_BLUR_REACH)
    return np.asarray(smooth)


def counted_around(counts: Picture, sigma_mm: float, grid: Geometry) -> Picture:
    """How much counts around each voxel, never quite nothing."""
    return np.asarray(blur(counts, sigma_mm, grid) + np.float32(0.01))


def extend(picture: Picture, counts: Picture, sigma_mm: float, grid: Geometry, *, counted: Picture) -> Picture:
    """Carry a picture smoothly on beyond where it counts, so that samples at its rim see no false edge.

    ``counted`` is :func:`counted_around` for the same width.
    """
    around = blur(picture * counts, sigma_mm, grid) / counted
    return np.asarray(np.where(counts > 0, picture, around), np.float32)


def regrid(picture: Array, source: Geometry, target: Geometry) -> Picture:
    """Linear interpolation from one working grid to another in the same frame."""
    return _resampled(image_of(picture, source), target, fill=0.0)


def signed_distance_mm(inside: BoolArray, grid: Geometry) -> Picture:
    """Distance to a mask's border, negative inside: the mean of the distances to the border voxels on either side.

    Good to about half a voxel, and too small by that on slanting borders.
    """
    outer, inner = (_distance_to(mask, grid) for mask in (inside, ~inside))
    return np.asarray((outer - inner) / 2.0, np.float32)


def _distance_to(inside: BoolArray, grid: Geometry) -> Picture:
    image = image_of(inside, grid)
    return np.asarray(sitk.GetArrayFromImage(sitk.SignedMaurerDistanceMap(image, False, False, True)))


def _texture(hu: Picture, counts: BoolArray, grid: Geometry) -> Picture:
    center = np.median(hu[counts])
    spread = 1.4826 * np.median(np.abs(hu[counts] - center)) + 1e-6
    scaled = np.clip((hu - center) / spread, -_CLIP, _CLIP) * counts
    mean = blur(scaled, _TEXTURE_MM, grid) / (blur(counts, _TEXTURE_MM, grid) + 0.01)
    return np.asarray((scaled - mean) * counts, np.float32)


def _smooth_on(volume: Volume, grid: Geometry) -> Picture:
    """The CT on the working grid, smoothed a little along those of its axes that are finely sampled."""
    start, stop = _box_around(grid, volume.geometry)
    part = volume.cropped(start, stop)
    widths = [_ANTI_ALIAS_MM / mm if mm <= 2.0 * _ANTI_ALIAS_MM else 0.0 for mm in part.geometry.spacing_mm]
    smooth = _blurred(part.voxels_hu, widths)
    return _resampled(image_of(smooth, part.geometry), grid, fill=-1000.0)


def _seen(volume: Volume, grid: Geometry) -> BoolArray:
    start, stop = _box_around(grid, volume.geometry)
    part = volume.geometry.cropped(start, stop)
    return np.asarray(_resampled(image_of(np.ones(part.shape, np.uint8), part), grid, fill=0.0) > 0.5)


def _any_of(masks: Sequence[LabelMask], grid: Geometry) -> BoolArray:
    found = np.zeros(grid.shape, bool)
    for mask in masks:
        if not mask.is_empty:
            found |= _on_grid(mask, grid, extend=False) > 0.5
    return found


def _on_grid(mask: LabelMask, grid: Geometry, *, extend: bool) -> Picture:
    """A mask on the working grid; extended, an organ that the CT cuts off goes straight on."""
    part = mask.cropped(*mask.bounding_box(pad_mm=2.0 * PAD_MM))
    return _resampled(image_of(part.voxels, part.geometry), grid, fill=0.0, extend=extend)


def _resampled(image: sitk.Image, grid: Geometry, *, fill: float, extend: bool = False) -> Picture:
    k, j, i = grid.shape
    resampler = sitk.ResampleImageFilter()
    resampler.SetSize([i, j, k])
    resampler.SetOutputSpacing(grid.spacing_mm[::-1])
    resampler.SetOutputOrigin(grid.origin_mm)
    resampler.SetOutputDirection(np.array(grid.directions)[::-1].T.ravel().tolist())
    resampler.SetDefaultPixelValue(fill)
    resampler.SetOutputPixelType(sitk.sitkFloat32)
    resampler.SetUseNearestNeighborExtrapolator(extend)
    return np.asarray(sitk.GetArrayFromImage(resampler.Execute(image)))


def _box_around(grid: Geometry, geometry: Geometry) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """First and last index of the part of a geometry that a working grid needs."""
    index = geometry.indices_at(grid.corners_mm)
    low = np.clip(np.floor(index.min(axis=0)) - 2, 0, None).astype(int)
    high = np.clip(np.ceil(index.max(axis=0)) + 3, None, geometry.shape).astype(int)
    if (high - low < 2).any():
        raise GeometryMismatchError(
            Fault(
                code="LIVER_OUTSIDE",
                source="the liver mask",
                found="no overlap with the CT",
                expected="the liver within its own image",
                remedy="Give the mask that was drawn on this image.",
            )
        )
    return (int(low[0]), int(low[1]), int(low[2])), (int(high[0]), int(high[1]), int(high[2]))
