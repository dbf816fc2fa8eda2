"""What the liver capsule allows: a tumor beneath it can't get a full margin on that side."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ablmargin.geometry import FloatArray
from ablmargin.metrics.depth import DEEPEST_MM, MIN_SLACK_MM, LiverDepth
from ablmargin.metrics.margin import LEAST_DOUBT_MM, MarginResult
from ablmargin.metrics.residual import DRAWN_MM, FreeBorder
from ablmargin.metrics.surface import Surface

STEPLESS_MM = 8.0
"""Where a mask has no step so far to all sides, the capsule between its voxels is known to half of one only."""


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
    shortfall_doubt_mm : float
        How much ``shortfall_mm`` changes if the capsule lies elsewhere between the same voxels; 0 where they tell its place
        to ``LEAST_DOUBT_MM``.
    """

    subcapsular: bool
    depth_limited_share: float
    shortfall_mm: float
    excused_mm: float = 0.0
    outside_share: float = 0.0
    shortfall_doubt_mm: float = 0.0


def measure_capsule(
    margin: MarginResult, *, required_mm: float, zone: Surface | None = None, depth: LiverDepth | None = None
) -> Capsule:
    """Compare margins with what the depth of each point allows; without a liver everything is allowed.

    Parameters
    ----------
    margin : MarginResult
    required_mm : float
    zone : Surface, optional
    depth : LiverDepth, optional
        What the margin was measured with; without them the shortfall's doubt isn't told.

    Examples
    --------
    >>> capsule = measure_capsule(MarginResult.from_distances([3, 6], area_mm2=[1, 1]), required_mm=5)
    >>> capsule.subcapsular, capsule.shortfall_mm
    (False, 2.0)
    """
    below = np.full(len(margin.margin_mm), np.inf) if margin.depth_mm is None else margin.depth_mm
    shallow = below < required_mm
    reached = margin.margin_mm if margin.constrained_mm is None else margin.constrained_mm
    missing = _missing_mm(below, reached, required_mm)
    return Capsule(
        subcapsular=bool(shallow.any()),
        depth_limited_share=float(margin.area_mm2[shallow].sum() / margin.area_mm2.sum()),
        shortfall_mm=float(max(missing.max(), 0.0)),
        excused_mm=margin.excused_mm,
        outside_share=float(margin.area_mm2[below < -MIN_SLACK_MM].sum() / margin.area_mm2.sum()),
        shortfall_doubt_mm=(
            0.0 if zone is None or depth is None else _shortfall_doubt_mm(margin, missing, zone, depth, required_mm)
        ),
    )


def _missing_mm(depth_mm: FloatArray, reached_mm: FloatArray, required_mm: float) -> FloatArray:
    """Of what is required and the depth allows; shape (n,), negative where there is more."""
    return np.asarray(np.minimum(required_mm, np.maximum(depth_mm, 0.0)) - reached_mm)


def _shortfall_doubt_mm(
    margin: MarginResult, missing_mm: FloatArray, zone: Surface, depth: LiverDepth, required_mm: float
) -> float:
    """How much the shortfall changes if the capsule above the worst point is shifted as far as the voxels there allow."""
    worst = margin.points_mm[[missing_mm.argmax()]]
    below_mm = float(depth.at(worst)[0])
    if below_mm >= DEEPEST_MM:
        return 0.0
    doubt_mm = float(depth.doubt_at(worst, within_mm=float(np.hypot(below_mm, STEPLESS_MM)))[0])
    if doubt_mm < LEAST_DOUBT_MM:
        return 0.0
    shifts_mm = (doubt_mm + DRAWN_MM, -doubt_mm - DRAWN_MM)
    others = [_shortfall_mm(margin, zone, depth.shifted(shift_mm), required_mm) for shift_mm in shifts_mm]
    return float(np.abs(np.array(others) - max(missing_mm.max(), 0.0)).max())


def _shortfall_mm(margin: MarginResult, zone: Surface, depth: LiverDepth, required_mm: float) -> float:
    border, reached = FreeBorder.of(zone, depth), margin.margin_mm
    if border.inside_liver.any():
        reached, _ = border.margins_mm(margin.points_mm, margin.margin_mm)
    return max(float(_missing_mm(depth.at(margin.points_mm), reached, required_mm).max()), 0.0)
