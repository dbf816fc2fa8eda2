"""Objects that identify nobody, by the Basic Application Level Confidentiality Profile (PS3.15 Annex E).

Nothing is struck out: a header is made anew from the few attributes that an object of ours needs and that are known not to
identify. So nothing gets through that a list of forbidden attributes forgot, private ones least of all.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import version

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sr.coding import Code
from pydicom.tag import Tag
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
    "StudyTime",
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
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = UID(header.file_meta.TransferSyntaxUID)
    return made


def declare(dataset: Dataset, pseudonyms: Pseudonyms) -> None:
    """Say in an object what was done to it, and move the dates of its making as far as those of the exam."""
    for element in _dates_of_making(dataset):
        element.value = pseudonyms.dicom_date(str(element.value)[:8]) + str(element.value)[8:]
    dataset.PatientIdentityRemoved = "YES"
    dataset.DeidentificationMethod = f"ablmargin {version('ablmargin')}"[:64]
    dataset.DeidentificationMethodCodeSequence = list(_coded())
    dataset.LongitudinalTemporalInformationModified = "MODIFIED"


def _dates_of_making(dataset: Dataset) -> Iterator[DataElement]:
    """Every date but the study's, in whatever depth. Contours, of which there are many, hold none."""
    for tag in dataset.keys() - {Tag("StudyDate"), Tag("ROIContourSequence")}:
        element = dataset[tag]
        if element.VR in {"DA", "DT"} and element.value:
            yield element
        elif element.VR == "SQ":
            yield from (found for item in element.value for found in _dates_of_making(item))


def _coded() -> Iterator[Dataset]:
    for code in PROFILE:
        item = Dataset()
        item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code.value, code.scheme_designator, code.meaning
        yield item
