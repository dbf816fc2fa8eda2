"""The margin that the anatomy allows: to the part of the zone's surface that has liver beyond it."""

from __future__ import annotations

import numpy as np

from ablmargin.geometry import BoolArray, FloatArray
from ablmargin.metrics.depth import LiverDepth, is_inside_liver
from ablmargin.metrics.distance import distances_mm
from ablmargin.metrics.surface import Surface

SAME_BORDER_MM = 0.5
"""Two surfaces that both follow the capsule differ by this much from sampling and drawing alone."""


def constrained_margins_mm(
    tumor: Surface, margin_mm: FloatArray, zone: Surface, inside_liver: BoolArray, depth: LiverDepth
) -> FloatArray:
    """Margin to the zone's surface inside the liver; never smaller than the plain margin.

    Where the zone ends at the capsule, no tissue is left to ablate, so that part of its surface doesn't count. Every
    point of the tumor does. One that lies outside the zone keeps its plain negative margin, unless it is so little (half a
    millimeter) and so close to the capsule that tumor and zone end at the capsule together.

    Parameters
    ----------
    tumor, zone : Surface
    margin_mm : ndarray, shape (n,)
        Plain margins of the tumor's vertices.
    inside_liver : ndarray of bool, shape (m,)
        Triangles of the zone that lie inside the liver; at least one.
    depth : LiverDepth

    Returns
    -------
    ndarray, shape (n,)
    """
    points = tumor.vertices_mm
    at_capsule = (margin_mm >= -SAME_BORDER_MM) & (depth.at(points) < depth.slack_at(points))
    allowed = (margin_mm >= 0) | at_capsule
    reach = distances_mm(zone.vertices_mm, zone.triangles[inside_liver], points)
    return np.where(allowed, np.maximum(reach, margin_mm), margin_mm)


def triangles_inside_liver(zone: Surface, depth: LiverDepth) -> BoolArray:
    """Triangles of a zone's surface, shape (m,), that border on liver and not on the capsule or beyond."""
    return is_inside_liver(depth, zone.centroids_mm)
