"""The tables of a cohort as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from ablmargin.clinical.criteria import THRESHOLDS_MM, Verdict
from ablmargin.cohort.analysis import Cohort
from ablmargin.cohort.flow import why_not_followed
from ablmargin.cohort.lesion import Lesion
from ablmargin.cohort.outcome import Outcome, Unfit
from ablmargin.cohort.survival import at_risk
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
    "diameter_mm",
    "subcapsular",
    "verdict",
    "registration_quality",
    "months",
    "event",
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
        "lesions": _csv(LESION_COLUMNS, (_lesion_row(lesion) for lesion in cohort.lesions)),
        "groups": _csv(GROUP_COLUMNS, _group_rows(cohort)),
    }
    if cohort.outcome is not None:
        sheets["progression"] = _csv(CURVE_COLUMNS, _curve_rows(cohort.outcome))
        sheets["hazard_ratios"] = _csv(RATIO_COLUMNS, _ratio_rows(cohort.outcome))
    return sheets


def _lesion_row(lesion: Lesion) -> list[Any]:
    findings, followup = lesion.findings, lesion.followup
    measured: list[Any] = [None] * 7
    if findings is not None:
        lengths_mm = (findings.margin_mm, findings.lower_mm, findings.upper_mm, findings.diameter_mm)
        rest = (findings.subcapsular, findings.verdict.value, findings.quality)
        measured = [*(rounded(value, 3) for value in lengths_mm), *rest]
    return [
        lesion.case_id,
        lesion.lesion_id,
        lesion.patient_id,
        lesion.state.value,
        lesion.code,
        lesion.ras.value,
        *measured,
        followup and rounded(followup.months, 3),
        followup and followup.event.value,
        lesion.state.value if findings is None else why_not_followed(lesion),
    ]


def _group_rows(cohort: Cohort) -> Iterator[list[Any]]:
    for group in cohort.groups:
        lengths_mm = (group.lowest_mm, *group.quartiles_mm, group.highest_mm)
        verdicts = [group.by_threshold[mm][verdict] for mm in THRESHOLDS_MM for verdict in Verdict]
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
