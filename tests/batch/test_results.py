"""The table of results, from records made by hand."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest
from pyarrow import parquet
from report_cases import measured_case, withheld_case

from ablmargin.batch.columns import ALL_COLUMNS, failure_cells, lesion_cells
from ablmargin.batch.journal import Journal
from ablmargin.batch.manifest import Manifest, ManifestCase, ManifestRow
from ablmargin.batch.results import write_results
from ablmargin.batch.run import Shard
from ablmargin.errors import UsageError
from ablmargin.intake import CaseRequest
from ablmargin.report.record import result_record

TWO_TUMORS = (
    ("1", (-30.0, 10.0, 80.0), 9.0, 15.0, (2.5, 3.0, -1.0)),
    ("seg-7", (18.0, -5.0, 70.0), 6.0, 24.0, (0.0, 0.0, 0.0)),
)
NAMES = {column.name for column in ALL_COLUMNS}


@pytest.fixture(scope="module")
def two_tumors():
    return measured_case(TWO_TUMORS)


@pytest.fixture(scope="module")
def withheld():
    return withheld_case()


def manifest_of(tmp_path, rows, carried=()):
    """A manifest of (case, lesion, carried cells)."""
    cases = dict.fromkeys(case for case, _, _ in rows)
    requests = {case: CaseRequest(pre=tmp_path, post=tmp_path, case_id=case) for case in cases}
    return Manifest(
        cases=tuple(
            ManifestCase(request=request, lesion_ids=tuple(lesion for case, lesion, _ in rows if case == name))
            for name, request in requests.items()
        ),
        rows=tuple(
            ManifestRow(case_id=case, lesion_id=lesion, number=number, carried=dict(zip(carried, cells, strict=True)))
            for number, (case, lesion, cells) in enumerate(rows, start=2)
        ),
        carried_columns=tuple(carried),
    )


def write(out, manifest):
    """Write the tables, as if every result.json were of this manifest."""

    def finished(case_id):
        path = out / case_id / "result.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None

    return write_results(out, manifest, finished)


def write_record(out, case_id, record):
    (out / case_id).mkdir(parents=True)
    (out / case_id / "result.json").write_text(json.dumps(record), encoding="utf-8")
    Journal(out, "all").write("done", case_id=case_id)


def read_csv(out):
    with (out / "results.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def leaves(record, prefix=""):
    """Names of everything in a lesion's record, as columns would be called."""
    for name, value in record.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{prefix}{name}_")
        elif isinstance(value, list) and len(value) == 3 and not any(isinstance(part, dict | str) for part in value):
            yield from (f"{prefix}{name}_{axis}" for axis in "xyz")
        else:
            yield prefix + name


def test_nothing_of_a_lesion_is_left_out(two_tumors):
    for lesion in result_record(two_tumors)["lesions"]:
        assert set(leaves(lesion)) - {"id"} <= NAMES | {"deficit", "completion", "vessel_distance_location_mm"}


def test_nothing_of_a_case_is_left_out(two_tumors):
    """Of ``result.json``, each field is a column; versions of further packages and the contrast phase's evidence aren't."""
    record = result_record(two_tumors)
    flat = set(leaves({name: record[name] for name in ("status", "point_of_reference", "registration", "timings_s")}))
    flat |= {name for name in leaves({"inputs": record["inputs"]}) if "evidence" not in name and "spacing" not in name}
    assert flat <= NAMES | {"registration_landmarks", "inputs_pre_spacing_mm", "inputs_post_spacing_mm"}


def test_each_row_is_its_own_lesion(two_tumors, tmp_path):
    record = result_record(two_tumors)
    write_record(tmp_path, "a", record)
    write(tmp_path, manifest_of(tmp_path, [("a", "seg-7", ()), ("a", "1", ())]))
    told = {row["lesion_id"]: float(row["mam_mm"]) for row in read_csv(tmp_path)}
    assert told == {lesion["id"]: lesion["mam_mm"] for lesion in record["lesions"]}
    assert [row["lesion_id"] for row in read_csv(tmp_path)] == ["seg-7", "1"], "in the manifest's order"


def test_a_withheld_case_has_no_numbers_but_its_reasons(withheld, tmp_path):
    write_record(tmp_path, "a", result_record(withheld))
    write(tmp_path, manifest_of(tmp_path, [("a", "1", ())]))
    (row,) = read_csv(tmp_path)
    assert (row["status"], row["verdict"], row["mam_mm"], row["error_code"]) == ("withheld", "indeterminate", "", "")
    assert row["registration_quality"] == "failed"
    assert "0.41" in row["registration_reasons"]
    assert row["reason_codes"] == "REGISTRATION_QUALITY_FAILED"
    assert row["registration_reason_codes"] == "LIVERS_OVERLAP_LITTLE"


def test_codes_stand_beside_sentences_each_once_the_first_seen_first(two_tumors):
    record = result_record(two_tumors)
    first, second = record["lesions"]
    first["reason_codes"] = ["TUMOR_NOT_REVIEWED", "MASK_TINY", "TUMOR_NOT_REVIEWED", "BOUNDS_UNKNOWN"]
    assert lesion_cells(record, "1")["reason_codes"] == "TUMOR_NOT_REVIEWED MASK_TINY BOUNDS_UNKNOWN"
    assert lesion_cells(record, "seg-7")["reason_codes"] == " ".join(second["reason_codes"])
    assert lesion_cells(record, "1")["registration_reason_codes"] == ""


def test_results_from_before_codes_have_none(two_tumors):
    record = result_record(two_tumors)
    for reasoned in (*record["lesions"], record["registration"]):
        del reasoned["reason_codes"]
    cells = lesion_cells(record, "1")
    assert (cells["reason_codes"], cells["registration_reason_codes"]) == (None, None)
    assert cells["reasons"]
    assert lesion_cells(record | {"registration": None}, "1")["registration_reason_codes"] is None


