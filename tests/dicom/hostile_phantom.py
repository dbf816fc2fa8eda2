"""A small CT as a scanner delivers it, as data sets: what the hostile cases damage.

The phantom is a function of patient coordinates alone, so that every variant of geometry has the same truth: four smooth
landmarks of different brightness in a body, none the mirror image of another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from pydicom import config
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    UID,
    CTImageStorage,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

CENTER_MM = np.array((12.0, -30.0, 55.0))
LANDMARKS_MM = {300: (-30.0, -16.0, -10.0), 500: (28.0, -12.0, 0.0), 700: (-22.0, 20.0, 10.0), 900: (24.0, 24.0, 10.0)}
"""Brightness in HU of four blobs, and where they are from the center."""
CORE_MM, BLUR_MM = 4.5, 4.0
BODY_MM, BODY_HU, AIR_HU = (54.0, 46.0), 50.0, -990.0
WINDOW_MM = 16.0
MOTION_MM = (6.0, -4.0, 5.0)
"""How far the patient lies elsewhere in the exam after ablation."""

CANARIES = ("ZZCANARY", "19331122", "1933-11-22", "20310203", "2031-02-03", "20310301", "2031-03-01")
SHAPE = (24, 80, 80)
SPACING_MM = (2.5, 1.6, 1.6)
AXIAL = np.eye(3)
"""Rows: where the column index, the row index and the slices grow."""


def phantom_hu(points_mm: np.ndarray) -> np.ndarray:
    """HU at points (..., 3), LPS mm from the center."""
    values = np.full(points_mm.shape[:-1], AIR_HU)
    values[np.linalg.norm(points_mm[..., :2] / BODY_MM, axis=-1) <= 1] = BODY_HU
    for level, place in LANDMARKS_MM.items():
        away = np.maximum(np.linalg.norm(points_mm - np.array(place), axis=-1) - CORE_MM, 0)
        values += (level - BODY_HU) * np.exp(-0.5 * (away / BLUR_MM) ** 2)
    return values


def landmark_errors_mm(voxels_hu: np.ndarray, points_mm: np.ndarray, moved_mm: Iterable[float] = (0, 0, 0)) -> list:
    """How far each landmark's center of gravity lies from where it is, for voxels at points (..., 3)."""
    points = points_mm - CENTER_MM - np.array(tuple(moved_mm))
    errors = []
    for level, place in LANDMARKS_MM.items():
        near = np.abs(points - np.array(place)).max(axis=-1) <= WINDOW_MM
        weight = np.clip(voxels_hu[near] - BODY_HU - 0.02 * level, 0, None)
        center = (weight[:, None] * points[near]).sum(axis=0) / max(weight.sum(), 1e-9)
        errors.append(float(np.linalg.norm(center - np.array(place))))
    return errors


PROBES_MM = LANDMARKS_MM | {BODY_HU: (0.0, 0.0, 0.0)}


@dataclass(kw_only=True)
class Exam:
    """What the slices of one exam have in common. Names, IDs and dates are canaries: they must never be told."""

    name: str = "ZZCANARYNAME^ADA"
    patient_id: str = "ZZCANARYID"
    birth_date: str = "19331122"
    sex: str = "F"
    date: str = "20310203"
    time: str = "093000"
    root: str = "1.2.826.0.1.3680043.10.999.1"
    description: str = "liver venous"
    seed: int = 1
    moved_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    zone: bool = False
    extra: dict[str, object] = field(default_factory=dict)


PRE = Exam()
POST = Exam(date="20310301", root="1.2.826.0.1.3680043.10.999.2", seed=2, moved_mm=MOTION_MM, zone=True)


def exam(base: Exam = PRE, **changes: object) -> Exam:
    return Exam(**{**base.__dict__, **changes})


def heights(count: int = SHAPE[0], step_mm: float = SPACING_MM[0]) -> np.ndarray:
    return (np.arange(count) - (count - 1) / 2) * step_mm


