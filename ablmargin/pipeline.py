"""The order of the steps, from exams with masks to a judged margin. What each step does stands elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime

from ablmargin.case import Anatomy, Case, Lesion, RasMutation
from ablmargin.cautions import coarse_slices, finding_cautions, not_reviewed, shape_cautions, too_small
from ablmargin.errors import Caution
from ablmargin.examphases import with_phases
from ablmargin.loading import require_targets
from ablmargin.measurement import measure_lesion
from ablmargin.metrics.livers import liver_across_gaps, liver_seen_in_either
from ablmargin.metrics.surface import surface_of
from ablmargin.preconditions import livers_around_targets, require_together
from ablmargin.progress import Progress, Stopwatch, silent
from ablmargin.reasons import Reason, ReasonCode
from ablmargin.registration.enginename import EngineName
from ablmargin.registration.engines import engine_named
from ablmargin.registration.local_error import LocalError
from ablmargin.registration.quality import RegistrationQuality, worst_of
from ablmargin.registration.register import Alignment, RegistrationSettings, register
from ablmargin.result import (
    CaseResult,
    MaskRecord,
    Outlines,
    Provenance,
    anatomy_records,
    mask_records,
    software_versions,
    target_records,
)
from ablmargin.surroundings import vessel_cautions, with_surroundings
from ablmargin.target import Rule, Target
from ablmargin.threads import one_blas_thread
from ablmargin.volume import LabelMask, Structure
from ablmargin.zonechange import unseen_zones

NOTABLE_LIVER_ML = 1.0
"""Liver that one exam's outline leaves out and that is worth a word."""

ASSESSED_VOXEL_STEP = 997
"""Every how many voxels of the liver the registration is assessed where no tumor is given. Prime, so as not to follow rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Parameters of an analysis.

    Parameters
    ----------
    registration : RegistrationSettings
    contour_sd_mm : float
        Standard deviation of one drawn contour, per component; tumor and zone have one each. Readers differ by about 17 % of a tumor's volume
        (Moltz 2011, Joskowicz 2019); at a diameter of 20 mm that is half a millimeter of radius.
    registration_sd_mm : float, optional
        For masks that come registered: the standard deviation of that registration's error at the tumor, per
        component. Nothing here can know it, so without it such masks get no bounds.
    seed : int
        Of everything random. The same seed gives the same numbers.
    accepted : tuple of str
        Hazards that are taken on purpose: ABLATION_UNSEEN, see :mod:`ablmargin.hazards`.
    """

    registration: RegistrationSettings = field(default_factory=RegistrationSettings)
    contour_sd_mm: float = 0.5
    registration_sd_mm: float | None = None
    seed: int = 0
    accepted: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        *,
        seed: int,
        threads: int,
        registration_sd_mm: float | None = None,
        engine: EngineName = EngineName.GAUSS_NEWTON,
    ) -> Settings:
        """Settings with one seed and thread count for all steps."""
        registration = RegistrationSettings(seed=seed, threads=threads, engine=engine)
        return cls(registration=registration, registration_sd_mm=registration_sd_mm, seed=seed)


