"""What an analysis found: everything that reports, tables and pictures are made from."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any, Literal

import numpy as np

from ablmargin.case import Anatomy, Case, Lesion, RasMutation
from ablmargin.clinical.couinaud import SegmentShare
from ablmargin.clinical.criteria import REQUIRED_MARGIN_MM, Judgement, Verdict, worst
from ablmargin.clinical.direction import Deficit, describe_deficit, direction_in_words
from ablmargin.errors import Caution
from ablmargin.geometry import FloatArray
from ablmargin.metrics.capsule import Capsule
from ablmargin.metrics.completion import Completion
from ablmargin.metrics.coverage import Coverage
from ablmargin.metrics.margin import MarginResult
from ablmargin.metrics.surface import Surface
from ablmargin.metrics.uncertainty import MarginBounds
from ablmargin.registration.quality import RegistrationQuality
from ablmargin.registration.register import Alignment
from ablmargin.volume import LabelMask, MaskOrigin, Structure


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentShares:
    """The segments of the liver that a tumor lies in, the largest share first, and the share in none that is known."""

    told: tuple[SegmentShare, ...]
    outside: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class VesselFinding:
    """The vessel next to a tumor that is 3 mm wide or more; all None if there is none within 30 mm.

    Parameters
    ----------
    distance_mm : float, optional
        From the tumor's surface to the vessel's before ablation; negative where the vessel reaches into the tumor.
    pre_mm, post_mm : ndarray, shape (3,), optional
        The nearest place on the vessel, before and after ablation.
    from_thinnest_mm : float, optional
        From the thinnest place of the margin to any such vessel.
    at_thinnest : bool, optional
        Whether the margin is thinnest at such a vessel: at most 5 mm from one, or on the side of the nearest one, if that
        runs where tissue should be ablated.
    """

    distance_mm: float | None = None
    pre_mm: FloatArray | None = None
    post_mm: FloatArray | None = None
    from_thinnest_mm: float | None = None
    at_thinnest: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Surroundings:
    """Where a tumor lies in the liver; None what wasn't given."""

    segments: SegmentShares | None
    vessel: VesselFinding | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LesionResult:
    """One tumor, measured and judged. Lengths in mm, volumes in ml; places in the frame of the post-ablation CT.

    ``tumor_pre`` and ``tumor_post`` have the same vertices in the same order as ``margin.points_mm``, before and after
    the map, so a place on the tumor can be found in both exams. ``margin_sd_mm`` is the standard deviation of
    ``margin.margin_mm`` at each of them, None where the alignment's error isn't known. ``closest_voxel_mm`` is the smallest
    margin of single voxels that the surfaces run past on the wrong side, None where there are none.
    """

    lesion_id: str
    tumor_volume_ml: float
    ablation_volume_ml: float
    tumor_pre: Surface
    tumor_post: Surface
    margin: MarginResult
    raw_minimum_mm: float | None
    rigid_minimum_mm: float | None
    bounds: MarginBounds | None
    capsule: Capsule | None
    coverage: Coverage
    judgement: Judgement
    completion: Completion | None
    margin_sd_mm: FloatArray | None = None
    closest_voxel_mm: float | None = None
    surroundings: Surroundings | None = None

    @property
    def constrained_minimum_mm(self) -> float | None:
        return self.margin.constrained_minimum_mm

    @property
    def residual_tumor_ml(self) -> float:
        """Unablated part of the tumor's volume before ablation."""
        return self.tumor_volume_ml * (1.0 - self.coverage.shares[0])

    @property
    def is_subcapsular(self) -> bool:
        return self.capsule is not None and self.capsule.subcapsular

    @property
    def judges_constrained(self) -> bool:
        """Whether the verdict is about the capsule-constrained margin: for a subcapsular tumor, where there is one."""
        return self.is_subcapsular and self.margin.constrained_mm is not None

    @property
    def judged_margins_mm(self) -> FloatArray:
        """The margins that the verdict is about, shape (n,)."""
        constrained = self.margin.constrained_mm
        return constrained if self.is_subcapsular and constrained is not None else self.margin.margin_mm

    @property
    def judged_index(self) -> int:
        """Which surface point has the smallest judged margin."""
        return int(self.judged_margins_mm.argmin())

    @property
    def judged_minimum_mm(self) -> float:
        return float(self.judged_margins_mm.min())

    @property
    def deficit(self) -> Deficit | None:
        """Where the judged margin is less than required; None if nowhere."""
        return describe_deficit(
            self.margin.points_mm,
            self.judged_margins_mm,
            self.margin.area_mm2,
            required_mm=self.judgement.required_margin_mm,
        )

    def direction_at(self, index: int) -> str:
        """On which side of the tumor a surface point lies after ablation, in words."""
        center = self.tumor_post.vertices_mm.mean(axis=0)
        return direction_in_words(self.tumor_post.vertices_mm[index] - center)


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskRecord:
    """Where a mask that was used came from; ``exam`` is None for masks that were given in one frame."""

    structure: Structure
    exam: Literal["pre", "post"] | None
    lesion: str | None
    origin: MaskOrigin


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outlines:
    """Masks that were given in one frame, without images; each may lie on a grid of its own."""

    lesions: tuple[Lesion, ...]
    zones: tuple[LabelMask, ...]
    liver: LabelMask | None
    anatomy: Anatomy | None = None


