from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
import sys

import numpy as np
import pytest
import SimpleITK as sitk

from ablmargin.errors import UsageError
from ablmargin.imagefile import load_mask_file
from ablmargin.report import casefolder
from ablmargin.report.casefolder import new_folder, without_folders, write_case_folder
from ablmargin.report.record import validate
from ablmargin.volume import Structure

COMMAND = [
    "/usr/bin/ablmargin",
    "analyze",
    "--pre",
    "/data/smith/pre",
    "--tumor=/data/smith/plan.dcm#Tumor 1",
    "--out",
    "x",
]


@pytest.fixture(autouse=True)
def short_report(monkeypatch):
    monkeypatch.setattr(casefolder, "report_html", lambda result: f"<p>{result.case_id}</p>")


@pytest.fixture(scope="module")
def folder(two_tumors, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(casefolder, "report_html", lambda result: f"<p>{result.case_id}</p>")
        out = tmp_path_factory.mktemp("cases") / "demo"
        write_case_folder(two_tumors, out, overwrite=False, command=COMMAND)
    return out


def names(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_folder_holds_what_is_promised(folder):
    assert names(folder) == {
        "result.json",
        "report.html",
        "margins.csv",
        "lesion-1.vtp",
        "lesion-seg-7.vtp",
        "masks/liver-pre.nii.gz",
        "masks/liver-post.nii.gz",
        "masks/tumor-1.nii.gz",
        "masks/tumor-seg-7.nii.gz",
        "masks/ablation-1.nii.gz",
        "masks/ablation-2.nii.gz",
        "registration/pre_to_post.tfm",
        "registration/pre_to_post_displacement.nrrd",
        "provenance.json",
    }
    assert [path.name for path in folder.parent.iterdir()] == ["demo"]


def test_result_keeps_to_the_schema_and_counts_its_own_time(folder):
    record = json.loads((folder / "result.json").read_text())
    validate(record)
    assert record["timings_s"]["report"] > 0
    assert record["timings_s"]["total"] == pytest.approx(24.5 + record["timings_s"]["report"], abs=0.002)


def test_masks_without_images_are_kept_each_on_its_own_grid(masks_only, tmp_path):
    write_case_folder(masks_only, tmp_path / "out", overwrite=False, command=COMMAND)
    outlines = masks_only.outlines
    written = {"liver": outlines.liver, "tumor-1": outlines.lesions[0].tumor, "ablation": outlines.zones[0]}
    assert {name for name in names(tmp_path / "out") if "/" in name} == {f"masks/{name}.nii.gz" for name in written}
    assert not outlines.zones[0].geometry.same_grid_as(outlines.lesions[0].tumor.geometry)
    for name, mask in written.items():
        read = load_mask_file(tmp_path / "out" / "masks" / f"{name}.nii.gz", None, mask.structure)
        assert read.geometry.same_grid_as(mask.geometry)
        assert np.array_equal(read.voxels, mask.voxels)


def test_masks_read_back_as_they_were(folder, two_tumors):
    case = two_tumors.case
    for name, mask in (
        ("liver-pre", case.pre.liver),
        ("tumor-seg-7", case.lesions[1].tumor),
        ("ablation-2", case.zones[1]),
    ):
        read = load_mask_file(folder / "masks" / f"{name}.nii.gz", None, Structure(mask.structure))
        assert (read.voxels == mask.voxels).all()
        assert read.geometry.same_grid_as(mask.geometry)


def test_displacement_leads_from_before_to_after(folder, two_tumors):
    field = sitk.ReadImage(str(folder / "registration" / "pre_to_post_displacement.nrrd"))
    for vertex in two_tumors.lesions[0].tumor_pre.vertices_mm[::200]:
        index = field.TransformPhysicalPointToIndex(vertex.tolist())
        point = np.array(field.TransformIndexToPhysicalPoint(index))
        arrived = point + np.array(field.GetPixel(index))
        expected = two_tumors.alignment.post_from_pre.map_points(point[None])[0]
        assert arrived == pytest.approx(expected, abs=6e-4)  # stored to 1/1024 mm


def test_the_transform_file_leads_where_the_displacement_does(folder, two_tumors):
    transform = sitk.ReadTransform(str(folder / "registration" / "pre_to_post.tfm"))
    for vertex in two_tumors.lesions[0].tumor_pre.vertices_mm[::200]:
        expected = two_tumors.alignment.post_from_pre.map_points(vertex[None])[0]
        assert transform.TransformPoint(vertex.tolist()) == pytest.approx(expected, abs=1e-6)


def test_displacement_holds_no_digits_that_mean_nothing(folder):
    vectors = sitk.GetArrayFromImage(sitk.ReadImage(str(folder / "registration" / "pre_to_post_displacement.nrrd")))
    assert vectors.dtype == np.float32
    assert (vectors * 1024 == np.rint(vectors * 1024)).all()


def test_displacement_covers_the_liver_and_a_centimeter_more(folder, two_tumors):
    field = sitk.ReadImage(str(folder / "registration" / "pre_to_post_displacement.nrrd"))
    liver = two_tumors.case.pre.liver.voxel_centers_mm()
    low, high = (
        np.array(field.GetOrigin()),
        np.array(field.TransformIndexToPhysicalPoint([n - 1 for n in field.GetSize()])),
    )
    assert (low <= liver.min(axis=0) - 9.9).all()
    assert (high >= liver.max(axis=0) + 9.9).all()
    assert field.GetSpacing() == pytest.approx((1.8, 1.8, 3.0))


def test_provenance_knows_every_file_and_no_folder(folder):
    text = (folder / "provenance.json").read_text()
    record = json.loads(text)
    assert record["files"].keys() == names(folder) - {"provenance.json"}
    for name, digest in record["files"].items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
    assert record["command"][:5] == ["ablmargin", "analyze", "--pre", "pre", "--tumor=plan.dcm#Tumor 1"]
    assert record["inputs"]["series_sha256"] == {"pre": "ab" * 32, "post": "ab" * 32}
    assert "smith" not in text


@pytest.mark.parametrize(
    ("word", "kept"),
    [
        ("C:\\data\\smith\\pre", "pre"),
        ("D:smith\\pre", "pre"),
        ("smith/pre", "pre"),
        ("smith/pre/", "pre"),
        ("../smith/plan.nrrd#Tumor 1", "plan.nrrd#Tumor 1"),
        ("--tumor=smith/plan.nrrd#3", "--tumor=plan.nrrd#3"),
        ("--tumor=smith=john/plan.nrrd", "--tumor=plan.nrrd"),
        ("--pre=C:\\data\\smith\\pre", "--pre=pre"),
        ("smith#1/plan.nrrd#3", "plan.nrrd#3"),
        ("-12.5,3,4", "-12.5,3,4"),
        ("--json", "--json"),
        ("case-17", "case-17"),
        ("/", ""),
    ],
)
def test_words_keep_their_last_name_only(word, kept):
    assert without_folders(word) == kept


@pytest.mark.parametrize(
    "words",
    [["--pre", "{}"], ["--pre={}"], ["--pre", "{}/"], ["--pre", "SMITH_JOHN"], ["--tumor", "{}/m.nii#SMITH_JOHN/a"]],
)
def test_input_folder_loses_its_own_name_too(masks_only, tmp_path, monkeypatch, words):
    """A patient's folder may be the input itself."""
    (tmp_path / "SMITH_JOHN").mkdir()
    monkeypatch.chdir(tmp_path)
    command = ["ablmargin", "analyze", *(word.format(tmp_path / "SMITH_JOHN") for word in words)]
    write_case_folder(masks_only, tmp_path / "out", overwrite=False, command=command)
    text = (tmp_path / "out" / "provenance.json").read_text()
    assert "SMITH" not in text
    assert json.loads(text)["command"][:2] == ["ablmargin", "analyze"]


def test_command_is_no_folder_even_if_one_has_its_name(masks_only, tmp_path, monkeypatch):
    (tmp_path / "analyze").mkdir()
    monkeypatch.chdir(tmp_path)
    command = ["ablmargin", "analyze", "--json"]
    write_case_folder(masks_only, tmp_path / "out", overwrite=False, command=command)
    assert json.loads((tmp_path / "out" / "provenance.json").read_text())["command"] == command


def test_masks_alone_leave_out_what_they_lack(masks_only, tmp_path):
    write_case_folder(masks_only, tmp_path / "out", overwrite=False, command=[])
    files = {"result.json", "report.html", "margins.csv", "lesion-1.vtp", "provenance.json"}
    assert {name for name in names(tmp_path / "out") if not name.startswith("masks/")} == files


def test_registration_alone_has_no_margins(registered, tmp_path):
    write_case_folder(registered, tmp_path / "out", overwrite=False, command=[])
    written = names(tmp_path / "out")
    assert "registration/pre_to_post_displacement.nrrd" in written
    assert "margins.csv" not in written


def test_finished_case_is_not_overwritten(tmp_path, masks_only):
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").write_text("keep")
    with pytest.raises(UsageError, match="isn't empty"):
        write_case_folder(masks_only, out, overwrite=False, command=[])
    assert names(tmp_path) == {"out/mine.txt"}


def test_file_in_the_way_is_refused_whatever_was_said(tmp_path):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(UsageError, match="is a file"), new_folder(tmp_path / "out", overwrite=True):
        pass
    assert (tmp_path / "out").read_text() == "a file"


def test_mounted_folder_is_refused_as_nothing_can_be_moved_onto_it(tmp_path, monkeypatch):
    monkeypatch.setattr(os.path, "ismount", lambda path: path == tmp_path)
    with pytest.raises(UsageError, match="name a folder inside it"), new_folder(tmp_path, overwrite=True):
        pass


def test_place_that_cannot_be_written_is_a_wrong_call(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with (
        pytest.raises(UsageError, match="no folder can be made"),
        new_folder(tmp_path / "file" / "out", overwrite=False),
    ):
        pass


def test_link_to_an_empty_folder_is_followed(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with new_folder(tmp_path / "link", overwrite=False) as folder:
        (folder / "new.txt").write_text("new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real" / "new.txt").read_text() == "new"


def test_empty_folder_may_be_filled(tmp_path):
    (tmp_path / "out").mkdir()
    with new_folder(tmp_path / "out", overwrite=False) as folder:
        (folder / "new.txt").write_text("new")
    assert names(tmp_path) == {"out/new.txt"}


def test_overwriting_keeps_every_old_one_aside(tmp_path):
    for number in range(3):
        with new_folder(tmp_path / "out", overwrite=True) as folder:
            (folder / "number.txt").write_text(str(number))
    kept = {path.parent.name: path.read_text() for path in tmp_path.rglob("number.txt")}
    assert kept == {"out": "2", "out.previous-1": "0", "out.previous-2": "1"}


def test_failure_leaves_nothing_and_touches_nothing(tmp_path, monkeypatch, masks_only):
    def fail(_result):
        raise RuntimeError("no picture")

    with new_folder(tmp_path / "out", overwrite=False) as folder:
        (folder / "old.txt").write_text("old")
    monkeypatch.setattr(casefolder, "report_html", fail)
    with pytest.raises(RuntimeError, match="no picture"):
        write_case_folder(masks_only, tmp_path / "out", overwrite=True, command=[])
    assert names(tmp_path) == {"out/old.txt"}
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


class FullDisk:
    """Lets the n-th change of the disk fail; Python tells of each before it happens."""

    CHANGES = frozenset({"os.mkdir", "os.rename", "os.rmdir", "open"})

    def __init__(self) -> None:
        self.left = -1
        sys.addaudithook(self._before)  # for good: it must know when it is off

    def _before(self, event, details):
        is_change = event in self.CHANGES and (event != "open" or set(str(details[1])) & set("wxa+"))
        if self.left < 0 or not is_change:
            return
        self.left -= 1
        if self.left < 0:
            raise OSError(errno.ENOSPC, "No space left on device")


def test_wherever_writing_fails_the_old_case_stays_and_nothing_else(tmp_path, masks_only):
    disk, failures = FullDisk(), 0
    for number in range(99):
        place = tmp_path / str(number)
        out = place / "out"
        with new_folder(out, overwrite=False) as folder:
            (folder / "old.txt").write_text("old")
        disk.left = number
        try:
            write_case_folder(masks_only, out, overwrite=True, command=[])
        except (OSError, UsageError):
            failures += 1
            assert names(place) == {"out/old.txt"}
            assert [path.name for path in place.iterdir()] == ["out"]
        else:
            assert "result.json" in names(out)
            assert "old.txt" in names(place / "out.previous-1")
            if disk.left >= 0:
                break
    disk.left = -1
    assert failures > 6


def test_share_that_cannot_sync_folders_loses_no_case(tmp_path, monkeypatch):
    sync = os.fsync

    def refuse_folders(handle):
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(22, "Invalid argument")
        sync(handle)

    monkeypatch.setattr(os, "fsync", refuse_folders)
    with new_folder(tmp_path / "out", overwrite=False) as folder:
        (folder / "deep").mkdir()
        (folder / "deep" / "new.txt").write_text("new")
    assert names(tmp_path) == {"out/deep/new.txt"}


def test_file_that_cannot_be_synced_is_no_finished_case(tmp_path, monkeypatch):
    def refuse_files(handle):
        if stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(5, "Input/output error")

    def write():
        with new_folder(tmp_path / "out", overwrite=False) as folder:
            (folder / "new.txt").write_text("new")

    monkeypatch.setattr(os, "fsync", refuse_files)
    with pytest.raises(OSError, match="Input/output"):
        write()
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_at_its_place_before_all_is_written(tmp_path):
    with new_folder(tmp_path / "out", overwrite=False) as folder:
        assert folder.name.startswith(".out.partial-")
        assert not (tmp_path / "out").exists()


def test_leftover_of_a_killed_run_disturbs_nobody(tmp_path):
    leftover = tmp_path / ".out.partial-00000000"
    leftover.mkdir()
    (leftover / "half.txt").write_text("ha")
    with new_folder(tmp_path / "out", overwrite=False) as folder:
        (folder / "new.txt").write_text("new")
    assert names(tmp_path / "out") == {"new.txt"}


def test_run_that_finished_meanwhile_is_not_overwritten(tmp_path):
    def finish_late():
        with new_folder(tmp_path / "out", overwrite=False) as folder:
            (folder / "late.txt").write_text("late")
            (tmp_path / "out").mkdir()
            (tmp_path / "out" / "early.txt").write_text("early")

    with pytest.raises(UsageError, match="isn't empty"):
        finish_late()
    assert names(tmp_path) == {"out/early.txt"}


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_others_may_read_as_the_umask_says(tmp_path):
    with new_folder(tmp_path / "out", overwrite=False):
        pass
    (tmp_path / "plain").mkdir()
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == stat.S_IMODE((tmp_path / "plain").stat().st_mode)


def test_withheld_case_has_no_margins_on_disk(withheld, tmp_path):
    write_case_folder(withheld, tmp_path / "case", overwrite=False, command=["ablmargin"])
    names = {path.name for path in (tmp_path / "case").iterdir()}
    assert {"result.json", "report.html", "provenance.json", "masks", "registration"} == names
    maps = {path.name for path in (tmp_path / "case" / "registration").iterdir()}
    assert maps == {"pre_to_post.tfm", "pre_to_post_displacement.nrrd"}  # the map is shown, whatever it is worth
