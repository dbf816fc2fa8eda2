"""With ``--deidentify``, nothing of a patient made of canaries is in any byte that is written."""

from __future__ import annotations

import json
import shutil
import sys
from datetime import datetime, timedelta

import pydicom
import pytest
from canaries import DAY, NAME, UID_ROOT, dates_in, fill_with_canaries, found_in
from ct_files import edit, grid
from mask_files import ball, series

from ablmargin.loading import load_image, load_mask
from ablmargin.maskfiles import save_masks
from ablmargin.pairs import write_pair
from ablmargin.simulation.phantom import simulate_phantom
from ablmargin.volume import Structure
from ablmargin_cli.main import main

DRAWS_BRIGHT = """
import sys
import SimpleITK as sitk
sitk.WriteImage(sitk.ReadImage(sys.argv[1]) > 250, sys.argv[2])
"""
ENDINGS = ("dcm", "rtstruct.dcm", "nii.gz", "nrrd", "seg.nrrd", "mha")


@pytest.fixture(scope="module")
def ct(tmp_path_factory):
    """A series in a folder of the patient's name, with a plan that names the patient as well."""
    folder = tmp_path_factory.mktemp("data") / f"{NAME}_ADA"
    series(folder / "ct", grid((20, 48, 48), (2.5, 1.1, 1.0)))
    fill_with_canaries(folder / "ct")
    geometry = load_image(folder / "ct").volume.geometry
    masks = {f"{NAME} 1": ball(geometry), "zone": ball(geometry, "zone")}
    save_masks(masks, folder / f"{NAME}.dcm", source=folder / "ct")
    save_masks(masks, folder / f"{NAME}.rtstruct.dcm", source=folder / "ct")
    edit(folder / f"{NAME}.dcm", _proposed_by_a_program)
    return folder


def _proposed_by_a_program(seg: pydicom.Dataset) -> None:
    """As one that names the patient where it should name itself."""
    seg.SegmentSequence[0].SegmentAlgorithmType = "AUTOMATIC"
    seg.SegmentSequence[0].SegmentAlgorithmName = NAME


@pytest.fixture
def key(tmp_path):
    (tmp_path / "key").write_bytes(b"0123456789abcdef")
    return tmp_path / "key"


def run(monkeypatch, *command: object) -> None:
    words = [str(word) for word in command]
    monkeypatch.setattr("sys.argv", ["ablmargin", *words])
    assert main(words) == 0


def segment(monkeypatch, ct, out, *options: object) -> None:
    script = out.parent / "bright.py"
    script.write_text(DRAWS_BRIGHT, encoding="utf-8")
    program = f"{sys.executable} {script} {{image}} {{mask}}"
    words = ["segment", "--image", ct / "ct", "--structure", "liver", "--auto-command", program, "--out", out]
    run(monkeypatch, *words, "--accept", "SEGMENTATION_DOUBTED", *options)


def test_the_canaries_are_found_where_names_may_stay(ct, tmp_path, monkeypatch):
    (tmp_path / "out").mkdir()
    segment(monkeypatch, ct, tmp_path / "out" / "m.dcm")
    segment(monkeypatch, ct, tmp_path / "out" / "m.rtstruct.dcm")
    assert sorted(found_in(tmp_path / "out")) == ["m.dcm", "m.rtstruct.dcm"]
    for canary in (NAME, DAY, UID_ROOT):
        assert found_in(tmp_path / "out", canary), canary


@pytest.mark.parametrize("ending", ENDINGS)
def test_outlines(ct, tmp_path, monkeypatch, ending):
    (tmp_path / "out").mkdir()
    segment(monkeypatch, ct, tmp_path / f"named.{ending}")
    segment(monkeypatch, ct, tmp_path / "out" / f"m.{ending}", "--deidentify")
    assert found_in(tmp_path / "out") == []
    onto = load_image(ct / "ct").volume.geometry.in_frame(None)
    named, made = (
        load_mask(str(path), Structure.LIVER, onto=onto)
        for path in (tmp_path / f"named.{ending}", tmp_path / "out" / f"m.{ending}")
    )
    assert (named.voxels == made.voxels).all()


