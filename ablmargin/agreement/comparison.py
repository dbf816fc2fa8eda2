"""Agreement of all readings with each other: of every two, and of all together if there are more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from ablmargin.agreement.estimate import Estimate
from ablmargin.agreement.margins import MarginAgreement, icc_of, margin_agreement, margins_mm_of, measured_by_all
from ablmargin.agreement.patients import Patients, patients_of
from ablmargin.agreement.readings import QUESTIONS, LesionKey, Matched, Question, Readings, match
from ablmargin.agreement.verdicts import VerdictAgreement, answers, verdict_agreements


@dataclass(frozen=True, slots=True, kw_only=True)
class PairAgreement:
    """Two readers. ``lesions`` are those that both have."""

    first: str
    second: str
    lesions: int
    margins: MarginAgreement | None
    verdicts: tuple[VerdictAgreement, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OverallAgreement:
    """More than two readers, over the lesions that all of them measured, or answer for."""

    lesions: int
    icc_agreement: Estimate
    icc_consistency: Estimate
    verdicts: tuple[VerdictAgreement, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """All agreement between readings of the same lesions.

    Pairs are compared over the lesions that both have. ``overall`` is None for two readers. ``flips`` are lesions that readers answer differently, each with the questions.
    """

    readings: tuple[Readings, ...]
    matched: Matched
    patients: Patients
    pairs: tuple[PairAgreement, ...]
    overall: OverallAgreement | None
    flips: tuple[tuple[LesionKey, tuple[Question, ...]], ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(one.name for one in self.readings)

    @property
    def people(self) -> int:
        """Patients of the lesions that all read, or cases if no table names patients."""
        return len(set(self.patients.of(self.matched.common)))

    @property
    def is_clustered(self) -> bool:
        """Whether a patient has several of the lesions, so that intervals are by patient."""
        return self.people < len(self.matched.common)

    def flipped(self, pair: PairAgreement) -> frozenset[LesionKey]:
        """Lesions that these two answer differently."""
        two = [one for one in self.readings if one.name in {pair.first, pair.second}]
        return frozenset(key for key, _ in _flips(two, match(two).common))


def compare_readings(readings: Sequence[Readings], *, seed: int = 0) -> Comparison:
    """Compare two or more readings of the same lesions.

    Intervals take patients for independent, or cases if no table names patients.

    Raises
    ------
    InputError
        COMPARE_PATIENTS; see :func:`ablmargin.agreement.patients.patients_of`.
    """
    matched, patients = match(readings), patients_of(readings)
    return Comparison(
        readings=tuple(readings),
        matched=matched,
        patients=patients,
        pairs=tuple(_pair(one, other, patients, seed) for one, other in combinations(readings, 2)),
        overall=_overall(readings, matched.common, patients, seed) if len(readings) > 2 else None,
        flips=_flips(readings, matched.common),
    )


def _pair(first: Readings, second: Readings, patients: Patients, seed: int) -> PairAgreement:
    """Over the lesions that these two have, whether others have them or not."""
    both = (first, second)
    common = match(both).common
    keys = measured_by_all(both, common)
    return PairAgreement(
        first=first.name,
        second=second.name,
        lesions=len(common),
        margins=margin_agreement(keys, margins_mm_of(both, keys), patients, seed=seed) if keys else None,
        verdicts=verdict_agreements(both, common, patients, seed=seed),
    )


def _overall(
    readings: Sequence[Readings], common: Sequence[LesionKey], patients: Patients, seed: int
) -> OverallAgreement:
    keys = measured_by_all(readings, common)
    agreement, consistency = icc_of(margins_mm_of(readings, keys), patients.of(keys))
    return OverallAgreement(
        lesions=len(keys),
        icc_agreement=agreement,
        icc_consistency=consistency,
        verdicts=verdict_agreements(readings, common, patients, seed=seed),
    )


def _flips(
    readings: Sequence[Readings], common: Sequence[LesionKey]
) -> tuple[tuple[LesionKey, tuple[Question, ...]], ...]:
    flips = []
    for key in common:
        differing = tuple(question for question in QUESTIONS if len(set(answers(readings, key, question))) > 1)
        if differing:
            flips.append((key, differing))
    return tuple(flips)
