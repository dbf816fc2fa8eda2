"""Everything that is found on a cohort, in one record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ablmargin.cohort.flow import Flow, flow_of, measured_among
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
from ablmargin.cohort.table import Results


@dataclass(frozen=True, slots=True, kw_only=True)
class Cohort:
    """A cohort's lesions and what they tell together."""

    lesions: tuple[Lesion, ...]
    measured: tuple[Lesion, ...]
    has_patients: bool
    flow: Flow
    groups: tuple[Group, ...]
    qualities: Mapping[str, int]
    error: Spread | None
    coverage: Mapping[int, Spread]
    surface: Mapping[str, Spread]


def analyze_cohort(results: Results) -> Cohort:
    """Count, group and summarize the lesions of a batch."""
    measured = measured_among(results.lesions)
    return Cohort(
        lesions=results.lesions,
        measured=tuple(measured),
        has_patients=results.has_patients,
        flow=flow_of(results.lesions),
        groups=tuple(groups_of(measured)),
        qualities=quality_counts(measured),
        error=error_spread(measured),
        coverage=coverage_spreads(measured),
        surface=surface_spreads(measured),
    )
