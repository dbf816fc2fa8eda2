"""One lesion, from surfaces in one frame to a judged margin."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite, sqrt

from ablmargin.case import Lesion, RasMutation
from ablmargin.clinical.criteria import REQUIRED_MARGIN_MM, Judgement, Measured, judge
from ablmargin.geometry import PointTransform
from ablmargin.metrics.capsule import Capsule, measure_capsule
from ablmargin.metrics.coverage import measure_coverage
from ablmargin.metrics.distance import voxelize
from ablmargin.metrics.margin import MarginResult, measure_margin
from ablmargin.metrics.raw import raw_minimum_mm
from ablmargin.metrics.surface import Surface, surface_of
from ablmargin.metrics.uncertainty import MarginBounds, bound_margin, sampling_error_p95_mm
from ablmargin.metrics.zones import share_of_zones_near
from ablmargin.registration.local_error import LocalError
from ablmargin.result import LesionResult
from ablmargin.volume import LabelMask, Structure


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Target:
    """What every tumor of a case is measured against: the union of the zones, and the liver around it."""

    ablated: LabelMask
    zone: Surface
    liver: LabelMask | None

    @classmethod
    def of(cls, ablated: LabelMask, liver: LabelMask | None) -> Target:
        """Make the zone's surface once for all lesions."""
        return cls(ablated=ablated, zone=surface_of(ablated), liver=liver)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What a margin is judged by, and with how much doubt.

    ``contour_sd_mm`` is the standard deviation of one drawn contour. ``hindrances`` are reasons, as sentences, why these
    images or masks can't carry a verdict.
    """

    ras_mutation: RasMutation
    contour_sd_mm: float
    hindrances: tuple[str, ...] = ()
    seed: int = 0


def measure_lesion(
    lesion: Lesion,
    tumor: Surface,
    target: Target,
    rule: Rule,
    *,
    error: LocalError | None,
    post_from_pre: PointTransform | None = None,
    rigid_post_from_pre: PointTransform | None = None,
) -> LesionResult:
    """Measure and judge one tumor.

    Parameters
    ----------
    lesion : Lesion
    tumor : Surface
        Of the lesion's mask, in the mask's own frame.
    target : Target
        In the frame of the exam after ablation.
    rule : Rule
    error : LocalError or None
        Of ``post_from_pre`` at this tumor. None or not finite: not known, so the margin gets no bounds.
    post_from_pre, rigid_post_from_pre : PointTransform, optional
        Both absent: tumor and target share one frame.
    """
    moved = _moved(tumor, post_from_pre, target)
    margin = measure_margin(moved, target.zone, liver=target.liver)
    capsule = (
        None if target.liver is None else measure_capsule(margin, required_mm=REQUIRED_MARGIN_MM[rule.ras_mutation])
    )
    constrained = _is_constrained(margin, capsule)
    bounds = (
        None
        if error is None or not isfinite(error.sd_mm)
        else _bounds(lesion, margin, target, error, rule, constrained=constrained)
    )
    return LesionResult(
        lesion_id=lesion.lesion_id,
        tumor_volume_ml=tumor.volume_ml,
        ablation_volume_ml=target.zone.volume_ml * share_of_zones_near(target.ablated, moved),
        tumor_pre=tumor,
        tumor_post=moved,
        margin=margin,
        raw_minimum_mm=_raw_minimum_mm(lesion, moved, target, in_place=post_from_pre is None),
        rigid_minimum_mm=_rigid_minimum_mm(tumor, rigid_post_from_pre, target),
        bounds=bounds,
        capsule=capsule,
        coverage=measure_coverage(moved, target.zone, liver=target.liver),
        judgement=_judgement(margin, bounds, rule, constrained=constrained),
    )


def _moved(tumor: Surface, transform: PointTransform | None, target: Target) -> Surface:
    return tumor if transform is None else tumor.moved(transform, frame_uid=target.zone.frame_uid)


def _rigid_minimum_mm(tumor: Surface, rigid: PointTransform | None, target: Target) -> float | None:
    if rigid is None:
        return None
    return measure_margin(_moved(tumor, rigid, target), target.zone).minimum_mm


def _raw_minimum_mm(lesion: Lesion, moved: Surface, target: Target, *, in_place: bool) -> float | None:
    """From voxel to voxel on the zone's grid; None where the tumor, moved there, holds no voxel center."""
    tumor, grid = lesion.tumor, target.ablated.geometry
    if not (in_place and tumor.geometry.same_grid_as(grid)):
        tumor = LabelMask(voxels=voxelize(moved, grid), geometry=grid, structure=Structure.TUMOR, origin=tumor.origin)
    return None if tumor.is_empty else raw_minimum_mm(tumor, target.ablated)


def _is_constrained(margin: MarginResult, capsule: Capsule | None) -> bool:
    return capsule is not None and capsule.subcapsular and margin.constrained_minimum_mm is not None


def _bounds(
    lesion: Lesion, margin: MarginResult, target: Target, error: LocalError, rule: Rule, *, constrained: bool
) -> MarginBounds:
    thickest_mm = max(*lesion.tumor.geometry.spacing_mm, *target.ablated.geometry.spacing_mm)
    return bound_margin(
        margin,
        target.zone,
        sd_mm=error.sd_mm,
        correlation_length_mm=error.correlation_length_mm,
        sampling_error_mm=sampling_error_p95_mm(thickest_mm),
        segmentation_sd_mm=rule.contour_sd_mm * sqrt(2.0),  # two contours, the tumor's and the zone's
        seed=rule.seed,
        constrained=constrained,
    )


def _judgement(margin: MarginResult, bounds: MarginBounds | None, rule: Rule, *, constrained: bool) -> Judgement:
    constrained_mm = margin.constrained_minimum_mm if constrained else None
    measured = Measured(
        minimum_mm=margin.minimum_mm if constrained_mm is None else constrained_mm,
        lower_mm=None if bounds is None else bounds.lower_mm,
        upper_mm=None if bounds is None else bounds.upper_mm,
    )
    return judge(measured, rule.ras_mutation, hindrances=rule.hindrances)
