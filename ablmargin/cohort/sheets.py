"""The tables of a cohort as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from ablmargin.clinical.criteria import THRESHOLDS_MM, Verdict
from ablmargin.cohort.analysis import Cohort
from ablmargin.cohort.flow import why_not_followed
from ablmargin.cohort.lesion import Event, Findings, FollowUp, Lesion
from ablmargin.cohort.outcome import Outcome, Unfit
from ablmargin.cohort.survival import at_risk
from ablmargin.cohort.table import COVERED_MM
from ablmargin.cohort.wording import significant
from ablmargin.report.palette import BANDS
from ablmargin.report.record import rounded

LESION_COLUMNS = (
    "case_id",
    "lesion_id",
    "patient_id",
    "state",
    "error_code",
    "ras_mutation",
    "margin_mm",
    "margin_lower_mm",
    "margin_upper_mm",
    "plain_margin_mm",
    "band",
    "verdict",
    "diameter_mm",
    "subcapsular",
    "segment",
    "reviewed",
    "registration_quality",
    "registration_sd_mm",
    *(f"coverage_{grown_mm}" for grown_mm in COVERED_MM),
    "ltp",
    "months",
    "death",
    "months_death",
    "not_followed",
)
GROUP_COLUMNS = (
    "topic",
    "name",
    "lesions",
    "minimum_mm",
    "q1_mm",
    "median_mm",
    "q3_mm",
    "maximum_mm",
    *(f"{verdict.value}_at_{mm:g}_mm" for mm in THRESHOLDS_MM for verdict in Verdict),
)

CURVE_COLUMNS = ("estimate", "band", "months", "share", "lower", "upper", "at_risk")
RATIO_COLUMNS = (
    "model",
    "covariate",
    "hazard_ratio",
    "lower",
    "upper",
    "p",
    "proportional_p",
    "lesions",
    "patients",
    "progressions",
    "reason",
)


def sheets_of(cohort: Cohort) -> dict[str, str]:
    """The tables by the names of their files, as text."""
    sheets = {
        "lesions": _lesions(cohort.lesions),
        "groups": _csv(GROUP_COLUMNS, _group_rows(cohort)),
    }
    if cohort.outcome is not None:
        sheets["progression"] = _csv(CURVE_COLUMNS, _curve_rows(cohort.outcome))
        sheets["hazard_ratios"] = _csv(RATIO_COLUMNS, _ratio_rows(cohort.outcome))
    return sheets


def _lesions(lesions: Sequence[Lesion]) -> str:
    """A row a lesion with every digit, then the manifest's own columns; one named like ours gets ``manifest_`` before it."""
    own = list(dict.fromkeys(name for lesion in lesions for name in lesion.own))
    names = [f"manifest_{name}" if name in LESION_COLUMNS else name for name in own]
    rows = ([_lesion_cells(lesion).get(name) for name in LESION_COLUMNS] for lesion in lesions)
    cells = ([*row, *(lesion.own.get(name) for name in own)] for row, lesion in zip(rows, lesions, strict=True))
    return _csv([*LESION_COLUMNS, *names], cells)


def _lesion_cells(lesion: Lesion) -> dict[str, Any]:
    return {
        "case_id": lesion.case_id,
        "lesion_id": lesion.lesion_id,
        "patient_id": lesion.patient_id,
        "state": lesion.state.value,
        "error_code": lesion.code,
        "ras_mutation": lesion.ras.value,
        "not_followed": lesion.state.value if lesion.findings is None else why_not_followed(lesion),
        **_measured_cells(lesion.findings),
        **_followup_cells(lesion.followup),
    }


def _measured_cells(findings: Findings | None) -> dict[str, Any]:
    if findings is None:
        return {}
    return {
        "margin_mm": findings.margin_mm,
        "margin_lower_mm": findings.lower_mm,
        "margin_upper_mm": findings.upper_mm,
        "plain_margin_mm": findings.plain_mm,
        "band": findings.band.key,
        "verdict": findings.verdict.value,
        "diameter_mm": findings.diameter_mm,
        "subcapsular": findings.subcapsular,
        "segment": findings.segment,
        "reviewed": findings.reviewed,
        "registration_quality": findings.quality,
        "registration_sd_mm": findings.sd_mm,
        **{f"coverage_{grown_mm}": findings.coverage.get(grown_mm) for grown_mm in COVERED_MM},
    }


def _followup_cells(followup: FollowUp | None) -> dict[str, Any]:
    if followup is None:
        return {}
    return {
        "ltp": int(followup.event is Event.LTP),
        "months": followup.months,
        "death": None if followup.died is None else int(followup.died),
        "months_death": followup.lived_months,
    }


def _group_rows(cohort: Cohort) -> Iterator[list[Any]]:
    for group in cohort.groups:
        lengths_mm = (group.lowest_mm, *group.quartiles_mm, group.highest_mm)
        verdicts = [group.by_threshold.get(mm, {}).get(verdict) for mm in THRESHOLDS_MM for verdict in Verdict]
        yield [group.topic, group.name, group.count, *(rounded(value, 3) for value in lengths_mm), *verdicts]


def _curve_rows(outcome: Outcome) -> Iterator[list[Any]]:
    for band in outcome.bands:
        own = outcome.histories.only(outcome.histories.band == BANDS.index(band.band))
        for estimate, curve in (("kaplan_meier", band.progression), ("cumulative_incidence", band.incidence)):
            if curve is None:
                continue
            steps = zip(curve.months, curve.share, curve.lower, curve.upper, strict=True)
            for (month, *shares), count in zip(steps, at_risk(own, curve.months), strict=True):
                yield [estimate, band.band.key, rounded(month, 3), *(rounded(share, 5) for share in shares), count]


def _ratio_rows(outcome: Outcome) -> Iterator[list[Any]]:
    for model in outcome.models:
        if isinstance(model, Unfit):
            yield [" + ".join(model.terms), *[None] * 9, model.reason]
            continue
        name = " + ".join(term.name for term in model.terms)
        for term in model.terms:
            ratio = (rounded(value, 4) for value in (term.ratio, term.lower, term.upper))
            p_values = (significant(term.p_value), significant(term.proportional_p))
            yield [name, term.name, *ratio, *p_values, model.lesions, model.patients, model.events, None]


def _csv(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([["" if cell is None else _safe(cell) for cell in row] for row in rows])
    return buffer.getvalue()


def _safe(cell: Any) -> Any:
    """Text that a spreadsheet would take for a formula gets an apostrophe before it."""
    return f"'{cell}" if isinstance(cell, str) and cell[:1] in {"=", "+", "-", "@", "\t", "\r"} else cell
