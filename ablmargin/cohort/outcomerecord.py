"""What follow-up told as plain data: its part of ``cohort.json``."""

from __future__ import annotations

from typing import Any

from ablmargin.cohort.calibration import Calibration
from ablmargin.cohort.cox import CoxModel, Term
from ablmargin.cohort.outcome import BandOutcome, Outcome, Unfit
from ablmargin.cohort.roc import Cutoff, Ranged, Roc
from ablmargin.cohort.survival import Curve
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
        "bands": [_band(band, outcome.horizon_months) for band in outcome.bands],
        "logrank_p": _p_value(outcome.logrank_p),
        "cox": [_model(model) for model in outcome.models],
        "roc": _roc(outcome.roc) if outcome.roc else {"reason": outcome.roc_reason},
        "calibration": _calibration(outcome.calibration) or {"reason": outcome.calibration_reason},
    }


def _band(band: BandOutcome, horizon_months: float) -> dict[str, Any]:
    return {
        "band": band.band.key,
        "lesions": band.lesions,
        "progressions": band.progressions,
        "deaths": band.deaths,
        "at_risk": list(band.at_risk),
        "at_horizon": band.at_horizon,
        "progression": _at(band.progression, band, horizon_months),
        "cumulative_incidence": None if band.incidence is None else _at(band.incidence, band, horizon_months),
    }


def _at(curve: Curve, band: BandOutcome, horizon_months: float) -> dict[str, float | None] | None:
    """The share until the horizon; None if no lesion was followed so long."""
    share, lower, upper = curve.at(horizon_months)
    return _ranged(Ranged(value=share, lower=lower, upper=upper), 5) if band.at_horizon else None


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
        "p": _p_value(term.p_value),
        "proportional_p": _p_value(term.proportional_p),
    }


def _roc(roc: Roc) -> dict[str, Any]:
    return {
        "cases": roc.cases,
        "controls": roc.controls,
        "area": _ranged(roc.area, 4),
        "best_cutoff": _cutoff(roc.best),
        "cutoffs": [_cutoff(cutoff) for cutoff in roc.given],
    }


def _cutoff(cutoff: Cutoff) -> dict[str, Any]:
    return {
        "margin_mm": _ranged(cutoff.margin_mm, 3),
        "sensitivity": _ranged(cutoff.sensitivity, 4),
        "specificity": _ranged(cutoff.specificity, 4),
    }


def _calibration(calibration: Calibration | None) -> dict[str, Any] | None:
    if calibration is None:
        return None
    groups = [
        {"lesions": group.lesions, "predicted": rounded(group.predicted, 4), "observed": _ranged(group.observed, 4)}
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


def _p_value(value: float | None) -> float | None:
    return rounded(value, 6)
