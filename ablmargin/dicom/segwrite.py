"""Write masks as a DICOM Segmentation that refers to the CT series they lie on."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

import highdicom as hd
import numpy as np
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from ablmargin.dicom.deidentify import declare
from ablmargin.dicom.quiet import quiet
from ablmargin.dicom.source import SourceSeries
from ablmargin.errors import DicomError, Fault, UsageError
from ablmargin.geometry import Array
from ablmargin.originnote import note_of
from ablmargin.segments import MEANINGS, whole_file
from ablmargin.volume import LabelMask, MaskOrigin

SERIES_NUMBER = 900
_SHARE_STEPS = 255
_ALGORITHMS = {"reader": "MANUAL", "point": "SEMIAUTOMATIC", "automatic": "AUTOMATIC"}
"""SegmentAlgorithmType (0062,0008) by a mask's origin."""


def write_seg(masks: Mapping[str, LabelMask], path: Path, source: SourceSeries, *, as_label_map: bool = False) -> None:
    """Write a segment for each mask, its name being the segment's label.

    Hard masks are stored as BINARY; if one is soft, all are as FRACTIONAL with OCCUPANCY in steps of 1/255. Frames
    without a voxel are left out. Patient and study are the source's.

    Parameters
    ----------
    as_label_map : bool
        LABELMAP instead of BINARY: smaller, but many programs can't read it yet, and masks must not overlap.

    Raises
    ------
    UsageError
        If masks overlap, or one is soft, in a label map.
    DicomError
        SOURCE_UNUSABLE, if the source lacks what a segmentation must repeat of it, or is Enhanced CT in several files or
        with frames that are none of the volume's slices.
    """
    order = _frame_order(source, path)
    is_soft = any(mask.fractions is not None for mask in masks.values())
    if as_label_map and (is_soft or _overlap(masks)):
        raise UsageError(f"{path.name}: a label map holds neither shares of voxels nor masks that overlap")
    kind = "FRACTIONAL" if is_soft else "LABELMAP" if as_label_map else "BINARY"
    descriptions = [_description(number, name, mask) for number, (name, mask) in enumerate(masks.items(), start=1)]
    try:
        with quiet():
            dataset = hd.seg.Segmentation(
                source_images=list(source.files),
                pixel_array=_stacked(masks, is_soft=is_soft)[order],
                segmentation_type=kind,
                fractional_type="OCCUPANCY",
                max_fractional_value=_SHARE_STEPS,
                segment_descriptions=descriptions,
                series_instance_uid=hd.UID(),
                series_number=SERIES_NUMBER,
                sop_instance_uid=hd.UID(),
                instance_number=1,
                manufacturer="ablmargin",
                manufacturer_model_name="ablmargin",
                software_versions=version("ablmargin"),
                device_serial_number="0",
                content_label="SEGMENTATION",
                content_description="Research use only",
                series_description="Segmentation, research use only",
            )
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        found = f"a source series that a segmentation can't refer to ({type(error).__name__})"
        expected = "a complete CT series: patient, study, frame of reference"
        raise DicomError(_unusable(path, found, expected)) from None
    dataset.SpecificCharacterSet = "ISO_IR 192"  # the source's may lack letters of a name
    if source.is_nameless:
        declare(dataset)
    with whole_file(path) as unfinished, quiet():
        dataset.save_as(unfinished)


def _frame_order(source: SourceSeries, path: Path) -> list[int] | slice:
    """Which slice of the volume each frame of the source is; all as they are where each is a file."""
    if set(source.frame_numbers) == {None}:
        return slice(None)
    slices = range(len(source.slices))
    total = int(source.files[0].get("NumberOfFrames") or 1)
    if len(source.files) > 1 or total != len(slices):
        found = f"Enhanced CT with {total} frames in the first of {len(source.files)} files, for {len(slices)} slices"
        raise DicomError(_unusable(path, found, "Enhanced CT in one file, each frame a slice of the volume"))
    return sorted(slices, key=lambda index: source.frame_numbers[index] or 0)


def _stacked(masks: Mapping[str, LabelMask], *, is_soft: bool) -> Array:
    """Voxels (slices, rows, columns, segments): shares in float32 if one is soft."""
    if is_soft:
        parts = [mask.voxels if mask.fractions is None else mask.fractions for mask in masks.values()]
        return np.stack(parts, axis=-1).astype(np.float32)
    return np.stack([mask.voxels for mask in masks.values()], axis=-1).astype(np.uint8)


def _overlap(masks: Mapping[str, LabelMask]) -> bool:
    return bool((np.sum([mask.voxels for mask in masks.values()], axis=0) > 1).any())


def _description(number: int, name: str, mask: LabelMask) -> hd.seg.SegmentDescription:
    meaning = MEANINGS[mask.structure]
    category, kind = (Code(code, "SCT", words) for code, words in (meaning.category, meaning.kind))
    algorithm = _ALGORITHMS[mask.origin.source]
    description = hd.seg.SegmentDescription(
        segment_number=number,
        segment_label=name,
        segmented_property_category=category,
        segmented_property_type=kind,
        algorithm_type=algorithm,
        algorithm_identification=None if algorithm == "MANUAL" else _algorithm(mask.origin),
        anatomic_regions=[codes.SCT.Liver],
        tracking_id=name,
        tracking_uid=hd.UID(),
    )
    if note := note_of(mask):
        description.SegmentDescription = note
    return description


def _algorithm(origin: MaskOrigin) -> hd.AlgorithmIdentificationSequence:
    return hd.AlgorithmIdentificationSequence(
        name=origin.method[:64], family=codes.DCM.MorphologicalOperations, version=version("ablmargin")
    )


def _unusable(path: Path, found: str, expected: str) -> Fault:
    return Fault(
        code="SOURCE_UNUSABLE",
        source=str(path),
        found=found,
        expected=expected,
        remedy="Export the CT series again, or write .nii.gz, .nrrd, .seg.nrrd or .mha.",
    )
