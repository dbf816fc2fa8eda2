"""Results come back as they were written, and what is wrong with a file is told by row and column."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from report_cases import measured_case, withheld_case

import ablmargin
from ablmargin.batch.columns import ALL_COLUMNS
from ablmargin.batch.journal import Journal
from ablmargin.batch.manifest import Manifest, ManifestCase, ManifestRow
from ablmargin.batch.results import write_results
from ablmargin.errors import InputError, MissingExtraError
from ablmargin.intake import CaseRequest
from ablmargin.report.record import result_record
from ablmargin.result import CaseResult
from ablmargin.results import frame, rows


@pytest.fixture(scope="module")
def result() -> CaseResult:
    return measured_case()


def save(result: CaseResult, folder: Path, **changes) -> Path:
    folder.mkdir(parents=True)
    record = result_record(replace(result, **{k: v for k, v in changes.items() if k == "case_id"}))
    record |= {name: value for name, value in changes.items() if name != "case_id"}
    (folder / "result.json").write_text(json.dumps(record), encoding="utf-8")
    return folder


def faults_of(*sources, **named) -> list:
    with pytest.raises(InputError) as caught:
        ablmargin.load_results(*sources, **named)
    return caught.value.faults


def test_a_case_folder_its_json_and_a_folder_of_it_are_the_same(result, tmp_path):
    folder = save(result, tmp_path / "cases" / "one")
    tables = [ablmargin.load_results(place) for place in (folder, folder / "result.json", str(tmp_path / "cases"))]
    for table in tables[1:]:
        pd.testing.assert_frame_equal(table, tables[0])
    record = json.loads((folder / "result.json").read_text(encoding="utf-8"))["lesions"][0]
    row = tables[0].iloc[0]
    assert (row.case_id, row.lesion_id) == ("demo-1", "1")
    assert row.mam_mm == record["mam_mm"]
    assert row.surface_share_0_to_5 == record["surface_share"]["0_to_5"]
    assert row.mam_location_mm_z == record["mam_location_mm"][2]
    assert row.verdict == record["verdict"]


def test_types_are_those_that_are_documented(result, tmp_path):
    table = ablmargin.load_results(save(result, tmp_path / "one"))
    assert list(table.columns) == ["case_id", "lesion_id", *(column.name for column in ALL_COLUMNS)]
    assert list(table.verdict.cat.categories) == ["inadequate", "indeterminate", "adequate"]
    assert table.verdict.cat.ordered
    assert (table.verdict < "adequate").tolist() == [True]
    assert table.mam_mm.dtype == np.float64
    assert table.subcapsular.dtype == "boolean"
    assert table.inputs_pre_slices.dtype == "Int64"
    assert table.registration_landmarks_count.isna().all()
    assert table.error_code.dtype == "string"


def test_a_withheld_case_has_no_margin_but_a_row(tmp_path):
    table = ablmargin.load_results(save(withheld_case(), tmp_path / "one"))
    assert table.status.tolist() == ["withheld"]
    assert np.isnan(table.mam_mm[0])
    assert table.registration_reasons.tolist() == ["The livers overlap by only 0.41 (Dice)."]
    assert table.registration_reason_codes.tolist() == ["LIVERS_OVERLAP_LITTLE"]


def test_cases_that_nobody_named_are_called_by_their_folders(result, tmp_path):
    for name in ("b-2", "a-1", "a-1.previous-1", ".c.partial-77"):
        save(result, tmp_path / name, case_id="case")
    assert ablmargin.load_results(tmp_path).case_id.tolist() == ["a-1", "b-2"]
    assert ablmargin.load_results(tmp_path / "a-1").case_id.tolist() == ["case"]


def test_another_schema_is_refused(result, tmp_path):
    (fault,) = faults_of(save(result, tmp_path / "one", schema="ablmargin.result/9"))
    assert fault.code == "RESULT_SCHEMA"
    assert "ablmargin.result/9" in fault.found


def test_all_that_is_wrong_is_told_together(result, tmp_path):
    save(result, tmp_path / "one", verdict="fine")
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "result.json").write_text("{", encoding="utf-8")
    faults = faults_of([tmp_path, tmp_path / "three"])
    assert [fault.code for fault in faults] == ["RESULT_INVALID", "RESULT_UNREADABLE", "RESULTS_MISSING"]
    assert "$.verdict" in faults[0].found


def test_a_lesion_counts_once(result, tmp_path):
    one, other = save(result, tmp_path / "one"), save(result, tmp_path / "two")
    (fault,) = faults_of([one, other])
    assert fault.code == "RESULTS_DUPLICATE"
    assert str(one) in fault.source
    assert str(other) in fault.source


PLAIN = "case_id,lesion_id,mam_mm,verdict,ltp,hospital\n007,1,-2.5,inadequate,1,0012\n008,1,,,0,\n"


@pytest.mark.parametrize(
    "write", [str, lambda text: "\ufeff" + text.replace(",", ";"), lambda t: t.replace("\n", "\r\n")]
)
def test_a_table_of_another_program(tmp_path, write):
    (tmp_path / "theirs.csv").write_text(write(PLAIN), encoding="utf-8", newline="")
    table = ablmargin.load_results(tmp_path / "theirs.csv")
    assert table.case_id.tolist() == ["007", "008"]
    assert table.mam_mm[0] == -2.5
    assert np.isnan(table.mam_mm[1])
    assert table.ltp.tolist() == [1.0, 0.0]
    assert table.hospital[0] == "0012", "an ID stays one"
    assert table.verdict.isna().tolist() == [False, True]


def test_parquet_is_the_same_as_csv(tmp_path):
    (tmp_path / "theirs.csv").write_text(PLAIN, encoding="utf-8")
    table = ablmargin.load_results(tmp_path / "theirs.csv")
    table.astype({"verdict": "string"}).to_parquet(tmp_path / "theirs.parquet")
    pd.testing.assert_frame_equal(ablmargin.load_results(tmp_path / "theirs.parquet"), table)


def test_wrong_cells_are_told_by_row_and_column(tmp_path):
    lines = ["case_id,lesion_id,mam_mm,verdict,subcapsular", 'a,1,"2,5",ok,maybe', ",1,3,adequate,true", "c,1,inf,,"]
    (tmp_path / "t.csv").write_text("\n".join(lines), encoding="utf-8")
    faults = faults_of(tmp_path / "t.csv")
    assert [fault.source for fault in faults] == [
        "t.csv, row 2, column mam_mm",
        "t.csv, row 2, column verdict",
        "t.csv, row 2, column subcapsular",
        "t.csv, row 3, column case_id",
        "t.csv, row 4, column mam_mm",
    ]
    assert {fault.code for fault in faults} == {"RESULTS_CELL"}


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "RESULTS_EMPTY"),
        (b"case_id,lesion_id\n", "RESULTS_EMPTY"),
        (b"case,lesion\na,1\n", "RESULTS_COLUMN"),
        (b"case_id,lesion_id,lesion_id\na,1,1\n", "RESULTS_COLUMN"),
        (b"case_id,lesion_id\n\xff\xfe,1\n", "RESULTS_ENCODING"),
        (b"case_id,lesion_id\na,1,2\n", "RESULTS_ROW"),
        (b"PAR1 and then nothing", "RESULTS_UNREADABLE"),
    ],
)
def test_files_that_are_no_table_of_lesions(tmp_path, content, code):
    (tmp_path / "t.csv").write_bytes(content)
    assert [fault.code for fault in faults_of(tmp_path / "t.csv")] == [code]


def test_missing_packages_are_named(result, tmp_path, monkeypatch):
    folder = save(result, tmp_path / "one")
    monkeypatch.setitem(__import__("sys").modules, "pandas", None)
    with pytest.raises(MissingExtraError, match="cohort"):
        frame.load_results(folder)
    (tmp_path / "t.parquet").write_bytes(b"PAR1")
    monkeypatch.setattr(rows, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match="pyarrow"):
        rows.rows_of_table(tmp_path / "t.parquet")


def batch_folder(result: CaseResult, out: Path, own: tuple[str, str] = ("ward", "months")) -> Path:
    """A batch with a finished and a refused case and two columns of its manifest's own."""
    save(result, out / "case-1", case_id="case-1")
    journal = Journal(out, "all")
    journal.write("done", case_id="case-1")
    journal.write("failed", case_id="case-2", error_code="GEOM_GAP", error="-3 slices: found a gap")
    named = [("case-1", ("007", "12.5")), ("case-2", ("=A1", ""))]
    cases = [CaseRequest(pre=out, post=out, case_id=name) for name, _ in named]
    manifest = Manifest(
        cases=tuple(ManifestCase(request=case, lesion_ids=("1",)) for case in cases),
        rows=tuple(
            ManifestRow(case_id=name, lesion_id="1", number=2, carried=dict(zip(own, cells, strict=True)))
            for name, cells in named
        ),
        carried_columns=own,
    )
    (out / ".batch" / "locks").mkdir(parents=True, exist_ok=True)
    record = json.loads((out / "case-1" / "result.json").read_text(encoding="utf-8"))
    write_results(out, manifest, {"case-1": record}.get)
    return out


