"""Which cases are of one patient, by what the readers' tables tell."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ablmargin.agreement.readings import LesionKey, Readings
from ablmargin.errors import Fault, InputError, printable

_SHOWN_CASES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Patients:
    """Patients by their cases. A case whose patient nobody names is a patient of its own.

    ``label_of_case`` has one label for all cases of a patient, the first of its cases; ``named`` are the cases whose patient
    somebody names.
    """

    label_of_case: Mapping[str, str]
    named: frozenset[str]

    @property
    def unit(self) -> str:
        """What intervals take for independent: ``patient``, or ``case`` if no table names patients."""
        return "patient" if self.named else "case"

    def of(self, keys: Iterable[LesionKey]) -> list[str]:
        """Whose lesion each is."""
        return [self.label_of_case[case_id] for case_id, _ in keys]

    def unnamed(self, keys: Iterable[LesionKey]) -> int:
        """How many cases of these lesions nobody names a patient of."""
        return len({case_id for case_id, _ in keys} - self.named)


def patients_of(readings: Sequence[Readings]) -> Patients:
    """Join cases that any reader's ``patient_id`` calls one patient's.

    Readers may have different names for a patient, as tables without identities have; what counts is which cases share one.

    Raises
    ------
    InputError
        COMPARE_PATIENTS if a reader tells several patients where a case, or another reader, has one.

    Examples
    --------
    >>> from ablmargin.agreement.readings import Reading
    >>> lesions = {(case, "1"): Reading(margin_mm=1.0, patient_id=name) for case, name in (("a", "P"), ("b", "P"), ("c", None))}
    >>> patients_of([Readings(name="A", lesions=lesions)]).of(lesions)
    ['a', 'a', 'c']
    """
    cases = sorted({case_id for one in readings for case_id, _ in one.lesions})
    label = {case_id: case_id for case_id in cases}
    for shared in _cases_by_name(readings):
        labels = {label[case_id] for case_id in shared}
        if len(labels) > 1:
            label |= {case_id: min(labels) for case_id in cases if label[case_id] in labels}
    faults = list(_faults(readings, label))
    if faults:
        raise InputError(*faults)
    return Patients(label_of_case=label, named=frozenset().union(*_cases_by_name(readings)))


def _cases_by_name(readings: Sequence[Readings]) -> list[set[str]]:
    """The cases of each patient whom a reader names."""
    cases: dict[tuple[str, str], set[str]] = defaultdict(set)
    for one in readings:
        for (case_id, _), reading in one.lesions.items():
            if reading.patient_id is not None:
                cases[one.name, reading.patient_id].add(case_id)
    return list(cases.values())


def _faults(readings: Sequence[Readings], label: Mapping[str, str]) -> Iterator[Fault]:
    """Where a reader names two patients in what is one patient's."""
    for one in readings:
        names: dict[str, dict[str, str]] = defaultdict(dict)
        for (case_id, _), reading in one.lesions.items():
            if reading.patient_id is not None:
                names[label[case_id]].setdefault(reading.patient_id, case_id)
        yield from (_fault(one.name, list(cases.values())) for cases in names.values() if len(cases) > 1)


def _fault(reader: str, cases: Sequence[str]) -> Fault:
    shown = " and ".join(printable(case_id) for case_id in dict.fromkeys(cases[:_SHOWN_CASES]))
    return Fault(
        code="COMPARE_PATIENTS",
        source=f"{reader}, case {shown}",
        attribute="patient_id",
        found=f"{len(cases)} patients",
        expected="one, as it is one case or another result says so",
        remedy="Correct patient_id. Without that column each case counts as a patient.",
    )
