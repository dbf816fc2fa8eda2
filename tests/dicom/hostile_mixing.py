"""Folders and series that hold more than one thing."""

from __future__ import annotations

import numpy as np
from hostile_cases import each, refused, right
from hostile_phantom import (
    SPACING_MM,
    exam,
    heights,
    stack,
    write,
)
from pydicom.uid import (
    EnhancedSRStorage,
    MRImageStorage,
    RTDoseStorage,
    RTStructureSetStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)


@right("NON_AXIAL_DROPPED")
def mix_localizer(folder):
    write(folder, stack())
    scouts = stack(heights_mm=[0.0, 1.0], axes=np.array([[0, 1, 0], [0, 0, -1], [-1, 0, 0]]), matrix=(90, 60))
    for number, d in enumerate(each(scouts, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])):
        d.SOPInstanceUID += f".{number}"
    write(folder / "scouts", scouts)


@right("FILES_SKIPPED")
def mix_dose_sc_sr(folder):
    write(folder, stack())
    report, screen = stack()[0], stack()[0]
    report.SOPClassUID, report.Modality = EnhancedSRStorage, "SR"
    del report.PixelData, report.ImagePositionPatient
    screen.SOPClassUID, screen.SamplesPerPixel, screen.PhotometricInterpretation = (
        SecondaryCaptureImageStorage,
        3,
        "RGB",
    )
    screen.BitsAllocated, screen.BitsStored, screen.HighBit = 8, 8, 7
    screen.PlanarConfiguration, screen.PixelData = 0, bytes(3 * screen.Rows * screen.Columns)
    del screen.ImagePositionPatient, screen.ImageOrientationPatient
    write(folder, [report, screen], names="extra{}.dcm".format)


@refused("SERIES_AMBIGUOUS", names=["2", "24 slices", "09:30:00", "09:31:00"], attribute="AcquisitionNumber")
def mix_phases_one_series(folder):
    _two_passes(folder, heights())


@refused("SERIES_AMBIGUOUS", names=["24 slices"], attribute="AcquisitionNumber")
def mix_two_pass_overlap(folder):
    _two_passes(folder, heights() + 20 * SPACING_MM[0] + 1.25)


def _two_passes(folder, second_mm):
    first = stack()
    second = each(stack(exam(seed=5), heights_mm=second_mm), AcquisitionNumber=2, AcquisitionTime="093100")
    for number, (a, b) in enumerate(zip(first, second, strict=True)):
        a.InstanceNumber, b.InstanceNumber = 2 * number + 1, 2 * number + 2
        b.SOPInstanceUID += ".2"
    write(folder, [d for both in zip(first, second, strict=True) for d in both])


@refused("SERIES_AMBIGUOUS", names=["arterial", "venous", "24 slices"], attribute="SeriesInstanceUID")
def mix_two_series(folder):
    write(folder / "a", stack(exam(description="arterial")))
    write(folder / "b", stack(exam(description="venous", seed=4, time="093200"), series=2))


@refused("NOT_CT", names=["MR"], attribute="Modality")
def mix_modality_mr(folder):
    write(folder, each(stack(), Modality="MR", SOPClassUID=MRImageStorage))


@right("FILES_SKIPPED")
def mix_rtdose_seg(folder):
    write(folder, stack())
    others = [stack()[0] for _ in range(3)]
    kinds = ((RTDoseStorage, "RTDOSE"), (RTStructureSetStorage, "RTSTRUCT"), (SegmentationStorage, "SEG"))
    for d, (uid, modality) in zip(others, kinds, strict=True):
        d.SOPClassUID, d.Modality = uid, modality
        del d.ImageOrientationPatient
    others[0].GridFrameOffsetVector = [0.0]
    others[2].BitsAllocated = others[2].BitsStored = 1
    del others[1].PixelData
    write(folder, others, names="other{}.dcm".format)


@right()
def mix_subfolders(folder):
    for number, d in enumerate(stack()):
        write(folder / f"a{number % 5}" / "b", [d], names=lambda _, number=number: f"{number}.dcm")
