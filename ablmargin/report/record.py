"""The result as plain data: what ``result.json`` holds, and its check against the schema that ships beside this file."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from jsonschema import Draft202012Validator

from ablmargin.case import Exam
from ablmargin.clinical.criteria import Verdict
from ablmargin.errors import printable
from ablmargin.geometry import FloatArray
from ablmargin.reasons import Reason, ReasonCode
from ablmargin.registration.quality import RegistrationQuality
from ablmargin.result import CaseResult, LesionResult, MaskRecord

SCHEMA = "ablmargin.result/1"
PERCENTILES = (1, 5, 25, 50, 75, 95)
TOLD_ANYWAY = {
    "id",
    "tumor_volume_ml",
    "ablation_volume_ml",
    "required_margin_mm",
    "verdict",
    "verdicts_by_threshold",
    "liver_segments",
    "outside_segments_share",
    "vessel_distance_mm",
}
"""What a withheld lesion still has, beside reasons: nothing of it rests on the registration."""
RESTS_ON_REGISTRATION = frozenset(
    {
        ReasonCode.LOWER_BOUND_REACHES,
        ReasonCode.UPPER_BOUND_BELOW,
        ReasonCode.REQUIRED_BETWEEN_BOUNDS,
        ReasonCode.BOUNDS_UNKNOWN,
        ReasonCode.TUMOR_BEYOND_LIVER,
        ReasonCode.CAPSULE_UNCLEAR,
        ReasonCode.TUMOR_OUT_OF_VIEW,
    }
)
"""Reasons that a withheld lesion doesn't have: the places and bounds that they tell aren't known."""
STEPS = ("load", "segment", "register", "measure", "report", "total")


def result_record(result: CaseResult) -> dict[str, Any]:
    """Everything found on a case as JSON-ready data, in the layout of ``result.schema.json``.

    Where the registration failed, everything that rests on it is None. Lengths are in mm to 3 decimals, volumes in ml to 4, shares 0..1 to 5; what isn't known, or isn't finite, is None.
    """
    return printable_record(_record(result))


def printable_record(record: dict[str, Any]) -> dict[str, Any]:
    r"""The same with every text printable: names of files can hold line ends, codes for a terminal, and what is no text at all.

    Examples
    --------
    >>> printable_record({"message": ["a\x1b[2J"], "count": 2})
    {'message': ['a\\x1b[2J'], 'count': 2}
    """
    return {key: _printable(value) for key, value in record.items()}


def _printable(value: Any) -> Any:
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, dict):
        return printable_record(value)
    return [_printable(part) for part in value] if isinstance(value, list | tuple) else value


def _record(result: CaseResult) -> dict[str, Any]:
    case = result.case
    return {
        "schema": SCHEMA,
        "case_id": result.case_id,
        "status": result.status,
        "verdict": result.verdict and result.verdict.value,
        "ras_mutation": result.ras_mutation.value,
        "required_margin_mm": result.required_margin_mm,
        "point_of_reference": "post",
        "inputs": {"pre": case and _exam_record(case.pre), "post": case and _exam_record(case.post)},
        "registration": result.quality
        and _registration_record(result.quality) | {"landmarks": _landmarks_record(result.landmark_errors_mm)},
        "lesions": [_lesion_record(lesion, withheld=result.status == "withheld") for lesion in result.lesions],
        "masks": [_mask_record(mask) for mask in result.masks],
        "warnings": [{"code": caution.code, "message": caution.message} for caution in result.cautions],
        "timings_s": {step: rounded(result.timings_s.get(step), 3) for step in STEPS},
        "software": dict(result.provenance.software),
    }


def validate(record: Mapping[str, Any]) -> None:
    """Check a record against the shipped schema.

    Raises
    ------
    ValueError
        With every place where the record departs from the schema.
    """
    errors = sorted(_validator().iter_errors(dict(record)), key=lambda error: error.json_path)
    if errors:
        raise ValueError("\n".join(f"{error.json_path}: {error.message}" for error in errors))


def schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of ``result.json``."""
    text = files("ablmargin.report").joinpath("result.schema.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def rounded(value: float | None, decimals: int) -> float | None:
    """Round a number; None for what is None, NaN or infinite.

    >>> rounded(1.23456, 3), rounded(float("nan"), 3), rounded(-1e-9, 3)
    (1.235, None, 0.0)
    """
    if value is None or not math.isfinite(value):
        return None
    return round(float(value), decimals) + 0.0  # no minus sign before a zero


def shares_to_one(shares: Mapping[str, float], decimals: int = 5) -> dict[str, float | None]:
    """Round shares so that they still sum to 1: the largest takes what rounding left over. All None if one isn't finite.

    >>> shares_to_one({"a": 1 / 3, "b": 1 / 3, "c": 1 / 3}, decimals=2)
    {'a': 0.34, 'b': 0.33, 'c': 0.33}
    """
    if not all(math.isfinite(share) for share in shares.values()):
        return dict.fromkeys(shares)
    rounded_shares = {name: round(float(share), decimals) for name, share in shares.items()}
    largest = max(rounded_shares, key=rounded_shares.__getitem__)
    left_over = 1.0 - math.fsum(rounded_shares.values())
    rounded_shares[largest] = round(rounded_shares[largest] + left_over, decimals)
    return dict(rounded_shares)


@cache
def _validator() -> Draft202012Validator:
    Draft202012Validator.check_schema(schema())
    return Draft202012Validator(schema())


def _exam_record(exam: Exam) -> dict[str, Any]:
    record = exam.record
    return {
        "series_uid": record.series_uid,
        "modality": record.modality,
        "slices": exam.volume.geometry.shape[0],
        "spacing_mm": [rounded(spacing, 4) for spacing in exam.volume.geometry.spacing_mm],
        "slice_thickness_mm": rounded(record.slice_thickness_mm, 3),
        "phase": record.phase,
        "acquired": record.acquired,
        "sha256": record.sha256,
        "phase_source": record.phase_source,
        "phase_evidence": record.phase_evidence,
    }


def _registration_record(quality: RegistrationQuality) -> dict[str, Any]:
    return {
        "method": quality.method,
        "liver_dice": rounded(quality.liver_dice, 5),
        "liver_hd95_mm": rounded(quality.liver_hd95_mm, 3),
        "liver_asd_mm": rounded(quality.liver_asd_mm, 3),
        "jacobian_min": rounded(quality.jacobian_min, 4),
        "folded_share": rounded(quality.folded_share, 5),
        "inverse_consistency_mm": rounded(quality.inverse_consistency_mm, 3),
        "sd_mm": rounded(quality.sd_mm, 3),
        "quality": quality.quality,
        **_reasons_record(quality.reasons),
        "engine_distance_mm": rounded(quality.engine_distance_mm, 3),
    }


def _landmarks_record(errors_mm: FloatArray | None) -> dict[str, Any] | None:
    if errors_mm is None:
        return None
    return {
        "count": len(errors_mm),
        "tre_mean_mm": rounded(float(errors_mm.mean()), 3),
        "tre_max_mm": rounded(float(errors_mm.max()), 3),
    }


def _lesion_record(lesion: LesionResult, *, withheld: bool) -> dict[str, Any]:
    record = {"id": lesion.lesion_id} | _margin_record(lesion) | _volume_record(lesion) | _judgement_record(lesion)
    record |= _surroundings_record(lesion)
    if withheld:
        told = {name: value if name in TOLD_ANYWAY else _nothing(value) for name, value in record.items()}
        reasons = [reason for reason in lesion.judgement.reasons if reason.code not in RESTS_ON_REGISTRATION]
        return told | _reasons_record(reasons) | {"deficit": None, "completion": None}
    return record | _completion_record(lesion)


def _nothing(value: Any) -> Any:
    """None in the same layout: after a registration that failed, no number that rests on it may be taken for a finding."""
    return {name: _nothing(part) for name, part in value.items()} if isinstance(value, dict) else None


def _margin_record(lesion: LesionResult) -> dict[str, Any]:
    margin, bounds, capsule = lesion.margin, lesion.bounds, lesion.capsule
    return {
        "mam_mm": rounded(margin.minimum_mm, 3),
        "mam_raw_mm": rounded(lesion.raw_minimum_mm, 3),
        "mam_lower_mm": rounded(None if bounds is None else bounds.lower_mm, 3),
        "mam_upper_mm": rounded(None if bounds is None else bounds.upper_mm, 3),
        "bounds_of": "mam_constrained_mm" if lesion.judges_constrained else "mam_mm",
        "mam_corrected_mm": rounded(None if bounds is None else bounds.corrected_mm, 3),
        "mam_location_mm": [rounded(value, 3) for value in margin.location_mm],
        "mam_direction": lesion.direction_at(int(margin.margin_mm.argmin())),
        "mam_rigid_mm": rounded(lesion.rigid_minimum_mm, 3),
        "subcapsular": lesion.is_subcapsular,
        "mam_constrained_mm": rounded(lesion.constrained_minimum_mm, 3),
        "depth_limited_share": rounded(None if capsule is None else capsule.depth_limited_share, 5),
        "shortfall_mm": rounded(None if capsule is None else capsule.shortfall_mm, 3),
        "shortfall_doubt_mm": rounded(None if capsule is None else capsule.shortfall_doubt_mm, 3),
        "percentiles_mm": {str(q): rounded(margin.percentile_mm(q), 3) for q in PERCENTILES},
        "mean_mm": rounded(margin.mean_mm, 3),
        "surface_share": shares_to_one(margin.surface_shares()),
    }


def _reasons_record(reasons: Sequence[Reason]) -> dict[str, Any]:
    return {
        "reasons": [reason.sentence for reason in reasons],
        "reason_codes": [reason.code.value for reason in reasons],
    }


def _volume_record(lesion: LesionResult) -> dict[str, Any]:
    return {
        "tumor_volume_ml": rounded(lesion.tumor_volume_ml, 4),
        "ablation_volume_ml": rounded(lesion.ablation_volume_ml, 4),
        "coverage": {str(grown_mm): rounded(share, 5) for grown_mm, share in sorted(lesion.coverage.shares.items())},
        "residual_tumor_ml": rounded(lesion.residual_tumor_ml, 4),
    }


def _judgement_record(lesion: LesionResult) -> dict[str, Any]:
    judgement, bounds = lesion.judgement, lesion.bounds
    chance = None if bounds is None else bounds.probability_adequate(judgement.required_margin_mm)
    return {
        "required_margin_mm": judgement.required_margin_mm,
        "point_verdict": judgement.point_verdict.value,
        "probability_adequate": rounded(chance, 4),
        "verdict": judgement.verdict.value,
        **_reasons_record(judgement.reasons),
        "verdicts_by_threshold": {f"{mm:g}": Verdict(verdict).value for mm, verdict in judgement.by_threshold.items()},
    }


def _surroundings_record(lesion: LesionResult) -> dict[str, Any]:
    """Where the tumor lies; None what wasn't given, and of a vessel if there is none."""
    around = lesion.surroundings
    segments, vessel = (None, None) if around is None else (around.segments, around.vessel)
    known = segments and [{"segment": one.segment, "share": rounded(one.share, 5)} for one in segments.told]
    place_mm = None if vessel is None else vessel.post_mm
    return {
        "liver_segments": known,
        "outside_segments_share": segments and rounded(segments.outside, 5),
        "vessel_distance_mm": vessel and rounded(vessel.distance_mm, 3),
        "vessel_distance_location_mm": None if place_mm is None else [rounded(value, 3) for value in place_mm],
        "thinnest_at_vessel": vessel and vessel.at_thinnest,
    }


def _completion_record(lesion: LesionResult) -> dict[str, Any]:
    """Where margin is missing, and the ball that would complete it; each None if nothing is missing or none is known."""
    deficit, completion = lesion.deficit, lesion.completion
    return {
        "deficit": deficit
        and {
            "area_mm2": rounded(deficit.area_mm2, 2),
            "share": rounded(deficit.share, 5),
            "direction": deficit.direction,
            "clock_face": deficit.clock_face,
            "axial_offset_mm": rounded(deficit.axial_offset_mm, 3),
        },
        "completion": completion
        and {
            "center_mm": [rounded(value, 3) for value in completion.center_mm],
            "radius_mm": rounded(completion.radius_mm, 3),
            "added_volume_ml": rounded(completion.added_volume_ml, 4),
            "capsule_distance_mm": rounded(completion.capsule_distance_mm, 3),
            "leaves_liver": completion.leaves_liver,
        },
    }


def _mask_record(mask: MaskRecord) -> dict[str, Any]:
    origin = mask.origin
    return {
        "structure": mask.structure.value,
        "exam": mask.exam,
        "lesion": mask.lesion,
        "source": origin.source,
        "method": origin.method,
        "reviewed": origin.reviewed,
        "edited": origin.edited,
    }
