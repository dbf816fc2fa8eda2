"""Read a DICOM Segmentation: BINARY, FRACTIONAL or LABELMAP (PS3.3 A.51)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import highdicom as hd
import numpy as np
from pydicom.dataset import FileDataset
from pydicom.uid import UID

from ablmargin.dicom.objects import fault_in, read_whole
from ablmargin.dicom.quiet import quiet
from ablmargin.errors import Caution, DicomError, Fault
from ablmargin.geometry import Array, Geometry
from ablmargin.originnote import with_algorithm
from ablmargin.segments import (
    SOFT_METHOD,
    Segment,
    SegmentMask,
    chosen_segment,
    origin_in,
    require_any,
    require_drawn,
)
from ablmargin.volume import LabelMask, Structure

MOST_VOXELS = 2**30
"""More than any CT has; a damaged header can ask for it."""

_BITS = {"BINARY": 1, "FRACTIONAL": 8, "LABELMAP": 8}


def load_seg(path: Path, label: str | None, structure: Structure, *, told: list[Caution]) -> LabelMask:
    """Load one segment on the grid of its own frames, with an empty slice before the first and after the last.

    Frames are placed by their own positions; where there is none, nothing is drawn. A fractional segmentation becomes a
    soft mask, occupancies and probabilities alike.

    Parameters
    ----------
    label : str, optional
        SegmentLabel or SegmentNumber. None where only one segment has frames.
    told : list of Caution
        Gets MASK_SPACING_INFERRED if the file doesn't say how far its slices are apart.

    Raises
    ------
    DicomError
        FILE_UNREADABLE, FILE_TRUNCATED, FILE_FORMAT; MASK_FRAMES_UNEVEN if the frames are no regular stack,
        MASK_NO_SPACING if there is but one and nothing tells its thickness; FRAME_OF_REFERENCE_MISSING; RESOURCE_LIMIT.
    InputError
        As :func:`ablmargin.segments.chosen_segment`.
    """
    image, segments = _opened(path)
    segment = chosen_segment(segments, label, path)
    geometry = _geometry(image, path, told)
    mask = _mask(image, segment, geometry, structure, path=path, label=label)
    return require_drawn(mask, path)


def load_every_segment(path: Path, structure: Structure, *, told: list[Caution]) -> list[SegmentMask]:
    """Load all segments that have frames, as :func:`load_seg` does one.

    Raises
    ------
    InputError
        As :func:`load_seg`, but for the choice.
    """
    image, segments = _opened(path)
    geometry = _geometry(image, path, told)
    named = [
        (segment, _mask(image, segment, geometry, structure, path=path, label=None))
        for segment in segments
        if not segment.is_empty
    ]
    masks = [SegmentMask.of(segment, mask) for segment, mask in named if not mask.is_empty]
    require_any(masks, path)
    return masks


def _opened(path: Path) -> tuple[hd.seg.Segmentation, list[Segment]]:
    dataset = read_whole(path)
    _require_pixels(dataset, path)
    try:
        with quiet():
            image = hd.seg.Segmentation.from_dataset(dataset, copy=False)
            return image, _segments(image)
    except Exception as error:  # noqa: BLE001 - highdicom's own words may quote the file
        raise DicomError(_invalid(path, error)) from None


def _mask(
    image: hd.seg.Segmentation,
    segment: Segment,
    geometry: Geometry,
    structure: Structure,
    *,
    path: Path,
    label: str | None,
) -> LabelMask:
    values = _values(image, segment, path)
    grid = geometry.cropped((-1, 0, 0), (geometry.shape[0] + 1, *geometry.shape[1:]))
    padded = np.pad(values, ((1, 1), (0, 0), (0, 0)))
    origin = origin_in(path, label, grid)
    if np.isin(padded, (0, 1)).all():
        mask = LabelMask(voxels=padded.astype(np.bool_), geometry=grid, structure=structure, origin=origin)
    else:
        origin = replace(origin, method=SOFT_METHOD)
        mask = LabelMask.soft(padded, geometry=grid, structure=structure, origin=origin)
    return _with_algorithm(mask, image, segment)


def _with_algorithm(mask: LabelMask, image: hd.seg.Segmentation, segment: Segment) -> LabelMask:
    item = next(item for item in image.SegmentSequence if int(item.SegmentNumber) == segment.number)
    note, kind, name = (
        str(item.get(keyword) or "")
        for keyword in ("SegmentDescription", "SegmentAlgorithmType", "SegmentAlgorithmName")
    )
    return with_algorithm(mask, note, kind=kind, name=name)


def _require_pixels(dataset: FileDataset, path: Path) -> None:
    """Before a library trusts the header: as many pixels and frame descriptions as it promises."""
    try:
        frames = int(dataset.get("NumberOfFrames") or 1)
        voxels = frames * int(dataset.Rows) * int(dataset.Columns)
        described = len(dataset.PerFrameFunctionalGroupsSequence)
        needed = voxels * _BITS[str(dataset.SegmentationType)] // 8
        there = len(dataset.PixelData)
        is_packed = UID(dataset.file_meta.TransferSyntaxUID).is_encapsulated
    except Exception as error:  # noqa: BLE001 - any attribute may be absent or nonsense
        raise DicomError(_invalid(path, error)) from None
    if described != frames:
        found, expected = f"{described} frames described", f"{frames}, as NumberOfFrames says"
        raise DicomError(
            fault_in(path, "FILE_FORMAT", "PerFrameFunctionalGroupsSequence", found=found, expected=expected)
        )
    if not is_packed and there < needed:
        raise DicomError(
            fault_in(path, "FILE_TRUNCATED", "PixelData", found=f"{there} bytes", expected=f"{needed} bytes")
        )


def _segments(image: hd.seg.Segmentation) -> list[Segment]:
    drawn = _drawn_numbers(image)
    return [
        Segment(
            number=int(item.SegmentNumber),
            name=str(item.get("SegmentLabel") or "").strip(),
            is_empty=int(item.SegmentNumber) not in drawn,
        )
        for item in image.SegmentSequence
        if int(item.SegmentNumber) > 0  # in a label map, 0 is the background
    ]


def _drawn_numbers(image: hd.seg.Segmentation) -> set[int]:
    """The segments that have frames, or voxels in a label map."""
    if image.SegmentationType == "LABELMAP":
        return set(np.unique(image.pixel_array).tolist())
    shared = image.SharedFunctionalGroupsSequence[0]
    groups = [shared, *image.PerFrameFunctionalGroupsSequence]
    return {
        int(group.SegmentIdentificationSequence[0].ReferencedSegmentNumber)
        for group in groups
        if "SegmentIdentificationSequence" in group
    }


def _geometry(image: hd.seg.Segmentation, path: Path, told: list[Caution]) -> Geometry:
    """The grid of the frames, those without voxels included that lie between others."""
    try:
        with quiet():
            stack = image.get_volume_geometry(allow_missing_positions=True, allow_duplicate_positions=True)
            spacing = _measures(image).get("SpacingBetweenSlices")
            frame_uid = str(image.get("FrameOfReferenceUID") or "")
            faults = _stack_faults(stack, spacing, frame_uid, path)
            geometry = None
            if stack is not None and not faults:
                geometry = Geometry.from_affine(stack.affine, stack.spatial_shape, frame_uid=frame_uid)
    except Exception as error:  # noqa: BLE001 - highdicom's own words may quote the file
        raise DicomError(_invalid(path, error)) from None
    if geometry is None:
        raise DicomError(*faults)
    if not spacing:
        step = f"{geometry.spacing_mm[0]:.2f} mm"
        message = f"it isn't told how far the slices are apart: the smallest distance of two was taken, {step}"
        told.append(Caution(code="MASK_SPACING_INFERRED", message=message))
    return geometry


def _stack_faults(stack: hd.VolumeGeometry | None, spacing: float | None, frame_uid: str, path: Path) -> list[Fault]:
    """Why frames are no volume; at most one fault."""
    place = "ImagePositionPatient"
    if not frame_uid:
        found, expected = "nothing", "the frame of reference that positions are given in"
        return [fault_in(path, "FRAME_OF_REFERENCE_MISSING", "FrameOfReferenceUID", found=found, expected=expected)]
    if stack is None:
        found, expected = "frames that are no regular stack of parallel slices", "slices at even distances"
        return [fault_in(path, "MASK_FRAMES_UNEVEN", place, found=found, expected=expected)]
    if np.prod(stack.spatial_shape, dtype=np.float64) > MOST_VOXELS:
        found = " × ".join(map(str, stack.spatial_shape)) + " voxels between the outermost frames"
        return [fault_in(path, "RESOURCE_LIMIT", place, found=found, expected=f"at most {MOST_VOXELS}")]
    if not spacing and stack.spatial_shape[0] == 1:
        found, expected = "nothing, and only one slice", "the distance of slices"
        return [fault_in(path, "MASK_NO_SPACING", "SpacingBetweenSlices", found=found, expected=expected)]
    return []


def _measures(image: hd.seg.Segmentation) -> FileDataset:
    """The pixel measures that all frames share, or the first frame's."""
    groups = (image.SharedFunctionalGroupsSequence[0], image.PerFrameFunctionalGroupsSequence[0])
    measures: FileDataset = next(group for group in groups if "PixelMeasuresSequence" in group).PixelMeasuresSequence[0]
    return measures


def _values(image: hd.seg.Segmentation, segment: Segment, path: Path) -> Array:
    """The segment's voxels (slices, rows, columns): 0 and 1, or shares."""
    try:
        with quiet():
            volume = image.get_volume(segment_numbers=[segment.number], combine_segments=False)
    except Exception as error:  # noqa: BLE001 - highdicom's own words may quote the file
        raise DicomError(_invalid(path, error)) from None
    values: Array = volume.array[..., 0]
    if values.max(initial=0) > 1:
        found = f"shares up to {values.max():g}"
        raise DicomError(
            fault_in(path, "MASK_NOT_BINARY", "MaximumFractionalValue", found=found, expected="shares of 1 at most")
        )
    return values


def _invalid(path: Path, error: Exception) -> Fault:
    return Fault(
        code="FILE_FORMAT",
        source=str(path),
        found=f"a segmentation that breaks the rules of its format ({type(error).__name__})",
        expected="DICOM Segmentation Storage with SegmentationType BINARY, FRACTIONAL or LABELMAP",
        remedy="Export the segmentation again.",
    )
