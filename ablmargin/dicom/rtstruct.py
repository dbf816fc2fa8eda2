"""Read one region of interest of a DICOM RT Structure Set as a mask (PS3.3 A.19)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileDataset

from ablmargin.dicom.contours import ContourError, empty_between, grid_of, on_slices, rasterized
from ablmargin.dicom.objects import fault_in, read_whole
from ablmargin.dicom.quiet import quiet
from ablmargin.errors import Caution, DicomError, Fault, GeometryMismatchError, InputError
from ablmargin.geometry import FloatArray, Geometry
from ablmargin.originnote import with_algorithm
from ablmargin.segments import Segment, SegmentMask, chosen_segment, origin_in, require_any, require_drawn
from ablmargin.volume import LabelMask, Structure

CLOSED = {"CLOSED_PLANAR", "CLOSEDPLANAR_XOR"}
_CONTOUR_DATA = 0x30060050


@dataclass(frozen=True, slots=True, kw_only=True)
class _Region:
    segment: Segment
    frame_uid: str | None
    contours: tuple[Dataset, ...]
    algorithm: str
    note: str


def load_rtstruct(
    path: Path, label: str | None, structure: Structure, *, onto: Geometry | None, told: list[Caution]
) -> LabelMask:
    """Load one region of interest.

    Contours in the image's slices are filled on the image's grid; others, if their planes are at even distances, on a
    grid of their own with voxels of 0.5 mm within the planes. In a slice without contour, nothing is drawn.

    Parameters
    ----------
    label : str, optional
        ROIName or ROINumber. None where only one region has closed contours.
    onto : Geometry, optional
        The image's grid.
    told : list of Caution
        Gets MASK_GAPS if slices between contours have none, and MASK_POINTS_SKIPPED for contours of less than three points.

    Raises
    ------
    DicomError
        FILE_UNREADABLE, FILE_TRUNCATED, FILE_FORMAT, CONTOUR_BAD_VALUE; CONTOUR_KIND if the region holds open contours
        or points; those of :func:`ablmargin.dicom.contours.grid_of` and :func:`ablmargin.dicom.contours.rasterized`.
    GeometryMismatchError
        MASK_OUTSIDE_IMAGE.
    InputError
        As :func:`ablmargin.segments.chosen_segment`.
    """
    regions = _opened(path)
    segment = chosen_segment([region.segment for region in regions], label, path)
    region = next(region for region in regions if region.segment is segment)
    return _mask(region, structure, path=path, label=label, onto=onto, told=told)


def load_every_region(
    path: Path, structure: Structure, *, onto: Geometry | None, told: list[Caution]
) -> list[SegmentMask]:
    """Load all regions that have closed contours, each as :func:`load_rtstruct` does.

    Raises
    ------
    InputError
        As :func:`load_rtstruct`, but for the choice.
    """
    masks = [
        SegmentMask.of(region.segment, _mask(region, structure, path=path, label=None, onto=onto, told=told))
        for region in _opened(path)
        if not region.segment.is_empty
    ]
    require_any(masks, path)
    return masks


def _opened(path: Path) -> list[_Region]:
    dataset = read_whole(path)
    try:
        with quiet():
            return list(_regions(dataset))
    except Exception as error:  # noqa: BLE001 - any attribute may be absent or nonsense
        raise DicomError(_invalid(path, error)) from None


def _mask(
    region: _Region,
    structure: Structure,
    *,
    path: Path,
    label: str | None,
    onto: Geometry | None,
    told: list[Caution],
) -> LabelMask:
    contours = _contours_mm(region, path, told)
    try:
        grid = _grid(contours, onto, region.frame_uid)
        voxels = rasterized(contours, grid)
    except ContourError as error:
        raise _refused(path, error) from None
    told += _gap_cautions(empty_between(voxels))
    origin = origin_in(path, label, grid)
    mask = LabelMask(voxels=voxels, geometry=grid, structure=structure, origin=origin)
    return require_drawn(with_algorithm(mask, region.note, kind=region.algorithm, name=""), path)


def _regions(dataset: FileDataset) -> Iterator[_Region]:
    drawn = {int(item.ReferencedROINumber): item for item in dataset.get("ROIContourSequence") or ()}
    common = str(dataset.get("FrameOfReferenceUID") or "")
    for item in dataset.StructureSetROISequence:
        number = int(item.ROINumber)
        contours = tuple(drawn[number].get("ContourSequence") or ()) if number in drawn else ()
        is_empty = not any(_kind(contour) in CLOSED for contour in contours)
        name = str(item.get("ROIName") or "").strip()
        yield _Region(
            segment=Segment(number=number, name=name, is_empty=is_empty),
            frame_uid=str(item.get("ReferencedFrameOfReferenceUID") or "") or common or None,
            contours=contours,
            algorithm=str(item.get("ROIGenerationAlgorithm") or ""),
            note=str(item.get("ROIDescription") or ""),
        )


def _kind(contour: Dataset) -> str:
    return str(contour.get("ContourGeometricType") or "")


def _contours_mm(region: _Region, path: Path, told: list[Caution]) -> list[FloatArray]:
    with quiet():
        kinds = {_kind(contour) for contour in region.contours} - CLOSED
        points = [_points_mm(contour, path) for contour in region.contours]
    if kinds:
        found, expected = "contours that are open or single points", "closed planar contours only"
        raise DicomError(fault_in(path, "CONTOUR_KIND", "ContourGeometricType", found=found, expected=expected))
    solid = [contour for contour in points if len(contour) > 2]
    if not solid:
        found = "contours of one or two points"
        raise DicomError(
            fault_in(path, "CONTOUR_BAD_VALUE", "ContourData", found=found, expected="three points or more")
        )
    if len(solid) < len(points):
        message = f"{len(points) - len(solid)} contours of one or two points were left out"
        told.append(Caution(code="MASK_POINTS_SKIPPED", message=message))
    return solid


def _points_mm(contour: Dataset, path: Path) -> FloatArray:
    """The points of a contour, parsed from its text at once: pydicom would make an object of each number."""
    raw = contour.get_item(_CONTOUR_DATA)
    text = getattr(raw, "value", None) or b""
    try:
        parts = text.split(b"\\") if isinstance(text, bytes) else list(text)
        points = np.array([float(part) for part in parts]).reshape(-1, 3)
        promised = int(contour.get("NumberOfContourPoints") or len(points))
    except Exception:  # noqa: BLE001 - pydicom raises many types for bad numbers
        points, promised = np.full((1, 3), np.nan), 1
    if len(points) and np.isfinite(points).all() and promised == len(points):
        return points
    found, expected = "text that isn't so many points", "three finite numbers for each of NumberOfContourPoints"
    raise DicomError(fault_in(path, "CONTOUR_BAD_VALUE", "ContourData", found=found, expected=expected))


def _grid(contours: Sequence[FloatArray], onto: Geometry | None, frame_uid: str | None) -> Geometry:
    """The image's grid if the contours lie in its slices, else one of their own."""
    if onto is not None and onto.shares_frame_with(onto.in_frame(frame_uid)) and on_slices(contours, onto):
        return onto
    return grid_of(contours, like=onto, frame_uid=frame_uid)


def _gap_cautions(empty: int) -> Sequence[Caution]:
    if not empty:
        return ()
    message = f"{empty} slice{'' if empty == 1 else 's'} between its contours have none; nothing is drawn there"
    return (Caution(code="MASK_GAPS", message=message),)


def _refused(path: Path, error: ContourError) -> InputError:
    remedy = "Draw or export the contours on the slices of the image."
    fault = fault_in(path, error.code, "ContourData", found=error.found, expected=error.expected, remedy=remedy)
    return GeometryMismatchError(fault) if error.code == "MASK_OUTSIDE_IMAGE" else DicomError(fault)


def _invalid(path: Path, error: Exception) -> Fault:
    return Fault(
        code="FILE_FORMAT",
        source=str(path),
        found=f"a structure set that breaks the rules of its format ({type(error).__name__})",
        expected="RT Structure Set Storage with a StructureSetROISequence",
        remedy="Export the structure set again.",
    )
