"""A cohort as plain data: ``cohort.json``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ablmargin.cohort.analysis import Cohort
from ablmargin.cohort.cautions import cautions
from ablmargin.cohort.flow import Fates, Flow, Numbers
from ablmargin.cohort.groups import Group, Spread
from ablmargin.cohort.outcomerecord import outcome_record
from ablmargin.report import DISCLAIMER
from ablmargin.report.record import rounded
from ablmargin.result import software_versions

SCHEMA = "ablmargin.cohort/1"
PACKAGES = ("pandas", "statsmodels")


def cohort_record(cohort: Cohort) -> dict[str, Any]:
    """Everything found on a cohort as JSON-ready data. Lengths in mm, times in months, shares 0..1; None if not known."""
    return {
        "schema": SCHEMA,
        "disclaimer": DISCLAIMER,
        "input": {"name": cohort.origin.name, "files": cohort.origin.files, "sha256": cohort.origin.sha256},
        "seed": cohort.seed,
        "cautions": cautions(cohort),
        "flow": flow_record(cohort.flow),
        "groups": [_group(group) for group in cohort.groups],
        "registration": {"quality": dict(cohort.qualities), "sd_mm": _spread(cohort.error)},
        "surface_share": {key: _spread(spread) for key, spread in cohort.surface.items()},
        "coverage": {str(mm): _spread(spread) for mm, spread in cohort.coverage.items()},
        "followup": None if cohort.outcome is None else outcome_record(cohort.outcome),
        "software": software_versions(*PACKAGES),
    }


def flow_record(flow: Flow) -> dict[str, Any]:
    """The counts of the flow diagram."""
    return {
        "listed": _numbers(flow.listed),
        "failed": dict(flow.failed),
        "withheld": flow.withheld,
        "measured": _numbers(flow.measured),
        "verdicts": {verdict.value: count for verdict, count in flow.verdicts.items()},
        "indeterminate": dict(flow.undecided),
        "not_followed": dict(flow.not_followed),
        "followed": _numbers(flow.followed),
        "followup_of_left_out": _fates(flow.left_out_fates),
        "followup_of_unreviewed": _fates(flow.unreviewed_fates),
    }


def _numbers(numbers: Numbers) -> dict[str, int]:
    return {"lesions": numbers.lesions, "cases": numbers.cases, "patients": numbers.patients}


def _fates(fates: Fates) -> dict[str, int]:
    return {"lesions": fates.followed, "progressions": fates.progressed}


def _group(group: Group) -> dict[str, Any]:
    low, middle, high = group.quartiles_mm
    return {
        "topic": group.topic,
        "name": group.name,
        "lesions": group.count,
        "margin_mm": {
            "minimum": rounded(group.lowest_mm, 3),
            "q1": rounded(low, 3),
            "median": rounded(middle, 3),
            "q3": rounded(high, 3),
            "maximum": rounded(group.highest_mm, 3),
        },
        "reaching": {f"{mm:g}": count for mm, count in group.reaching.items()},
        "verdicts_by_threshold": {f"{mm:g}": _verdicts(counts) for mm, counts in group.by_threshold.items()},
    }


def _verdicts(counts: Mapping[Any, int]) -> dict[str, int]:
    return {verdict.value: count for verdict, count in counts.items()}


def _spread(spread: Spread | None) -> dict[str, Any] | None:
    if spread is None:
        return None
    low, middle, high = (rounded(value, 4) for value in spread.quartiles)
    return {"lesions": spread.count, "q1": low, "median": middle, "q3": high}
