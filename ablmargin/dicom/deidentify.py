"""Objects that identify nobody, by the Basic Application Level Confidentiality Profile (PS3.15 Annex E).

Nothing is struck out: a header is made anew from the few attributes that an object of ours needs and that are known not to
identify. So nothing gets through that a list of forbidden attributes forgot, private ones least of all.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.metadata import version

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sr.coding import Code
from pydicom.uid import UID

from ablmargin.pseudonyms import Pseudonyms

PROFILE = (
    Code("113100", "DCM", "Basic Application Confidentiality Profile"),
    Code("113107", "DCM", "Retain Longitudinal Temporal Information Modified Dates Option"),
)
"""What is done, in the terms of PS3.16 CID 7050."""

_UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID")
_KEPT = (
    "SOPClassUID",
    "Modality",
    "Rows",
    "Columns",
    "PixelSpacing",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "SliceThickness",
    "SpacingBetweenSlices",
)
_EMPTY = (
    "PatientBirthDate",
    "PatientSex",
    "StudyID",
    "AccessionNumber",
    "ReferringPhysicianName",
    "PositionReferenceIndicator",
)
"""Attributes that an object must have but that may be without a value: what the profile does with them."""
_CLOCK = re.compile(r"\d{2,6}(\.\d{1,6})?")
_OF_MAKING = {"InstanceCreationDate", "InstanceCreationTime", "ContributionDateTime"}
NO_DATE = "19000101"
"""Where a date is required and the exam has none."""


def nameless_header(header: Dataset, pseudonyms: Pseudonyms) -> Dataset:
    """What an outline has to repeat of the slice it lies on, with stand-ins for the patient, UIDs and the date."""
    made = Dataset()
    for keyword in _KEPT:
        if keyword in header:
            made[keyword] = header[keyword]
    for keyword in _UIDS:
        if known := header.get(keyword):
            setattr(made, keyword, pseudonyms.uid(str(known)))
    for keyword in _EMPTY:
        setattr(made, keyword, "")
    made.PatientName = made.PatientID = pseudonyms.name
    made.StudyDate = pseudonyms.dicom_date(str(header.get("StudyDate") or ""))
    clock = str(header.get("StudyTime") or "")
    made.StudyTime = clock if _CLOCK.fullmatch(clock) else ""
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = UID(header.file_meta.TransferSyntaxUID)
    return made


def declare(dataset: Dataset) -> None:
    """Say in an object of a nameless header what was done to it, and take out when it was made.

    Whoever knows that day, by the date of the file, could tell from its stand-in by how much all dates were moved. Where a date
    is required, it is the study's.
    """
    stand_ins = {"ContentDate": dataset.StudyDate or NO_DATE, "ContentTime": dataset.StudyTime or "000000"}
    stand_ins |= dict.fromkeys(("StructureSetDate", "StructureSetTime"), "")
    for keyword in stand_ins.keys() & set(dataset.dir()):
        setattr(dataset, keyword, stand_ins[keyword])
    for item in (dataset, *dataset.get("ContributingEquipmentSequence", ())):
        for keyword in _OF_MAKING & set(item.dir()):
            delattr(item, keyword)
    dataset.PatientIdentityRemoved = "YES"
    dataset.DeidentificationMethod = f"ablmargin {version('ablmargin')}"[:64]
    dataset.DeidentificationMethodCodeSequence = list(_coded())
    dataset.LongitudinalTemporalInformationModified = "MODIFIED"


def _coded() -> Iterator[Dataset]:
    for code in PROFILE:
        item = Dataset()
        item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code.value, code.scheme_designator, code.meaning
        yield item
