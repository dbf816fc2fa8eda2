"""The columns of the table of results: one lesion's part of ``result.json``, flattened, and how a failure is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ablmargin.report.record import PERCENTILES, STEPS

Kind = Literal["text", "number", "whole", "flag"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column's name and what it holds; blank where nothing is known."""

    name: str
    kind: Kind


def _all(kind: Kind, *names: str) -> tuple[Column, ...]:
    return tuple(Column(name=name, kind=kind) for name in names)


_XYZ = ("x", "y", "z")
_COVERED_MM = range(11)

CASE_PART = _all("text", "status", "case_verdict", "ras_mutation", "point_of_reference")
LESION_PART = (
    *_all("text", "verdict", "point_verdict", "reasons", "reason_codes"),
    *_all("number", "required_margin_mm", "mam_mm", "mam_lower_mm", "mam_upper_mm"),
    *_all("text", "bounds_of"),
    *_all("number", "mam_corrected_mm", "mam_raw_mm", "mam_rigid_mm", "mam_constrained_mm", "probability_adequate"),
    *_all("flag", "subcapsular"),
    *_all("number", *(f"mam_location_mm_{axis}" for axis in _XYZ)),
    *_all("text", "mam_direction", "verdicts_by_threshold_5", "verdicts_by_threshold_10"),
    *_all("number", "tumor_volume_ml", "ablation_volume_ml", "residual_tumor_ml"),
    *_all("number", "depth_limited_share", "shortfall_mm", "shortfall_doubt_mm", "mean_mm"),
    *_all("number", *(f"percentiles_mm_{q}" for q in PERCENTILES)),
    *_all("number", *(f"surface_share_{band}" for band in ("below_0", "0_to_5", "5_to_10", "from_10"))),
    *_all("number", *(f"coverage_{grown_mm}" for grown_mm in _COVERED_MM)),
    *_all("number", "deficit_area_mm2", "deficit_share", "deficit_axial_offset_mm"),
    *_all("text", "deficit_direction"),
    *_all("whole", "deficit_clock_face"),
    *_all("number", *(f"completion_center_mm_{axis}" for axis in _XYZ)),
    *_all("number", "completion_radius_mm", "completion_added_volume_ml", "completion_capsule_distance_mm"),
    *_all("flag", "completion_leaves_liver"),
    *_all("text", "liver_segments"),
    *_all("number", "outside_segments_share", "vessel_distance_mm"),
    *_all("number", *(f"vessel_distance_location_mm_{axis}" for axis in _XYZ)),
    *_all("flag", "thinnest_at_vessel"),
)
REGISTRATION_PART = (
    *_all("text", "registration_quality", "registration_reasons", "registration_reason_codes"),
    *_all("text", "registration_method"),
    *_all("number", "registration_sd_mm", "registration_liver_dice", "registration_liver_hd95_mm"),
    *_all("number", "registration_liver_asd_mm", "registration_jacobian_min", "registration_folded_share"),
    *_all("number", "registration_inverse_consistency_mm", "registration_engine_distance_mm"),
    *_all("whole", "registration_landmarks_count"),
    *_all("number", "registration_landmarks_tre_mean_mm", "registration_landmarks_tre_max_mm"),
)
EXAM_PART = tuple(
    column
    for exam in ("pre", "post")
    for column in (
        *_all("whole", f"inputs_{exam}_slices"),
        *_all("number", *(f"inputs_{exam}_spacing_mm_{axis}" for axis in "kji"), f"inputs_{exam}_slice_thickness_mm"),
        *_all("text", f"inputs_{exam}_modality", f"inputs_{exam}_phase", f"inputs_{exam}_phase_source"),
        *_all("text", f"inputs_{exam}_acquired", f"inputs_{exam}_series_uid", f"inputs_{exam}_sha256"),
    )
)
MASK_PART = (
    *_all("text", "tumor_source", "ablation_source", "liver_pre_source", "liver_post_source"),
    *_all("flag", "tumor_reviewed", "ablation_reviewed", "liver_pre_reviewed", "liver_post_reviewed"),
)
RUN_PART = (
    *_all("text", "warnings"),
    *_all("number", *(f"timings_s_{step}" for step in STEPS)),
    *_all("text", "software_ablmargin", "software_python", "error_code", "error"),
)
ALL_COLUMNS = (*CASE_PART, *LESION_PART, *REGISTRATION_PART, *EXAM_PART, *MASK_PART, *RUN_PART)
"""Behind ``case_id``, ``lesion_id`` and the manifest's own columns."""