def test_lesions_without_a_result_say_why(two_tumors, tmp_path):
    write_record(tmp_path, "a", result_record(two_tumors))
    Journal(tmp_path, "all").write("failed", case_id="b", error_code="GEOM_GAP", error="a gap")
    rows = [("a", "1", ()), ("b", "1", ()), ("c", "1", ())]
    write(tmp_path, manifest_of(tmp_path, rows))
    assert [row["error_code"] for row in read_csv(tmp_path)] == ["", "GEOM_GAP", "NOT_RUN"]


def test_a_finished_case_has_its_result_whatever_a_clock_says_of_a_failure(two_tumors, tmp_path):
    """The failure was written by a machine whose clock is ahead."""
    write_record(tmp_path, "a", result_record(two_tumors))
    late = {"time": "2999-01-01T00:00:00+00:00", "event": "failed", "case_id": "a", "error_code": "X", "error": "x"}
    (tmp_path / ".batch" / "journal-all.jsonl").write_text(json.dumps(late) + "\n")
    write(tmp_path, manifest_of(tmp_path, [("a", "1", ())]))
    assert [row["error_code"] for row in read_csv(tmp_path)] == [""]


def test_a_table_that_somebody_edited_is_kept(two_tumors, tmp_path):
    write_record(tmp_path, "a", result_record(two_tumors))
    manifest = manifest_of(tmp_path, [("a", "1", ())])
    assert write(tmp_path, manifest).kept == []
    assert write(tmp_path, manifest).kept == []
    for number in (1, 2):
        with (tmp_path / "results.csv").open("a", encoding="utf-8") as file:
            file.write(f"what somebody added {number}\n")
        assert [path.name for path in write(tmp_path, manifest).kept] == [f"results.edited-{number}.csv"]
        assert f"somebody added {number}" in (tmp_path / f"results.edited-{number}.csv").read_text(encoding="utf-8")
        assert len(read_csv(tmp_path)) == 1


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["1", "2.5", ""], [1.0, 2.5, None]),
        (["-1", "0", "0.5"], [-1.0, 0.0, 0.5]),
        (["007", "1", "2"], ["007", "1", "2"]),
        (["1", "n/a", ""], ["1", "n/a", None]),
        (["1e5", "1", "2"], ["1e5", "1", "2"]),
        (["123456789012345678", "1", ""], ["123456789012345678", "1", None]),
        (["", "", ""], [None, None, None]),
    ],
)
def test_own_columns_are_numbers_only_if_nothing_is_lost(tmp_path, cells, expected):
    rows = [(f"c{number}", "1", [cell]) for number, cell in enumerate(cells)]
    write(tmp_path, manifest_of(tmp_path, rows, ["own"]))
    assert parquet.read_table(tmp_path / "results.parquet").column("own").to_pylist() == expected


def test_ids_are_text(tmp_path):
    rows = [(f"c{number}", "1", [cell]) for number, cell in enumerate(["1.1", "1.10", "7"])]
    write(tmp_path, manifest_of(tmp_path, rows, ["patient_id"]))
    assert parquet.read_table(tmp_path / "results.parquet").column("patient_id").to_pylist() == ["1.1", "1.10", "7"]


def test_no_header_is_run_by_a_spreadsheet(tmp_path):
    write(tmp_path, manifest_of(tmp_path, [("a", "1", ["x"])], ["=1+1"]))
    assert (tmp_path / "results.csv").read_text(encoding="utf-8").startswith("case_id,lesion_id,'=1+1,")


def test_no_cell_is_run_by_a_spreadsheet(tmp_path):
    cells = ["=1+1", "+1", "-x", "@a", "-2.5", "plain"]
    rows = [(f"c{number}", "1", [cell]) for number, cell in enumerate(cells)]
    write(tmp_path, manifest_of(tmp_path, rows, ["own"]))
    assert [row["own"] for row in read_csv(tmp_path)] == ["'=1+1", "'+1", "'-x", "'@a", "-2.5", "plain"]


def test_failures_have_the_columns_of_results(two_tumors):
    record = result_record(two_tumors)
    assert list(failure_cells("X", "x")) == list(lesion_cells(record, "1"))


@pytest.mark.parametrize("count", [1, 2, 3, 7, 10])
def test_shards_share_all_cases_evenly_whatever_the_order(tmp_path, count):
    jobs = manifest_of(tmp_path, [(f"c{number}", "1", ()) for number in range(10)]).cases
    shards = [Shard(number=number, count=count) for number in range(1, count + 1)]
    parts = [[job.case_id for job in shard.of(jobs)] for shard in shards]
    assert sorted(case for part in parts for case in part) == [job.case_id for job in jobs]
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    assert [sorted(job.case_id for job in shard.of(jobs[::-1])) for shard in shards] == [sorted(part) for part in parts]


@pytest.mark.parametrize("text", ["0/3", "4/3", "1", "1/0", "a/b", "1/2/3", "-1/3"])
def test_shards_that_are_none(text):
    with pytest.raises(UsageError, match="NUMBER/COUNT"):
        Shard.from_text(text)


def test_the_documentation_names_every_column():
    text = (Path(__file__).resolve().parents[2] / "docs" / "batch.md").read_text(encoding="utf-8")
    section = text.partition("## The results")[2].partition("Codes that only")[0]
    told = set(re.findall(r"`([a-z][a-z0-9_]*)`", section))
    assert {name for name in NAMES if not name.startswith("inputs_post")} <= told
    assert not {name for name in told if "_mm" in name or "_share" in name} - NAMES