@pytest.mark.parametrize("ending", ["dcm", "rtstruct.dcm"])
def test_dicom_says_what_was_done_and_refers_to_the_same_stand_ins(ct, tmp_path, monkeypatch, key, ending):
    paths = [tmp_path / f"{number}.{ending}" for number in (1, 2, 3)]
    for path in paths[:2]:
        segment(monkeypatch, ct, path, "--deidentify-key", key)
    segment(monkeypatch, ct, paths[2], "--deidentify")
    one, same, other = (pydicom.dcmread(path) for path in paths)
    assert (one.PatientIdentityRemoved, one.LongitudinalTemporalInformationModified) == ("YES", "MODIFIED")
    assert [item.CodeValue for item in one.DeidentificationMethodCodeSequence] == ["113100", "113107"]
    assert one.DeidentificationMethod.startswith("ablmargin ")
    assert one.PatientName == one.PatientID == same.PatientID != other.PatientID
    assert (one.PatientBirthDate, one.PatientSex, one.AccessionNumber, one.StudyID) == ("", "", "", "")
    assert one.StudyInstanceUID == same.StudyInstanceUID != other.StudyInstanceUID
    assert one.FrameOfReferenceUID == same.FrameOfReferenceUID != other.FrameOfReferenceUID
    assert one.StudyDate == same.StudyDate < DAY
    assert one.StudyTime == "093000"
    assert not any(element.tag.is_private for element in one.iterall())


@pytest.mark.parametrize("ending", ["dcm", "rtstruct.dcm"])
def test_no_date_but_the_moved_one_is_told(ct, tmp_path, monkeypatch, ending):
    """Not even today's: from its stand-in and a file's own date one could tell by how much all dates were moved."""
    segment(monkeypatch, ct, tmp_path / f"named.{ending}")
    segment(monkeypatch, ct, tmp_path / f"made.{ending}", "--deidentify")
    assert len(dates_in(tmp_path / f"named.{ending}")) == 2
    assert dates_in(tmp_path / f"made.{ending}") == {pydicom.dcmread(tmp_path / f"made.{ending}").StudyDate}


def test_two_exams_of_one_patient_stay_one_patients(ct, tmp_path, monkeypatch, key):
    later = tmp_path / f"{NAME}_LATER"
    series(later / "ct", grid((20, 48, 48), (2.5, 1.1, 1.0)))
    fill_with_canaries(later / "ct", day="20310310")
    for number, folder in enumerate((ct, later)):
        segment(monkeypatch, folder, tmp_path / f"{number}.dcm", "--deidentify-key", key)
    first, second = (pydicom.dcmread(tmp_path / f"{number}.dcm") for number in (0, 1))
    assert first.PatientID == second.PatientID
    assert day_of(second) - day_of(first) == timedelta(days=35)


@pytest.mark.parametrize("ending", ["dcm", "rtstruct.dcm"])
def test_an_exam_without_date_and_with_a_name_for_a_time(tmp_path, monkeypatch, ending):
    folder, _ = series(tmp_path / "ct", grid((20, 48, 48), (2.5, 1.1, 1.0)))
    for path in folder.glob("*.dcm"):
        edit(path, _without_date)
    (tmp_path / "out").mkdir()
    segment(monkeypatch, tmp_path, tmp_path / "out" / f"m.{ending}", "--deidentify")
    assert found_in(tmp_path / "out") == []
    assert dates_in(tmp_path / "out" / f"m.{ending}") <= {"19000101"}


def _without_date(dataset: pydicom.Dataset) -> None:
    dataset.StudyDate = ""
    with pydicom.config.disable_value_validation():
        dataset.StudyTime = NAME


def day_of(dataset: pydicom.Dataset) -> datetime:
    return datetime.strptime(dataset.StudyDate, "%Y%m%d")  # noqa: DTZ007 - a date


