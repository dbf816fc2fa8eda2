"""How well the margin tells who progresses within some months: ROC curve and cut-off, with intervals by patient.

Lesions that weren't followed so long, by death or otherwise, count through those that were: each lesion whose fate is known
has the inverse of its chance of being known as weight (cumulative cases, dynamic controls; Uno et al. 2007,
doi:10.1198/016214507000000149).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ablmargin.cohort.flow import counted
from ablmargin.cohort.histories import Flags, Histories
from ablmargin.cohort.intervals import Ranged, percentile_range, rate_range
from ablmargin.cohort.survival import still_unobserved
from ablmargin.geometry import FloatArray

LEAST_OF_EACH = 10
"""A curve needs progressions until the horizon, and lesions free of it then, in so many patients each."""

RESAMPLES = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Cutoff:
    """A margin, mm, below which progression is foretold, and how often that is right."""

    margin_mm: float
    sensitivity: Ranged
    specificity: Ranged


@dataclass(frozen=True, slots=True, kw_only=True)
class BestCutoff:
    """The cut-off with the largest sum of both rates (Youden), which was chosen on the lesions that it is tried on.

    ``counted_sensitivity`` and ``counted_specificity`` are the rates on these lesions; ``sensitivity`` and ``specificity`` are
    freed of the optimism by which the choice flatters them, and so are their intervals.
    """

    margin_mm: Ranged
    counted_sensitivity: float
    counted_specificity: float
    sensitivity: Ranged
    specificity: Ranged

    @property
    def youden(self) -> float:
        """The sum of both corrected rates minus 1: 0 is what a coin reaches."""
        return self.sensitivity.value + self.specificity.value - 1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Roc:
    """The curve from (0, 0) to (1, 1), its area, the best cut-off, None if none tells anything, and given ones."""

    horizon_months: float
    cases: int
    controls: int
    false_rate: FloatArray
    true_rate: FloatArray
    area: Ranged
    best: BestCutoff | None
    given: tuple[Cutoff, ...]


def why_no_roc(histories: Histories, horizon_months: float) -> str:
    """What a curve lacks, as a sentence; empty if it lacks nothing."""
    fates = _fates(histories, horizon_months)
    if all(len(np.unique(histories.patient[chosen])) >= LEAST_OF_EACH for chosen in fates):
        return ""
    progressed, free = (_told(histories, chosen) for chosen in fates)
    return (
        f"Until {horizon_months:g} months {progressed} progressed, and {free} were followed so long without: for a curve it takes "
        f"{LEAST_OF_EACH} patients of each."
    )


def roc_of(histories: Histories, *, horizon_months: float, given_mm: Sequence[float], seed: int) -> Roc | None:
    """The ROC curve of the margin for progression until a horizon; None if :func:`why_no_roc` says why.

    The intervals are of resampled patients.
    """
    found = None if why_no_roc(histories, horizon_months) else _rates(histories, horizon_months)
    if found is None:
        return None
    draws = [_rates(drawn, horizon_months) for drawn in _resampled(histories, seed)]
    told = [draw for draw in draws if draw is not None]
    cases, controls = _fates(histories, horizon_months)
    return Roc(
        horizon_months=horizon_months,
        cases=int(cases.sum()),
        controls=int(controls.sum()),
        false_rate=found.false_rate,
        true_rate=found.true_rate,
        area=_area(found, told),
        best=_best(found, told),
        given=tuple(_given(mm, found, told) for mm in given_mm),
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Rates:
    """Rates of lesions told as progressing if their margin is below each of some cut-offs, ascending.

    ``patients`` are the effective numbers of patients who progressed and who didn't, by Kish.
    """

    cutoffs_mm: FloatArray
    false_rate: FloatArray
    true_rate: FloatArray
    patients: tuple[float, float]

    @property
    def area(self) -> float:
        return float(np.trapezoid(self.true_rate, self.false_rate))

    def at(self, cutoff_mm: float) -> tuple[float, float]:
        """Sensitivity and specificity of ``margin < cutoff_mm``."""
        place = int(np.searchsorted(self.cutoffs_mm, cutoff_mm, side="left"))
        return float(self.true_rate[place]), float(1 - self.false_rate[place])


def _fates(histories: Histories, horizon: float) -> tuple[Flags, Flags]:
    """Who progressed until the horizon, and who was seen free of it then."""
    early = histories.progressed & (histories.months <= horizon)
    return early, (histories.months >= horizon) & ~early


def _told(histories: Histories, chosen: Flags) -> str:
    patients = counted(len(np.unique(histories.patient[chosen])), "patient")
    return f"{counted(int(chosen.sum()), 'lesion')} of {patients}"


def _rates(histories: Histories, horizon: float) -> _Rates | None:
    """The curve over all cut-offs; None if one of the two fates is missing."""
    cases, controls = _fates(histories, horizon)
    if not cases.any() or not controls.any():
        return None
    weights = cases / _chance_known(histories, histories.months), controls / _chance_known(histories, horizon)
    margins_mm, place = np.unique(histories.margin_mm, return_inverse=True)
    sums = [np.bincount(place, weights=weight, minlength=len(margins_mm)) for weight in weights]
    true_rate, false_rate = (np.concatenate([[0.0], np.cumsum(each)]) / each.sum() for each in sums)
    progressing, free = (_effective_patients(histories, weight) for weight in weights)
    return _Rates(cutoffs_mm=margins_mm, false_rate=false_rate, true_rate=true_rate, patients=(progressing, free))


def _effective_patients(histories: Histories, weight: FloatArray) -> float:
    of_each = np.bincount(histories.patient, weights=weight)
    return float(of_each.sum() ** 2 / (of_each**2).sum())


def _chance_known(histories: Histories, months: FloatArray | float) -> FloatArray:
    """The chance that a lesion is still followed just before some times."""
    known = still_unobserved(histories, ~histories.progressed)
    place = np.searchsorted(known.surv_times, months, side="left")
    chance: FloatArray = np.maximum(np.concatenate([[1.0], known.surv_prob])[place], 1e-9)
    return chance


def _area(found: _Rates, draws: Sequence[_Rates]) -> Ranged:
    areas = [draw.area for draw in draws]
    if np.ptp(areas) > 1e-9:
        return percentile_range(found.area, areas)
    return rate_range(found.area, areas, min(found.patients))


def _given(mm: float, found: _Rates, draws: Sequence[_Rates]) -> Cutoff:
    rates = zip(found.at(mm), zip(*(draw.at(mm) for draw in draws), strict=True), found.patients, strict=True)
    sensitivity, specificity = (rate_range(rate, drawn, patients) for rate, drawn, patients in rates)
    return Cutoff(margin_mm=mm, sensitivity=sensitivity, specificity=specificity)


def _best(found: _Rates, draws: Sequence[_Rates]) -> BestCutoff | None:
    """The best cut-off, its rates freed of their optimism; None if none does better than a coin.

    Each draw's best cut-off is tried on the draw and on the cohort: by how much it does better where it was chosen is the
    optimism (Harrell, Lee and Mark 1996, doi:10.1002/(SICI)1097-0258(19960229)15:4<361::AID-SIM168>3.0.CO;2-4). The
    interval at the chosen cut-off moves with it (Noma et al. 2021, doi:10.1002/sim.9148).
    """
    if (found.true_rate - found.false_rate).max() <= 1e-9:
        return None
    best_mm, drawn_mm = _best_mm(found), [_best_mm(draw) for draw in draws]
    there = np.array([draw.at(mm) for draw, mm in zip(draws, drawn_mm, strict=True)])
    optimism = (there - np.array([found.at(mm) for mm in drawn_mm])).mean(axis=0)
    rates, drawn = found.at(best_mm), np.array([draw.at(best_mm) for draw in draws]).T
    sensitivity, specificity = (
        rate_range(rate, own, patients, optimism=float(excess))
        for rate, own, patients, excess in zip(rates, drawn, found.patients, optimism, strict=True)
    )
    return BestCutoff(
        margin_mm=percentile_range(best_mm, drawn_mm),
        counted_sensitivity=rates[0],
        counted_specificity=rates[1],
        sensitivity=sensitivity,
        specificity=specificity,
    )


def _best_mm(rates: _Rates) -> float:
    """The cut-off of the largest Youden index: midway between the margins that it separates."""
    place = int(np.argmax(rates.true_rate - rates.false_rate))
    around = rates.cutoffs_mm[max(place - 1, 0) : place + 1]
    return float(around.mean())


def _resampled(histories: Histories, seed: int) -> list[Histories]:
    """Cohorts of as many patients, drawn with replacement, each with all of their lesions."""
    random = np.random.default_rng(seed)
    order = np.argsort(histories.patient, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(histories.patient[order])) + 1)
    draws = random.integers(len(groups), size=(RESAMPLES, len(groups)))
    return [histories.only(np.concatenate([groups[place] for place in draw])) for draw in draws]
