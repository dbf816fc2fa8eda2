"""A comparison as plain data: what ``comparison.json`` and ``lesions.csv`` hold."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from ablmargin.agreement.comparison import Comparison, Flips, OverallAgreement, PairAgreement
from ablmargin.agreement.estimate import Estimate
from ablmargin.agreement.margins import MarginAgreement
from ablmargin.agreement.readings import NOT_THERE, LesionKey, Reading
from ablmargin.agreement.remarks import remarks
from ablmargin.agreement.sheet import NEAR_MM
from ablmargin.agreement.verdicts import VerdictAgreement
from ablmargin.report import DISCLAIMER
from ablmargin.report.record import rounded
from ablmargin.result import software_versions

SCHEMA = "ablmargin.comparison/1"
_DECIMALS = 4
_CELLS = ("mam_mm", "judged_mm", "lower_mm", "upper_mm", "verdict", "missing")
_ABSENT = Reading(margin_mm=None, missing=NOT_THERE)


def comparison_record(comparison: Comparison) -> dict[str, Any]:
    """Everything as JSON-ready data: mm, shares 0..1, None what isn't known; differences are second - first."""
    overall, unit = comparison.overall, comparison.patients.unit
    return {
        "schema": SCHEMA,
        "disclaimer": DISCLAIMER,
        "readers": list(comparison.names),
        "inputs": [one.origin and asdict(one.origin) for one in comparison.readings],
        "seed": comparison.seed,
        "lesions": len(comparison.lesions),
        "patients": comparison.people,
        "patients_by": f"{unit}_id",
        "remarks": list(remarks(comparison)),
        "pairs": [_pair_record(pair, unit) for pair in comparison.pairs],
        "overall": overall
        and {
            "lesions": overall.lesions,
            "patients": overall.patients,
            "intervals": _intervals(overall, unit),
            "icc_agreement": _estimate(overall.icc_agreement),
            "icc_consistency": _estimate(overall.icc_consistency),
            "verdicts": _verdict_records(overall.verdicts),
        },
        "flips": [
            record | {"readings": _readings(comparison, key)}
            for key, record in zip(comparison.flips, _flip_records(comparison.flips), strict=True)
        ],
        "gaps": [_lesion_record(key) | {"why": dict(why)} for key, why in comparison.gaps.items()],
        "software": software_versions(),
    }


def lesions_csv(comparison: Comparison) -> str:
    """A row a lesion that two readers or more have, with what each says about it: the columns of a reader begin with its name."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    columns = [f"{name} {cell}" for name in comparison.names for cell in _CELLS]
    writer.writerow(["case_id", "lesion_id", *map(_plain, columns), "differs_in"])
    for key in comparison.lesions:
        told = _readings(comparison, key).values()
        cells = [one[name] for one in told for name in _CELLS]
        differs = " ".join(question.key for question in comparison.flips.get(key, ()))
        writer.writerow([*map(_plain, key), *map(_plain, cells), differs])
    return text.getvalue()


def _pair_record(pair: PairAgreement, unit: str) -> dict[str, Any]:
    return {
        "first": pair.first,
        "second": pair.second,
        "lesions": pair.lesions,
        "patients": pair.patients,
        "intervals": _intervals(pair, unit),
        "margins": pair.margins and _margin_record(pair.margins),
        "verdicts": _verdict_records(pair.verdicts),
        "flips": _flip_records(pair.flips),
        "unmatched": [_lesion_record(key) | {"only_in": list(names)} for key, names in pair.matched.unmatched.items()],
        "without_margin": [
            _lesion_record(key) | {"why": dict(why)} for key, why in pair.matched.without_margin.items()
        ],
    }


def _intervals(part: PairAgreement | OverallAgreement, unit: str) -> str:
    return "by lesion" if part.patients == len(part.matched.common) else f"by {unit}"


def _flip_records(flips: Flips) -> list[dict[str, Any]]:
    return [_lesion_record(key) | {"differs_in": [one.key for one in questions]} for key, questions in flips.items()]


def _margin_record(margins: MarginAgreement) -> dict[str, Any]:
    key, largest_mm = margins.largest
    return {
        "lesions": len(margins.keys),
        "bias_mm": _estimate(margins.bias_mm),
        "sd_mm": _estimate(margins.sd_mm),
        "lower_limit_mm": _estimate(margins.lower_limit_mm),
        "upper_limit_mm": _estimate(margins.upper_limit_mm),
        "slope": _estimate(margins.slope),
        "median_distance_mm": rounded(margins.median_distance_mm, _DECIMALS),
        "largest": _lesion_record(key) | {"difference_mm": rounded(largest_mm, _DECIMALS)},
        "share_within": {f"{reach:g}": rounded(margins.share_within(reach), _DECIMALS) for reach in NEAR_MM},
        "icc_agreement": _estimate(margins.icc_agreement),
        "icc_consistency": _estimate(margins.icc_consistency),
    }


def _verdict_records(verdicts: Sequence[VerdictAgreement]) -> list[dict[str, Any]]:
    return [
        {
            "question": one.question.key,
            "lesions": one.lesions,
            "same": _estimate(one.same),
            "kappa": _estimate(one.kappa),
            "ac1": _estimate(one.ac1),
        }
        for one in verdicts
    ]


def _readings(comparison: Comparison, key: LesionKey) -> dict[str, Mapping[str, Any]]:
    """What each reader says about one lesion."""
    told: dict[str, Mapping[str, Any]] = {}
    for one in comparison.readings:
        reading = one.lesions.get(key, _ABSENT)
        told[one.name] = {
            "mam_mm": rounded(reading.margin_mm, _DECIMALS),
            "judged_mm": rounded(reading.judged_mm, _DECIMALS),
            "lower_mm": rounded(reading.lower_mm, _DECIMALS),
            "upper_mm": rounded(reading.upper_mm, _DECIMALS),
            "verdict": reading.verdict,
            "missing": reading.missing if reading.margin_mm is None else None,
        }
    return told


def _lesion_record(key: LesionKey) -> dict[str, Any]:
    return {"case_id": key[0], "lesion_id": key[1]}


def _estimate(estimate: Estimate) -> dict[str, float | None]:
    return {name: rounded(value, _DECIMALS) for name, value in asdict(estimate).items()}


def _plain(cell: Any) -> Any:
    """A cell that no spreadsheet takes for a formula."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell
