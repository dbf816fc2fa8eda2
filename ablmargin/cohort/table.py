"""Results of a batch, read as lesions: the one place that knows their columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ablmargin.case import RasMutation
from ablmargin.clinical.criteria import REQUIRED_MARGIN_MM, THRESHOLDS_MM, Verdict
from ablmargin.cohort.contradictions import contradictions
from ablmargin.cohort.followup import FOLLOWUP_COLUMNS, followup_of
from ablmargin.cohort.lesion import Findings, Lesion, State, ball_diameter_mm
from ablmargin.errors import Fault, InputError, shortened
from ablmargin.report.palette import BANDS
from ablmargin.results.files import read_results as read_rows
from ablmargin.results.origin import Origin
from ablmargin.results.rows import ResultRows

NEEDED = ("mam_mm", "verdict")
COVERED_MM = (0, 5, 10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """All lesions of a batch in the table's order, and which columns of follow-up it has.

    ``has_patients``: whether it has a column of patients; ``unnamed`` is the number of lesions whose cell in it is blank.
    """

    lesions: tuple[Lesion, ...]
    followup_columns: tuple[str, ...]
    has_patients: bool
    unnamed: int
    origin: Origin


def read_results(place: Path) -> Results:
    """Read a batch's folder, or anything else that :func:`ablmargin.load_results` reads.

    Raises
    ------
    InputError
        As :func:`ablmargin.results.files.read_results`, and COHORT_COLUMN, COHORT_CELL, COHORT_FOLLOWUP, COHORT_PATIENT, with all
        rows at fault.
    """
    found = read_rows(place)
    faults = list(_column_faults(place, found))
    if faults:
        raise InputError(*faults)
    lesions: list[Lesion] = []
    sources = [Path(source).name for source in found.places]
    for row, source in zip(found.rows, sources, strict=True):
        lesion, told = _lesion(row, found.carried, source)
        lesions.append(lesion)
        faults += told
    faults += contradictions(lesions, sources)
    if faults:
        raise InputError(*shortened(place.name, faults))
    return Results(
        lesions=tuple(lesions),
        followup_columns=tuple(name for name in FOLLOWUP_COLUMNS if name in found.carried),
        has_patients="patient_id" in found.carried,
        unnamed=sum(not row.get("patient_id") for row in found.rows),
        origin=Origin.of(place, found.files),
    )


def _column_faults(place: Path, found: ResultRows) -> Iterator[Fault]:
    for name in NEEDED:
        if name not in found.columns:
            expected, remedy = f"the columns {', '.join(NEEDED)}", "Name the results of ablmargin batch."
            yield _fault(place, f"no column {name}", expected, remedy)
    for name in ("ltp", "death"):
        if {name, "event"} <= found.columns:
            remedy = "Keep ltp (with death, months_death), or event: none, ltp or death."
            yield _fault(place, f"both columns {name} and event", "one of them", remedy)


def _fault(place: Path, found: str, expected: str, remedy: str) -> Fault:
    return Fault(code="COHORT_COLUMN", source=place.name, found=found, expected=expected, remedy=remedy)


def _lesion(row: Mapping[str, Any], carried: Sequence[str], source: str) -> tuple[Lesion, list[Fault]]:
    """One row as a lesion, and what is wrong with it."""
    own = {name: str(row.get(name) or "") for name in carried}
    state, code = _state(row), row["error_code"] or ""
    followup, faults = followup_of(own, source)
    if state is State.MEASURED and row["verdict"] is None:
        faults.append(_without_verdict(source))
    lesion = Lesion(
        case_id=row["case_id"],
        lesion_id=row["lesion_id"],
        patient_id=own.get("patient_id") or f"(case {row['case_id']})",
        state=state,
        code=code or ("NO_RESULT" if state is State.FAILED else ""),
        ras=_ras(row),
        findings=_findings(row) if state is State.MEASURED else None,
        followup=followup,
        own={name: cell for name, cell in own.items() if name not in {*FOLLOWUP_COLUMNS, "patient_id"}},
    )
    return lesion, faults


def _state(row: Mapping[str, Any]) -> State:
    withheld = row["status"] == "withheld"
    if row["error_code"] or (row["mam_mm"] is None and not withheld):
        return State.FAILED
    return State.WITHHELD if withheld or row["registration_quality"] == "failed" else State.MEASURED


def _without_verdict(source: str) -> Fault:
    return Fault(
        code="COHORT_CELL",
        source=source,
        attribute="verdict",
        found="a margin without a verdict",
        expected="adequate, inadequate or indeterminate",
        remedy="Fill it in; indeterminate if nobody judged it.",
    )


def _ras(row: Mapping[str, Any]) -> RasMutation:
    return RasMutation(row["ras_mutation"] or RasMutation.UNKNOWN)


def _findings(row: Mapping[str, Any]) -> Findings:
    thresholds = {mm: row[f"verdicts_by_threshold_{mm:g}"] for mm in THRESHOLDS_MM}
    shares = [row[f"surface_share_{band.key}"] for band in BANDS]
    coverage = {mm: row[f"coverage_{mm}"] for mm in COVERED_MM}
    volume_ml = row["tumor_volume_ml"]
    return Findings(
        margin_mm=_judged_mm(row),
        lower_mm=row["mam_lower_mm"],
        upper_mm=row["mam_upper_mm"],
        plain_mm=row["mam_mm"],
        required_mm=row["required_margin_mm"] or REQUIRED_MARGIN_MM[_ras(row)],
        verdict=Verdict(row["verdict"] or Verdict.INDETERMINATE),
        by_threshold={mm: Verdict(verdict) for mm, verdict in thresholds.items() if verdict is not None},
        subcapsular=row["subcapsular"],
        segment=_largest_segment(row["liver_segments"] or ""),
        diameter_mm=ball_diameter_mm(volume_ml) if volume_ml else None,
        surface_share=None if None in shares else tuple(shares),
        coverage={mm: covered for mm, covered in coverage.items() if covered is not None},
        quality=row["registration_quality"],
        sd_mm=row["registration_sd_mm"],
        reviewed=_all_true([row["tumor_reviewed"], row["ablation_reviewed"]]),
        reason_codes=tuple((row["reason_codes"] or "").split()),
    )


def _judged_mm(row: Mapping[str, Any]) -> float:
    """The minimum that the verdict is about; where nobody tells which, that within the liver for a subcapsular tumor."""
    within_mm, told = row["mam_constrained_mm"], row["bounds_of"]
    is_within = row["subcapsular"] if told is None else told == "mam_constrained_mm"
    judged_mm: float = row["mam_mm"] if within_mm is None or not is_within else within_mm
    return judged_mm


def _all_true(flags: Sequence[bool | None]) -> bool | None:
    """False if one is, None if none is known."""
    known = [value for value in flags if value is not None]
    return all(known) if known else None


def _largest_segment(text: str) -> str | None:
    """The first of ``VI 0.62, VII 0.38``, which is in the order of shares."""
    return text.partition(",")[0].split(" ")[0] or None
