"""A patient whose every attribute is a canary, and the search for them in whatever was written."""

from __future__ import annotations

import base64
import gzip
import re
import zlib
from pathlib import Path

import pydicom
from ct_files import edit, files_of
from pydicom.datadict import DicomDictionary
from pydicom.dataset import Dataset

NAME = "ZZCANARY"
DAY, DAY_ISO = "20310203", "2031-02-03"
UID_ROOT = "1.2.826.0.1.3680043.10.424242"
PRIVATE = 0x0099

_GROUPS = {0x0008, 0x0010, 0x0012, 0x0018, 0x0020, 0x0032, 0x0038, 0x0040, 0x4008}
_VALUES = {
    "PN": f"{NAME}^ADA",
    "LO": NAME,
    "SH": NAME,
    "LT": NAME,
    "ST": NAME,
    "UT": NAME,
    "UC": NAME,
    "AE": NAME,
    "CS": NAME,
    "AS": "077Y",
    "DA": "",
    "DT": f"{DAY}093000",
    "TM": "093000",
}
_OF_THE_SLICE = {"SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"}
_NEEDED = {"SOPClassUID", "Modality", "SpecificCharacterSet"}


def fill_with_canaries(folder: Path, *, day: str = DAY) -> None:
    """Give every slice of a series a canary in every attribute that holds text, a date or a UID, private ones too."""
    for number, path in enumerate(files_of(folder)):
        edit(path, lambda dataset, number=number: _fill(dataset, number, day))


def _fill(dataset: Dataset, number: int, day: str) -> None:
    for tag, (kind, _, _, retired, keyword) in DicomDictionary.items():
        if tag >> 16 not in _GROUPS or retired or not keyword or keyword in _NEEDED:
            continue
        if kind in _VALUES:
            dataset.add_new(tag, kind, day if kind == "DA" else _VALUES[kind])
        elif kind == "UI" and keyword not in _OF_THE_SLICE:
            dataset.add_new(tag, kind, f"{UID_ROOT}.9")
    dataset.PatientID, dataset.PatientSex = f"{NAME}ID", "F"
    dataset.ImageType = ["DERIVED", "PRIMARY", "AXIAL", NAME]
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = f"{UID_ROOT}.1", f"{UID_ROOT}.2"
    dataset.FrameOfReferenceUID, dataset.SOPInstanceUID = f"{UID_ROOT}.3", f"{UID_ROOT}.4.{number}"
    dataset.private_block(PRIVATE, NAME, create=True).add_new(1, "LO", NAME)
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID


def found_in(folder: Path, *canaries: str) -> list[str]:
    """Files of a folder, and what they are packed in, that hold a canary: as text of 8 or 16 bits, in their name or content."""
    wanted = canaries or (NAME, DAY, DAY_ISO, UID_ROOT)
    marks = [text.lower().encode(code) for text in wanted for code in ("utf-8", "utf-16-le", "utf-16-be")]
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [
        str(path.relative_to(folder))
        for path in files
        if any(mark in part.lower() for mark in marks for part in (str(path.name).encode(), *unpacked(path)))
    ]


def unpacked(path: Path) -> list[bytes]:
    """A file's bytes, and those that are packed in them."""
    data = path.read_bytes()
    parts = [data]
    if path.name.endswith(".gz"):
        parts.append(gzip.decompress(data))
    if path.suffix == ".nrrd":
        parts.append(gzip.decompress(data.partition(b"\n\n")[2]))
    for picture in re.findall(rb"data:image/png;base64,([A-Za-z0-9+/=]+)", data):
        parts += _chunks(base64.b64decode(picture))
    return parts


def _chunks(png: bytes) -> list[bytes]:
    """A PNG's chunks but its pixels, unpacked where they are packed."""
    parts, place = [], 8
    while place < len(png):
        size, kind = int.from_bytes(png[place : place + 4], "big"), png[place + 4 : place + 8]
        body = png[place + 8 : place + 8 + size]
        if kind in {b"zTXt", b"iTXt"}:
            parts.append(zlib.decompress(body[body.index(b"x\x9c") :]) if b"x\x9c" in body else body)
        elif kind != b"IDAT":
            parts.append(body)
        place += 12 + size
    return parts


def dates_in(path: Path) -> set[str]:
    """All dates of a DICOM object, in whatever depth."""
    dataset = pydicom.dcmread(path)
    return {str(element.value)[:8] for element in dataset.iterall() if element.VR in {"DA", "DT"} and element.value}