@pytest.fixture(scope="module")
def masks(ct):
    """A tumor and a zone, each named after the patient, in a DICOM SEG and an RTSTRUCT."""
    return ["--tumor", f"{ct}/{NAME}.dcm#{NAME} 1", "--ablation", f"{ct}/{NAME}.rtstruct.dcm#zone"]


def test_masks_alone(masks, tmp_path, monkeypatch, key, capsys):
    run(monkeypatch, "margin", *masks, "--out", tmp_path / "named")
    out = tmp_path / "out"
    capsys.readouterr()
    run(monkeypatch, "margin", *masks, "--out", out, "--deidentify-key", key, "--json")
    assert NAME not in capsys.readouterr().out
    assert {"result.json", "report.html", "provenance.json"} <= set(found_in(tmp_path / "named", NAME))
    assert found_in(out) == []
    named, made = (json.loads((folder / "result.json").read_text()) for folder in (tmp_path / "named", out))
    assert {**named["lesions"][0], "reasons": None} == {**made["lesions"][0], "reasons": None}
    assert f"({NAME})" in named["lesions"][0]["reasons"][0]
    assert "(a program that its file names)" in made["lesions"][0]["reasons"][0]
    provenance = json.loads((out / "provenance.json").read_text())
    assert provenance["command"][1:4] == ["margin", "--tumor", "(withheld)"]
    assert (provenance["started"], provenance["finished"]) == (None, None)
    assert not any(key.read_bytes() in path.read_bytes() for path in out.rglob("*") if path.is_file())


def test_a_key_that_is_none_is_a_wrong_call(masks, tmp_path):
    command = ["margin", *masks, "--out", str(tmp_path / "out")]
    assert main([*command, "--deidentify-key", str(tmp_path / "none")]) == 2
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_whole_case(tmp_path, monkeypatch, key):
    """Both exams, masks and options; the margin is the same to the last digit, and only what identifies differs."""
    pair = write_pair(simulate_phantom("wide-margin", seed=2, coarse=2.2), tmp_path / f"{NAME}_ADA")
    for exam in (pair.pre, pair.post):
        fill_with_canaries(exam)
    edit_post(pair.post)
    tumor = pair.tumors[0].with_name(f"{NAME}.nii.gz")
    shutil.copy(pair.tumors[0], tumor)
    command = ["analyze", "--pre", pair.pre, "--post", pair.post, "--tumor", tumor, "--ablation", pair.ablations[0]]
    command += ["--liver-pre", pair.liver_pre, "--liver-post", pair.liver_post]
    run(monkeypatch, *command, "--out", tmp_path / "named")
    run(monkeypatch, *command, "--out", tmp_path / f"{NAME}-made", "--deidentify-key", key)
    made_folder = (tmp_path / f"{NAME}-made").rename(tmp_path / "made")
    assert {"result.json", "provenance.json", "report.html"} <= set(found_in(tmp_path / "named"))
    assert found_in(made_folder) == []
    named, made = (json.loads((tmp_path / name / "result.json").read_text()) for name in ("named", "made"))
    assert named["lesions"] == made["lesions"]
    assert named["registration"] == made["registration"]
    exact = ["margins.csv", "lesion-1.vtp", "masks", "registration"]
    for path in (
        found for name in exact for found in [tmp_path / "named" / name, *(tmp_path / "named" / name).glob("*")]
    ):
        if path.is_file():
            assert path.read_bytes() == (made_folder / path.relative_to(tmp_path / "named")).read_bytes(), path.name


def edit_post(folder) -> None:
    """The exam after ablation is another series, eleven minutes later."""
    for path in sorted(folder.glob("*.dcm")):
        dataset = pydicom.dcmread(path)
        dataset.AcquisitionTime = dataset.SeriesTime = dataset.StudyTime = "094100"
        dataset.SeriesInstanceUID = f"{UID_ROOT}.7"
        dataset.SOPInstanceUID += ".7"
        dataset.save_as(path)
