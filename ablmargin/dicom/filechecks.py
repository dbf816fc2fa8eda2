"""What can be wrong with one CT file on its own, as its header tells it."""

from __future__ import annotations

import numpy as np

from ablmargin.dicom.decimals import GEOMETRY_LENGTHS, RESCALE_LENGTHS
from ablmargin.dicom.enhanced import is_multi_frame
from ablmargin.dicom.header import SliceHeader
from ablmargin.dicom.terms import MODALITIES, PHOTOMETRICS, term
from ablmargin.dicom.text import attribute, uid_of
from ablmargin.errors import Fault
from ablmargin.wholenumber import whole_number

ORIENTATION_TOLERANCE = 1e-3
"""Direction cosines closer than this are equal; what is left of the difference, the corner check sees."""
PIXEL_MM = (0.1, 10.0)
"""The finest pixel of a temporal bone is 0.15 mm wide, that of a localizer 1 mm: what lies beyond was written in another unit."""
MAX_FRAME_BYTES = 64 * 2**20

_RESEND = "Ask the PACS to send the series again."
_EXPORT = "Export the original CT series, not a derived or secondary capture."


def file_faults(header: SliceHeader) -> list[Fault]:
    """Everything wrong with one file on its own."""
    faults = [*header.faults, *_kind_faults(header), *_geometry_faults(header), *_rescale_faults(header)]
    return faults or _pixel_faults(header)


def _kind_faults(header: SliceHeader) -> list[Fault]:
    faults = []
    if header.texts["Modality"] != "CT":
        found = term(header.texts["Modality"], MODALITIES) if header.texts["Modality"] else "nothing"
        faults.append(_fault(header, "NOT_CT", "Modality", found, expected="CT", remedy=_EXPORT))
    if header.texts["NumberOfFrames"] not in {"", "1"} and not is_multi_frame(header):
        frames = whole_number(header.texts["NumberOfFrames"])
        found = "no number" if frames is None else f"{frames}"
        faults.append(
            _fault(header, "MULTI_FRAME", "NumberOfFrames", found, expected="one image a file", remedy=_EXPORT)
        )
    uid = uid_of(header.transfer_syntax)
    if uid.is_private or not uid.is_valid or not uid.is_transfer_syntax:
        remedy = "Convert the files to Explicit VR Little Endian."
        found = (uid if uid.is_valid else "what is no UID") if uid else "nothing"
        expected = "a transfer syntax of the standard"
        faults.append(_fault(header, "TRANSFER_SYNTAX", "TransferSyntaxUID", found, expected=expected, remedy=remedy))
    return faults


def _geometry_faults(header: SliceHeader) -> list[Fault]:
    told = {fault.attribute for fault in header.faults}
    values = (header.position_mm, header.row_direction, header.pixel_spacing_mm)
    present = {**dict(zip(GEOMETRY_LENGTHS, values, strict=True)), "Rows": header.rows, "Columns": header.columns}
    faults = [
        _fault(header, "GEOM_MISSING_TAG", keyword, "nothing", expected="a value", remedy=_EXPORT)
        for keyword, value in present.items()
        if not value and attribute(keyword) not in told
    ]
    faults += _size_faults(header)
    if header.row_direction and header.column_direction:
        axes = np.array([header.row_direction, header.column_direction])
        if np.abs(axes @ axes.T - np.eye(2)).max() > ORIENTATION_TOLERANCE:
            found, expected = f"{axes.round(4).tolist()}", "two unit vectors at a right angle"
            faults.append(
                _fault(
                    header, "GEOM_BAD_ORIENTATION", "ImageOrientationPatient", found, expected=expected, remedy=_RESEND
                )
            )
    return faults


def _size_faults(header: SliceHeader) -> list[Fault]:
    """Pixels that no CT has."""
    spacing_mm = header.pixel_spacing_mm
    if spacing_mm is None or (PIXEL_MM[0] <= min(spacing_mm) and max(spacing_mm) <= PIXEL_MM[1]):
        return []
    expected = f"{PIXEL_MM[0]:g} to {PIXEL_MM[1]:g} mm"
    return [_fault(header, "GEOM_BAD_VALUE", "PixelSpacing", f"{spacing_mm}", expected=expected, remedy=_RESEND)]


def _rescale_faults(header: SliceHeader) -> list[Fault]:
    told = {fault.attribute for fault in header.faults}
    values = dict(zip(RESCALE_LENGTHS, (header.rescale_slope, header.rescale_intercept_hu), strict=True))
    faults = [
        _fault(header, "HU_UNKNOWN", keyword, "nothing", expected="the rescale to Hounsfield units", remedy=_EXPORT)
        for keyword, value in values.items()
        if value is None and attribute(keyword) not in told
    ]
    if header.rescale_slope == 0:
        faults.append(
            _fault(header, "HU_UNKNOWN", "RescaleSlope", "0", expected="a slope that isn't zero", remedy=_EXPORT)
        )
    return faults


def _pixel_faults(header: SliceHeader) -> list[Fault]:
    """Format and size of the pixels; looked at only where the rest of the header can be believed."""
    bits, stored = header.integers["BitsAllocated"], header.integers["BitsStored"]
    if header.integers["SamplesPerPixel"] != 1 or bits not in {16, 32} or stored is None or not 8 < stored <= bits:
        found = f"{header.integers['SamplesPerPixel']} sample(s) of {stored} in {bits} bits"
        return [
            _fault(
                header, "HU_UNKNOWN", "BitsStored", found, expected="one sample of 9 to 16 (or 32) bits", remedy=_EXPORT
            )
        ]
    color = header.texts["PhotometricInterpretation"]
    if color not in {"", "MONOCHROME1", "MONOCHROME2"}:
        found, expected = term(color, PHOTOMETRICS), "MONOCHROME2: values, not colors"
        return [_fault(header, "HU_UNKNOWN", "PhotometricInterpretation", found, expected=expected, remedy=_EXPORT)]
    if header.integers["HighBit"] != stored - 1 or header.integers["PixelRepresentation"] not in {0, 1}:
        found = f"high bit {header.integers['HighBit']} for {stored} bits stored"
        return [_fault(header, "PIXEL_FORMAT", "HighBit", found, expected=f"{stored - 1}", remedy=_RESEND)]
    if header.frame_bytes > MAX_FRAME_BYTES:
        found, expected = f"{header.rows} × {header.columns}", f"at most {MAX_FRAME_BYTES >> 20} MB a slice"
        return [_fault(header, "RESOURCE_LIMIT", "Rows", found, expected=expected, remedy=_RESEND)]
    missing = _missing_bytes(header)
    if missing:
        return [
            _fault(
                header, "FILE_TRUNCATED", "PixelData", f"{missing} bytes missing", expected="all pixels", remedy=_RESEND
            )
        ]
    return []


def _missing_bytes(header: SliceHeader) -> int:
    """How many bytes of uncompressed pixels the file is short of; a compressed stream is judged by its decoder."""
    if header.pixels is None or header.pixels.length is None:
        return 0
    there = min(header.pixels.length, header.file_bytes - header.pixels.start)
    before = header.frame * header.frame_bytes
    return min(max(before + header.frame_bytes - there, 0), header.frame_bytes)


def _fault(header: SliceHeader, code: str, keyword: str, found: str, *, expected: str, remedy: str) -> Fault:
    return Fault(
        code=code, source=header.source, found=found, expected=expected, remedy=remedy, attribute=attribute(keyword)
    )