def stack(
    of: Exam = PRE,
    *,
    heights_mm: Sequence[float] | np.ndarray | None = None,
    axes: np.ndarray = AXIAL,
    step: np.ndarray | None = None,
    matrix: tuple[int, int] = SHAPE[1:],
    pixel_mm: tuple[float, float] = SPACING_MM[1:],
    series: int = 1,
) -> list[Dataset]:
    """Slices at heights along ``step`` (by default the normal), each ``axes[0]`` × ``axes[1]``."""
    heights_mm = heights() if heights_mm is None else heights_mm
    step = axes[2] if step is None else step
    rng = np.random.default_rng(of.seed * 100 + series)
    j, i = np.meshgrid(np.arange(matrix[0]), np.arange(matrix[1]), indexing="ij")
    half = (np.array(matrix) - 1) / 2 * np.array(pixel_mm)
    datasets = []
    for number, height in enumerate(heights_mm):
        corner = height * step - half[1] * axes[0] - half[0] * axes[1]
        points = corner + i[..., None] * pixel_mm[1] * axes[0] + j[..., None] * pixel_mm[0] * axes[1]
        values = phantom_hu(points - np.array(of.moved_mm))
        air = values < -900
        values[air] = np.maximum(values[air] + rng.normal(0, 9, np.count_nonzero(air)), -1024)
        datasets.append(
            _dataset(
                of, series, number, values=np.rint(values), position=CENTER_MM + corner, axes=axes, pixel_mm=pixel_mm
            )
        )
    return datasets


def _dataset(of, series, number, *, values, position, axes, pixel_mm) -> Dataset:
    d = Dataset()
    d.SpecificCharacterSet = "ISO_IR 192"
    d.SOPClassUID = CTImageStorage
    d.SOPInstanceUID = f"{of.root}.{series}.{number + 1}"
    d.StudyInstanceUID = f"{of.root}.9"
    d.SeriesInstanceUID = f"{of.root}.{series}"
    d.FrameOfReferenceUID = f"{of.root}.8"
    d.PatientName, d.PatientID, d.PatientBirthDate, d.PatientSex = of.name, of.patient_id, of.birth_date, of.sex
    d.AccessionNumber, d.ReferringPhysicianName = "ZZCANARYACC", "ZZCANARYDOC"
    for moment in ("Study", "Series", "Acquisition", "Content"):
        setattr(d, f"{moment}Date", of.date)
        setattr(d, f"{moment}Time", of.time)
    d.Modality, d.Manufacturer, d.SeriesDescription = "CT", "phantom", of.description
    d.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    d.SeriesNumber, d.AcquisitionNumber, d.InstanceNumber = series, 1, number + 1
    d.PatientPosition, d.KVP, d.ConvolutionKernel = "HFS", 120, "STANDARD"
    d.SliceThickness = 2.5
    d.ImagePositionPatient = [round(float(x), 4) for x in position]
    d.ImageOrientationPatient = [round(float(x), 7) for x in (*axes[0], *axes[1])]
    d.SliceLocation = round(float(position @ axes[2]), 4)
    d.PixelSpacing = [float(x) for x in pixel_mm]
    d.SamplesPerPixel, d.PhotometricInterpretation = 1, "MONOCHROME2"
    d.Rows, d.Columns = values.shape
    d.BitsAllocated, d.BitsStored, d.HighBit, d.PixelRepresentation = 16, 16, 15, 0
    d.RescaleIntercept, d.RescaleSlope, d.RescaleType = -1024, 1, "HU"
    d.PixelData = (values + 1024).astype("<u2").tobytes()
    d["PixelData"].VR = "OW"
    for keyword, value in of.extra.items():
        setattr(d, keyword, value)
    return d


def hu(d: Dataset) -> np.ndarray:
    """The HU that a clean slice holds."""
    stored = np.frombuffer(d.PixelData, "<u2").reshape(d.Rows, d.Columns)
    return stored.astype(np.int32) - 1024


def store(
    d: Dataset, values: np.ndarray, *, kind: str = "<u2", intercept: float | None = None, slope: float = 1
) -> None:
    """Replace the stored values."""
    d.PixelData = np.rint(values).astype(kind).tobytes()
    d["PixelData"].VR = "OW"
    d.PixelRepresentation = int(kind[1] == "i")
    if intercept is not None:
        d.RescaleIntercept, d.RescaleSlope = intercept, slope


def write(
    folder: Path, datasets: Iterable[Dataset], *, names: Callable[[int], str] = "IM{:04d}.dcm".format
) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number, d in enumerate(datasets, start=1):
        paths.append(folder / names(number))
        write_one(paths[-1], d)
    return paths


def write_one(path: Path, d: Dataset, syntax: str = ExplicitVRLittleEndian) -> None:
    d.file_meta = FileMetaDataset()
    d.file_meta.TransferSyntaxUID = UID(syntax, config.IGNORE)
    d.file_meta.MediaStorageSOPClassUID, d.file_meta.MediaStorageSOPInstanceUID = d.SOPClassUID, d.SOPInstanceUID
    with config.disable_value_validation():
        d.save_as(path, enforce_file_format=True, implicit_vr=syntax == ImplicitVRLittleEndian, little_endian=True)
