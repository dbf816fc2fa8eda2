"""What tumors are measured against, and what their margins are judged by."""

from __future__ import annotations

from dataclasses import dataclass
from math import hypot

from ablmargin.case import RasMutation
from ablmargin.geometry import FloatArray, Geometry
from ablmargin.metrics.shapes import taken_in_mm
from ablmargin.metrics.surface import Surface, surface_of
from ablmargin.reasons import Reason
from ablmargin.volume import LabelMask


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Target:
    """What every tumor of a case is measured against: the union of the zones, and the liver around it.

    ``imaged`` is the grid of the exam after ablation, where there is one: what lies outside of it wasn't seen.
    ``untreated_mm``, shape (n, 3), are centers of voxels that weren't ablated, though the zone's surface takes them in.
    """

    ablated: LabelMask
    zone: Surface
    untreated_mm: FloatArray
    liver: LabelMask | None
    imaged: Geometry | None

    @classmethod
    def of(cls, ablated: LabelMask, liver: LabelMask | None, *, imaged: Geometry | None = None) -> Target:
        """Make the zone's surface once for all lesions."""
        zone = surface_of(ablated)
        return cls(ablated=ablated, zone=zone, untreated_mm=taken_in_mm(ablated, zone), liver=liver, imaged=imaged)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What a margin is judged by, and with how much doubt.

    ``contour_sd_mm`` is the standard deviation of one drawn contour; a mask whose origin tells a larger one has that.
    ``hindrances`` are the reasons why these images or masks can't carry a verdict.
    """

    ras_mutation: RasMutation
    contour_sd_mm: float
    hindrances: tuple[Reason, ...] = ()
    seed: int = 0

    def contours_sd_mm(self, *masks: LabelMask) -> float:
        """Of independent contours together, as the tumor's and the zone's."""
        return hypot(*(max(self.contour_sd_mm, mask.origin.contour_sd_mm or 0.0) for mask in masks))
