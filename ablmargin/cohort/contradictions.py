"""What rows tell of one patient, held against each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from ablmargin.case import RasMutation
from ablmargin.cohort.lesion import FollowUp, Lesion
from ablmargin.errors import Fault

Told = tuple[Lesion, str]
"""A lesion, and in which row it is told."""


def contradictions(lesions: Sequence[Lesion], sources: Sequence[str]) -> Iterator[Fault]:
    """What can't be true of two rows together, COHORT_PATIENT, at the later one.

    RAS status is the patient's. Times are compared within a case only: those of a patient's other cases may count from other
    ablations.
    """
    rows = list(zip(lesions, sources, strict=True))
    for of_patient in _grouped(rows, lambda row: row[0].patient_id):
        yield from _of_ras(of_patient)
    for of_case in _grouped(rows, lambda row: row[0].case_id):
        yield from _of_death([(one.followup, source) for one, source in of_case if one.followup is not None])


def unlike_deaths(lesions: Sequence[Lesion]) -> int:
    """Of how many patients the cases tell of deaths at different times, or of a death before the patient was last alive."""
    rows = [(lesion, "") for lesion in lesions if lesion.followup is not None]
    patients = _grouped(rows, lambda row: row[0].patient_id)
    return sum(any(_of_death([(one.followed, source) for one, source in group])) for group in patients)


def _grouped(rows: Sequence[Told], name_of: Callable[[Told], str]) -> list[list[Told]]:
    groups: dict[str, list[Told]] = {}
    for row in rows:
        groups.setdefault(name_of(row), []).append(row)
    return list(groups.values())


def _of_ras(rows: Sequence[Told]) -> Iterator[Fault]:
    known = [(lesion.ras.value, source) for lesion, source in rows if lesion.ras is not RasMutation.UNKNOWN]
    for ras, source in known[1:]:
        first, where = known[0]
        if ras != first:
            found = f"{ras}, but {first} of the same patient in {where}"
            yield _fault(
                source, "ras_mutation", found, "one RAS status a patient", "Correct it; unknown if it isn't clear."
            )


def _of_death(rows: Sequence[tuple[FollowUp, str]]) -> Iterator[Fault]:
    deaths = [(told.died_months, source) for told, source in rows if told.died_months is not None]
    if not deaths:
        return
    first, where = deaths[0]
    remedy = (
        "Correct it. A death that isn't the last imaging's month has its own in months_death, in all rows of the case."
    )
    for told, source in rows:
        before = f"but a death at {first:g} in {where}"
        if told.died_months is None and told.lived_months > first:
            yield _fault(
                source, "months", f"alive at {told.lived_months:g} months, {before}", "no life after death", remedy
            )
        elif told.died_months is not None and told.died_months != first:
            found = f"a death at {told.died_months:g} months, {before}"
            yield _fault(source, "months_death", found, "one death a patient", remedy)


def _fault(source: str, column: str, found: str, expected: str, remedy: str) -> Fault:
    return Fault(code="COHORT_PATIENT", source=source, attribute=column, found=found, expected=expected, remedy=remedy)