RESULT_COLUMNS = frozenset(column.name for column in ALL_COLUMNS) - {"ras_mutation"}
"""Names that a manifest's own columns can't have."""

_LIST_ENDS = {"spacing_mm": "kji"}


def lesion_cells(record: Mapping[str, Any], lesion_id: str) -> dict[str, Any]:
    """The cells of one lesion's row from a case's ``result.json``.

    Raises
    ------
    KeyError
        If the case has no such lesion.
    """
    lesions = {lesion["id"]: lesion for lesion in record["lesions"]}
    flat = {name: record[name] for name in ("status", "ras_mutation", "point_of_reference")}
    flat |= {"case_verdict": record["verdict"]}
    flat |= flattened({**lesions[lesion_id], "liver_segments": _segments(lesions[lesion_id])})
    flat |= flattened({part: record[part] for part in ("registration", "inputs", "timings_s")})
    flat |= {
        "reason_codes": _each_once(lesions[lesion_id]),
        "registration_reason_codes": _each_once(record["registration"]),
    }
    flat |= _mask_cells(record["masks"], lesion_id)
    flat |= {
        "warnings": " ".join(dict.fromkeys(warning["code"] for warning in record["warnings"])),
        **{f"software_{name}": record["software"][name] for name in ("ablmargin", "python")},
    }
    return {column.name: flat.get(column.name) for column in ALL_COLUMNS}


def failure_cells(code: str, message: str) -> dict[str, Any]:
    """The cells of a lesion that has no result."""
    return {column.name: None for column in ALL_COLUMNS} | {"error_code": code, "error": message}


def flattened(record: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested records as one, names joined by underscores; points as x, y, z, sentences as one text.

    >>> flattened({"surface_share": {"below_0": 0.25}, "center_mm": [1.0, 2.0, 3.0], "reasons": ["One.", "Two."]})
    {'surface_share_below_0': 0.25, 'center_mm_x': 1.0, 'center_mm_y': 2.0, 'center_mm_z': 3.0, 'reasons': 'One. Two.'}
    """
    flat: dict[str, Any] = {}
    for name, value in record.items():
        if isinstance(value, Mapping):
            flat |= flattened(value, f"{prefix}{name}_")
        elif isinstance(value, list) and value and all(isinstance(part, int | float | None) for part in value):
            ends = _LIST_ENDS.get(name, _XYZ)
            flat |= {f"{prefix}{name}_{end}": part for end, part in zip(ends, value, strict=True)}
        elif isinstance(value, list):
            flat[prefix + name] = " ".join(str(part) for part in value)
        else:
            flat[prefix + name] = value
    return flat


def _each_once(reasoned: Mapping[str, Any] | None) -> str | None:
    """The codes of a lesion's or a registration's reasons; None where there is none, or in files from before codes."""
    codes = (reasoned or {}).get("reason_codes")
    return None if codes is None else " ".join(dict.fromkeys(codes))


def _segments(lesion: Mapping[str, Any]) -> str | None:
    """``VI 0.62, VII 0.38``; None if nobody gave segments."""
    told = lesion.get("liver_segments")
    return None if told is None else ", ".join(f"{one['segment']} {one['share']:g}" for one in told)


def _mask_cells(masks: Sequence[Mapping[str, Any]], lesion_id: str) -> dict[str, Any]:
    livers = {exam: [m for m in masks if m["structure"] == "liver" and m["exam"] == exam] for exam in ("pre", "post")}
    groups = {
        "tumor": [mask for mask in masks if mask["structure"] == "tumor" and mask["lesion"] == lesion_id],
        "ablation": [mask for mask in masks if mask["structure"].startswith("ablation")],
        "liver_pre": livers["pre"],
        "liver_post": livers["post"],
    }
    cells: dict[str, Any] = {}
    for name, group in groups.items():
        cells[f"{name}_source"] = " ".join(dict.fromkeys(mask["source"] for mask in group)) or None
        cells[f"{name}_reviewed"] = all(mask["reviewed"] for mask in group) if group else None
    return cells
