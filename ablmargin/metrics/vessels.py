"""How far a tumor is from the next vessel wide enough to cool what lies beside it.

How wide a vessel is at a place can't be read off single voxels: one of 3 mm in slices of 2.5 mm has one voxel or two across.
So its voxels are weighed around the place, by a Gaussian of standard deviation s. On the axis of a straight tube of radius r
the weights within add up to 1 - exp(-r²/2s²), however the tube runs through the grid; a place with at least as much as a tube of
the asked-for width has lies in a vessel so wide. That averages along the vessel, where a ball that is fitted in couldn't.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, exp

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from ablmargin.geometry import Array, FloatArray, Geometry
from ablmargin.metrics.distance import signed_distances_mm
from ablmargin.metrics.surface import Surface, surface_of
from ablmargin.volume import LabelMask

WIDE_MM = 3.0
"""Vessels from this width on cool the tissue beside them: in pigs 32 of 44 wider veins kept enhancing tissue between
themselves and a radiofrequency lesion, none of 20 thinner ones did (doi:10.2214/ajr.178.1.1780047)."""

REACH_MM = 30.0
"""How far from the tumor a vessel is searched."""

LEAST_SD_MM, SD_VOXELS = 1.0, 0.8
"""Standard deviation of the weights: so many mm or, if that is more, so many of the largest spacing. Less, and the answer
would depend on where the slices happen to lie."""

FINEST_MM = 0.5
"""Voxels are divided to this size, so that one lies near the axis."""

TRUNCATED_SDS = 3.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NearestVessel:
    """The vessel next to a tumor that is 3 mm wide or more where it is nearest.

    Parameters
    ----------
    distance_mm : float
        From the tumor's surface to the vessel's. Negative where the vessel reaches into the tumor: by how much.
    point_mm : ndarray, shape (3,)
        The nearest place on the vessel's surface, LPS mm.
    points_mm : ndarray, shape (n, 3)
        All places on the surface of such vessels within 30 mm of the tumor.
    """

    distance_mm: float
    point_mm: FloatArray
    points_mm: FloatArray

    def distance_from_mm(self, place_mm: FloatArray) -> float:
        """How far a place, shape (3,), is from the surface of any such vessel."""
        return float(np.linalg.norm(self.points_mm - place_mm, axis=1).min())


def nearest_vessel(tumor: Surface, vessels: LabelMask) -> NearestVessel | None:
    """Find the nearest vessel that is at least 3 mm wide.

    Parameters
    ----------
    tumor : Surface
    vessels : LabelMask
        In the tumor's frame; the shares of a soft mask count.

    Returns
    -------
    NearestVessel or None
        None if there is none within 30 mm.
    """
    points = wide_vessel_points_mm(vessels, tumor.vertices_mm, reach_mm=REACH_MM)
    outside_mm = -signed_distances_mm(tumor, points)
    near = outside_mm <= REACH_MM
    if not near.any():
        return None
    nearest = int(outside_mm.argmin())
    return NearestVessel(distance_mm=float(outside_mm[nearest]), point_mm=points[nearest], points_mm=points[near])


def wide_vessel_points_mm(vessels: LabelMask, around_mm: FloatArray, *, reach_mm: float) -> FloatArray:
    """Places on the surface of vessels where these are at least 3 mm wide.

    Parameters
    ----------
    vessels : LabelMask
    around_mm : ndarray, shape (n, 3)
        LPS mm: only what lies in the box around these points, ``reach_mm`` larger to all sides, is looked at.

    Returns
    -------
    ndarray, shape (m, 3)
        About a voxel apart; none if no vessel is so wide there.
    """
    grid = vessels.geometry
    room_mm = (TRUNCATED_SDS + 1.0) * _sd_mm(grid)
    part = vessels.cropped(*grid.box_around(around_mm, pad_mm=reach_mm + room_mm))
    if part.is_empty:
        return np.empty((0, 3))
    part = part.cropped(*part.bounding_box(pad_mm=room_mm))
    cores = _wide_places_mm(part)
    if not len(cores):
        return np.empty((0, 3))
    surface = surface_of(part)
    places = np.concatenate([surface.vertices_mm, surface.centroids_mm])
    half_voxel_mm = max(grid.spacing_mm) / 2
    within = cKDTree(cores).query(places, distance_upper_bound=WIDE_MM / 2 + half_voxel_mm)[0]
    return np.asarray(places[np.isfinite(within)])


def _sd_mm(grid: Geometry) -> float:
    return max(LEAST_SD_MM, SD_VOXELS * max(grid.spacing_mm))


def _wide_places_mm(vessels: LabelMask) -> FloatArray:
    """Places, shape (n, 3), around which there is as much vessel as on the axis of a tube of 3 mm."""
    grid, sd_mm = vessels.geometry, _sd_mm(vessels.geometry)
    parts = np.array([ceil(spacing / FINEST_MM) for spacing in grid.spacing_mm])
    weighed = _weighed(vessels, parts, sd_mm)
    wide = np.argwhere(weighed >= 1 - exp(-((WIDE_MM / 2 / sd_mm) ** 2) / 2))
    return grid.points_at((wide + 0.5) / parts - 0.5)


def _weighed(vessels: LabelMask, parts: Array, sd_mm: float) -> NDArray[np.float32]:
    """How much vessel lies around each part of a voxel, as a share of all weights.

    A divided voxel spreads its share evenly, and a share is itself a mean over a voxel: each is a blur of its own, and the
    Gaussian is narrower by them.
    """
    blurs = 1 if vessels.fractions is None else 2
    weighed = (vessels.voxels if vessels.fractions is None else vessels.fractions).astype(np.float32)
    for axis, (count, spacing) in enumerate(zip(parts.tolist(), vessels.geometry.spacing_mm, strict=True)):
        weighed = np.repeat(weighed, count, axis=axis)
        own_variance = blurs * (spacing**2 - (spacing / count) ** 2) / 12
        sd_parts = (sd_mm**2 - own_variance) ** 0.5 / (spacing / count)
        weighed = ndimage.gaussian_filter1d(weighed, sd_parts, axis=axis, mode="constant", truncate=TRUNCATED_SDS)
    return weighed
