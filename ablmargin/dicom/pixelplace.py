"""Where in a DICOM file its pixels are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO

from pydicom.dataset import FileDataset

_UNDEFINED_LENGTH = 0xFFFFFFFF
_PIXEL_DATA_TAG = {True: b"\xe0\x7f\x10\x00", False: b"\x7f\xe0\x00\x10"}
_FLOAT_TAGS = {b"\xe0\x7f\x08\x00", b"\xe0\x7f\x09\x00", b"\x7f\xe0\x00\x08", b"\x7f\xe0\x00\x09"}
"""FloatPixelData and DoubleFloatPixelData."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelPlace:
    """Where a file's pixels are.

    ``start`` is the offset of their first byte, 0 in a deflated file; ``length`` their declared size in bytes, None
    where that is undefined (compressed or deflated). ``is_float``: whether they are floating-point numbers.
    """

    start: int = 0
    length: int | None = None
    is_float: bool = False


def pixel_place(dataset: FileDataset, file: BinaryIO) -> PixelPlace | None:
    """Where the pixels are, from a file read up to them; None if it ends before."""
    syntax = dataset.file_meta.TransferSyntaxUID
    standard = syntax.is_transfer_syntax and not syntax.is_private  # else read as explicit VR little endian
    if standard and syntax.is_deflated:
        return PixelPlace()
    little = not standard or syntax.is_little_endian
    implicit = standard and syntax.is_implicit_VR
    head = file.read(12)
    if head[:4] in _FLOAT_TAGS:
        return PixelPlace(is_float=True)
    if len(head) < 12 or head[:4] != _PIXEL_DATA_TAG[little]:
        return None
    size = head[4:8] if implicit else head[8:12]
    length = int.from_bytes(size, "little" if little else "big")
    start = file.tell() - (4 if implicit else 0)
    return PixelPlace(start=start, length=None if length == _UNDEFINED_LENGTH else length)
