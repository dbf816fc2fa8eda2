from __future__ import annotations

import contextlib
import logging
import os
import random
import shutil
from pathlib import Path

import pydicom
import pytest
from ct_files import edit, files_of, write_series
from hostile_phantom import stack, write
from pydicom.uid import RTDoseStorage

from ablmargin.dicom.discover import discover
from ablmargin.dicom.text import iso_time
from ablmargin.errors import DicomError, UsageError
from ablmargin.loading import load_image


@pytest.fixture
def series(tmp_path):
    return write_series(tmp_path / "ct")


def skipped(folder):
    return {file.source: file.code for file in discover(folder).skipped}


def test_a_series_may_be_spread_over_folders(series):
    for number, name in enumerate(files_of(series)):
        folder = series / f"part{number % 3}" / "deep"
        folder.mkdir(parents=True, exist_ok=True)
        name.rename(folder / name.name)
    assert load_image(series).volume.geometry.shape[0] == 16


def test_junk_is_listed_and_does_no_harm(series):
    (series / "Thumbs.db").write_bytes(b"junk")
    (series / "false.dcm").write_bytes(b"not DICOM at all" * 20)
    (series / "DICOMDIR").write_bytes(b"\0" * 128 + b"DICM" + b"junk")
    shutil.copy(files_of(series)[0], series / "dose")

    def to_dose(dataset):
        dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = RTDoseStorage
        dataset.Modality = "RTDOSE"

    edit(series / "dose", to_dose)
    assert skipped(series) == {"Thumbs.db": "NOT_DICOM", "false.dcm": "NOT_DICOM", "dose": "NOT_CT"}
    image = load_image(series)
    assert image.volume.geometry.shape[0] == 16
    assert [caution.code for caution in image.cautions] == ["FILES_SKIPPED"]
    assert "left out: 2 × no DICOM, 1 × DICOM of another kind;" in image.cautions[0].message


def test_links_and_pipes_are_not_opened(series, tmp_path):
    outside = write_series(tmp_path / "outside", series_number=2)
    (series / "loop").symlink_to(series)
    (series / "outside").symlink_to(outside)
    (series / "file.dcm").symlink_to(files_of(outside)[0])
    (series / "dangling").symlink_to(tmp_path / "nothing")
    os.mkfifo(series / "pipe")
    assert set(skipped(series).values()) == {"NOT_A_FILE"}
    assert len(skipped(series)) == 5
    assert load_image(series).volume.geometry.shape[0] == 16


def test_cautions_name_no_file(series):
    """File and folder names may hold a patient's name, and cautions are stored in results."""
    folder = series / "SMITH_JOHN"
    folder.mkdir()
    for name in files_of(series):
        name.rename(folder / f"SMITH_{name.name}")
    first = min(folder.iterdir())
    (folder / "SMITH.pdf").write_bytes(b"letter")
    shutil.copy(first, folder / "SMITH_copy.dcm")
    shutil.copy(first, folder / "SMITH_scout.dcm")
    edit(
        folder / "SMITH_scout.dcm", lambda dataset: setattr(dataset, "ImageType", ["ORIGINAL", "PRIMARY", "LOCALIZER"])
    )
    cautions = load_image(series).cautions
    assert [caution.code for caution in cautions] == ["FILES_SKIPPED", "NON_AXIAL_DROPPED", "DUPLICATE_INSTANCE"]
    assert "SMITH" not in " ".join(caution.message for caution in cautions)


