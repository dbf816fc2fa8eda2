"""Which lesions share a patient, and what that does to intervals."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import ablmargin
from ablmargin.agreement.comparison import compare_readings
from ablmargin.agreement.patients import patients_of
from ablmargin.agreement.readings import Reading, Readings
from ablmargin.errors import InputError


def reader(name: str, patients: dict[str, str | None]) -> Readings:
    """One lesion a case, each of a patient."""
    lesions = {(case, "1"): Reading(margin_mm=1.0, patient_id=patient) for case, patient in patients.items()}
    return Readings(name=name, lesions=lesions)


def table(margins_mm, **columns) -> pd.DataFrame:
    count = len(margins_mm)
    cases = [f"c{number:02}" for number in range(count)]
    return pd.DataFrame({"case_id": cases, "lesion_id": ["1"] * count, "mam_mm": margins_mm} | columns)


def label(patients: list[str]) -> list[int]:
    return [patients.index(one) for one in patients]


def test_cases_of_one_patient_are_joined_whatever_readers_call_it():
    first = reader("A", {"a": "P", "b": "P", "c": "Q", "d": None, "e": None})
    second = reader("B", {"a": "x", "b": "x", "c": None, "d": "z", "e": "z"})
    patients = patients_of([first, second])
    assert label(patients.of(first.lesions)) == [0, 0, 2, 3, 3]
    assert patients.unit == "patient"
    assert patients.unnamed([*first.lesions, ("a", "2")]) == 0


def test_joins_of_several_readers_meet():
    """A joins a and b, B joins b and c, so all three are one patient's, though nobody says so alone."""
    readers = [
        reader("A", {"a": "P", "b": "P", "c": None}),
        reader("B", {"a": None, "b": "Q", "c": "Q"}),
    ]
    assert len(set(patients_of(readers).of(readers[0].lesions))) == 1


def test_a_case_without_a_name_is_a_patient_of_its_own():
    one = reader("A", {"a": "P", "b": None, "c": None})
    patients = patients_of([one])
    assert label(patients.of(one.lesions)) == [0, 1, 2]
    assert patients.unnamed(one.lesions) == 2
    nobody = patients_of([reader("A", {"a": None, "b": None})])
    assert (nobody.unit, label(nobody.of([("a", "1"), ("a", "2"), ("b", "1")]))) == ("case", [0, 0, 2])


@pytest.mark.parametrize(
    "other",
    [
        {("a", "1"): "x", ("b", "1"): "y"},
        {("c", "1"): "x", ("c", "2"): "y"},
    ],
    ids=["two where A has one", "two in a case"],
)
def test_readers_who_contradict_each_other_are_refused_without_names(other):
    one = reader("A", {"a": "Smith", "b": "Smith"})
    two = Readings(name="B", lesions={key: Reading(margin_mm=1.0, patient_id=name) for key, name in other.items()})
    with pytest.raises(InputError) as caught:
        compare_readings([one, two])
    (fault,) = caught.value.faults
    assert (fault.code, fault.attribute) == ("COMPARE_PATIENTS", "patient_id")
    assert fault.source == ("B, case a and b" if ("a", "1") in other else "B, case c")
    assert not any(name in str(fault) for name in ("Smith", "'x'", "'y'"))


def test_an_error_that_cases_of_a_patient_share_widens_all_intervals():
    """Eight patients with five cases of one lesion each: as wide as eight differences make it, not forty."""
    rng = np.random.default_rng(4)
    first = rng.normal(6, 3, 40)
    shared = np.repeat(rng.normal(0, 1, 8), 5)
    second = first + shared + rng.normal(0, 0.05, 40)
    named = {"patient_id": [f"P{number // 5}" for number in range(40)]}
    alone = ablmargin.compare([table(first), table(second)]).pairs[0].margins
    for columns in ((named, named), (named, {})):
        tables = [table(mm, **more) for mm, more in zip((first, second), columns, strict=True)]
        comparison = ablmargin.compare(tables)
        margins = comparison.pairs[0].margins
        assert "over 40 lesions of 8 patients" in str(comparison)
        assert "Lesions of one patient aren't independent" in str(comparison)
        reach = 2.365 * shared[::5].std(ddof=1) / 8**0.5  # Student's t with 7 degrees of freedom
        assert margins.bias_mm.upper - margins.bias_mm.value == pytest.approx(reach, rel=0.05)
        for name in ("bias_mm", "lower_limit_mm", "upper_limit_mm", "icc_agreement"):
            wide, narrow = getattr(margins, name), getattr(alone, name)
            assert wide.upper - wide.lower > 1.4 * (narrow.upper - narrow.lower), name


def test_verdicts_that_lesions_of_a_patient_share_are_one_answer():
    """Twelve patients of five cases each, alike within a patient: sixty lesions tell as much as twelve."""
    yes, no = 8.0, 2.0
    of_patient = [(yes, yes)] * 5 + [(no, no)] * 4 + [(yes, no)] * 2 + [(no, yes)]
    first, second = np.repeat(np.array(of_patient), 5, axis=0).T
    named = [f"P{number // 5}" for number in range(60)]
    wide, narrow = (
        ablmargin.compare([table(mm, **more) for mm in (first, second)]).pairs[0].verdicts[0]
        for more in ({"patient_id": named}, {})
    )
    for name in ("same", "kappa", "ac1"):
        one, other = getattr(wide, name), getattr(narrow, name)
        assert one.value == pytest.approx(other.value)
        assert one.upper - one.lower > 1.6 * (other.upper - other.lower), name
    alike = ablmargin.compare([table(first, patient_id=named)] * 2).pairs[0].verdicts[0].same
    assert alike.lower == pytest.approx(12 / (12 + 1.96**2), abs=1e-3), "Wilson's of 12 of 12"


def test_what_is_not_known_of_patients_is_said():
    margins = [1.0, 3.0, 4.5, 6.0, 8.0, 11.0]
    assert "No result has a column patient_id" in str(ablmargin.compare([table(margins)] * 2))
    some = table(margins, patient_id=["P", "P", "Q", "R", None, ""])
    text = str(ablmargin.compare([some, some]))
    assert "2 cases without a patient_id: each counts as a patient" in text
    assert "of 5 patients" in text
    record = ablmargin.compare([some, some]).to_dict()
    assert (record["patients"], record["patients_by"], record["pairs"][0]["intervals"]) == (
        5,
        "patient_id",
        "by patient",
    )
