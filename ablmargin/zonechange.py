"""Whether the exam after ablation shows anything where the ablation zone is drawn."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ablmargin.case import Case
from ablmargin.errors import Caution
from ablmargin.geometry import Array, BoolArray, FloatArray, PointTransform
from ablmargin.hazards import ACCEPTABLE
from ablmargin.reasons import Reason, ReasonCode
from ablmargin.volume import LabelMask, Volume

CHANGED_HU = 10.0
"""Ablated tissue takes up no contrast agent: beside enhanced liver it is darker by more than this, or its gas or coagulum shows."""
UNCHANGED_HU = 3.0
"""Less is no change at all: two means over as many voxels as a zone has agree to this in one exam given twice."""
ENHANCED_HU = 85.0
"""Liver as bright as this has contrast agent in it; without any it has 40 to 70 HU."""
BORDER_MM, RING_MM = 2.0, 12.0
"""Tissue closer to the zone's border isn't compared; that around it is, up to this far."""
FEWEST_VOXELS = 100


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Tissue:
    """Where a zone and the liver around it lie after ablation, (n, 3) LPS mm each."""

    zone_mm: FloatArray
    around_mm: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class UnseenZones:
    """What is to know of zones that an exam doesn't show, and why no verdict can rest on them."""

    cautions: tuple[Caution, ...] = ()
    hindrances: tuple[Reason, ...] = ()


def unseen_zones(case: Case, pre_from_post: PointTransform, accepted: Collection[str] = ()) -> UnseenZones:
    """ABLATION_UNSEEN for each zone where the exam after ablation looks as the one before; no verdict where nothing changed.

    Compared is the mean brightness of the zone, without the tumor that lay there, with that of the liver around it; the
    difference before ablation is taken off. Nothing is said where the liver isn't enhanced after ablation, as a zone may then
    look like liver, where too little is left to compare, or where the exam before ablation doesn't show all of it.

    Parameters
    ----------
    accepted : collection of str
        With ABLATION_UNSEEN, a zone that doesn't show hinders no verdict.
    """
    found = [(zone.origin.name or "the ablation zone", _change_hu(case, zone, pre_from_post)) for zone in case.zones]
    unseen = [(name, change_hu) for name, change_hu in found if change_hu is not None and abs(change_hu) < CHANGED_HU]
    is_accepted = "ABLATION_UNSEEN" in accepted
    return UnseenZones(
        cautions=tuple(_caution(name, change_hu, is_accepted=is_accepted) for name, change_hu in unseen),
        hindrances=tuple(
            _unchanged(name, change_hu)
            for name, change_hu in unseen
            if abs(change_hu) < UNCHANGED_HU and not is_accepted
        ),
    )


def _unchanged(name: str, change_hu: float) -> Reason:
    sentence = f"{name}: the exam after ablation shows no change there ({change_hu:+.0f} HU): it may be the one before once more."
    return Reason(code=ReasonCode.ABLATION_UNSEEN, sentence=sentence)


def _caution(name: str, change_hu: float, *, is_accepted: bool) -> Caution:
    message = (
        f"{name}: the exam after ablation shows hardly any change there ({change_hu:+.0f} HU beside the liver around it): "
        "is it the right exam, and the zone at its place?"
    )
    if is_accepted:
        message = f"accepted on purpose: {message}"
    elif abs(change_hu) < UNCHANGED_HU:
        message += f" With --accept ABLATION_UNSEEN, {ACCEPTABLE['ABLATION_UNSEEN']}."
    return Caution(code="ABLATION_UNSEEN", message=message)


def _change_hu(case: Case, zone: LabelMask, pre_from_post: PointTransform) -> float | None:
    tissue = _tissue(case, zone)
    places = [_outside_tumors(case, points, pre_from_post) for points in (tissue.zone_mm, tissue.around_mm)]
    if min(len(points) for points in places) < FEWEST_VOXELS:
        return None
    after = [_mean_hu(case.post.volume, points) for points in places]
    before = [_mean_hu(case.pre.volume, pre_from_post.map_points(points)) for points in places]
    if after[1] < ENHANCED_HU:
        return None
    return (after[0] - after[1]) - (before[0] - before[1])


def _tissue(case: Case, zone: LabelMask) -> _Tissue:
    box = zone.bounding_box(pad_mm=RING_MM + BORDER_MM)
    part, all_zones = zone.cropped(*box), case.ablated.cropped(*box)
    spacing = part.geometry.spacing_mm
    inside = ndimage.distance_transform_edt(part.voxels, spacing) > BORDER_MM
    beside_mm = ndimage.distance_transform_edt(~all_zones.voxels, spacing)
    around = (beside_mm > BORDER_MM) & (beside_mm <= RING_MM)
    if case.post.liver is not None:
        liver = case.post.liver.cropped(*box).voxels
        around &= ndimage.distance_transform_edt(liver, spacing) > BORDER_MM
    return _Tissue(
        zone_mm=part.geometry.points_at(np.argwhere(inside)), around_mm=part.geometry.points_at(np.argwhere(around))
    )


def _outside_tumors(case: Case, points_mm: FloatArray, pre_from_post: PointTransform) -> FloatArray:
    before_mm = pre_from_post.map_points(points_mm)
    is_tumor = np.zeros(len(points_mm), bool)
    for lesion in case.lesions:
        is_tumor |= _within(lesion.tumor, before_mm)
    return points_mm[~is_tumor]


def _within(mask: LabelMask, points_mm: FloatArray) -> BoolArray:
    """Whether points lie in a mask or closer to it than BORDER_MM."""
    part = mask.cropped(*mask.bounding_box(pad_mm=2 * BORDER_MM))
    away_mm = ndimage.distance_transform_edt(~part.voxels, part.geometry.spacing_mm)
    return np.asarray(_at(away_mm, part.geometry.indices_at(points_mm), beyond=np.inf) <= BORDER_MM)


def _mean_hu(volume: Volume, points_mm: FloatArray) -> float:
    return float(_at(volume.voxels_hu, volume.geometry.indices_at(points_mm), beyond=np.nan).mean())


def _at(values: Array, index: FloatArray, *, beyond: float) -> FloatArray:
    """Values at the voxels next to fractional indices (n, 3); ``beyond`` outside."""
    nearest = np.rint(index).astype(int)
    is_in = ((nearest >= 0) & (nearest < values.shape)).all(axis=1)
    found = np.full(len(index), beyond)
    found[is_in] = values[tuple(nearest[is_in].T)]
    return found
