"""What whoever reads a result must know of the shapes of its masks, in words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations

import numpy as np

from ablmargin.case import Lesion
from ablmargin.clinical.criteria import COARSE_SLICES_MM
from ablmargin.errors import Caution
from ablmargin.metrics.distance import signed_distances_mm
from ablmargin.metrics.evidence import disagrees_with_raw, is_contradicted
from ablmargin.metrics.shapes import extent_of, part_volumes_ml, without_cavities
from ablmargin.metrics.surface import Surface
from ablmargin.reasons import Reason, ReasonCode
from ablmargin.result import LesionResult
from ablmargin.volume import LabelMask, Structure

NOTABLE_CHANGE_MM = 0.05
"""A minimum margin that filled cavities would change by less is the same when told to a tenth of a millimeter."""

SHOWN_PARTS = 3

SAME_TUMOR_SHARE = 0.5
"""Of the smaller one's voxels, that two tumors share if they are probably one."""

_CALLED = {Structure.TUMOR: "tumor", Structure.ABLATION_ZONE: "ablation zone"}
_NOT_REVIEWED = {
    Structure.TUMOR: ReasonCode.TUMOR_NOT_REVIEWED,
    Structure.ABLATION_ZONE: ReasonCode.ZONE_NOT_REVIEWED,
}


def not_reviewed(masks: Iterable[LabelMask]) -> tuple[Reason, ...]:
    """Why no verdict can rest on masks that nobody vouches for."""
    return tuple(dict.fromkeys(_proposal(mask) for mask in masks if not mask.origin.reviewed))


def _proposal(mask: LabelMask) -> Reason:
    sentence = (
        f"The {_CALLED[mask.structure]} was outlined by the software ({mask.origin.method}"
        f"{', edited since' if mask.origin.edited else ''}) and not reviewed: if its outline is right, say so with --reviewed."
    )
    return Reason(code=_NOT_REVIEWED[mask.structure], sentence=sentence)


def coarse_slices(masks: Sequence[LabelMask], *, slices_mm: Iterable[float] = ()) -> tuple[Reason, ...]:
    """Why no verdict can rest on masks or images with slices this far apart."""
    thickest = max([*slices_mm, *(mask.coarsest_spacing_mm for mask in masks)])
    if thickest < COARSE_SLICES_MM:
        return ()
    sentence = f"With slices of {thickest:.1f} mm a margin can't be told to within the thresholds of 5 and 10 mm."
    return (Reason(code=ReasonCode.GEOM_COARSE, sentence=sentence),)


def too_small(mask: LabelMask) -> Reason | None:
    """Why a mask has too few voxels to tell its surface; None if it has enough."""
    size = _tiny_size(mask)
    if size is None:
        return None
    return Reason(code=ReasonCode.MASK_TINY, sentence=f"The {mask.structure} mask has only {size}.")


def shape_cautions(lesions: Iterable[Lesion], zones: Sequence[LabelMask]) -> tuple[Caution, ...]:
    """A word on masks that are tiny (MASK_TINY), in parts (TUMOR_HAS_PARTS, ZONE_HAS_PARTS) or given twice (TUMORS_OVERLAP)."""
    known = tuple(lesions)
    masks = [*(lesion.tumor for lesion in known), *zones]
    return (*_tiny(masks), *_loose(masks), *_twice(known))


def finding_cautions(
    lesions: Sequence[Lesion],
    results: Sequence[LesionResult],
    ablated: LabelMask,
    zone: Surface,
) -> tuple[Caution, ...]:
    """A word on what makes a measured margin doubtful.

    Parameters
    ----------
    lesions, results : sequences of Lesion and LesionResult
        Of the same tumors in the same order.
    ablated : LabelMask
        All ablation zones together.
    zone : Surface
        Theirs.

    Returns
    -------
    tuple of Caution
        VOXELS_CLOSER, RAW_DISAGREES, ZONE_HAS_CAVITY and ZONE_NOT_AT_TUMOR, as far as they apply.
    """
    pairs = zip(lesions, results, strict=True)
    doubts = [
        doubt
        for lesion, result in pairs
        for doubt in (
            _contradicted(result),
            _disagreeing(result, max(lesion.tumor.coarsest_spacing_mm, ablated.coarsest_spacing_mm)),
        )
    ]
    return (*(doubt for doubt in doubts if doubt), *_cavities(results, zone), *_untouched(results))


def _disagreeing(result: LesionResult, coarsest_mm: float) -> Caution | None:
    """A word on a minimum margin that lies farther from the one from voxel to voxel than sampling explains."""
    raw_mm, minimum_mm = result.raw_minimum_mm, result.margin.minimum_mm
    if raw_mm is None or not disagrees_with_raw(minimum_mm, raw_mm, coarsest_mm):
        return None
    message = (
        f"tumor {result.lesion_id}: the minimum margin of the smooth surfaces, {minimum_mm:.1f} mm, and that from voxel to "
        f"voxel, {raw_mm:.1f} mm, lie farther apart than slices of {coarsest_mm:.1f} mm explain: look at the outlines there"
    )
    return Caution(code="RAW_DISAGREES", message=message)