def test_a_folder_that_cannot_be_opened_is_told(series, monkeypatch):
    (series / "locked").mkdir()
    scandir = os.scandir

    def refuse(path):
        if os.fspath(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert skipped(series) == {"locked": "FOLDER_UNREADABLE"}
    image = load_image(series)
    assert [caution.code for caution in image.cautions] == ["FILE_UNREADABLE"]
    assert "1 × folder that can't be opened" in image.cautions[0].message
    with pytest.raises(DicomError, match="FOLDER_UNREADABLE"):
        load_image(series / "locked")


def test_odd_names_are_shown_harmlessly(series):
    files_of(series)[0].rename(series / "new\nline \x1b[31m -é.dcm")
    assert load_image(series).volume.geometry.shape[0] == 16
    os.truncate(series / "new\nline \x1b[31m -é.dcm", 2000)
    with pytest.raises(DicomError) as caught:
        load_image(series)
    assert r"new\nline \x1b[31m -é.dcm" in str(caught.value)


def test_a_single_file_is_a_series_of_one(series):
    (found,) = discover(files_of(series)[3]).series
    assert [header.source for header in found.headers] == ["IM0004.dcm"]


def test_series_are_numbered_by_time(tmp_path):
    write_series(tmp_path / "b", study_time="120000", series_number=1, series_description="later")
    write_series(tmp_path / "a", study_time="100000", series_number=9, series_description="earlier")
    found = discover(tmp_path).series
    assert [(series.number, series.description) for series in found] == [(1, "earlier"), (2, "later")]


def test_a_series_number_that_only_looks_like_one(tmp_path):
    write_series(tmp_path)
    for name in files_of(tmp_path):
        name.write_bytes(name.read_bytes().replace(b"IS\x02\x001 ", b"IS\x02\x00\xc2\xb2"))  # "²" in UTF-8
    (series,) = discover(tmp_path).series
    assert series.headers[0].texts["SeriesNumber"] == "²"


def test_nothing_there():
    with pytest.raises(UsageError):
        discover(Path("/nonexistent/folder"))


def test_damaged_bytes_never_escape_as_anything_but_our_errors(series):
    """Cut and garble one file in many ways: it loads, or an InputError tells why."""
    name = files_of(series)[5]
    clean = name.read_bytes()
    for seed in range(40):
        rng = random.Random(seed)
        data = bytearray(clean)
        for _ in range(rng.randint(1, 8)):
            data[rng.randrange(132, 1400)] = rng.randrange(256)
        name.write_bytes(data[: rng.randrange(200, len(data))] if seed % 3 == 0 else data)
        with contextlib.suppress(DicomError):
            load_image(series)


def test_nothing_of_the_patient_is_told(series, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    for name in files_of(series):
        dataset = pydicom.dcmread(name)
        dataset.PatientName, dataset.PatientID = "SECRET^NAME", "SECRET-ID"
        dataset.PatientBirthDate = "19600101"
        del dataset.PixelSpacing
        dataset.save_as(name)
        name.write_bytes(name.read_bytes().replace(b"19600101", b"1960SECR").replace(b"ISO_IR 192", b"ISO_IR 999"))
    caplog.clear()
    capfd.readouterr()
    with pytest.raises(DicomError) as caught:
        load_image(series)
    assert caplog.records == []  # pydicom has things to say of the unknown character set
    assert "SECR" not in str(caught.value) + "".join(capfd.readouterr())


@pytest.mark.parametrize(
    ("date", "time", "told"),
    [
        ("20310203", "093000.5", "2031-02-03T09:30:00"),
        ("2031.02.03", "09:30", "2031-02-03T09:30:00"),
        ("20310203", "256000", "2031-02-03"),
        ("20310203", "\u0661\u0662", "2031-02-03"),
        ("00000000", "093000", None),
        ("20310230", "093000", None),
        ("19000101", "", None),
        ("\u0662\u0660\u0663\u0661\u0660\u0662\u0660\u0663", "", None),
        ("2031020", "", None),
    ],
)
def test_only_dates_of_the_calendar_are_dates(date, time, told):
    assert iso_time(date, time) == told


def test_one_broken_date_hides_no_order(tmp_path):
    slices = stack()
    write(tmp_path, slices)
    broken = tmp_path / "IM0004.dcm"
    broken.write_bytes(broken.read_bytes().replace(b"20310203", b"00000000"))
    assert load_image(tmp_path).record.acquired == "2031-02-03T09:30:00"
