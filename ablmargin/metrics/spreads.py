"""How well the margin is known at each point of a tumor's surface."""

from __future__ import annotations

import numpy as np

from ablmargin.geometry import FloatArray
from ablmargin.metrics.displacement import nearest_normals
from ablmargin.metrics.margin import MarginResult
from ablmargin.metrics.surface import Surface
from ablmargin.metrics.uncertainty import Z975


def margin_sds_mm(
    margin: MarginResult,
    zone: Surface,
    *,
    covariance_mm2: FloatArray | float,
    sampling_error_mm: float,
    segmentation_sd_mm: float,
) -> FloatArray:
    """Standard deviation of the margin at each point, shape (n,): alignment, contours and voxels, in quadrature.

    Parameters
    ----------
    margin : MarginResult
    zone : Surface
        The one that the margins were measured to.
    covariance_mm2 : ndarray, shape (n, 3, 3) or (3, 3), or float
        Of the alignment's error at the points. Only what lies along the margin counts: the direction in which the zone's
        border is nearest. A number is the variance along any direction.
    sampling_error_mm, segmentation_sd_mm : float
        As for :func:`~ablmargin.metrics.uncertainty.bound_margin`.
    """
    if isinstance(covariance_mm2, float):
        along = np.full(len(margin.points_mm), covariance_mm2)
    else:
        direction = nearest_normals(zone, margin.points_mm)
        along = np.einsum("...i,...ij,...j->...", direction, covariance_mm2, direction)
    return np.asarray(np.sqrt(along + segmentation_sd_mm**2 + (sampling_error_mm / Z975) ** 2))
