"""One lesion, from surfaces in one frame to a judged margin."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf, isfinite

from ablmargin.case import Lesion
from ablmargin.clinical.criteria import REQUIRED_MARGIN_MM, THRESHOLDS_MM, Judgement, Measured, judge
from ablmargin.geometry import FloatArray, PointTransform
from ablmargin.hindrances import hindrances_of, is_constrained
from ablmargin.metrics.capsule import Capsule, measure_capsule
from ablmargin.metrics.completion import Completion, propose_completion
from ablmargin.metrics.coverage import measure_coverage
from ablmargin.metrics.depth import LiverDepth
from ablmargin.metrics.distance import voxelize
from ablmargin.metrics.evidence import closest_voxel_mm, most_allowed_mm
from ablmargin.metrics.margin import MarginResult, measure_margin
from ablmargin.metrics.raw import raw_minimum_mm
from ablmargin.metrics.spreads import margin_sds_mm
from ablmargin.metrics.surface import Surface
from ablmargin.metrics.uncertainty import MarginBounds, bound_margin, sampling_error_p95_mm
from ablmargin.metrics.zones import share_of_zones_near
from ablmargin.reasons import Reason
from ablmargin.registration.local_error import LocalError
from ablmargin.result import LesionResult
from ablmargin.target import Rule, Target
from ablmargin.volume import LabelMask, Structure


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
    depth = _depth(moved, target)
    margin = measure_margin(moved, target.zone, depth=depth)
    capsules = {threshold: _capsule(margin, target, depth, threshold) for threshold in THRESHOLDS_MM}
    constrained = {threshold: is_constrained(margin, capsule) for threshold, capsule in capsules.items()}
    required = REQUIRED_MARGIN_MM[rule.ras_mutation]
    voxels = _voxels_say(lesion, (tumor, moved), target, transform=post_from_pre)
    most = most_allowed_mm(
        margin.minimum_mm, voxels.closest_mm, voxels.raw_mm, coarsest_mm=_coarsest_mm(lesion, target)
    )
    bounds = {
        kind: _bounds(lesion, margin, target, error, rule, constrained=kind, most_mm=inf if kind else most)
        for kind in {*constrained.values()}
    }
    return LesionResult(
        lesion_id=lesion.lesion_id,
        tumor_volume_ml=tumor.volume_ml,
        ablation_volume_ml=target.zone.volume_ml * share_of_zones_near(target.ablated, moved),
        tumor_pre=tumor,
        tumor_post=moved,
        margin=margin,
        raw_minimum_mm=voxels.raw_mm,
        closest_voxel_mm=voxels.closest_mm if isfinite(voxels.closest_mm) else None,
        rigid_minimum_mm=_rigid_minimum_mm(tumor, rigid_post_from_pre, target),
        bounds=bounds[constrained[required]],
        margin_sd_mm=_margin_sd_mm(lesion, margin, target, error, rule),
        capsule=capsules[required],
        coverage=measure_coverage(moved, target.zone, depth=depth),
        judgement=_judgement(
            margin,
            bounds,
            constrained,
            rule,
            hindrances=hindrances_of(rule, target, margin, seen=voxels.seen, capsule=capsules[required]),
        ),
        completion=(
            _completion(margin, moved, target, capsules[required], depth, required_mm=required) if voxels.seen else None
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Voxels:
    """What voxels say themselves: the minimum from voxel to voxel, the least that single ones leave, if all were seen."""

    seen: bool
    raw_mm: float | None
    closest_mm: float


def _voxels_say(
    lesion: Lesion, surfaces: tuple[Surface, Surface], target: Target, *, transform: PointTransform | None
) -> _Voxels:
    moved = surfaces[1]
    seen = target.imaged is None or bool(target.imaged.contains(moved.vertices_mm).all())
    return _Voxels(
        seen=seen,
        raw_mm=_raw_minimum_mm(lesion, moved, target, in_place=transform is None) if seen else None,
        closest_mm=closest_voxel_mm(
            lesion.tumor, surfaces, target.zone, untreated_mm=target.untreated_mm, transform=transform
        ),
    )


def _judgement(
    margin: MarginResult,
    bounds: dict[bool, MarginBounds | None],
    constrained: dict[float, bool],
    rule: Rule,
    *,
    hindrances: tuple[Reason, ...],
) -> Judgement:
    measured = {threshold: _measured(margin, bounds[kind], constrained=kind) for threshold, kind in constrained.items()}
    return judge(measured, rule.ras_mutation, hindrances=hindrances)


def _moved(tumor: Surface, transform: PointTransform | None, target: Target) -> Surface:
    return tumor if transform is None else tumor.moved(transform, frame_uid=target.zone.frame_uid)


def _depth(moved: Surface, target: Target) -> LiverDepth | None:
    if target.liver is None or target.liver.is_empty:
        return None
    return LiverDepth.around(target.liver, moved, target.zone)


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


def _capsule(margin: MarginResult, target: Target, depth: LiverDepth | None, required_mm: float) -> Capsule | None:
    if target.liver is None:
        return None
    return measure_capsule(margin, required_mm=required_mm, zone=target.zone, depth=depth)


def _completion(
    margin: MarginResult,
    moved: Surface,
    target: Target,
    capsule: Capsule | None,
    depth: LiverDepth | None,
    *,
    required_mm: float,
) -> Completion | None:
    constrained = margin.constrained_mm if is_constrained(margin, capsule) else None
    return propose_completion(
        moved,
        target.zone,
        margin.margin_mm if constrained is None else constrained,
        required_mm=required_mm,
        liver=target.liver,
        depth=depth,
        subcapsular=capsule is not None and capsule.subcapsular,
    )


def _bounds(
    lesion: Lesion,
    margin: MarginResult,
    target: Target,
    error: LocalError | None,
    rule: Rule,
    *,
    constrained: bool,
    most_mm: float,
) -> MarginBounds | None:
    if error is None or not isfinite(error.sd_mm):
        return None
    bounds = bound_margin(
        margin,
        target.zone,
        sd_mm=error.sd_mm,
        correlation_length_mm=error.correlation_length_mm,
        sampling_error_mm=_sampling_error_mm(lesion, target, margin, constrained=constrained),
        segmentation_sd_mm=rule.contours_sd_mm(lesion.tumor, target.ablated),
        seed=rule.seed,
        constrained=constrained,
    )
    return replace(bounds, lower_mm=min(bounds.lower_mm, most_mm))


def _margin_sd_mm(
    lesion: Lesion, margin: MarginResult, target: Target, error: LocalError | None, rule: Rule
) -> FloatArray | None:
    if error is None or not isfinite(error.sd_mm):
        return None
    return margin_sds_mm(
        margin,
        target.zone,
        covariance_mm2=error.sd_mm**2 if error.covariance_mm2 is None else error.covariance_mm2,
        sampling_error_mm=_sampling_error_mm(lesion, target, margin, constrained=False),
        segmentation_sd_mm=rule.contours_sd_mm(lesion.tumor, target.ablated),
    )


def _sampling_error_mm(lesion: Lesion, target: Target, margin: MarginResult, *, constrained: bool) -> float:
    """Of the minimum, by the voxels of tumor and zone and, where the capsule constrains it, of the liver."""
    coarsest_mm = _coarsest_mm(lesion, target)
    if not constrained or target.liver is None:
        return sampling_error_p95_mm(coarsest_mm)
    return sampling_error_p95_mm(max(coarsest_mm, target.liver.coarsest_spacing_mm)) + margin.capsule_doubt_mm


def _coarsest_mm(lesion: Lesion, target: Target) -> float:
    return max(lesion.tumor.coarsest_spacing_mm, target.ablated.coarsest_spacing_mm)


def _measured(margin: MarginResult, bounds: MarginBounds | None, *, constrained: bool) -> Measured:
    minimum_mm = margin.constrained_minimum_mm if constrained else margin.minimum_mm
    assert minimum_mm is not None
    return Measured(
        minimum_mm=minimum_mm,
        lower_mm=None if bounds is None else bounds.lower_mm,
        upper_mm=None if bounds is None else bounds.upper_mm,
    )
