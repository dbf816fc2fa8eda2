"""A DataFrame is checked like a file."""

from __future__ import annotations

import pandas as pd
import pytest

from ablmargin.errors import InputError
from ablmargin.results.files import read_results
from ablmargin.results.fromframe import rows_of_frame
from ablmargin.results.rows import KINDS


def frame(**columns) -> pd.DataFrame:
    return pd.DataFrame({"case_id": ["a", "b"], "lesion_id": ["1", "1"], "mam_mm": [1.5, -2.0]} | columns)


def faults_of(table: pd.DataFrame) -> list[tuple[str, str, str]]:
    with pytest.raises(InputError) as caught:
        rows_of_frame(table, name="A")
    return [(fault.code, fault.source, fault.found) for fault in caught.value.faults]


def test_cells_are_read_as_a_file_has_them(tmp_path):
    table = frame(
        verdict=["Adequate", " indeterminate"],
        subcapsular=[True, None],
        registration_landmarks_count=pd.array([3, None], dtype="Int64"),
        mam_lower_mm=["1.25", None],
        ward=["  south", pd.NA],
    )
    table.to_csv(tmp_path / "a.csv", index=False)
    rows = rows_of_frame(table, name="A").rows
    assert [dict(row) for row in rows] == [dict(row) for row in read_results(tmp_path / "a.csv").rows]
    assert rows[0]["verdict"] == "adequate"
    assert rows[1] == dict.fromkeys(KINDS) | {
        "case_id": "b",
        "lesion_id": "1",
        "mam_mm": -2.0,
        "verdict": "indeterminate",
        "ward": None,
    }


def test_ids_that_pandas_made_floats_are_whole_again():
    table = frame(case_id=[7, 8], lesion_id=[1.0, 2.0], patient_id=[4711.0, None])
    ids = [(row["case_id"], row["lesion_id"], row["patient_id"]) for row in rows_of_frame(table, name="A").rows]
    assert ids == [("7", "1", "4711"), ("8", "2", None)]


@pytest.mark.parametrize(
    ("columns", "column", "found"),
    [
        ({"mam_mm": [1.0, float("inf")]}, "mam_mm", "'inf'"),
        ({"mam_mm": ["1.0", "wide"]}, "mam_mm", "'wide'"),
        ({"verdict": ["adequate", "good"]}, "verdict", "'good'"),
        ({"case_id": ["a", None]}, "case_id", "nothing"),
        ({"lesion_id": ["1", "  "]}, "lesion_id", "nothing"),
    ],
)
def test_a_cell_that_is_not_what_its_column_holds_is_refused(columns, column, found):
    assert faults_of(frame(**columns)) == [
        ("RESULTS_CELL", f"A (DataFrame, rows from 0), row 1, column {column}", found)
    ]


def test_all_faults_are_told_together():
    assert len(faults_of(frame(mam_mm=["x", "y"], verdict=["z", "adequate"]))) == 3


def test_a_lesion_that_stands_twice_is_refused_with_both_rows():
    table = pd.concat([frame(), frame().iloc[:1].assign(mam_mm=9.0)])
    places = [f"A (DataFrame, rows from 0), row {row}" for row in (0, 2)]
    assert faults_of(table) == [("RESULTS_DUPLICATE", " and ".join(places), "case a, lesion 1 2 times")]


def test_columns_that_are_lacking_or_stand_twice_are_refused():
    assert faults_of(frame().drop(columns=["case_id"])) == [("RESULTS_COLUMN", "A", "no column case_id")]
    twice = pd.concat([frame(), frame()[["mam_mm"]]], axis=1)
    assert faults_of(twice) == [("RESULTS_COLUMN", "A", "2 columns 'mam_mm'")]
