"""Write a volume as a classic CT series: CT Image Storage, one file a slice."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid
from pydicom.valuerep import DSfloat

from ablmargin.geometry import Geometry
from ablmargin.volume import Volume

RESCALE_INTERCEPT_HU = -1024


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesIdentity:
    """What a written series says of itself.

    All UIDs are derived from these values: the same identity gives the same UIDs, one ``study_date``, ``study_time``,
    ``patient_id`` and ``seed`` is one study, and in it each ``series_number`` with its description is a series.

    Parameters
    ----------
    study_date, study_time : str
        DICOM text: ``20260110`` and ``093000``.
    slice_thickness_mm : float, optional
        Nominal thickness; the distance of the slices if None.
    contrast_agent : str, optional
        ContrastBolusAgent; None writes none.
    """

    patient_id: str = "PHANTOM"
    patient_name: str = "PHANTOM^ABLMARGIN"
    study_date: str = "20260110"
    study_time: str = "090000"
    series_description: str = "CT"
    series_number: int = 1
    slice_thickness_mm: float | None = None
    contrast_agent: str | None = None
    seed: int = 0

    @property
    def study_uid(self) -> str:
        return _uid("study", *self._study)

    @property
    def series_uid(self) -> str:
        return _uid("series", *self._series)

    @property
    def frame_uid(self) -> str:
        """FrameOfReferenceUID of a volume whose geometry names none."""
        return _uid("frame", *self._series)

    def sop_uid(self, index: int) -> str:
        """SOPInstanceUID of a slice."""
        return _uid("instance", *self._series, str(index))

    @property
    def _study(self) -> tuple[str, ...]:
        return (str(self.seed), self.patient_id, self.study_date, self.study_time)

    @property
    def _series(self) -> tuple[str, ...]:
        return (*self._study, str(self.series_number), self.series_description)


def write_ct_series(volume: Volume, folder: Path, *, identity: SeriesIdentity) -> None:
    """Write one DICOM file a slice, ``IM0001.dcm`` and on, into a folder that is made if need be.

    Values are rounded to whole HU and stored as int16 with slope 1 and intercept -1024, explicit VR little endian.
    Position and orientation come from the geometry, whatever its orientation. A left-handed geometry is written as it
    is; a reader that sorts by position gets the same voxels at the same places with the slices in the other order.

    Raises
    ------
    ValueError
        If a value doesn't fit int16.
    """
    stored = np.rint(volume.voxels_hu) - RESCALE_INTERCEPT_HU
    limits = np.iinfo(np.int16)
    if stored.min() < limits.min or stored.max() > limits.max:
        raise ValueError("a value is outside the Hounsfield units that int16 with intercept -1024 can hold")
    folder.mkdir(parents=True, exist_ok=True)
    for index, pixels in enumerate(stored.astype("<i2")):
        dataset = Dataset()
        _describe_exam(dataset, identity, volume.geometry)
        _describe_slice(dataset, identity, volume.geometry, index)
        _describe_pixels(dataset, pixels)
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset.save_as(folder / f"IM{index + 1:04d}.dcm", enforce_file_format=True)


def _describe_exam(dataset: Dataset, identity: SeriesIdentity, geometry: Geometry) -> None:
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.PatientName = identity.patient_name
    dataset.PatientID = identity.patient_id
    dataset.PatientBirthDate = ""
    dataset.PatientSex = ""
    dataset.StudyInstanceUID = identity.study_uid
    dataset.StudyDate = dataset.SeriesDate = identity.study_date
    dataset.StudyTime = dataset.SeriesTime = identity.study_time
    dataset.StudyID = ""
    dataset.AccessionNumber = ""
    dataset.ReferringPhysicianName = ""
    dataset.Modality = "CT"
    dataset.SeriesInstanceUID = identity.series_uid
    dataset.SeriesNumber = identity.series_number
    dataset.SeriesDescription = identity.series_description
    dataset.FrameOfReferenceUID = geometry.frame_uid or identity.frame_uid
    dataset.PositionReferenceIndicator = ""
    dataset.PatientPosition = "HFP" if geometry.directions[1][1] < 0 else "HFS"
    dataset.Manufacturer = "ablmargin"
    dataset.KVP = 120
    dataset.ConvolutionKernel = "STANDARD"
    if identity.contrast_agent is not None:
        dataset.ContrastBolusAgent = identity.contrast_agent


def _describe_slice(dataset: Dataset, identity: SeriesIdentity, geometry: Geometry, index: int) -> None:
    spacing_k, spacing_j, spacing_i = geometry.spacing_mm
    dataset.SOPClassUID = CTImageStorage
    dataset.SOPInstanceUID = identity.sop_uid(index)
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.InstanceNumber = index + 1
    dataset.AcquisitionNumber = 1
    dataset.AcquisitionDate = dataset.ContentDate = identity.study_date
    dataset.AcquisitionTime = dataset.ContentTime = identity.study_time
    dataset.ImagePositionPatient = _decimals(*geometry.points_at([(index, 0, 0)])[0])
    # PS3.3 C.7.6.2.1.1: first the direction in which columns grow, then rows; spacing the other way round.
    dataset.ImageOrientationPatient = _decimals(*geometry.directions[2], *geometry.directions[1])
    dataset.PixelSpacing = _decimals(spacing_j, spacing_i)
    dataset.SliceThickness = _decimals(identity.slice_thickness_mm or spacing_k)[0]
    dataset.SpacingBetweenSlices = _decimals(spacing_k)[0]


def _describe_pixels(dataset: Dataset, pixels: NDArray[np.int16]) -> None:
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit = 15
    dataset.PixelRepresentation = 1
    dataset.RescaleIntercept = RESCALE_INTERCEPT_HU
    dataset.RescaleSlope = 1
    dataset.RescaleType = "HU"
    dataset.PixelData = pixels.tobytes()


def _decimals(*numbers: float) -> list[DSfloat]:
    """Numbers as decimal strings of at most 16 characters, as DICOM's DS wants them."""
    return [DSfloat(float(number), auto_format=True) for number in numbers]


def _uid(*words: str) -> str:
    return str(generate_uid(entropy_srcs=["ablmargin", *words]))
