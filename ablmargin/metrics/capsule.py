"""What the liver capsule allows: a tumor beneath it can't get a full margin on that side."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ablmargin.metrics.depth import MIN_SLACK_MM
from ablmargin.metrics.margin import MarginResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Capsule:
    """How much the capsule matters for one tumor and one required margin.

    Parameters
    ----------
    subcapsular : bool
        Whether any point of the tumor lies less deep than the required margin.
    depth_limited_share : float
        Share of the tumor's surface that does, 0..1.
    shortfall_mm : float
        How much margin is missing at the worst point of what was required and the anatomy allowed; 0 if nothing.
    excused_mm : float
        How far tumor that counts as ablated at the capsule may yet reach out of the zone, as the voxels can't tell: what
        is seen, and what the capsule's place between them is in doubt.
    outside_share : float
        Share of the tumor's surface that lies outside of the liver by more than masks of one capsule disagree, 0..1.
    """

    subcapsular: bool
    depth_limited_share: float
    shortfall_mm: float
    excused_mm: float = 0.0
    outside_share: float = 0.0


def measure_capsule(margin: MarginResult, *, required_mm: float) -> Capsule:
    """Compare margins with what the depth of each point allows; without a liver everything is allowed.

    Examples
    --------
    >>> measure_capsule(MarginResult.from_distances([3, 6], area_mm2=[1, 1]), required_mm=5)
    Capsule(subcapsular=False, depth_limited_share=0.0, shortfall_mm=2.0, excused_mm=0.0, outside_share=0.0)
    """
    depth = np.full(len(margin.margin_mm), np.inf) if margin.depth_mm is None else margin.depth_mm
    shallow = depth < required_mm
    reached = margin.margin_mm if margin.constrained_mm is None else margin.constrained_mm
    missing = np.minimum(required_mm, np.maximum(depth, 0.0)) - reached
    return Capsule(
        subcapsular=bool(shallow.any()),
        depth_limited_share=float(margin.area_mm2[shallow].sum() / margin.area_mm2.sum()),
        shortfall_mm=float(max(missing.max(), 0.0)),
        excused_mm=margin.excused_mm,
        outside_share=float(margin.area_mm2[depth < -MIN_SLACK_MM].sum() / margin.area_mm2.sum()),
    )
