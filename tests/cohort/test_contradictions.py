"""What rows tell of one patient can be true together, or is refused."""

from __future__ import annotations

import pytest
from batches import measured_row, save

from ablmargin.cohort.analysis import analyze_cohort
from ablmargin.cohort.cautions import cautions
from ablmargin.cohort.table import read_results
from ablmargin.errors import InputError


def faults_of(rows, folder):
    with pytest.raises(InputError) as told:
        read_results(save(rows, folder))
    return [(fault.code, fault.attribute, fault.source) for fault in told.value.faults]


def cautions_of(rows, folder):
    return " ".join(cautions(analyze_cohort(read_results(save(rows, folder)))))


def rows_of_a_case(*followups, **more):
    return [measured_row("a", str(place), **told, **more) for place, told in enumerate(followups)]


DEAD_AT_6 = {"ltp": 0, "months": 6, "death": 1, "months_death": 6}


@pytest.mark.parametrize(
    ("other", "column"),
    [
        ({"ltp": 0, "months": 6, "death": 1, "months_death": 12}, "months_death"),
        ({"ltp": 1, "months": 3, "death": 1, "months_death": 12}, "months_death"),
        ({"ltp": 0, "months": 5, "death": 1, "months_death": ""}, "months_death"),
        ({"ltp": 0, "months": 40, "death": 0, "months_death": ""}, "months"),
        ({"ltp": 0, "months": 3, "death": 0, "months_death": 40}, "months"),
        ({"ltp": 1, "months": 7, "death": 1, "months_death": ""}, "months"),
    ],
)
def test_a_patient_dies_once_and_is_not_seen_alive_behind_it(tmp_path, other, column):
    assert faults_of(rows_of_a_case(DEAD_AT_6, other), tmp_path) == [("COHORT_PATIENT", column, "results.csv, row 3")]


@pytest.mark.parametrize(
    "other",
    [
        DEAD_AT_6,
        {"ltp": 0, "months": 2, "death": 1, "months_death": 6},
        {"ltp": 1, "months": 2, "death": 1, "months_death": ""},
        {"ltp": 1, "months": 2, "death": 0, "months_death": ""},
        {"ltp": "", "months": "", "death": "", "months_death": ""},
    ],
)
def test_what_can_be_true_together_is_read(tmp_path, other):
    assert len(read_results(save(rows_of_a_case(DEAD_AT_6, other), tmp_path)).lesions) == 2


def test_months_of_another_case_may_count_from_another_ablation(tmp_path):
    """A second ablation 34 months after the first: alive at 40, and dead 6 months after the second. It is told."""
    rows = [measured_row("a", patient_id="P", ltp=0, months=40), measured_row("b", patient_id="P", **DEAD_AT_6)]
    assert "The cases of 1 patient tell of deaths at different times" in cautions_of(rows, tmp_path / "two")
    rows[0]["months"] = 6
    assert "at different times" not in cautions_of(rows, tmp_path / "one")


def test_ras_is_one_a_patient(tmp_path):
    rows = [
        measured_row(name, ras_mutation=ras, patient_id=patient)
        for name, ras, patient in [
            ("a", "mutant", "P"),
            ("b", "unknown", "P"),
            ("c", "wildtype", "P"),
            ("d", "wildtype", "Q"),
        ]
    ]
    assert faults_of(rows, tmp_path) == [("COHORT_PATIENT", "ras_mutation", "results.csv, row 4")]


def test_no_message_names_a_patient(tmp_path):
    rows = [measured_row("a", str(ras), ras_mutation=ras, patient_id="Miller") for ras in ("mutant", "wildtype")]
    with pytest.raises(InputError) as told:
        read_results(save(rows, tmp_path))
    assert "Miller" not in str(told.value)


def test_event_beside_death_is_refused(tmp_path):
    """A death=1 beside event=none would be lost."""
    row = measured_row("a", event="none", months=3, death=1)
    assert faults_of([row], tmp_path) == [("COHORT_COLUMN", None, tmp_path.name)]


def test_days_instead_of_months_are_told(tmp_path):
    assert "are these days?" in cautions_of([measured_row("a", ltp=0, months=836)], tmp_path / "days")
    assert "are these days?" in cautions_of([measured_row("a", ltp=0, months=9, months_death=836)], tmp_path / "death")
    assert "are these days?" not in cautions_of([measured_row("a", ltp=0, months=240)], tmp_path / "months")