def mask_records(case: Case) -> tuple[MaskRecord, ...]:
    """Of all masks of a case, each with the exam that it was drawn on."""
    livers: tuple[tuple[Literal["pre", "post"], LabelMask | None], ...]
    livers = (("pre", case.pre.liver), ("post", case.post.liver))
    records = [
        MaskRecord(structure=Structure.LIVER, exam=exam, lesion=None, origin=liver.origin)
        for exam, liver in livers
        if liver is not None
    ]
    targets = target_records(case.lesions, case.zones, exams=("pre", "post"))
    return (*records, *targets, *anatomy_records(case.anatomy, exam="pre"))


def target_records(
    lesions: Sequence[Lesion],
    zones: Sequence[LabelMask],
    *,
    exams: tuple[Literal["pre"], Literal["post"]] | tuple[None, None],
) -> tuple[MaskRecord, ...]:
    """Of tumors and zones, with the exams that they were drawn on; none where they share a frame."""
    before, after = exams
    tumors = [(lesion.lesion_id, lesion.tumor.origin) for lesion in lesions]
    return (
        *(MaskRecord(structure=Structure.TUMOR, exam=before, lesion=name, origin=origin) for name, origin in tumors),
        *(MaskRecord(structure=Structure.ABLATION_ZONE, exam=after, lesion=None, origin=zone.origin) for zone in zones),
    )


def anatomy_records(anatomy: Anatomy | None, *, exam: Literal["pre"] | None) -> tuple[MaskRecord, ...]:
    """Of the segments, one for the file that all of them came from, and of the vessels."""
    if anatomy is None:
        return ()
    masks = [*list(anatomy.segments.values())[:1], *([] if anatomy.vessels is None else [anatomy.vessels])]
    return tuple(MaskRecord(structure=mask.structure, exam=exam, lesion=None, origin=mask.origin) for mask in masks)


PACKAGES = ("ablmargin", "numpy", "scipy", "scikit-image", "SimpleITK", "pydicom", "vtk")
"""Whose versions can change a number."""


def software_versions(*more: str) -> dict[str, str]:
    """Versions of everything that can change a number, ``more`` packages, Python and the operating system among them."""
    versions = {package: version(package) for package in (*PACKAGES, *more)}
    return versions | {"python": platform.python_version(), "platform": platform.platform()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """How a result came about, complete enough to make it again. Holds no patient data.

    ``settings`` are the parameters with their defaults, ``software`` maps package to version, ``started`` and
    ``finished`` are UTC, ISO 8601; None in a result that identifies nobody.
    """

    settings: Mapping[str, Any]
    software: Mapping[str, str]
    started: str | None
    finished: str | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CaseResult:
    """All findings on one case.

    ``case``, ``alignment`` and ``quality`` are None when masks that already share a frame were measured without images:
    ``outlines`` holds them then. ``lesions`` is empty and ``zone`` None when two exams were only registered.
    """

    case_id: str
    ras_mutation: RasMutation
    lesions: tuple[LesionResult, ...]
    masks: tuple[MaskRecord, ...]
    provenance: Provenance
    zone: Surface | None = None
    case: Case | None = None
    outlines: Outlines | None = None
    alignment: Alignment | None = None
    quality: RegistrationQuality | None = None
    cautions: tuple[Caution, ...] = ()
    timings_s: Mapping[str, float] = field(default_factory=dict)

    @property
    def required_margin_mm(self) -> float:
        return REQUIRED_MARGIN_MM[self.ras_mutation]

    @property
    def status(self) -> Literal["complete", "withheld"]:
        """``withheld`` if the registration failed: no margin of this case may be believed."""
        return "withheld" if self.quality is not None and self.quality.quality == "failed" else "complete"

    @property
    def verdict(self) -> Verdict | None:
        """That of the worst lesion; None if none was measured."""
        return worst(lesion.judgement.verdict for lesion in self.lesions) if self.lesions else None

    @property
    def landmark_errors_mm(self) -> FloatArray | None:
        """How far each landmark is mapped from where it was marked, shape (n,); None without landmarks."""
        if self.case is None or self.case.landmarks is None or self.alignment is None:
            return None
        mapped = self.alignment.post_from_pre.map_points(self.case.landmarks.pre_mm)
        return np.asarray(np.linalg.norm(mapped - self.case.landmarks.post_mm, axis=1))

    def thinnest_place(self, lesion: LesionResult) -> tuple[FloatArray, FloatArray]:
        """Where the judged margin is smallest: the same place before and after ablation, (3,) each, LPS mm."""
        index = lesion.judged_index
        return lesion.tumor_pre.vertices_mm[index], lesion.tumor_post.vertices_mm[index]
