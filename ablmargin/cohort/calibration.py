"""Whether predicted risks come true: each lesion's risk by a model that never saw its patient, against what happened."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ablmargin.cohort.cox import CoxModel, NoFitError, fit_cox, too_few
from ablmargin.cohort.histories import Histories
from ablmargin.cohort.intervals import Ranged
from ablmargin.cohort.shares import Share, share_until
from ablmargin.cohort.survival import progression
from ablmargin.geometry import FloatArray

FOLDS = 10
GROUPS = 4
LEAST_EVENTS = 20
LEAST_EVENTS_OF_TWO = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskGroup:
    """Lesions of similar predicted risk: its mean, and the share with progression until the horizon."""

    lesions: int
    predicted: float
    observed: Share


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """``slope`` is 1 where predicted risks are as far apart as they should be, less where they are too extreme."""

    horizon_months: float
    terms: tuple[str, ...]
    lesions: int
    groups: tuple[RiskGroup, ...]
    slope: Ranged


def calibrate(histories: Histories, covariates: Mapping[str, FloatArray], horizon_months: float) -> Calibration:
    """Predict each lesion's risk from other patients, and compare it with what happened.

    Raises
    ------
    NoFitError
        If there are too few progressions, or a model can't be fitted to all, or to those that remain without a tenth.
    """
    needed = LEAST_EVENTS if len(covariates) == 1 else LEAST_EVENTS_OF_TWO
    if histories.progressions < needed:
        raise NoFitError(f"{too_few(histories.progressions)} to check predictions: it takes {needed}.")
    fit_cox(histories, covariates)
    matrix = np.column_stack(list(covariates.values()))
    score, risk = np.empty(len(histories)), np.empty(len(histories))
    fold = np.unique(histories.patient, return_inverse=True)[1] % FOLDS
    for number in np.unique(fold):
        others, own = fold != number, fold == number
        model = _of_others(histories.only(others), {name: values[others] for name, values in covariates.items()})
        score[own], risk[own] = matrix[own] @ model.coefficients, model.risk_by(horizon_months, matrix[own])
    (slope,) = fit_cox(histories, {"predicted risk": score}).terms
    rank = np.argsort(np.argsort(risk, kind="stable"), kind="stable")
    members = [rank * GROUPS // len(risk) == place for place in range(GROUPS)]
    return Calibration(
        horizon_months=horizon_months,
        terms=tuple(covariates),
        lesions=len(histories),
        groups=tuple(_group(histories.only(inside), risk[inside], horizon_months) for inside in members),
        slope=Ranged(value=math.log(slope.ratio), lower=math.log(slope.lower), upper=math.log(slope.upper)),
    )


def _of_others(others: Histories, covariates: Mapping[str, FloatArray]) -> CoxModel:
    try:
        return fit_cox(others, covariates)
    except NoFitError as error:
        raise NoFitError(
            f"With a tenth of the patients left out no model can be fitted. Of the others: {error}"
        ) from None


def _group(histories: Histories, risk: FloatArray, horizon_months: float) -> RiskGroup:
    observed = share_until(horizon_months, progression(histories), histories, deaths_compete=False)
    if observed is None:
        raise NoFitError(f"Not all groups of similar risk were followed for {horizon_months:g} months.")
    return RiskGroup(lesions=len(histories), predicted=float(risk.mean()), observed=observed)
