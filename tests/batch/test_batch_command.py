"""``ablmargin batch`` in process, on small cases that go the whole way."""

from __future__ import annotations

import csv
import errno
import json
import os
import shutil
import tempfile
from pathlib import Path

import pytest
from batch_cases import write_manifest
from pyarrow import parquet

from ablmargin_cli.main import main


def table(out: Path) -> list[dict[str, str]]:
    with (out / "results.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def events(out: Path) -> list[dict]:
    return [json.loads(line) for line in (out / ".batch" / "journal-all.jsonl").read_text().splitlines()]


def test_every_lesion_has_a_row_and_failures_say_why(finished):
    rows = table(finished / "out")
    assert [(row["case_id"], row["lesion_id"], row["error_code"]) for row in rows] == [
        ("c0", "1", ""),
        ("c1", "1", ""),
        ("c2", "1", "FILE_FORMAT"),
    ]
    assert "tumor-1.nii.gz" in rows[2]["error"]
    assert str(finished) not in rows[2]["error"], "folders may be named after patients"
    assert rows[2]["mam_mm"] == rows[2]["verdict"] == rows[2]["status"] == ""
    assert [row["ltp"] for row in rows] == ["0", "1", "0"], "columns of the manifest's own are carried through"


def test_a_row_says_what_the_result_says(finished):
    for row in table(finished / "out")[:2]:
        result = json.loads((finished / "out" / row["case_id"] / "result.json").read_text(encoding="utf-8"))
        (lesion,) = result["lesions"]
        assert float(row["mam_mm"]) == lesion["mam_mm"]
        assert float(row["percentiles_mm_5"]) == lesion["percentiles_mm"]["5"]
        assert float(row["coverage_10"]) == lesion["coverage"]["10"]
        assert float(row["mam_location_mm_z"]) == lesion["mam_location_mm"][2]
        assert row["registration_quality"] == result["registration"]["quality"] == "good"
        assert row["tumor_source"] == "reader"
        assert row["ras_mutation"] == "wildtype"
        assert float(row["required_margin_mm"]) == 5.0


def test_the_numbers_are_those_of_analyze(finished, cases, tmp_path):
    """Bit for bit, whatever loads and computes differently in a forked process."""
    words = [word for exam in ("pre", "post") for word in (f"--{exam}", str(cases / "c1" / f"{exam}.nii.gz"))]
    for option in ("liver-pre", "liver-post", "tumor", "ablation"):
        file = f"{option}.nii.gz" if "liver" in option else f"{option}-1.nii.gz"
        words += [f"--{option}", str(cases / "c1" / file)]
    assert main(["analyze", *words, "--ras-mutation", "wildtype", "--case-id", "c1", "--out", str(tmp_path / "o")]) == 0
    alone, batched = (
        json.loads((folder / "result.json").read_text(encoding="utf-8")) | {"timings_s": None}
        for folder in (tmp_path / "o", finished / "out" / "c1")
    )
    assert batched == alone


def test_the_parquet_table_holds_the_same(finished):
    read = parquet.read_table(finished / "out" / "results.parquet")
    rows = table(finished / "out")
    assert read.column_names == list(rows[0])
    assert read.column("mam_mm").to_pylist()[:2] == [float(row["mam_mm"]) for row in rows[:2]]
    assert read.column("mam_mm").to_pylist()[2] is None
    assert read.column("subcapsular").to_pylist()[:2] == [row["subcapsular"] == "true" for row in rows[:2]]
    assert read.column("ltp").to_pylist() == [0.0, 1.0, 0.0], "numbers in own columns are numbers"


def test_nothing_is_left_beside_the_cases(finished):
    names = {path.name for path in (finished / "out").iterdir()}
    assert names == {".batch", "c0", "c1", "logs", "results.csv", "results.parquet"}
    assert not list((finished / "out" / ".batch" / "locks").iterdir())


def test_a_case_has_a_log_that_names_no_folder(finished):
    log = (finished / "out" / "logs" / "c2.log").read_text(encoding="utf-8")
    assert "loading" in log
    assert "FILE_FORMAT" in log
    assert str(finished) not in log


def test_run_again_only_what_failed_is_done(finished, tmp_path, capsys):
    shutil.copytree(finished, tmp_path / "again")
    out, broken = tmp_path / "again" / "out", tmp_path / "again" / "broken"
    shutil.copy(broken / "c1" / "tumor-1.nii.gz", broken / "c2" / "tumor-1.nii.gz")  # mended
    before = (out / "c0" / "result.json").read_bytes()
    assert main(["batch", str(broken / "m.csv"), "--out", str(out), "--dry-run"]) == 0
    assert "2 finished, 1 to analyze" in capsys.readouterr().out
    assert main(["batch", str(broken / "m.csv"), "--out", str(out), "--workers", "1"]) == 0
    assert {event["case_id"]: event["event"] for event in events(out) if "case_id" in event} == {
        "c0": "kept",
        "c1": "kept",
        "c2": "done",
    }
    assert (out / "c0" / "result.json").read_bytes() == before
    assert [row["error_code"] for row in table(out)] == ["", "", ""]
    assert not list(out.glob("*.previous-*"))


def test_refused_before_anything_runs(cases, rows, tmp_path, capsys):
    """Faults of several rows together, exit 3, and no folder."""
    bad = [dict(rows[0]), dict(rows[1], tumor="none.nii.gz", ras_mutation="kras"), dict(rows[2], case_id="../x")]
    manifest = write_manifest(cases / "bad.csv", bad)
    assert main(["batch", str(manifest), "--out", str(tmp_path / "out")]) == 3
    told = capsys.readouterr().err
    assert "bad.csv, row 3, column tumor" in told
    assert "bad.csv, row 3, column ras_mutation" in told
    assert "bad.csv, row 4, column case_id" in told
    assert "row 2" not in told
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "words",
    [
        ["--shard", "4/3"],
        ["--shard", "x"],
        ["--shard", f"1/{'9' * 5000}"],
        ["--scheduler", "tcp://h:1", "--workers", "2"],
        *([option, value] for option in ("--memory", "--timeout") for value in ("inf", "nan", "1e10", "0", "-1")),
    ],
)
def test_wrong_usage(cases, tmp_path, words):
    assert main(["batch", str(cases / "m.csv"), "--out", str(tmp_path / "out"), *words]) == 2
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "workers"),
    [([], 10), (["--threads", "4"], 2), (["--threads", "11"], 1), (["--threads", "4", "--workers", "3"], 3)],
)
def test_threads_and_workers_share_the_cores(cases, tmp_path, monkeypatch, words, workers):
    planned = []
    monkeypatch.setattr("ablmargin.threads.available_cores", lambda: 10)
    monkeypatch.setattr("ablmargin_cli.batching.tell_plan", lambda plan: planned.append(plan.workers))
    assert main(["batch", str(cases / "m.csv"), "--out", str(tmp_path / "out"), "--dry-run", *words]) == 0
    assert planned == [workers]


