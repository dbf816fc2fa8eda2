"""Stored pixel values of one slice, from any transfer syntax.

Uncompressed pixels are read as they lie in the file; deflated and RLE ones by pydicom; all others by GDCM in
SimpleITK. GDCM sees a small neutral file of our own making with nothing but the compressed pixels and their format:
left alone with the original it would apply the rescale and invert MONOCHROME1.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import SimpleITK as sitk
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate, get_frame
from pydicom.pixels.utils import pixel_array
from pydicom.uid import UID, RLELossless

from ablmargin.dicom.header import SliceHeader
from ablmargin.dicom.quiet import quiet

_PIXEL_FORMAT = (
    "Rows",
    "Columns",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "SamplesPerPixel",
    "PixelData",
)
_END_OF_IMAGE = b"\xff\xd9"


class DecodingError(Exception):
    """The pixels of a file can't be decoded; the text tells why and quotes nothing from the file."""


def stored_values(header: SliceHeader) -> NDArray[Any]:
    """Pixel values as stored, before any rescale, all allocated bits: shape (rows, columns), integers.

    Raises
    ------
    DecodingError
        If a decoder refuses the stream, it ends early or it gives another number of pixels than the header declares.
    """
    syntax = UID(header.transfer_syntax)
    try:
        if syntax.is_compressed and not syntax.is_deflated and syntax != RLELossless:
            values = _decoded_by_gdcm(header)
        elif header.pixels is not None and header.pixels.length is not None:
            values = _uncompressed(header, header.pixels.start + header.frame * header.frame_bytes)
        else:
            values = _decoded_by_pydicom(header)
    except DecodingError:
        raise
    except Exception as error:  # noqa: BLE001 - decoders raise almost any type on a damaged stream
        raise DecodingError(f"the decoder failed with {type(error).__name__}") from None
    if values.shape != (header.rows, header.columns):
        raise DecodingError(f"decoded to {values.shape} pixels")
    return values


def significant(values: NDArray[Any], header: SliceHeader) -> NDArray[Any]:
    """Only the BitsStored low bits, with the sign that PixelRepresentation names; a copy only if bits are unused."""
    allocated, stored = header.integers["BitsAllocated"], header.integers["BitsStored"]
    if allocated is None or stored is None or stored >= allocated:
        return values
    low: NDArray[Any] = values & values.dtype.type((1 << stored) - 1)
    if header.integers["PixelRepresentation"] != 1:
        return low
    sign = values.dtype.type(1 << (stored - 1))
    signed: NDArray[Any] = (low ^ sign) - sign
    return signed


def pixel_type(header: SliceHeader) -> np.dtype[Any]:
    """The numpy type of the stored values."""
    kind = "i" if header.integers["PixelRepresentation"] == 1 else "u"
    order = "<" if header.is_little_endian else ">"
    return np.dtype(f"{order}{kind}{(header.integers['BitsAllocated'] or 0) // 8}")


def _uncompressed(header: SliceHeader, start: int) -> NDArray[Any]:
    with header.path.open("rb") as file:
        file.seek(start)
        data = file.read(header.frame_bytes)
    if len(data) < header.frame_bytes:
        raise DecodingError(f"{header.frame_bytes - len(data)} bytes of pixels are missing")
    return np.frombuffer(data, pixel_type(header)).reshape(header.rows, header.columns)


def _decoded_by_pydicom(header: SliceHeader) -> NDArray[Any]:
    with quiet():
        tags = [*_PIXEL_FORMAT, "PhotometricInterpretation", "PlanarConfiguration", "NumberOfFrames"]
        dataset = pydicom.dcmread(header.path, specific_tags=list(tags))
        values: NDArray[Any] = pixel_array(dataset, raw=True, index=header.frame)
    return values


def _decoded_by_gdcm(header: SliceHeader) -> NDArray[Any]:
    with quiet():
        original = pydicom.dcmread(header.path, specific_tags=[*_PIXEL_FORMAT, "NumberOfFrames"])
    frames = int(original.get("NumberOfFrames") or 1)
    if frames > 1:
        original.PixelData = encapsulate([get_frame(original.PixelData, header.frame, number_of_frames=frames)])
    if _END_OF_IMAGE not in original.PixelData[-64:]:
        raise DecodingError("the compressed stream ends early: it has no end-of-image mark")
    with tempfile.TemporaryDirectory(prefix="ablmargin-") as folder:
        neutral = Path(folder) / "slice.dcm"
        _neutral(original).save_as(neutral, enforce_file_format=True)
        values = sitk.GetArrayFromImage(sitk.ReadImage(neutral, imageIO="GDCMImageIO"))
    return values.reshape(values.shape[-2:]) if values.ndim == 3 and len(values) == 1 else values


def _neutral(original: Dataset) -> Dataset:
    """The pixels and their format, and nothing that makes a reader change values."""
    dataset = Dataset()
    for keyword in _PIXEL_FORMAT[:-1]:
        setattr(dataset, keyword, original[keyword].value)
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.SOPClassUID = pydicom.uid.SecondaryCaptureImageStorage
    dataset.SOPInstanceUID = "1.2.3"
    dataset.PixelData = original.PixelData
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = original.file_meta.TransferSyntaxUID
    return dataset
