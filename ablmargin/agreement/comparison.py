"""Agreement of all readings with each other: of every two, and of all together if there are more."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from ablmargin.agreement.estimate import Estimate
from ablmargin.agreement.margins import MarginAgreement, icc_of, margin_agreement, margins_mm_of, measured_by_all
from ablmargin.agreement.patients import Patients, patients_of
from ablmargin.agreement.readings import QUESTIONS, LesionKey, Matched, Question, Readings, match
from ablmargin.agreement.verdicts import VerdictAgreement, answers, verdict_agreements

Flips = Mapping[LesionKey, tuple[Question, ...]]
"""Lesions that readers answer differently, each with the questions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairAgreement:
    """Two readers, over the lesions that both have: ``matched.common``, of so many ``patients``."""

    first: str
    second: str
    matched: Matched
    patients: int
    margins: MarginAgreement | None
    verdicts: tuple[VerdictAgreement, ...]
    flips: Flips

    @property
    def lesions(self) -> int:
        return len(self.matched.common)


@dataclass(frozen=True, slots=True, kw_only=True)
class OverallAgreement:
    """More than two readers, over the lesions that all have: ``matched.common``, of so many ``patients``.

    ``lesions`` are those that all measured.
    """

    matched: Matched
    patients: int
    lesions: int
    icc_agreement: Estimate
    icc_consistency: Estimate
    verdicts: tuple[VerdictAgreement, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """All agreement between readings of the same lesions.

    ``lesions`` are those that at least two readers have, in the order of their names; ``gaps`` those that any reader lacks, or has no
    margin of, with the reason by reader; ``flips`` those that any two answer differently. ``overall`` is None for two readers, and
    where no lesion is of all. ``seed`` is that of the bootstrap.
    """

    readings: tuple[Readings, ...]
    patients: Patients
    lesions: tuple[LesionKey, ...]
    gaps: Mapping[LesionKey, Mapping[str, str]]
    pairs: tuple[PairAgreement, ...]
    overall: OverallAgreement | None
    flips: Flips
    seed: int

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(one.name for one in self.readings)

    @property
    def is_of_two(self) -> bool:
        """Whether the only pair is all there is."""
        return len(self.readings) == 2

    @property
    def people(self) -> int:
        """Patients of the lesions, or cases if no table names patients."""
        return len(set(self.patients.of(self.lesions)))


def compare_readings(readings: Sequence[Readings], *, seed: int = 0) -> Comparison:
    """Compare two or more readings of the same lesions.

    Intervals take patients for independent, or cases if no table names patients.

    Raises
    ------
    InputError
        COMPARE_PATIENTS; see :func:`ablmargin.agreement.patients.patients_of`.
    """
    patients, lesions = patients_of(readings), _of_two_or_more(readings)
    return Comparison(
        readings=tuple(readings),
        patients=patients,
        lesions=lesions,
        gaps=_gaps(readings),
        pairs=tuple(_pair(one, other, patients, seed) for one, other in combinations(readings, 2)),
        overall=_overall(readings, patients, seed),
        flips=_flips(readings, lesions),
        seed=seed,
    )


def _of_two_or_more(readings: Sequence[Readings]) -> tuple[LesionKey, ...]:
    holders = Counter(key for one in readings for key in one.lesions)
    return tuple(sorted(key for key, count in holders.items() if count > 1))


def _gaps(readings: Sequence[Readings]) -> Mapping[LesionKey, Mapping[str, str]]:
    every = sorted({key for one in readings for key in one.lesions})
    gaps = {key: {one.name: why for one in readings if (why := one.lacks(key)) is not None} for key in every}
    return {key: why for key, why in gaps.items() if why}


def _pair(first: Readings, second: Readings, patients: Patients, seed: int) -> PairAgreement:
    """Over the lesions that these two have, whether others have them or not."""
    both = (first, second)
    matched = match(both)
    keys = measured_by_all(both, matched.common)
    return PairAgreement(
        first=first.name,
        second=second.name,
        matched=matched,
        patients=len(set(patients.of(matched.common))),
        margins=margin_agreement(keys, margins_mm_of(both, keys), patients, seed=seed) if keys else None,
        verdicts=verdict_agreements(both, matched.common, patients, seed=seed),
        flips=_flips(both, matched.common),
    )


def _overall(readings: Sequence[Readings], patients: Patients, seed: int) -> OverallAgreement | None:
    matched = match(readings)
    if len(readings) == 2 or not matched.common:
        return None
    keys = measured_by_all(readings, matched.common)
    agreement, consistency = icc_of(margins_mm_of(readings, keys), patients.of(keys))
    return OverallAgreement(
        matched=matched,
        patients=len(set(patients.of(matched.common))),
        lesions=len(keys),
        icc_agreement=agreement,
        icc_consistency=consistency,
        verdicts=verdict_agreements(readings, matched.common, patients, seed=seed),
    )


def _flips(readings: Sequence[Readings], lesions: Iterable[LesionKey]) -> Flips:
    """Among those who have a lesion."""
    differing = {
        key: tuple(question for question in QUESTIONS if len(set(answers(readings, key, question))) > 1)
        for key in lesions
    }
    return {key: questions for key, questions in differing.items() if questions}
