"""Progression over time: Kaplan-Meier by statsmodels, Aalen-Johansen, with intervals for clustered lesions.

Lesions of one patient aren't independent, so the standard errors are those of a jackknife that leaves out a patient at a
time and estimates anew. With one lesion a patient they are close to Greenwood's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student
from statsmodels.duration.survfunc import SurvfuncRight

from ablmargin.cohort.histories import CENSORED, Flags, Histories
from ablmargin.geometry import FloatArray

CONFIDENCE = 0.95
MOST_LEFT_OUT = 200
"""So many parts of the patients are left out in turn; with fewer patients than that, each by itself."""

Estimate = Callable[[Histories, FloatArray], FloatArray]
"""The share of lesions with a progression until each of some times, mm and months as in :class:`Histories`."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Curve:
    """A step function: the share with progression from each time on, with its 95 % interval, NaN where it has none.

    ``ended`` says that nobody was left whose fate is open, so that the last share holds for ever.
    """

    months: FloatArray
    share: FloatArray
    lower: FloatArray
    upper: FloatArray
    ended: bool

    def at(self, months: float) -> tuple[float, float, float]:
        """The share at a time and its interval."""
        place = int(np.searchsorted(self.months, months, side="right")) - 1
        return float(self.share[place]), float(self.lower[place]), float(self.upper[place])

    def is_known_at(self, months: float) -> bool:
        return self.ended or months <= self.months[-1]


def progression(histories: Histories) -> Curve:
    """Progression by Kaplan and Meier's estimate: one minus the share that is free of it. A death ends the follow-up."""
    return _curve(histories, _kaplan_meier, ended=_all_progressed(histories))


def incidence(histories: Histories) -> Curve:
    """Cumulative incidence of progression by Aalen and Johansen's estimate, death competing.

    A lesion is at risk of progression until its last imaging, and of death until the patient's end. Where both are the same
    it is the usual estimate.
    """
    return _curve(histories, _aalen_johansen, ended=_all_progressed(histories) or _all_ended(histories))


def still_unobserved(histories: Histories, ends: Flags) -> SurvfuncRight:
    """Kaplan and Meier's estimate of the share not yet ended by what ``ends`` tells of each lesion."""
    return SurvfuncRight(histories.months, ends.astype(float))


def median_followup(histories: Histories) -> float | None:
    """By the reverse Kaplan-Meier method, months; None if more than half were still under observation."""
    censoring = still_unobserved(histories, histories.event == CENSORED)
    reached = np.flatnonzero(censoring.surv_prob <= 0.5)
    return float(censoring.surv_times[reached[0]]) if len(reached) else None


def at_risk(histories: Histories, months: FloatArray) -> list[int]:
    """How many lesions are still followed at each of some times."""
    return [int((histories.months >= moment).sum()) for moment in months]


def interval(share: FloatArray, error: FloatArray, clusters: int) -> tuple[FloatArray, FloatArray]:
    """The 95 % interval of a share by the complementary log-log transform; NaN at 0 and 1.

    >>> low, high = interval(np.array([0.0, 0.3]), np.array([0.0, 0.1]), clusters=1000)
    >>> low.round(2), high.round(2)
    (array([ nan, 0.15]), array([ nan, 0.54]))
    """
    inside = (share > 0) & (share < 1)
    free = np.where(inside, 1 - share, 0.5)
    center, spread = np.log(-np.log(free)), error / (free * -np.log(free))
    reach = student.ppf((1 + CONFIDENCE) / 2, max(clusters - 1, 1)) * spread
    low, high = (1 - np.exp(-np.exp(center + sign * reach)) for sign in (-1, 1))
    return np.where(inside, low, np.nan), np.where(inside, high, np.nan)


def _curve(histories: Histories, estimate: Estimate, *, ended: bool) -> Curve:
    months = np.concatenate([[0.0], np.unique(histories.months)])
    share = estimate(histories, months)
    lower, upper = interval(share, _jackknife_error(histories, months, estimate), histories.patients)
    return Curve(months=months, share=share, lower=lower, upper=upper, ended=ended)


def _all_progressed(histories: Histories) -> bool:
    """Whether the last ones that were looked at progressed: Kaplan and Meier's estimate is 1 from there on."""
    return bool(histories.progressed[histories.months == histories.months.max()].all())


def _all_ended(histories: Histories) -> bool:
    """Whether nobody lived, without progression, beyond the last imaging of all."""
    last = histories.months.max()
    without = np.where(histories.progressed, histories.months, histories.lived_months)
    return bool((without <= last).all() and (histories.event[without == last] != CENSORED).all())


def _jackknife_error(histories: Histories, months: FloatArray, estimate: Estimate) -> FloatArray:
    parts = np.unique(histories.patient, return_inverse=True)[1] % MOST_LEFT_OUT
    count = int(parts.max()) + 1
    if count < 2:
        return np.full(len(months), np.nan)
    without = np.array([estimate(histories.only(parts != part), months) for part in range(count)])
    spread: FloatArray = np.sqrt((count - 1) * without.var(axis=0))
    return spread


def _kaplan_meier(histories: Histories, months: FloatArray) -> FloatArray:
    if not histories.progressions:
        return np.zeros(len(months))
    fitted = still_unobserved(histories, histories.progressed)
    return _stepped(fitted.surv_times, 1 - fitted.surv_prob, months)


def _aalen_johansen(histories: Histories, months: FloatArray) -> FloatArray:
    without = np.where(histories.progressed, histories.months, histories.lived_months)
    times = np.unique([histories.months, without])
    progressing = _hazard(histories.months, histories.progressed, times)
    dying = _hazard(without, histories.died, times)
    free = np.cumprod(np.maximum(1 - progressing - dying, 0.0))
    share = np.cumsum(np.concatenate([[1.0], free[:-1]]) * progressing)
    return _stepped(times, np.where(share > 1 - 1e-9, 1.0, share), months)


def _hazard(until: FloatArray, ends: Flags, times: FloatArray) -> FloatArray:
    """Which share of those still followed at each time ends there."""
    ending = np.bincount(np.searchsorted(times, until[ends]), minlength=len(times))
    followed = len(until) - np.searchsorted(np.sort(until), times, side="left")
    return ending / np.maximum(followed, 1)


def _stepped(times: FloatArray, values: FloatArray, months: FloatArray) -> FloatArray:
    """A step function that is 0 before its first time."""
    stepped: FloatArray = np.concatenate([[0.0], values])[np.searchsorted(times, months, side="right")]
    return stepped
