"""``ablmargin batch --deidentify-key``: nothing of a patient gets out, and the batch still goes on where it was."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest
from batch_cases import write_manifest
from canaries import DAY, DAY_ISO, NAME, UID_ROOT, found_in
from ct_files import edit, files_of

from ablmargin.batch.job import Analysis, Limits
from ablmargin.batch.keyfile import KeyFile
from ablmargin.batch.manifest import read_manifest
from ablmargin.batch.run import Plan, Shard
from ablmargin.batch.work import CaseLog, work
from ablmargin.dicom.write import SeriesIdentity, write_ct_series
from ablmargin.loading import load_image
from ablmargin_cli.main import main


def table(out: Path) -> list[dict[str, str]]:
    with (out / "results.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def shared(out: Path, folder: Path) -> Path:
    """What of a batch's folder may be handed on: all but logs and journals."""
    return Path(shutil.copytree(out, folder, ignore=shutil.ignore_patterns("logs", ".batch")))


@pytest.fixture(scope="module")
def named(cases, rows, tmp_path_factory):
    """Two cases of one patient, who is named wherever somebody could name them; the second one's tumor can't be read."""
    folder = tmp_path_factory.mktemp("data") / f"{NAME}_ADA"
    shutil.copytree(cases, folder)
    made = []
    for number, row in enumerate(rows[:2]):
        place = folder / f"c{number}"
        for exam, day in (("pre", DAY), ("post", "20310303")):
            _as_dicom(place, exam, day, f"{UID_ROOT}.{number}.{exam == 'post':d}")
        (place / "tumor-1.nii.gz").rename(place / f"{NAME}.nii.gz")
        files = {"pre": f"c{number}/pre", "post": f"c{number}/post", "tumor": f"c{number}/{NAME}.nii.gz"}
        made.append(row | files | {"patient_id": f"{NAME}ID", "site": "north"})
    (folder / "c1" / f"{NAME}.nii.gz").write_bytes(b"no volume")
    return write_manifest(folder / "m.csv", made)


def _as_dicom(place: Path, exam: str, day: str, uid: str) -> None:
    identity = SeriesIdentity(patient_id=f"{NAME}ID", patient_name=f"{NAME}^ADA", study_date=day)
    write_ct_series(load_image(place / f"{exam}.nii.gz").volume, place / exam, identity=identity)
    for path in files_of(place / exam):
        edit(path, lambda slice_, uid=uid: setattr(slice_, "SeriesInstanceUID", uid))


@pytest.fixture(scope="module")
def key(tmp_path_factory):
    path = tmp_path_factory.mktemp("key") / "project.key"
    path.write_bytes(b"0123456789abcdef")
    return path


@pytest.fixture(scope="module")
def plain(named, tmp_path_factory):
    """The folder of a batch with names; not to be changed."""
    out = tmp_path_factory.mktemp("plain") / "out"
    assert main(["batch", str(named), "--out", str(out), "--workers", "1"]) == 4
    return out


@pytest.fixture(scope="module")
def nameless(named, key, tmp_path_factory):
    """The folder of a batch without names; not to be changed."""
    out = tmp_path_factory.mktemp("nameless") / "out"
    words = ["--out", str(out), "--workers", "1", "--deidentify-key", str(key)]
    assert main(["batch", str(named), *words]) == 4
    return out


def test_nothing_that_may_be_shared_names_the_patient(plain, nameless, tmp_path):
    told = found_in(shared(plain, tmp_path / "plain"))
    assert {"results.csv", "results.parquet", "c0/result.json"} <= set(told), "the canaries can be found"
    assert found_in(shared(nameless, tmp_path / "nameless")) == []
    for canary in (DAY, DAY_ISO, "20310303", "2031-03-03"):
        assert found_in(nameless, canary) == [], canary


def test_the_marker_doesn_t_tell_which_files_they_were(plain, nameless):
    told, sealed = (json.loads((out / "c0" / "DONE.json").read_text(encoding="utf-8")) for out in (plain, nameless))
    assert not {one[part] for one in told["inputs"] for part in one} & {
        one[part] for one in sealed["inputs"] for part in one
    }
    assert told["parameters"] != sealed["parameters"], (
        "names of lesions and outlines could be guessed from a plain hash"
    )


def test_the_table_has_stand_ins_and_the_same_numbers(plain, nameless):
    (with_name, _), (without, failed) = table(plain), table(nameless)
    assert without["patient_id"] == failed["patient_id"]
    assert without["patient_id"].startswith("ANON-")
    assert without["inputs_pre_series_uid"].startswith("2.25.")
    assert {name for name in without if without[name] != with_name[name] and not name.startswith("timings_s")} == {
        *("patient_id", "inputs_pre_series_uid", "inputs_post_series_uid", "inputs_pre_sha256", "inputs_post_sha256"),
        *("inputs_pre_acquired", "inputs_post_acquired", "warnings"),
    }
    assert "DEIDENTIFIED" in without["warnings"]


def test_a_failure_is_told_by_its_code_alone(plain, nameless):
    assert NAME in table(plain)[1]["error"]
    failed = table(nameless)[1]
    assert (failed["error_code"], failed["error"]) == ("FILE_FORMAT", "logs/c1.log tells more.")
    assert NAME in (nameless / "logs" / "c1.log").read_text(encoding="utf-8")


def test_it_goes_on_with_the_same_key_alone(named, key, nameless, tmp_path, capsys):
    out = Path(shutil.copytree(nameless, tmp_path / "out"))
    words = ["batch", str(named), "--out", str(out), "--dry-run"]
    (tmp_path / "other.key").write_bytes(b"fedcba9876543210")
    for more, told in (
        (["--deidentify-key", str(key)], "1 finished, 1 to analyze"),
        (["--deidentify-key", str(tmp_path / "other.key")], "0 finished, 2 to analyze"),
        ([], "0 finished, 2 to analyze"),
    ):
        assert main([*words, *more]) == 0
        assert told in capsys.readouterr().out


def test_results_of_a_run_with_names_stay_out_of_the_table(named, key, plain, tmp_path):
    """Another part of the batch was run with names, or under another key."""
    out = Path(shutil.copytree(plain, tmp_path / "out"))
    words = ["--shard", "2/2", "--workers", "1", "--deidentify-key", str(key)]
    assert main(["batch", str(named), "--out", str(out), *words]) == 4
    first, second = table(out)
    assert (first["error_code"], first["inputs_pre_series_uid"]) == ("NOT_RUN", "")
    assert second["error"] == "logs/c1.log tells more."
    assert "results.csv" not in found_in(out, DAY_ISO, UID_ROOT, NAME)


def test_a_key_is_needed(named, tmp_path, capsys):
    assert main(["batch", str(named), "--out", str(tmp_path / "o"), "--deidentify"]) == 2
    assert "--deidentify-key" in capsys.readouterr().err


def test_another_key_under_the_same_name_ends_a_case_not_the_batch(named, nameless, tmp_path):
    """As on a machine of a cluster that sees another file there."""
    (tmp_path / "key").write_bytes(b"0123456789abcdef")
    plan = Plan(
        manifest=read_manifest(named),
        out=nameless,
        analysis=Analysis(key_file=KeyFile.at(tmp_path / "key")),
        limits=Limits(),
        shard=Shard(),
        workers=1,
        scheduler=None,
    )
    (tmp_path / "key").write_bytes(b"fedcba9876543210")
    log = CaseLog(tmp_path / "c0.log")
    with log.file:
        outcome = work(plan.jobs()[0], log)
    assert (outcome.state, outcome.error_code) == ("failed", "USAGE")
    assert "isn't the key" in outcome.error
