"""The minimum margin as voxel tools report it, for comparison: biased low, the more the thicker the slices."""

from __future__ import annotations

import numpy as np

from ablmargin.errors import Fault, GeometryMismatchError
from ablmargin.metrics.edt import border_voxels
from ablmargin.metrics.nearest import surface_tree
from ablmargin.volume import LabelMask

PAD_VOXELS = 1
FEW = 50
"""Every so many of the tumor's border voxels are asked first: the others need not look farther than these find."""


def raw_minimum_mm(tumor: LabelMask, zone: LabelMask) -> float:
    """Smallest signed distance from the tumor's border voxels to the zone's border voxels, center to center.

    Parameters
    ----------
    tumor, zone : LabelMask
        On one grid, neither empty.

    Returns
    -------
    float
        In mm, positive where the border voxel lies inside the zone.

    Raises
    ------
    EmptyMaskError
        If a mask has no voxel.
    GeometryMismatchError
        If the grids differ.
    """
    if not tumor.geometry.same_grid_as(zone.geometry):
        raise GeometryMismatchError(
            Fault(
                code="GRID_MISMATCH",
                source="tumor and ablation zone",
                found="masks on different grids",
                expected="both on one grid",
                remedy="Resample one mask onto the grid of the other.",
            )
        )
    boxes = np.array([tumor.bounding_box(), zone.bounding_box()])
    start, stop = boxes[:, 0].min(axis=0), boxes[:, 1].max(axis=0)
    crop = tuple(slice(first, last) for first, last in zip(start, stop, strict=True))
    tumor_voxels, zone_voxels = (np.pad(mask.voxels[crop], PAD_VOXELS) for mask in (tumor, zone))
    spacing = np.array(tumor.geometry.spacing_mm)
    zone_border, _ = border_voxels(zone_voxels)
    tumor_border, _ = border_voxels(tumor_voxels)
    places, ablated = np.argwhere(tumor_border) * spacing, zone_voxels[tumor_border]
    tree = surface_tree(np.argwhere(zone_border) * spacing)
    if not ablated.all():
        return -float(np.max(tree.query(places[~ablated])[0]))
    some = float(np.min(tree.query(places[::FEW])[0]))
    return min(some, float(np.min(tree.query(places, distance_upper_bound=some)[0])))
