"""Why a verdict or a registration's grade is what it is: each reason as a code for scripts and a sentence for readers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class ReasonCode(StrEnum):
    """Stable names of reasons, in the order of ``docs/reasons.md``; a warning that tells the same has the same name."""

    LOWER_BOUND_REACHES = "LOWER_BOUND_REACHES"
    UPPER_BOUND_BELOW = "UPPER_BOUND_BELOW"
    REQUIRED_BETWEEN_BOUNDS = "REQUIRED_BETWEEN_BOUNDS"
    BOUNDS_UNKNOWN = "BOUNDS_UNKNOWN"

    TUMOR_NOT_REVIEWED = "TUMOR_NOT_REVIEWED"
    ZONE_NOT_REVIEWED = "ZONE_NOT_REVIEWED"
    LIVER_NOT_REVIEWED = "LIVER_NOT_REVIEWED"
    MASK_TINY = "MASK_TINY"
    TUMOR_BEYOND_LIVER = "TUMOR_BEYOND_LIVER"
    CAPSULE_UNCLEAR = "CAPSULE_UNCLEAR"

    GEOM_COARSE = "GEOM_COARSE"
    PHASE_UNENHANCED = "PHASE_UNENHANCED"
    PHASES_DIFFER = "PHASES_DIFFER"
    PHASE_UNKNOWN = "PHASE_UNKNOWN"
    ABLATION_UNSEEN = "ABLATION_UNSEEN"
    TUMOR_OUT_OF_VIEW = "TUMOR_OUT_OF_VIEW"

    REGISTRATION_QUALITY_FAILED = "REGISTRATION_QUALITY_FAILED"
    REGISTRATION_FOLDS = "REGISTRATION_FOLDS"
    REGISTRATION_ONE_WAY = "REGISTRATION_ONE_WAY"
    REGISTRATION_INCONSISTENT = "REGISTRATION_INCONSISTENT"
    TUMOR_VOLUME_CHANGED = "TUMOR_VOLUME_CHANGED"
    TUMOR_PLACE_UNCERTAIN = "TUMOR_PLACE_UNCERTAIN"
    LIVERS_OVERLAP_LITTLE = "LIVERS_OVERLAP_LITTLE"
    LIVERS_APART = "LIVERS_APART"
    PHASES_SEEM_TO_DIFFER = "PHASES_SEEM_TO_DIFFER"
    TEXTURES_DIFFER = "TEXTURES_DIFFER"
    TEXTURES_DIFFER_NEAR_ZONE = "TEXTURES_DIFFER_NEAR_ZONE"
    TEXTURES_SHIFTED = "TEXTURES_SHIFTED"


WORDS: Mapping[str, str] = MappingProxyType(
    {
        ReasonCode.LOWER_BOUND_REACHES: "lower bound at or above the required margin",
        ReasonCode.UPPER_BOUND_BELOW: "upper bound below the required margin",
        ReasonCode.REQUIRED_BETWEEN_BOUNDS: "required margin between the bounds",
        ReasonCode.BOUNDS_UNKNOWN: "error of the registration not known",
        ReasonCode.TUMOR_NOT_REVIEWED: "outline of the tumor that no reader reviewed",
        ReasonCode.ZONE_NOT_REVIEWED: "outline of the zone that no reader reviewed",
        ReasonCode.LIVER_NOT_REVIEWED: "outline of the liver that no reader reviewed",
        ReasonCode.MASK_TINY: "outline of too few voxels",
        ReasonCode.TUMOR_BEYOND_LIVER: "tumor that leaves the outline of the liver",
        ReasonCode.CAPSULE_UNCLEAR: "tumor that may leave the zone at the capsule",
        ReasonCode.GEOM_COARSE: "slices too thick or too far apart",
        ReasonCode.PHASE_UNENHANCED: "exam without contrast agent",
        ReasonCode.PHASES_DIFFER: "contrast phases that differ",
        ReasonCode.PHASE_UNKNOWN: "contrast phase that isn’t known",
        ReasonCode.ABLATION_UNSEEN: "zone that the exam after ablation doesn’t show",
        ReasonCode.TUMOR_OUT_OF_VIEW: "tumor in part out of the exam after ablation",
        ReasonCode.REGISTRATION_QUALITY_FAILED: "registration that failed",
        ReasonCode.REGISTRATION_FOLDS: "registration that folds the liver",
        ReasonCode.REGISTRATION_ONE_WAY: "registration that holds in one direction only",
        ReasonCode.REGISTRATION_INCONSISTENT: "registration that differs on the way back",
        ReasonCode.TUMOR_VOLUME_CHANGED: "registration that changes the tumor’s volume",
        ReasonCode.TUMOR_PLACE_UNCERTAIN: "place of the tumor too uncertain",
        ReasonCode.LIVERS_OVERLAP_LITTLE: "aligned livers that overlap too little",
        ReasonCode.LIVERS_APART: "aligned livers with surfaces too far apart",
        ReasonCode.PHASES_SEEM_TO_DIFFER: "contrast phases that seem to differ",
        ReasonCode.TEXTURES_DIFFER: "aligned livers that look different inside",
        ReasonCode.TEXTURES_DIFFER_NEAR_ZONE: "exams that look different around the zone",
        ReasonCode.TEXTURES_SHIFTED: "exams that would agree better elsewhere",
    }
)
"""Each code as one line of a list, after "because of"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """One reason: its code, and the sentence with this lesion's or registration's figures.

    Examples
    --------
    >>> reason = Reason(code=ReasonCode.PHASES_DIFFER, sentence="The contrast phases differ.")
    >>> print(reason.code, "|", reason)
    PHASES_DIFFER | The contrast phases differ.
    """

    code: ReasonCode
    sentence: str

    def __str__(self) -> str:
        return self.sentence
