"""Stored pixel values of one slice, from any transfer syntax.

Uncompressed pixels are read as they lie in the file. Compressed and deflated ones are decoded in a process of its own,
see :mod:`ablmargin.dicom.codec`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.encaps import get_frame
from pydicom.uid import UID, RLELossless

from ablmargin.dicom.bounded import BoundedReader, TooLargeError
from ablmargin.dicom.codec.process import DecodingError, FrameDecoder
from ablmargin.dicom.codec.wire import Job
from ablmargin.dicom.header import SliceHeader
from ablmargin.dicom.pixelplace import PixelPlace
from ablmargin.dicom.quiet import quiet
from ablmargin.wholenumber import whole_number

__all__ = ["DecodingError", "FrameDecoder", "pixel_type", "significant", "stored_values"]

_SLACK_BYTES = 1 << 16
"""No stream is longer than twice its pixels and a header like that."""
_TABLE_BYTES = 1 << 20
"""For offsets and lengths of all frames."""
_MOST_STREAM_BYTES = 2**28
"""Of a multi-frame file no more is read to find a frame, where nothing but the streams themselves tells where they end."""


def stored_values(header: SliceHeader, decoder: FrameDecoder) -> NDArray[Any]:
    """Pixel values as stored, before any rescale, all allocated bits: shape (rows, columns), integers.

    Raises
    ------
    DecodingError
        If the stream is refused, ends early, gives another number of pixels than the header declares, or is read
        differently by two decoders; if its decoder crashes or exceeds its time or memory.
    """
    if header.pixels is None:
        raise DecodingError("the file ends before its pixels")
    syntax = UID(header.transfer_syntax)
    if syntax.is_deflated:
        return _decoded(header, decoder, header.path.read_bytes())
    if not syntax.is_compressed:
        return _uncompressed(header, header.pixels)
    values = _decoded(header, decoder, _encapsulated(header, header.pixels))
    return values if syntax == RLELossless else significant(values, header)


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


def _uncompressed(header: SliceHeader, pixels: PixelPlace) -> NDArray[Any]:
    if pixels.length is None:
        raise DecodingError("compressed pixels in a file that says they aren't")
    with header.path.open("rb") as file:
        file.seek(pixels.start + header.frame * header.frame_bytes)
        data = file.read(header.frame_bytes)
    if len(data) < header.frame_bytes:
        raise DecodingError(f"{header.frame_bytes - len(data)} bytes of pixels are missing")
    return np.frombuffer(data, pixel_type(header)).reshape(header.rows, header.columns)


def _encapsulated(header: SliceHeader, pixels: PixelPlace) -> bytes:
    """The compressed stream of a slice."""
    if pixels.length is not None:
        raise DecodingError("uncompressed pixels in a file that says they are compressed")
    longest = 2 * header.frame_bytes + _SLACK_BYTES
    most = min((header.frame + 1) * longest, max(_MOST_STREAM_BYTES, longest)) + _TABLE_BYTES
    try:
        with header.path.open("rb") as file, quiet():
            file.seek(pixels.start)
            reader: Any = BoundedReader(file, header.file_bytes, most)
            stream = get_frame(reader, header.frame, number_of_frames=whole_number(header.texts["NumberOfFrames"]) or 1)
    except TooLargeError:
        raise DecodingError(
            f"a compressed stream of more than {longest} bytes for {header.frame_bytes} of pixels"
        ) from None
    except Exception:  # noqa: BLE001 - pydicom raises almost any type on damaged lengths
        raise DecodingError("the compressed pixels end early, or their lengths are wrong") from None
    if not 0 < len(stream) <= longest:
        raise DecodingError(f"a compressed stream of {len(stream)} bytes for {header.frame_bytes} bytes of pixels")
    return stream


def _decoded(header: SliceHeader, decoder: FrameDecoder, data: bytes) -> NDArray[Any]:
    job = Job(
        syntax=header.transfer_syntax,
        rows=header.rows,
        columns=header.columns,
        bits_allocated=header.integers["BitsAllocated"] or 0,
        bits_stored=header.integers["BitsStored"] or 0,
        signed=header.integers["PixelRepresentation"] == 1,
        frame=header.frame,
        data=data,
    )
    pixels = decoder.decoded(job)
    return np.frombuffer(pixels, pixel_type(header)).reshape(header.rows, header.columns)
