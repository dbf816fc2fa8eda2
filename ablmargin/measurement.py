"""One lesion, from surfaces in one frame to a judged margin."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite, sqrt

from ablmargin.case import Lesion, RasMutation
from ablmargin.clinical.criteria import REQUIRED_MARGIN_MM, THRESHOLDS_MM, Measured, judge
from ablmargin.geometry import Geometry, PointTransform
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

NOT_SEEN = "Part of the tumor lies outside of the exam after ablation, where nobody knows what was ablated."


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Target:
    """What every tumor of a case is measured against: the union of the zones, and the liver around it.

    ``imaged`` is the grid of the exam after ablation, where there is one: what lies outside of it wasn't seen.
    """

    ablated: LabelMask
    zone: Surface
    liver: LabelMask | None
    imaged: Geometry | None

    @classmethod
    def of(cls, ablated: LabelMask, liver: LabelMask | None, *, imaged: Geometry | None = None) -> Target:
        """Make the zone's surface once for all lesions."""
        return cls(ablated=ablated, zone=surface_of(ablated), liver=liver, imaged=imaged)


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
    capsules = {threshold: _capsule(margin, target, threshold) for threshold in THRESHOLDS_MM}
    constrained = {threshold: _is_constrained(margin, capsule) for threshold, capsule in capsules.items()}
    bounds = {kind: _bounds(lesion, margin, target, error, rule, constrained=kind) for kind in {*constrained.values()}}
    measured = {threshold: _measured(margin, bounds[kind], constrained=kind) for threshold, kind in constrained.items()}
    required = REQUIRED_MARGIN_MM[rule.ras_mutation]
    seen = target.imaged is None or bool(target.imaged.contains(moved.vertices_mm).all())
    return LesionResult(
        lesion_id=lesion.lesion_id,
        tumor_volume_ml=tumor.volume_ml,
        ablation_volume_ml=target.zone.volume_ml * share_of_zones_near(target.ablated, moved),
        tumor_pre=tumor,
        tumor_post=moved,
        margin=margin,
        raw_minimum_mm=_raw_minimum_mm(lesion, moved, target, in_place=post_from_pre is None) if seen else None,
        rigid_minimum_mm=_rigid_minimum_mm(tumor, rigid_post_from_pre, target),
        bounds=bounds[constrained[required]],
        capsule=capsules[required],
        coverage=measure_coverage(moved, target.zone, liver=target.liver),
        judgement=judge(
            measured, rule.ras_mutation, hindrances=rule.hindrances if seen else (*rule.hindrances, NOT_SEEN)
        ),
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


def _capsule(margin: MarginResult, target: Target, required_mm: float) -> Capsule | None:
    return None if target.liver is None else measure_capsule(margin, required_mm=required_mm)


def _is_constrained(margin: MarginResult, capsule: Capsule | None) -> bool:
    return capsule is not None and capsule.subcapsular and margin.constrained_mm is not None


def _bounds(
    lesion: Lesion, margin: MarginResult, target: Target, error: LocalError | None, rule: Rule, *, constrained: bool
) -> MarginBounds | None:
    if error is None or not isfinite(error.sd_mm):
        return None
    coarsest_mm = max(lesion.tumor.coarsest_spacing_mm, target.ablated.coarsest_spacing_mm)
    return bound_margin(
        margin,
        target.zone,
        sd_mm=error.sd_mm,
        correlation_length_mm=error.correlation_length_mm,
        sampling_error_mm=sampling_error_p95_mm(coarsest_mm),
        segmentation_sd_mm=rule.contour_sd_mm * sqrt(2.0),  # two contours, the tumor's and the zone's
        seed=rule.seed,
        constrained=constrained,
    )


def _measured(margin: MarginResult, bounds: MarginBounds | None, *, constrained: bool) -> Measured:
    minimum_mm = margin.constrained_minimum_mm if constrained else margin.minimum_mm
    assert minimum_mm is not None
    return Measured(
        minimum_mm=minimum_mm,
        lower_mm=None if bounds is None else bounds.lower_mm,
        upper_mm=None if bounds is None else bounds.upper_mm,
    )
