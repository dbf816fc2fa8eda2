"""How well the margin tells who progresses within some months: ROC curve and cut-off, with intervals by patient.

Lesions that weren't followed so long, by death or otherwise, count through those that were: each lesion whose fate is known
has the inverse of its chance of being known as weight (cumulative cases, dynamic controls; Uno et al. 2007,
doi:10.1198/016214507000000149).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ablmargin.cohort.histories import Histories
from ablmargin.cohort.survival import CONFIDENCE, still_unobserved
from ablmargin.geometry import FloatArray

LEAST_OF_EACH = 10
"""So many progressions until the horizon, and so many lesions followed beyond it without one, does a curve need."""

RESAMPLES = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranged:
    """A value with its 95 % interval."""

    value: float
    lower: float
    upper: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Cutoff:
    """A margin, mm, below which progression is foretold, and how often that is right."""

    margin_mm: Ranged
    sensitivity: Ranged
    specificity: Ranged


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Roc:
    """The curve from (0, 0) to (1, 1), its area, the cut-off with the largest sum of both rates, and given ones."""

    horizon_months: float
    cases: int
    controls: int
    false_rate: FloatArray
    true_rate: FloatArray
    area: Ranged
    best: Cutoff
    given: tuple[Cutoff, ...]


def roc_of(histories: Histories, *, horizon_months: float, given_mm: Sequence[float], seed: int) -> Roc | None:
    """The ROC curve of the margin for progression until a horizon; None if too few fates are known.

    The intervals are percentiles over resampled patients.
    """
    cases, controls = _fates(histories, horizon_months)
    if min(cases.sum(), controls.sum()) < LEAST_OF_EACH:
        return None
    found = _rates(histories, horizon_months)
    draws = [_rates(drawn, horizon_months) for drawn in _resampled(histories, seed)]
    told = [draw for draw in draws if draw is not None]
    if found is None or not told:
        return None
    cutoffs_mm = [_best_mm(draw) for draw in told]
    best_mm = _best_mm(found)
    return Roc(
        horizon_months=horizon_months,
        cases=int(cases.sum()),
        controls=int(controls.sum()),
        false_rate=found.false_rate,
        true_rate=found.true_rate,
        area=_ranged(found.area, [draw.area for draw in told]),
        best=_cutoff(best_mm, found, told, cutoffs_mm),
        given=tuple(_cutoff(mm, found, told, [mm]) for mm in given_mm),
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Rates:
    """Rates of lesions told as progressing if their margin is below each of some cut-offs, ascending."""

    cutoffs_mm: FloatArray
    false_rate: FloatArray
    true_rate: FloatArray

    @property
    def area(self) -> float:
        return float(np.trapezoid(self.true_rate, self.false_rate))

    def at(self, cutoff_mm: float) -> tuple[float, float]:
        """Sensitivity and specificity of ``margin < cutoff_mm``."""
        place = int(np.searchsorted(self.cutoffs_mm, cutoff_mm, side="left"))
        return float(self.true_rate[place]), float(1 - self.false_rate[place])


def _fates(histories: Histories, horizon: float) -> tuple[FloatArray, FloatArray]:
    early = histories.progressed & (histories.months <= horizon)
    return early.astype(np.float64), (histories.months > horizon).astype(np.float64)


def _rates(histories: Histories, horizon: float) -> _Rates | None:
    """The curve over all cut-offs; None if one of the two fates is missing."""
    cases, controls = _fates(histories, horizon)
    if not cases.any() or not controls.any():
        return None
    weights = cases / _chance_known(histories, histories.months), controls / _chance_known(histories, horizon)
    margins_mm, place = np.unique(histories.margin_mm, return_inverse=True)
    sums = [np.bincount(place, weights=weight, minlength=len(margins_mm)) for weight in weights]
    true_rate, false_rate = (np.concatenate([[0.0], np.cumsum(each)]) / each.sum() for each in sums)
    return _Rates(cutoffs_mm=margins_mm, false_rate=false_rate, true_rate=true_rate)


def _chance_known(histories: Histories, months: FloatArray | float) -> FloatArray:
    """The chance that a lesion is still followed just before some times."""
    known = still_unobserved(histories, ~histories.progressed)
    place = np.searchsorted(known.surv_times, months, side="left")
    chance: FloatArray = np.maximum(np.concatenate([[1.0], known.surv_prob])[place], 1e-9)
    return chance


def _best_mm(rates: _Rates) -> float:
    """The cut-off of the largest Youden index: midway between the margins that it separates."""
    place = int(np.argmax(rates.true_rate - rates.false_rate))
    around = rates.cutoffs_mm[max(place - 1, 0) : place + 1]
    return float(around.mean())


def _cutoff(mm: float, found: _Rates, draws: Sequence[_Rates], cutoffs_mm: Sequence[float]) -> Cutoff:
    sensitivity, specificity = found.at(mm)
    rates = [draw.at(mm) for draw in draws]
    return Cutoff(
        margin_mm=_ranged(mm, cutoffs_mm),
        sensitivity=_ranged(sensitivity, [rate for rate, _ in rates]),
        specificity=_ranged(specificity, [rate for _, rate in rates]),
    )


def _ranged(value: float, draws: Sequence[float]) -> Ranged:
    tail = (1 - CONFIDENCE) / 2
    lower, upper = np.quantile(draws, [tail, 1 - tail])
    return Ranged(value=value, lower=float(lower), upper=float(upper))


def _resampled(histories: Histories, seed: int) -> list[Histories]:
    """Cohorts of as many patients, drawn with replacement, each with all of their lesions."""
    random = np.random.default_rng(seed)
    order = np.argsort(histories.patient, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(histories.patient[order])) + 1)
    draws = random.integers(len(groups), size=(RESAMPLES, len(groups)))
    return [histories.only(np.concatenate([groups[place] for place in draw])) for draw in draws]
