"""The method that an established tool publishes, beside which our figures are told.

"QAM's published method": the border of a mask is the mask without its erosion by face neighbors. A Euclidean distance map
to the zone's border voxels, positive inside the zone and negative outside, is read at the tumor's border voxels, each of
which counts the same. Written anew from that description, and only for shapes far from a liver capsule.

References
----------
Sandu et al., Volumetric Quantitative Ablation Margins for Assessment of Ablation Completeness in Thermal Ablation of
Liver Tumors, Front Oncol 2021, doi:10.3389/fonc.2021.623098
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from ablmargin.geometry import BoolArray
from ablmargin.metrics.margin import MarginResult
from ablmargin.volume import LabelMask


def qam_margin(tumor: LabelMask, zone: LabelMask) -> MarginResult:
    """Margins at the tumor's border voxels, all with the same area.

    Parameters
    ----------
    tumor, zone : LabelMask
        On one grid, neither empty.

    Returns
    -------
    MarginResult
        A point a border voxel. The areas are 1 each: voxels, not mm².
    """
    border = _border(tumor.voxels)
    away = ndimage.distance_transform_edt(~_border(zone.voxels), sampling=zone.geometry.spacing_mm)
    signed = np.where(zone.voxels, away, -away)[border]
    return MarginResult(
        points_mm=tumor.geometry.points_at(np.argwhere(border)), margin_mm=signed, area_mm2=np.ones(len(signed))
    )


def _border(voxels: BoolArray) -> BoolArray:
    return voxels ^ np.asarray(ndimage.binary_erosion(voxels))