@one_blas_thread()
def analyze(case: Case, settings: Settings, *, progress: Progress = silent) -> CaseResult:
    """Register one case's exams, measure the margin of each tumor and judge it.

    Raises
    ------
    InputError
        If the liver isn't drawn on both exams, a mask is empty, or a target lies outside the liver or reaches the border
        of its image.
    RegistrationError
        If no alignment can be computed. One that can't be trusted raises nothing: it withholds the verdict.
    """
    started, watch = now(), Stopwatch()
    require_targets([*(lesion.tumor for lesion in case.lesions), *case.zones])
    with watch("register"):
        alignment = register_case(case, settings, progress=progress)
    with watch("measure"):
        progress("measuring margins", 0.0)
        phased = with_phases(case)
        case = phased.case
        tumors = [surface_of(lesion.tumor) for lesion in case.lesions]
        quality = worst_of([alignment.assess(tumor.vertices_mm) for tumor in tumors])
        liver, cautions = _mended_liver(case, alignment)
        target = Target.of(case.ablated, liver, imaged=case.post.volume.geometry)
        unseen = unseen_zones(case, alignment.pre_from_post, settings.accepted)
        rule = Rule(
            ras_mutation=case.ras_mutation,
            contour_sd_mm=settings.contour_sd_mm,
            hindrances=(*_hindrances(case, quality), *phased.hindrances, *unseen.hindrances),
            seed=settings.seed,
        )
        lesions = [
            measure_lesion(
                lesion,
                tumor,
                target,
                _rule_for(lesion, rule),
                error=alignment.local_error(tumor.vertices_mm),
                post_from_pre=alignment.post_from_pre,
                rigid_post_from_pre=alignment.rigid_post_from_pre,
            )
            for lesion, tumor in zip(case.lesions, tumors, strict=True)
        ]
        lesions = with_surroundings(case.lesions, lesions, case.anatomy, post_from_pre=alignment.post_from_pre)
        progress("measuring margins", 1.0)
    return CaseResult(
        case_id=case.case_id,
        ras_mutation=case.ras_mutation,
        lesions=tuple(lesions),
        zone=target.zone,
        masks=mask_records(case),
        provenance=provenance(settings, started),
        case=case,
        alignment=alignment,
        quality=quality,
        cautions=(
            *phased.cautions,
            *cautions,
            *shape_cautions(case.lesions, case.zones),
            *finding_cautions(case.lesions, lesions, target.ablated, target.zone),
            *vessel_cautions(lesions),
            *unseen.cautions,
        ),
        timings_s=watch.timings_s,
    )


@one_blas_thread()
def align(case: Case, settings: Settings, *, progress: Progress = silent) -> CaseResult:
    """Register one case's exams and tell how well; its masks are only kept out of the comparison."""
    started, watch = now(), Stopwatch()
    with watch("register"):
        alignment = register_case(case, settings, progress=progress)
        liver = case.pre.liver
        assert liver is not None, "register_case refuses exams without a liver"
        quality = alignment.assess(liver.voxel_centers_mm(step=ASSESSED_VOXEL_STEP))
        phased = with_phases(case)
    return CaseResult(
        case_id=case.case_id,
        ras_mutation=case.ras_mutation,
        lesions=(),
        masks=mask_records(case),
        provenance=provenance(settings, started),
        case=phased.case,
        alignment=alignment,
        quality=quality,
        cautions=phased.cautions,
        timings_s=watch.timings_s,
    )


def register_case(case: Case, settings: Settings, *, progress: Progress = silent) -> Alignment:
    """Align a case's exams with everything treated kept out of the comparison.

    Were it compared, the tumor's edge would be drawn onto the zone's edge, and margin would be made up.
    """
    liver_pre, liver_post = livers_around_targets(case)
    return register(
        case.pre.volume,
        case.post.volume,
        liver_pre=liver_pre,
        liver_post=liver_post,
        ignore_pre=[lesion.tumor for lesion in case.lesions],
        ignore_post=case.zones,
        settings=settings.registration,
        progress=progress,
    )


@one_blas_thread()
def measure_masks(
    lesions: Sequence[Lesion],
    zones: Sequence[LabelMask],
    *,
    liver: LabelMask | None,
    ras_mutation: RasMutation,
    settings: Settings,
    case_id: str,
    cautions: tuple[Caution, ...] = (),
    anatomy: Anatomy | None = None,
) -> CaseResult:
    """Measure and judge masks that already share one frame, without images.

    Tumors and anatomy may lie on grids of their own; the zones must share one.

    Raises
    ------
    InputError
        With every mask that is empty, reaches the border of its grid, or lies where no other mask of one liver can.
    """
    require_targets([*(lesion.tumor for lesion in lesions), *zones])
    require_together(lesions, zones, liver)
    started, watch = now(), Stopwatch()
    sd_mm = settings.registration_sd_mm
    error = None if sd_mm is None else LocalError(sd_mm=sd_mm, correlation_length_mm=float("inf"))
    masks, ablated = [*(lesion.tumor for lesion in lesions), *zones], zones[0].union(*zones[1:])
    rule = Rule(
        ras_mutation=ras_mutation,
        contour_sd_mm=settings.contour_sd_mm,
        hindrances=(*not_reviewed(zones), *coarse_slices(masks), *_sizes([ablated])),
        seed=settings.seed,
    )
    with watch("measure"):
        target, gaps = _across_gaps(Target.of(ablated, liver))
        results = [
            measure_lesion(lesion, surface_of(lesion.tumor), target, _rule_for(lesion, rule), error=error)
            for lesion in lesions
        ]
        results = with_surroundings(lesions, results, anatomy, post_from_pre=None)
    liver_record = (
        () if liver is None else (MaskRecord(structure=Structure.LIVER, exam=None, lesion=None, origin=liver.origin),)
    )
    return CaseResult(
        case_id=case_id,
        ras_mutation=ras_mutation,
        lesions=tuple(results),
        zone=target.zone,
        masks=(
            *liver_record,
            *target_records(lesions, zones, exams=(None, None)),
            *anatomy_records(anatomy, exam=None),
        ),
        outlines=Outlines(lesions=tuple(lesions), zones=tuple(zones), liver=liver, anatomy=anatomy),
        provenance=provenance(settings, started),
        cautions=(
            *cautions,
            *gaps,
            *shape_cautions(lesions, zones),
            *finding_cautions(lesions, results, target.ablated, target.zone),
            *vessel_cautions(results),
        ),
        timings_s=watch.timings_s,
    )