def test_an_output_folder_that_mustn_t_be_written(cases, tmp_path, capsys):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").touch()
    for out, words in (
        (cases / "c1" / "pre.nii.gz", "is a file"),
        (cases, "holds the input"),
        (tmp_path / "other", "no batch"),
    ):
        assert main(["batch", str(cases / "m.csv"), "--out", str(out)]) == 2
        assert words in capsys.readouterr().err


def test_no_row_tells_what_another_manifest_or_other_options_gave(finished, tmp_path):
    """Corrections of the manifest, and then only a part of the batch: the other part isn't of this manifest any more."""
    shutil.copytree(finished, tmp_path / "again")
    out, folder = tmp_path / "again" / "out", tmp_path / "again" / "broken"
    header, *lines = (folder / "m.csv").read_text(encoding="utf-8").splitlines()
    (folder / "m.csv").write_text("\n".join([header, *lines]).replace("wildtype", "mutant"), encoding="utf-8")
    assert main(["batch", str(folder / "m.csv"), "--out", str(out), "--workers", "1", "--shard", "1/3"]) == 0
    told = [(row["error_code"], row["ras_mutation"]) for row in table(out)]
    assert told[:2] == [("", "mutant"), ("NOT_RUN", "")]
    assert "other inputs, options or versions" in table(out)[1]["error"]


def test_a_case_that_fails_isn_t_left_with_its_old_result(finished, tmp_path):
    shutil.copytree(finished, tmp_path / "again")
    out, folder = tmp_path / "again" / "out", tmp_path / "again" / "broken"
    (folder / "c0" / "tumor-1.nii.gz").write_bytes(b"no volume")
    assert main(["batch", str(folder / "m.csv"), "--out", str(out), "--workers", "1"]) == 4
    assert [row["error_code"] for row in table(out)] == ["FILE_FORMAT", "", "FILE_FORMAT"]
    assert not (out / "c0").exists()
    assert (out / "c0.previous-1" / "result.json").is_file()


def test_what_may_not_be_meant_is_told(finished, rows, tmp_path, capsys):
    """Finished cases that the manifest doesn't have, copied rows, and columns that nobody reads."""
    folder = finished / "broken"
    copied = [dict(rows[1], case_id="new"), dict(rows[1]), dict(rows[2], tumor=rows[1]["tumor"])]
    manifest = write_manifest(folder / "other.csv", copied)
    assert main(["batch", str(manifest), "--out", str(finished / "out"), "--dry-run"]) == 0
    told = capsys.readouterr().out
    assert "1 finished case in" in told
    assert told.rstrip().endswith("c0")
    assert "the same lesions again: new and c1" in told
    assert "The same tumor mask on different pre images: new and c2" in told
    assert "only go through to the tables: ltp" in told


@pytest.mark.parametrize("more", [["--dry-run"], []])
def test_an_output_folder_without_the_right_to_write(cases, tmp_path, monkeypatch, capsys, more):
    """Who is root may write anywhere but on a disk that is read-only."""

    def refused(dir):  # noqa: A002 - tempfile's name for it
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), f"{dir}/tmp123")

    monkeypatch.setattr("ablmargin.batch.run.TemporaryFile", refused)
    out = tmp_path / "above" / "out"
    assert main(["batch", str(cases / "m.csv"), "--out", str(out), *more]) == 2
    assert f"--out {out}: nothing can be written in {tmp_path}: Read-only file system" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_colleagues_folder_in_the_output_folder(cases, tmp_path, monkeypatch, capsys):
    (tmp_path / "out" / "logs").mkdir(parents=True)
    (tmp_path / "out" / ".batch").mkdir()
    real = tempfile.TemporaryFile

    def refused(dir):  # noqa: A002 - as above
        if dir.name == "logs":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return real(dir=dir)

    monkeypatch.setattr("ablmargin.batch.run.TemporaryFile", refused)
    assert main(["batch", str(cases / "m.csv"), "--out", str(tmp_path / "out")]) == 2
    assert "out/logs: Permission denied" in capsys.readouterr().err


def test_trying_whether_it_can_be_written_leaves_nothing_behind(cases, tmp_path):
    out = tmp_path / "out"
    (out / ".batch" / "locks").mkdir(parents=True)
    for folder in (out, tmp_path / "new"):
        assert main(["batch", str(cases / "m.csv"), "--out", str(folder), "--dry-run"]) == 0
    assert [path.name for path in tmp_path.rglob("*")] == ["out", ".batch", "locks"]