def _cavities(results: Iterable[LesionResult], zone: Surface) -> tuple[Caution, ...]:
    """What the margins would be without cavities in the zone: gas, or vessels, that a reader may have meant as ablated."""
    filled, cavities_ml = without_cavities(zone)
    if not cavities_ml:
        return ()
    changes = [change for result in results if (change := _change(result, filled)) is not None]
    effect = "; with them filled, " + ", ".join(changes) if changes else "; no minimum margin depends on them"
    message = (
        f"the ablation zone encloses {_counted(len(cavities_ml), 'cavity', 'cavities')} ({_listed(cavities_ml)} ml) that "
        f"count as not ablated{effect}"
    )
    return (Caution(code="ZONE_HAS_CAVITY", message=message),)


def _untouched(results: Iterable[LesionResult]) -> tuple[Caution, ...]:
    """A word on each tumor that no zone touches: it was missed, or the masks don't belong together."""
    return tuple(
        Caution(
            code="ZONE_NOT_AT_TUMOR",
            message=f"no ablation zone touches tumor {result.lesion_id}: it was not treated, or the outlines or the order "
            "of the exams are mixed up",
        )
        for result in results
        if result.margin.margin_mm.max() < 0
    )


def _contradicted(result: LesionResult) -> Caution | None:
    """A word on a minimum margin that voxels contradict."""
    closest_mm, minimum_mm = result.closest_voxel_mm, result.margin.minimum_mm
    if closest_mm is None or not is_contradicted(minimum_mm, closest_mm):
        return None
    message = (
        f"tumor {result.lesion_id}: single voxels leave a margin of {closest_mm:.1f} mm at most, where the smooth surfaces "
        f"have {minimum_mm:.1f} mm: a part of the tumor or a notch in the ablation zone is thinner than they can follow"
    )
    return Caution(code="VOXELS_CLOSER", message=message)


def _twice(lesions: Sequence[Lesion]) -> Iterator[Caution]:
    """A word on each two tumors of which one holds half of the other or more."""
    for one, other in combinations(lesions, 2):
        first, second = one.tumor, other.tumor
        if not first.geometry.same_grid_as(second.geometry):
            continue
        shared = np.count_nonzero(first.voxels & second.voxels)
        if shared >= SAME_TUMOR_SHARE * min(np.count_nonzero(first.voxels), np.count_nonzero(second.voxels)):
            message = (
                f"tumors {one.lesion_id} and {other.lesion_id} lie on each other: each is measured and judged by itself; if "
                "they are one, give it once"
            )
            yield Caution(code="TUMORS_OVERLAP", message=message)


def _tiny(masks: Iterable[LabelMask]) -> Iterator[Caution]:
    for mask in masks:
        size = _tiny_size(mask)
        if size is not None:
            yield Caution(code="MASK_TINY", message=f"{_name(mask)} has only {size}")


def _tiny_size(mask: LabelMask) -> str | None:
    extent = extent_of(mask)
    if not extent.is_tiny:
        return None
    voxels, across = _counted(extent.voxels, "voxel"), extent.across
    return f"{voxels}, {across} across where it is thinnest: too few to tell its surface"


def _loose(masks: Iterable[LabelMask]) -> Iterator[Caution]:
    for mask in masks:
        parts_ml = part_volumes_ml(mask)
        if len(parts_ml) > 1:
            is_zone = mask.structure is Structure.ABLATION_ZONE
            meaning = (
                "each counts as ablated" if is_zone else "each must be ablated, so a stray voxel decides the margin"
            )
            message = f"{_name(mask)} has {len(parts_ml)} parts that don't touch ({_listed(parts_ml)} ml); {meaning}"
            yield Caution(code="ZONE_HAS_PARTS" if is_zone else "TUMOR_HAS_PARTS", message=message)


def _change(result: LesionResult, filled: Surface) -> str | None:
    counted_mm = result.margin.minimum_mm
    filled_mm = float(signed_distances_mm(filled, result.margin.points_mm).min())
    if abs(filled_mm - counted_mm) < NOTABLE_CHANGE_MM:
        return None
    return f"the minimum margin of tumor {result.lesion_id} would be {filled_mm:.1f} mm instead of {counted_mm:.1f} mm"


def _listed(volumes_ml: Sequence[float]) -> str:
    shown = ", ".join(f"{volume:.2g}" if volume < 1 else f"{volume:.1f}" for volume in volumes_ml[:SHOWN_PARTS])
    return shown + (", ..." if len(volumes_ml) > SHOWN_PARTS else "")


def _counted(count: int, one: str, many: str = "") -> str:
    return f"{count} {one if count == 1 else many or one + 's'}"


def _name(mask: LabelMask) -> str:
    return mask.origin.name or f"the {mask.structure} mask"
