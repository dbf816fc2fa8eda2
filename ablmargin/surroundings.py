"""Where a measured tumor lies in the liver: its segments, and the next vessel that may have cooled it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from ablmargin.case import Anatomy, Lesion
from ablmargin.clinical.couinaud import largest_first
from ablmargin.errors import Caution
from ablmargin.geometry import FloatArray, PointTransform
from ablmargin.metrics.territories import territories
from ablmargin.metrics.vessels import WIDE_MM, NearestVessel, nearest_vessel
from ablmargin.result import LesionResult, SegmentShares, Surroundings, VesselFinding

NEAR_MM = 5.0
"""A tumor closer to a wide vessel than this counts as lying at it, as in Huang 2014 (Eur J Radiol 83:552-558)."""

FACING_DEG = 30.0
"""A thinnest place and a vessel are on the same side if their directions from the tumor's center differ by less."""


def with_surroundings(
    lesions: Sequence[Lesion],
    results: Sequence[LesionResult],
    anatomy: Anatomy | None,
    *,
    post_from_pre: PointTransform | None,
) -> list[LesionResult]:
    """Results that also tell where their tumors lie; nothing that was measured changes.

    Parameters
    ----------
    lesions, results : sequences of Lesion and LesionResult
        Of the same tumors in the same order.
    anatomy : Anatomy or None
        In the frame of the tumors before ablation. None leaves the results as they are.
    post_from_pre : PointTransform or None
        None where tumors and zones share one frame.
    """
    if anatomy is None:
        return list(results)
    return [_located(lesion, result, anatomy, post_from_pre) for lesion, result in zip(lesions, results, strict=True)]


def _located(
    lesion: Lesion, result: LesionResult, anatomy: Anatomy, post_from_pre: PointTransform | None
) -> LesionResult:
    shares = None
    if anatomy.segments:
        found = territories(lesion.tumor, list(anatomy.segments.values()))
        shares = SegmentShares(told=largest_first(list(anatomy.segments), found.shares), outside=found.outside)
    vessel = None
    if anatomy.vessels is not None:
        nearest = nearest_vessel(result.tumor_pre, anatomy.vessels)
        vessel = VesselFinding() if nearest is None else _finding(result, nearest, post_from_pre)
    return replace(result, surroundings=Surroundings(segments=shares, vessel=vessel))


def vessel_cautions(results: Iterable[LesionResult]) -> tuple[Caution, ...]:
    """A word on each tumor that lies at a wide vessel (VESSEL_NEAR)."""
    return tuple(
        Caution(code="VESSEL_NEAR", message=f"tumor {result.lesion_id}: {_how_near(distance_mm)}; {_HEAT_SINK}")
        for result in results
        if (distance_mm := _distance_mm(result)) is not None and distance_mm < NEAR_MM
    )


_HEAT_SINK = "blood that flows there takes heat away and may have kept tissue beside it alive"


def _how_near(distance_mm: float) -> str:
    if distance_mm <= 0:
        return f"a vessel of {WIDE_MM:g} mm or more reaches it"
    return f"a vessel of {WIDE_MM:g} mm or more is {distance_mm:.1f} mm from it"


def _distance_mm(result: LesionResult) -> float | None:
    vessel = None if result.surroundings is None else result.surroundings.vessel
    return None if vessel is None else vessel.distance_mm


def _finding(result: LesionResult, nearest: NearestVessel, post_from_pre: PointTransform | None) -> VesselFinding:
    place_mm = result.tumor_pre.vertices_mm[result.judged_index]
    point_mm = nearest.point_mm
    after_mm = point_mm if post_from_pre is None else post_from_pre.map_points(point_mm[None])[0]
    from_thinnest_mm = nearest.distance_from_mm(place_mm)
    is_needed = nearest.distance_mm <= result.judgement.required_margin_mm
    return VesselFinding(
        distance_mm=nearest.distance_mm,
        pre_mm=point_mm,
        post_mm=np.asarray(after_mm),
        from_thinnest_mm=from_thinnest_mm,
        at_thinnest=from_thinnest_mm <= NEAR_MM or (is_needed and _angle_deg(result, place_mm, point_mm) <= FACING_DEG),
    )


def _angle_deg(result: LesionResult, first_mm: FloatArray, second_mm: FloatArray) -> float:
    """Between the directions of two places from the center of the tumor's surface."""
    center = result.tumor_pre.vertices_mm.mean(axis=0)
    first, second = first_mm - center, second_mm - center
    lengths = float(np.linalg.norm(first) * np.linalg.norm(second))
    return float(np.degrees(np.arccos(np.clip(first @ second / max(lengths, 1e-9), -1.0, 1.0))))
