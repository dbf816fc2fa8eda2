"""From the files of one CT series to a volume in Hounsfield units."""

from __future__ import annotations

import hashlib
from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from ablmargin.case import SeriesRecord
from ablmargin.dicom.checks import check_series, largest_thickness_mm, merged
from ablmargin.dicom.decode import DecodingError, FrameDecoder, pixel_type, significant, stored_values
from ablmargin.dicom.discover import SeriesFiles
from ablmargin.dicom.header import SliceHeader
from ablmargin.dicom.levels import level_faults
from ablmargin.dicom.phase import phase_in_header
from ablmargin.dicom.placement import placed
from ablmargin.dicom.stack import Stack
from ablmargin.dicom.text import attribute, printable
from ablmargin.errors import Caution, DicomError, Fault
from ablmargin.hazards import sifted
from ablmargin.loaded import AIR_HU, LoadedImage, PatientDigest, hu_faults
from ablmargin.progress import Progress, silent
from ablmargin.volume import Volume

PADDING_BELOW_HU = -1500.0
"""No tissue and no noise in air lies lower: such values mark what wasn't scanned."""
BELIEVED_PADDING_HU = -900.0
"""A PixelPaddingValue above this would erase tissue: some files declare 0, which is water in their own scale."""


def load_series(series: SeriesFiles, *, accepted: Collection[str] = (), progress: Progress = silent) -> LoadedImage:
    """Check a series and load it.

    Slices are sorted by position along their normal; the geometry is that of positions and orientation alone. Each
    slice has its own rescale. MONOCHROME1 only concerns display and changes nothing. Voxels outside the scanned
    circle become -1024 HU. A stack that a tilted gantry sheared is straightened, see :mod:`ablmargin.dicom.placement`.

    Parameters
    ----------
    accepted : collection of str
        Hazards that are taken on purpose, see :mod:`ablmargin.hazards`.

    Raises
    ------
    DicomError
        With every fault that the headers show; or, if they are clean, every fault of the pixels.
    """
    checked = check_series(series, accepted)
    if checked.stack is None:
        raise DicomError(*checked.faults)
    stack = checked.stack
    slices, sha256, padded = _read_pixels(stack, progress)
    filled = AIR_HU if padded else None
    doubts = hu_faults(slices, series.source, without_hu=filled, told_by=attribute("RescaleIntercept"))
    faults, taken = sifted(doubts or level_faults(slices, stack.headers), accepted)
    if faults:
        raise DicomError(*faults)
    voxels = placed(slices, stack.placement, stack.geometry.shape, outside_hu=AIR_HU)
    voxels.setflags(write=False)
    return LoadedImage(
        volume=Volume(voxels_hu=voxels, geometry=stack.geometry),
        record=_record(series, stack, sha256),
        cautions=(*checked.cautions, *taken, *_padding_cautions(padded, slices.size)),
        identity=PatientDigest.joined(header.patient for header in stack.headers),
        patient_position=stack.headers[0].texts["PatientPosition"] or None,
    )


def _read_pixels(stack: Stack, progress: Progress) -> tuple[NDArray[np.float32], str, int]:
    """All slices in HU, the hash of stored values, rescale and grid, and the number of padded voxels."""
    first = stack.headers[0]
    voxels = np.empty((len(stack.headers), first.rows, first.columns), np.float32)
    digest = hashlib.sha256(repr(stack.geometry.in_frame(None)).encode())
    padded, faults = 0, []
    with FrameDecoder() as decoder:
        for index, header in enumerate(stack.headers):
            try:
                raw = stored_values(header, decoder)
            except DecodingError as error:
                faults.append(_undecodable(header, error))
                continue
            values = significant(raw, header)
            digest.update(repr((header.rescale_slope, header.rescale_intercept_hu)).encode())
            digest.update(values.astype(values.dtype.newbyteorder("<"), order="C", copy=False).data)
            np.multiply(values, np.float32(header.rescale_slope or np.nan), out=voxels[index])
            voxels[index] += np.float32(header.rescale_intercept_hu or 0.0)
            padded += _fill_padding(voxels[index], raw, header)
            progress("reading slices", (index + 1) / len(stack.headers))
    if faults:
        raise DicomError(*merged(faults))
    return voxels, digest.hexdigest(), padded


def _fill_padding(slice_hu: NDArray[np.float32], raw: NDArray[np.generic], header: SliceHeader) -> int:
    """Set what wasn't scanned to air, in place; the number of voxels changed."""
    outside = slice_hu < PADDING_BELOW_HU
    first, last = header.padding_bytes, header.padding_limit_bytes or header.padding_bytes
    if first is not None and last is not None and len(first) == len(last) == raw.dtype.itemsize:
        low, high = sorted(np.frombuffer(first + last, pixel_type(header)).tolist())
        padded = (raw >= low) & (raw <= high)
        if padded.any() and slice_hu[padded].max() < BELIEVED_PADDING_HU:
            outside |= padded
    slice_hu[outside] = AIR_HU
    return int(np.count_nonzero(outside))


def _padding_cautions(padded: int, total: int) -> list[Caution]:
    if not padded:
        return []
    message = f"{padded / total:.1%} of the voxels are padding outside the scanned circle; set to {AIR_HU:.0f} HU"
    return [Caution(code="PADDING_FILLED", message=message)]


def _record(series: SeriesFiles, stack: Stack, sha256: str) -> SeriesRecord:
    phase = phase_in_header(stack.headers[0])
    return SeriesRecord(
        modality=stack.headers[0].texts["Modality"],
        series_uid=printable(series.series_uid) or None,
        slices=len(stack.headers),
        slice_thickness_mm=_seen_mm(stack),
        phase=phase,
        phase_source=None if phase is None else "header",
        acquired=min((header.acquired for header in stack.headers if header.acquired), default=None),
        sha256=sha256,
        name=series.source,
    )


def _seen_mm(stack: Stack) -> float | None:
    """The largest thickness; where slices lie unevenly, their widest distance, as no more is seen there."""
    thickness = largest_thickness_mm(stack.headers)
    return thickness if stack.placement.is_even else max(thickness or 0.0, stack.widest_step_mm)


def _undecodable(header: SliceHeader, error: DecodingError) -> Fault:
    return Fault(
        code=error.code,
        source=header.source,
        found=f"{error} (transfer syntax {header.transfer_syntax})",
        expected=f"{header.rows} × {header.columns} pixels",
        remedy="Ask the PACS to send the series again, uncompressed if it can.",
        attribute=attribute("PixelData"),
    )