def test_a_batch_is_read_with_its_refused_cases_and_own_columns(result, tmp_path):
    out = batch_folder(result, tmp_path / "batch")
    table = ablmargin.load_results(out)
    assert list(table.columns)[:4] == ["case_id", "lesion_id", "ward", "months"]
    assert table.error_code.tolist()[1] == "GEOM_GAP"
    assert table.error.tolist()[1] == "-3 slices: found a gap"
    assert table.ward.tolist() == ["007", "=A1"]
    assert table.months.tolist()[0] == 12.5
    assert np.isnan(table.months[1])
    assert np.isnan(table.mam_mm[1])
    case = ablmargin.load_results(out / "case-1")
    pd.testing.assert_frame_equal(table.loc[:0, list(case.columns)], case)
    pd.testing.assert_frame_equal(ablmargin.load_results(out / "results.csv"), table)
    (out / "results.parquet").unlink()
    pd.testing.assert_frame_equal(ablmargin.load_results(out), table)


def test_an_own_column_that_a_spreadsheet_would_run_is_read_by_its_name(result, tmp_path):
    out = batch_folder(result, tmp_path / "batch", own=("=1+1", "-notes"))
    table = ablmargin.load_results(out)
    assert list(table.columns)[2:4] == ["=1+1", "-notes"]
    pd.testing.assert_frame_equal(ablmargin.load_results(out / "results.csv"), table)


