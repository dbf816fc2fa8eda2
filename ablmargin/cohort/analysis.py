"""Everything that is found on a cohort, in one record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ablmargin.cohort.flow import Flow, flow_of, followed_among, measured_among
from ablmargin.cohort.groups import (
    Group,
    Spread,
    coverage_spreads,
    error_spread,
    groups_of,
    quality_counts,
    surface_spreads,
)
from ablmargin.cohort.lesion import Lesion
from ablmargin.cohort.outcome import HORIZON_MONTHS, Outcome, outcome_of
from ablmargin.cohort.table import Results
from ablmargin.results.origin import Origin


@dataclass(frozen=True, slots=True, kw_only=True)
class Cohort:
    """A cohort's lesions and what they tell together.

    ``outcome`` is None where nobody was followed, ``lacks_months`` says that progression is told, but not when.
    """

    origin: Origin
    seed: int
    lesions: tuple[Lesion, ...]
    measured: tuple[Lesion, ...]
    has_patients: bool
    unnamed: int
    lacks_months: bool
    flow: Flow
    groups: tuple[Group, ...]
    qualities: Mapping[str, int]
    error: Spread | None
    coverage: Mapping[int, Spread]
    surface: Mapping[str, Spread]
    has_followup: bool
    outcome: Outcome | None


def analyze_cohort(results: Results, *, horizon_months: float = HORIZON_MONTHS, seed: int = 0) -> Cohort:
    """Count, group and summarize the lesions of a batch, and set margins against follow-up where there is some.

    Parameters
    ----------
    results : Results
    horizon_months : float
        Until when progression is foretold, for ROC curve and calibration.
    seed : int
        Of the resampling behind the ROC curve's intervals.
    """
    measured = measured_among(results.lesions)
    return Cohort(
        origin=results.origin,
        seed=seed,
        lesions=results.lesions,
        measured=tuple(measured),
        has_patients=results.has_patients,
        unnamed=results.unnamed,
        lacks_months=bool(results.followup_columns) and "months" not in results.followup_columns,
        flow=flow_of(results.lesions),
        groups=tuple(groups_of(measured)),
        qualities=quality_counts(measured),
        error=error_spread(measured),
        coverage=coverage_spreads(measured),
        surface=surface_spreads(measured),
        has_followup=any(lesion.followup is not None for lesion in results.lesions),
        outcome=outcome_of(
            followed_among(measured),
            horizon_months=horizon_months,
            seed=seed,
            deaths_told=bool({"death", "event"} & set(results.followup_columns)),
        ),
    )
