"""What follow-up told as plain data: its part of ``cohort.json``."""

from __future__ import annotations

import math
from typing import Any

from ablmargin.cohort.calibration import Calibration
from ablmargin.cohort.cox import CoxModel, Term
from ablmargin.cohort.intervals import Ranged
from ablmargin.cohort.logrank import LogRank
from ablmargin.cohort.outcome import BandOutcome, Outcome, Unfit
from ablmargin.cohort.roc import BestCutoff, Cutoff, Roc
from ablmargin.cohort.shares import Share
from ablmargin.cohort.wording import significant
from ablmargin.report.palette import BANDS
from ablmargin.report.record import rounded


def outcome_record(outcome: Outcome) -> dict[str, Any]:
    """Everything that follow-up told, JSON-ready; None with a reason where it tells nothing."""
    return {
        "lesions": len(outcome.histories),
        "patients": outcome.histories.patients,
        "progressions": outcome.histories.progressions,
        "deaths": outcome.deaths if outcome.deaths_told else None,
        "unseen_deaths": outcome.unseen_deaths if outcome.deaths_told else None,
        "median_months": rounded(outcome.median_months, 2),
        "horizon_months": outcome.horizon_months,
        "at_risk_months": list(outcome.grid_months),
        "bands": [_band(band) for band in outcome.bands],
        "logrank": _logrank(outcome.logrank),
        "cox": [_model(model) for model in outcome.models],
        "roc": _roc(outcome.roc) if outcome.roc else {"reason": outcome.roc_reason},
        "calibration": _calibration(outcome.calibration) or {"reason": outcome.calibration_reason},
    }


def _logrank(found: LogRank | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {
        "chi_square": significant(found.chi_square),
        "degrees_of_freedom": found.freedom,
        "p": significant(found.p_value),
        "bands_never_at_risk": [BANDS[place].key for place in found.never_at_risk],
    }


def _band(band: BandOutcome) -> dict[str, Any]:
    return {
        "band": band.band.key,
        "lesions": band.lesions,
        "progressions": band.progressions,
        "deaths": band.deaths,
        "at_risk": list(band.at_risk),
        "at_horizon": band.at_horizon,
        "progression": _share(band.progression_share),
        "cumulative_incidence": _share(band.incidence_share),
    }


def _share(share: Share | None) -> dict[str, float | None] | None:
    """A share until the horizon, with how many patients a bound rests on; None if it isn't known."""
    if share is None:
        return None
    parts = {"value": share.value, "lower": share.lower, "upper": share.upper, "one_sided_bound": share.bound}
    patients = share.patients if math.isfinite(share.bound) else None
    return {name: rounded(part, 5) for name, part in parts.items()} | {"bound_patients": patients}


def _model(model: CoxModel | Unfit) -> dict[str, Any]:
    if isinstance(model, Unfit):
        return {"covariates": list(model.terms), "reason": model.reason}
    counts = {"lesions": model.lesions, "patients": model.patients, "progressions": model.events}
    return counts | {"covariates": [term.name for term in model.terms], "terms": [_term(term) for term in model.terms]}


def _term(term: Term) -> dict[str, Any]:
    return {
        "covariate": term.name,
        "hazard_ratio": rounded(term.ratio, 4),
        "lower": rounded(term.lower, 4),
        "upper": rounded(term.upper, 4),
        "p": significant(term.p_value),
        "proportional_p": significant(term.proportional_p),
    }


def _roc(roc: Roc) -> dict[str, Any]:
    return {
        "cases": roc.cases,
        "controls": roc.controls,
        "area": _ranged(roc.area, 4),
        "best_cutoff": None if roc.best is None else _best_cutoff(roc.best),
        "cutoffs": [_cutoff(cutoff) for cutoff in roc.given],
    }


def _cutoff(cutoff: Cutoff) -> dict[str, Any]:
    return {
        "margin_mm": cutoff.margin_mm,
        "sensitivity": _ranged(cutoff.sensitivity, 4),
        "specificity": _ranged(cutoff.specificity, 4),
    }


def _best_cutoff(best: BestCutoff) -> dict[str, Any]:
    return {
        "margin_mm": _ranged(best.margin_mm, 3),
        "counted": {
            "sensitivity": rounded(best.counted_sensitivity, 4),
            "specificity": rounded(best.counted_specificity, 4),
        },
        "corrected": {"sensitivity": _ranged(best.sensitivity, 4), "specificity": _ranged(best.specificity, 4)},
    }


def _calibration(calibration: Calibration | None) -> dict[str, Any] | None:
    if calibration is None:
        return None
    groups = [
        {"lesions": group.lesions, "predicted": rounded(group.predicted, 4), "observed": _share(group.observed)}
        for group in calibration.groups
    ]
    terms = list(calibration.terms)
    return {
        "covariates": terms,
        "lesions": calibration.lesions,
        "slope": _ranged(calibration.slope, 4),
        "groups": groups,
    }


def _ranged(value: Ranged, decimals: int) -> dict[str, float | None]:
    parts = {"value": value.value, "lower": value.lower, "upper": value.upper}
    return {name: rounded(part, decimals) for name, part in parts.items()}
