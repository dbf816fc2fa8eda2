"""What the voxels themselves say against the minimum margin of surfaces that are smoother than they are."""

from __future__ import annotations

from math import inf

from ablmargin.geometry import FloatArray, PointTransform
from ablmargin.metrics.distance import signed_distances_mm
from ablmargin.metrics.shapes import left_out_mm
from ablmargin.metrics.surface import Surface
from ablmargin.volume import LabelMask

NOTABLE_STRAY_MM = 0.2
"""How far a voxel's center must contradict a minimum margin to count. Surfaces of smooth shapes don't."""

RAW_BIAS_MM, RAW_BIAS_SHARE, RAW_EXCESS_SHARE = 0.3, 0.75, 0.25
"""Minima from voxel to voxel lie up to so many mm and so much of the coarsest spacing below the true ones, or above. In 160
simulated pairs none did at slices of 1 to 5 mm."""


def closest_voxel_mm(
    tumor: LabelMask,
    surfaces: tuple[Surface, Surface],
    zone: Surface,
    *,
    untreated_mm: FloatArray,
    transform: PointTransform | None,
) -> float:
    """The smallest margin that single voxels leave where surfaces run on the wrong side of their centers; inf if nowhere.

    A surface smoother than its mask may leave out a thin part of the tumor, or bridge a notch in the zone. The center
    of a tumor's voxel lies in the tumor, and that of a voxel that wasn't ablated outside of the zone, so neither can be
    nearer to the other structure's surface than the minimum margin.

    Parameters
    ----------
    tumor : LabelMask
        In its own frame.
    surfaces : two Surfaces
        The tumor's, in its own frame and in the zone's.
    zone : Surface
    untreated_mm : ndarray, shape (n, 3)
        Centers of voxels that weren't ablated and that the zone's surface takes in.
    transform : PointTransform or None
        From the tumor's frame to the zone's; None if they share one.
    """
    own, moved = surfaces
    points = left_out_mm(tumor, own)
    thin_mm = signed_distances_mm(zone, points if transform is None else transform.map_points(points))
    notch_mm = -signed_distances_mm(moved, untreated_mm)
    return float(min(thin_mm.min(initial=inf), notch_mm.min(initial=inf)))


def is_contradicted(minimum_mm: float, closest_mm: float) -> bool:
    """Whether single voxels leave notably less than a minimum margin.

    >>> is_contradicted(5.0, 4.9), is_contradicted(5.0, 4.0)
    (False, True)
    """
    return closest_mm <= minimum_mm - NOTABLE_STRAY_MM


def disagrees_with_raw(minimum_mm: float, raw_mm: float, coarsest_mm: float) -> bool:
    """Whether a minimum margin lies farther from the one from voxel to voxel than slices so far apart explain.

    >>> disagrees_with_raw(5.0, 4.2, 1.0), disagrees_with_raw(5.0, 3.8, 1.0), disagrees_with_raw(5.0, 3.8, 3.0)
    (False, True, False)
    """
    below, above = RAW_BIAS_SHARE * coarsest_mm, RAW_EXCESS_SHARE * coarsest_mm
    return not -(RAW_BIAS_MM + above) <= minimum_mm - raw_mm <= RAW_BIAS_MM + below


def most_allowed_mm(minimum_mm: float, closest_mm: float, raw_mm: float | None, *, coarsest_mm: float) -> float:
    """What a lower bound of the minimum margin can't exceed, as voxels contradict it; infinite if they don't.

    >>> most_allowed_mm(5.0, 4.0, None, coarsest_mm=1.0), most_allowed_mm(5.0, 4.9, 3.8, coarsest_mm=1.0)
    (4.0, 3.8)
    """
    most = closest_mm if is_contradicted(minimum_mm, closest_mm) else inf
    disagrees = raw_mm is not None and disagrees_with_raw(minimum_mm, raw_mm, coarsest_mm)
    return min(most, raw_mm) if raw_mm is not None and disagrees else most