def test_an_edited_table_beside_the_other_is_refused(result, tmp_path):
    """Somebody added follow-up to results.csv: results.parquet doesn't have it."""
    out = batch_folder(result, tmp_path / "batch")
    text = (out / "results.csv").read_text(encoding="utf-8")
    (out / "results.csv").write_text(text.replace("12.5", "13.5", 1), encoding="utf-8")
    (fault,) = faults_of(out)
    assert fault.code == "RESULTS_DIFFER"
    assert "results.csv" in fault.source
    assert ablmargin.load_results(out / "results.csv").months[0] == 13.5
    assert ablmargin.load_results(out / "results.parquet").months[0] == 12.5


def test_the_kind_of_an_own_column_is_that_of_all_tables_together(tmp_path):
    for name, patient in (("one", "7"), ("two", "P7")):
        text = f"case_id,lesion_id,mam_mm,patient_id,ward\n{name},1,2.0,{patient},{patient}\n"
        (tmp_path / f"{name}.csv").write_text(text, encoding="utf-8")
    table = ablmargin.load_results([tmp_path / "one.csv", tmp_path / "two.csv"])
    assert table.patient_id.tolist() == table.ward.tolist() == ["7", "P7"]


def test_ids_stay_text_and_long_numbers_too(tmp_path):
    text = "case_id,lesion_id,patient_id,code,months\na,1,1.1,123456789012345515,2.50\nb,1,1.10,123456789012345516,\n"
    (tmp_path / "t.csv").write_text(text, encoding="utf-8")
    table = ablmargin.load_results(tmp_path / "t.csv")
    assert table.patient_id.tolist() == ["1.1", "1.10"]
    assert table.code.tolist() == ["123456789012345515", "123456789012345516"]
    assert table.months.tolist()[0] == 2.5
