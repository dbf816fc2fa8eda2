"""Which of several ablation zones belong to a tumor."""

from __future__ import annotations

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from ablmargin.metrics.surface import Surface
from ablmargin.volume import LabelMask

REACH_MM = 10.0
"""A zone that comes this close to a tumor was made for it: the widest margin that anybody asks for."""


def share_of_zones_near(ablated: LabelMask, tumor: Surface, *, reach_mm: float = REACH_MM) -> float:
    """Share of the ablated volume, 0..1, that lies in zones near a tumor; in the nearest zone if none is near.

    Parameters
    ----------
    ablated : LabelMask
        All zones; those that touch count as one.
    tumor : Surface
        In the zones' frame.
    reach_mm : float
        How near a zone's closest voxel must come to the tumor's surface.
    """
    start, stop = ablated.bounding_box()
    crop = ablated.cropped(start, stop)
    labels, count = ndimage.label(crop.voxels, np.ones((3, 3, 3)))
    if count == 1:
        return 1.0
    surface = cKDTree(tumor.vertices_mm)
    zones = [crop.geometry.points_at(np.argwhere(labels == label)) for label in range(1, count + 1)]
    distances = np.array([np.min(surface.query(points)[0]) for points in zones])
    sizes = np.array([len(points) for points in zones])
    near = distances <= max(reach_mm, float(distances.min()))
    return float(sizes[near].sum() / sizes.sum())
