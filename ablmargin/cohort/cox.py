"""Cox's proportional hazards by statsmodels, with intervals for lesions that cluster in patients.

Ties are Efron's. The standard errors are the sandwich's, summed over patients (Lin and Wei 1989,
doi:10.1080/01621459.1989.10478874), times G/(G-1) for G patients, with quantiles of Student's t with G-1 degrees of freedom:
without both, intervals are too short where patients are few.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import chi2
from scipy.stats import t as student
from statsmodels.duration.hazard_regression import PHReg
from statsmodels.tools.sm_exceptions import ConvergenceWarning

from ablmargin.cohort.flow import counted
from ablmargin.cohort.histories import Flags, Histories
from ablmargin.cohort.survival import CONFIDENCE, still_unobserved
from ablmargin.geometry import FloatArray

LEAST_EVENTS = 10
"""Below it no model is fitted."""

EVENTS_A_TERM = 10
"""A model of two terms needs twice as many: Peduzzi et al. 1995, doi:10.1016/0895-4356(95)00048-8."""

LEAST_PATIENTS = 10
LARGEST_LOG_RATIO = 6.0
"""Beyond a ratio of 400 for one standard deviation, the likelihood has no maximum that means something."""


class NoFitError(ValueError):
    """A model that can't be fitted; the message is a sentence that says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """A hazard ratio with its 95 % interval and p-value; ``proportional_p`` is that of the test of proportionality."""

    name: str
    ratio: float
    lower: float
    upper: float
    p_value: float
    proportional_p: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CoxModel:
    """A fitted model: its terms, and the cumulative baseline hazard as a step function over months."""

    terms: tuple[Term, ...]
    lesions: int
    patients: int
    events: int
    coefficients: FloatArray
    months: FloatArray
    baseline: FloatArray

    def risk_by(self, months: float, covariates: FloatArray) -> FloatArray:
        """The predicted share with progression until a time, deaths aside; covariates have shape (n, terms)."""
        place = int(np.searchsorted(self.months, months, side="right"))
        hazard = np.concatenate([[0.0], self.baseline])[place]
        risk: FloatArray = 1 - np.exp(-hazard * np.exp(covariates @ self.coefficients))
        return risk


def fit_cox(histories: Histories, covariates: Mapping[str, FloatArray]) -> CoxModel:
    """Fit progression on covariates, shape (n,) each by name. A death ends the follow-up.

    Raises
    ------
    NoFitError
        If there are too few progressions or patients, or if the ratio of a covariate has no finite estimate.
    """
    _require_events(histories, covariates)
    for name, values in covariates.items():
        _require_overlap(name, values, histories.progressed)
    matrix = np.column_stack(list(covariates.values()))
    # Who left before the first progression was never compared with anybody, and statsmodels has no residuals for them.
    compared = histories.months >= histories.months[histories.progressed].min()
    kept, matrix = histories.only(compared), matrix[compared]
    fitted = _fitted(kept, matrix)
    times, hazard = fitted.baseline_cumulative_hazard[0][:2]
    first = np.unique(times, return_index=True)[1]
    return CoxModel(
        terms=_terms(fitted, kept, list(covariates)),
        lesions=len(histories),
        patients=histories.patients,
        events=histories.progressions,
        coefficients=np.asarray(fitted.params),
        months=np.asarray(times)[first],
        baseline=np.asarray(hazard)[first],
    )


def _terms(fitted: Any, histories: Histories, names: Sequence[str]) -> tuple[Term, ...]:
    """Ratios with intervals from statsmodels' fit, whose errors are the sandwich's without corrections."""
    freedom = histories.patients - 1
    slopes, errors = np.asarray(fitted.params), np.asarray(fitted.bse) * np.sqrt(histories.patients / freedom)
    reach = student.ppf((1 + CONFIDENCE) / 2, freedom) * errors
    p_values = 2 * student.sf(np.abs(slopes) / errors, freedom)
    ratios = np.exp([slopes, slopes - reach, slopes + reach]).T.tolist()
    return tuple(
        Term(name=name, ratio=ratio, lower=lower, upper=upper, p_value=float(p_value), proportional_p=proportional_p)
        for name, (ratio, lower, upper), p_value, proportional_p in zip(
            names, ratios, p_values, _proportionality(fitted, histories), strict=True
        )
    )


