"""Write masks as a DICOM RT Structure Set that refers to the CT series they lie on."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.tag import Tag
from pydicom.uid import ImplicitVRLittleEndian, RTStructureSetStorage, generate_uid

from ablmargin.dicom.contours import Outline, outlines
from ablmargin.dicom.deidentify import declare
from ablmargin.dicom.quiet import quiet
from ablmargin.dicom.source import SourceSeries
from ablmargin.originnote import note_of
from ablmargin.segments import MEANINGS, whole_file
from ablmargin.volume import LabelMask, Structure

SERIES_NUMBER = 901
_STUDY = "1.2.840.10008.3.1.2.3.1"
"""Detached Study Management (retired), the SOP class that structure sets name for a study."""

_COPIED = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyInstanceUID",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "AccessionNumber",
    "ReferringPhysicianName",
    "FrameOfReferenceUID",
    "PositionReferenceIndicator",
)
"""Patient, study and frame are the source's; nothing else of it is repeated."""

_ALGORITHMS = {"reader": "MANUAL", "point": "SEMIAUTOMATIC", "automatic": "AUTOMATIC"}
_INTERPRETED = {
    Structure.LIVER: "ORGAN",
    Structure.TUMOR: "GTV",
    Structure.ABLATION_ZONE: "",
    Structure.LIVER_SEGMENT: "ORGAN",
    Structure.VESSELS: "ORGAN",
}
"""RTROIInterpretedType (3006,00A4); it has no term for an ablation zone."""


def write_rtstruct(masks: Mapping[str, LabelMask], path: Path, source: SourceSeries) -> None:
    """Write a region of interest for each mask, outlined slice by slice; its name is the region's.

    A contour within another one is a hole (CLOSEDPLANAR_XOR). Coordinates are rounded to 0.0001 mm.
    """
    dataset = _head(source)
    numbered = list(enumerate(masks.items(), start=1))
    dataset.StructureSetROISequence = [_roi(number, name, mask, dataset) for number, (name, mask) in numbered]
    dataset.ROIContourSequence = [_contours(number, mask, source) for number, (_, mask) in numbered]
    dataset.RTROIObservationsSequence = [_observation(number, mask) for number, (_, mask) in numbered]
    if source.is_nameless:
        declare(dataset)
    with whole_file(path) as unfinished, quiet():
        dataset.save_as(unfinished, enforce_file_format=True)


def _head(source: SourceSeries) -> FileDataset:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ImplicitVRLittleEndian  # a contour may be longer than explicit VR lets a DS be
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    for keyword in _COPIED:
        if keyword in source.slices[0]:
            dataset[keyword] = source.slices[0][keyword]
    dataset.SpecificCharacterSet = "ISO_IR 192"  # the source's may lack letters of a name
    now = datetime.now().astimezone()
    dataset.SOPClassUID = RTStructureSetStorage
    dataset.SOPInstanceUID, dataset.SeriesInstanceUID = generate_uid(), generate_uid()
    dataset.Modality = "RTSTRUCT"
    dataset.Manufacturer = dataset.ManufacturerModelName = "ablmargin"
    dataset.SoftwareVersions = version("ablmargin")
    dataset.SeriesNumber, dataset.InstanceNumber = SERIES_NUMBER, 1
    dataset.SeriesDescription = "Outlines, research use only"
    dataset.OperatorsName = ""
    dataset.StructureSetLabel = "OUTLINES"
    dataset.StructureSetDate, dataset.StructureSetTime = now.strftime("%Y%m%d"), now.strftime("%H%M%S")
    dataset.ApprovalStatus = "UNAPPROVED"
    dataset.ReferencedFrameOfReferenceSequence = [_frame(source)]
    return dataset


def _frame(source: SourceSeries) -> Dataset:
    first = source.slices[0]
    series, study, frame = Dataset(), Dataset(), Dataset()
    series.SeriesInstanceUID = first.SeriesInstanceUID
    series.ContourImageSequence = [_image(source, index) for index in range(len(source.slices))]
    study.ReferencedSOPClassUID, study.ReferencedSOPInstanceUID = _STUDY, first.StudyInstanceUID
    study.RTReferencedSeriesSequence = [series]
    frame.FrameOfReferenceUID = first.FrameOfReferenceUID
    frame.RTReferencedStudySequence = [study]
    return frame


def _image(source: SourceSeries, index: int) -> Dataset:
    """A reference to a slice: to its file, and to its frame if the file has several."""
    image, number = source.slices[index], source.frame_numbers[index]
    reference = Dataset()
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = image.SOPClassUID, image.SOPInstanceUID
    if number is not None:
        reference.ReferencedFrameNumber = number
    return reference


def _roi(number: int, name: str, mask: LabelMask, head: Dataset) -> Dataset:
    region = Dataset()
    region.ROINumber = number
    region.ReferencedFrameOfReferenceUID = head.FrameOfReferenceUID
    region.ROIName = name
    region.ROIGenerationAlgorithm = _ALGORITHMS[mask.origin.source]
    if note := note_of(mask, checked=False):  # voxels come back from contours nearly, not exactly
        region.ROIDescription = note
    return region


def _contours(number: int, mask: LabelMask, source: SourceSeries) -> Dataset:
    region = Dataset()
    region.ReferencedROINumber = number
    region.ROIDisplayColor = list(MEANINGS[mask.structure].color)
    region.ContourSequence = [_contour(outline, source) for outline in outlines(mask)]
    return region


def _contour(outline: Outline, source: SourceSeries) -> Dataset:
    contour = Dataset()
    contour.ContourImageSequence = [_image(source, outline.slice_index)]
    contour.ContourGeometricType = "CLOSEDPLANAR_XOR" if outline.beside_holes else "CLOSED_PLANAR"
    contour.NumberOfContourPoints = len(outline.points_mm)
    text = "\\".join(f"{number:.4f}" for number in outline.points_mm.ravel()).encode()
    text += b" " * (len(text) % 2)
    # As bytes: pydicom would make an object of each number, which takes seconds for a liver.
    tag = Tag("ContourData")
    contour[tag] = RawDataElement(tag, "DS", len(text), text, 0, is_implicit_VR=True, is_little_endian=True)
    return contour


def _observation(number: int, mask: LabelMask) -> Dataset:
    observation = Dataset()
    observation.ObservationNumber = observation.ReferencedROINumber = number
    observation.RTROIInterpretedType = _INTERPRETED[mask.structure]
    observation.ROIInterpreter = ""
    return observation
