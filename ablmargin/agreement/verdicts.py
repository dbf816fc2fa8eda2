"""How often readers answer a question alike, such as the verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from ablmargin.agreement.categories import (
    Chance,
    coefficient,
    coefficient_interval,
    cohen_chance,
    fleiss_chance,
    gwet_chance,
    somebody_always_says_the_same,
    votes_of,
)
from ablmargin.agreement.estimate import (
    CONFIDENCE,
    NO_INTERVAL,
    Estimate,
    Rows,
    percentile_intervals,
    resamples_by_patient,
)
from ablmargin.agreement.patients import Patients
from ablmargin.agreement.readings import QUESTIONS, LesionKey, Question, Readings

NO_SCATTER = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictAgreement:
    """How often readers answer a question alike, and how far beyond chance.

    ``kappa`` is Cohen's of two, Fleiss' of more; it has no value where one of two readers gives a single answer.
    ``kappa`` and ``ac1`` have no interval where answers leave no scatter, as where all agree.
    """

    question: Question
    lesions: int
    same: Estimate
    kappa: Estimate
    ac1: Estimate


def verdict_agreements(
    readings: Sequence[Readings], common: Sequence[LesionKey], patients: Patients, *, seed: int
) -> tuple[VerdictAgreement, ...]:
    """For each question that all readers answer for at least one lesion."""
    found = (_agreement(readings, common, patients, question, seed) for question in QUESTIONS)
    return tuple(one for one in found if one is not None)


def answers(readings: Sequence[Readings], key: LesionKey, question: Question) -> list[str]:
    """What readers say to one question about one lesion; shorter if some don't have it or don't tell."""
    words = (question.answer(one.lesions[key]) for one in readings if key in one.lesions)
    return [word for word in words if word is not None]


def _agreement(
    readings: Sequence[Readings], common: Sequence[LesionKey], patients: Patients, question: Question, seed: int
) -> VerdictAgreement | None:
    told = {key: answers(readings, key, question) for key in common}
    keys = [key for key, words in told.items() if len(words) == len(readings)]
    if not keys:
        return None
    votes = votes_of([*zip(*(told[key] for key in keys), strict=True)], question.words)
    alike = votes.sum(axis=1).max(axis=1) == len(readings)
    kappa_chance: Chance = cohen_chance if len(readings) == 2 else fleiss_chance

    def figures(rows: Rows) -> tuple[float, float, float]:
        drawn = votes[rows]
        return float(alike[rows].mean()), coefficient(drawn, kappa_chance), coefficient(drawn, gwet_chance)

    values = figures(np.arange(len(keys)))
    whose = patients.of(keys)
    resamples = resamples_by_patient(whose, seed=seed)
    if resamples is None:
        of_kappa, of_ac1 = (coefficient_interval(votes, chance) for chance in (kappa_chance, gwet_chance))
        intervals = [_share_interval(int(alike.sum()), len(keys)), of_kappa, of_ac1]
    else:
        intervals = percentile_intervals(figures, resamples, count=len(values))
    if alike.all() or not alike.any():
        intervals[0] = _share_interval(len(set(whose)) * int(alike[0]), len(set(whose)))
    same = Estimate.of(values[0], intervals[0])
    kappa, ac1 = (
        Estimate.of(value, _unless_empty(ends)) for value, ends in zip(values[1:], intervals[1:], strict=True)
    )
    if len(readings) == 2 and somebody_always_says_the_same(votes):
        kappa = Estimate(value=None)
    return VerdictAgreement(question=question, lesions=len(keys), same=same, kappa=kappa, ac1=ac1)


def _share_interval(count: int, of: int) -> tuple[float, float]:
    """Wilson's. Where patients have several lesions and all are alike, patients are counted: nobody can tell how they differ."""
    ends = stats.binomtest(count, of).proportion_ci(CONFIDENCE, method="wilson")
    return float(ends.low), float(ends.high)


def _unless_empty(interval: tuple[float, float]) -> tuple[float, float]:
    """None where answers leave no scatter, as where all agree: that isn't certainty."""
    return interval if interval[1] - interval[0] > NO_SCATTER else NO_INTERVAL