def provenance(settings: Settings, started: str) -> Provenance:
    """Parameters, versions and times of a run that ends now."""
    return Provenance(
        settings=asdict(settings),
        software=software_versions(*engine_named(settings.registration.engine).packages),
        started=started,
        finished=now(),
    )


def now() -> str:
    """The time, UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _across_gaps(target: Target) -> tuple[Target, tuple[Caution, ...]]:
    """The target with the liver that its mask leaves out between the zone and the liver beyond, and a word about that."""
    if target.liver is None or target.liver.is_empty:
        return target, ()
    mended = liver_across_gaps(target.liver, target.zone)
    added_ml = mended.volume_ml - target.liver.volume_ml
    if added_ml < NOTABLE_LIVER_ML:
        return replace(target, liver=mended), ()
    message = (
        f"the liver's outline leaves out {added_ml:.0f} ml between the ablation zone and the liver around it; they were "
        "counted as liver"
    )
    return replace(target, liver=mended), (Caution(code="LIVER_INCOMPLETE", message=message),)


def _mended_liver(case: Case, alignment: Alignment) -> tuple[LabelMask, tuple[Caution, ...]]:
    """The liver after ablation with what its mask leaves out around the zone, and a word about that."""
    before, after = case.pre.liver, case.post.liver
    assert before is not None
    assert after is not None
    after = replace(after, fractions=None)  # its border only tells depths
    mended = liver_seen_in_either(after, before, alignment.pre_from_post, near=case.ablated)
    added_ml = mended.volume_ml - after.volume_ml
    if added_ml < NOTABLE_LIVER_ML:
        return mended, ()
    message = (
        f"the liver outlined after ablation leaves out {added_ml:.0f} ml near the ablation zone that the exam before "
        "shows as liver; they were counted as liver"
    )
    return mended, (Caution(code="LIVER_INCOMPLETE", message=message),)


def _hindrances(case: Case, quality: RegistrationQuality) -> tuple[Reason, ...]:
    masks = [*(lesion.tumor for lesion in case.lesions), *case.zones]
    slices_mm = [max(exam.volume.geometry.spacing_mm) for exam in (case.pre, case.post)]
    slices_mm += [exam.record.slice_thickness_mm or 0.0 for exam in (case.pre, case.post)]
    found = [*not_reviewed(case.zones), *coarse_slices(masks, slices_mm=slices_mm), *_sizes([case.ablated])]
    if quality.quality == "failed":
        sentence = f"The registration failed: {' '.join(map(str, quality.reasons))}"
        found.insert(0, Reason(code=ReasonCode.REGISTRATION_QUALITY_FAILED, sentence=sentence))
    else:
        found += quality.unquantified
    return tuple(found)


def _rule_for(lesion: Lesion, rule: Rule) -> Rule:
    """The rule with what is wrong with this tumor's own mask."""
    return replace(rule, hindrances=(*rule.hindrances, *not_reviewed([lesion.tumor]), *_sizes([lesion.tumor])))


def _sizes(masks: Iterable[LabelMask]) -> list[Reason]:
    return [reason for mask in masks if (reason := too_small(mask)) is not None]