def _require_events(histories: Histories, covariates: Mapping[str, FloatArray]) -> None:
    events, needed = histories.progressions, max(LEAST_EVENTS, EVENTS_A_TERM * len(covariates))
    if events < needed:
        raise NoFitError(f"{too_few(events)} for {_count(covariates)}: it takes {needed}.")
    with_event = len(np.unique(histories.patient[histories.progressed]))
    if with_event < LEAST_PATIENTS:
        raise NoFitError(
            f"The progressions are those of {counted(with_event, 'patient')}: for intervals it takes {LEAST_PATIENTS}."
        )


def too_few(events: int) -> str:
    """The beginning of a sentence.

    >>> too_few(1), too_few(0)
    ('1 progression is too few', '0 progressions are too few')
    """
    return f"{counted(events, 'progression')} {'is' if events == 1 else 'are'} too few"


def _count(covariates: Mapping[str, FloatArray]) -> str:
    return "a model of two terms" if len(covariates) == 2 else "a model"


def _require_overlap(name: str, values: FloatArray, progressed: Flags) -> None:
    """Refuse a covariate that tells who progressed: its likelihood grows without end."""
    levels = np.unique(values)
    if len(levels) == 1:
        raise NoFitError(f"All lesions are alike in “{name}”, so there is nothing to compare.")
    if len(levels) > 2:
        return
    for level in levels:
        if not progressed[values == level].any():
            side = "with" if level == levels[1] else "without"
            count = int((values == level).sum())
            raise NoFitError(
                f"None of {count} lesions {side} “{name}” progressed, so the ratio has no finite value. The curves by "
                "margin show how much that may mean."
            )


def _fitted(histories: Histories, matrix: FloatArray) -> Any:
    """Statsmodels' fit; its warnings become a reason not to have one."""
    model = PHReg(histories.months, matrix, status=histories.progressed.astype(float), ties="efron")
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("error", ConvergenceWarning)
        warnings.simplefilter("ignore", RuntimeWarning)
        try:
            fitted = model.fit(disp=0, groups=histories.patient)
        except (ConvergenceWarning, np.linalg.LinAlgError):
            raise NoFitError("The fit doesn’t converge: the data don’t determine the ratios.") from None
    steepness = np.abs(fitted.params) * matrix.std(axis=0)
    if not np.isfinite(fitted.bse).all() or steepness.max() > LARGEST_LOG_RATIO:
        raise NoFitError(
            "A covariate separates those who progressed from the others, so its ratio has no finite value."
        )
    return fitted


def _proportionality(fitted: Any, histories: Histories) -> Sequence[float]:
    """p-values of the test of a trend of the scaled Schoenfeld residuals in time, which is scaled by Kaplan and Meier.

    References
    ----------
    Grambsch and Therneau 1994, doi:10.1093/biomet/81.3.515
    """
    residuals = np.asarray(fitted.schoenfeld_residuals)[histories.progressed]
    free = still_unobserved(histories, histories.progressed)
    place = np.searchsorted(free.surv_times, histories.months[histories.progressed], side="left")
    scale = 1 - np.concatenate([[1.0], free.surv_prob])[place]
    scale = scale - scale.mean()
    model_based = np.linalg.inv(-fitted.model.hessian(fitted.params))
    trend = scale @ (residuals @ model_based) * len(residuals)
    statistic = trend**2 / (len(residuals) * np.diag(model_based) * (scale**2).sum())
    return [float(p_value) for p_value in chi2.sf(statistic, 1)]
