"""Values of one compressed frame, by decoders of which each has its own way of failing.

Runs in the process that :mod:`ablmargin.dicom.codec.process` starts, as these libraries crash on some damaged streams.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ablmargin.dicom.codec.jpeg import JPEG_LS, LOSSLESS, JpegStream, StreamError, entropy_coded, jpeg_stream
from ablmargin.dicom.codec.jpeg2000 import jpeg2000_stream
from ablmargin.dicom.codec.lossless import encodes_to
from ablmargin.dicom.codec.neutral import neutral_file
from ablmargin.dicom.codec.wire import Job, Outcome

JPEG_LS_LOSSLESS = "1.2.840.10008.1.2.4.80"
Values = NDArray[np.unsignedinteger[Any]]

_COMPLAINTS = (b"Corrupt JPEG", b"Premature end")
"""What libjpeg says when it makes values up."""
_FEWEST_BITS = 9
"""A stream of bytes can't be what a header of more bits announces."""


def decoded(job: Job) -> bytes:
    """Little-endian values of BitsAllocated bits as they would lie in an uncompressed file, row by row.

    Raises
    ------
    StreamError
        If the stream isn't what the header declares, ends early, or two decoders read different values.
    Exception
        Whatever a decoder raises.
    """
    decoder = _DECODERS.get(job.syntax)
    if decoder is None:
        raise StreamError(Outcome.NO_DECODER)
    values = decoder(job)
    if values.shape != (job.rows, job.columns):
        raise StreamError(Outcome.OTHER_FORMAT)
    return values.astype(f"<u{job.bits_allocated // 8}", copy=False).tobytes()


def _by_rle(job: Job) -> Values:
    """By pydicom and by pylibjpeg-rle: one in Python, one in Rust."""
    from pydicom.encaps import encapsulate
    from pydicom.pixels.decoders.base import RLELosslessDecoder
    from rle.utils import decode_pixel_data

    one = decode_pixel_data(
        job.data, version=2, byteorder="<", rows=job.rows, columns=job.columns, bits_allocated=job.bits_allocated
    )
    other, _ = RLELosslessDecoder.as_buffer(
        encapsulate([job.data]),
        raw=True,
        decoding_plugin="pydicom",
        rows=job.rows,
        columns=job.columns,
        bits_allocated=job.bits_allocated,
        bits_stored=job.bits_allocated,
        pixel_representation=0,
        samples_per_pixel=1,
        number_of_frames=1,
        photometric_interpretation="MONOCHROME2",
        pixel_keyword="PixelData",
    )
    if bytes(one) != bytes(other):
        raise StreamError(Outcome.DIFFERENT)
    return np.frombuffer(one, f"<u{job.bits_allocated // 8}").reshape(job.rows, job.columns)


def _by_lossless_jpeg(job: Job) -> Values:
    """By GDCM, and proven by encoding the values again."""
    stream = _matching(jpeg_stream(job.data), job)
    if stream.process != LOSSLESS:
        raise StreamError(Outcome.OTHER_FORMAT)
    entropy_coded(stream)
    values = _by_gdcm(job, stream)
    if not encodes_to(stream, values.astype(np.uint16)):
        raise StreamError(Outcome.DIFFERENT)
    return values


def _by_lossy_jpeg(job: Job) -> Values:
    """By GDCM, provided that libjpeg in it didn't make values up."""
    stream = _matching(jpeg_stream(job.data), job)
    if stream.process in {LOSSLESS, JPEG_LS}:
        raise StreamError(Outcome.OTHER_FORMAT)
    values = _by_gdcm(job, stream)
    os.lseek(2, 0, os.SEEK_SET)
    said = os.read(2, 1 << 16)
    if any(complaint in said for complaint in _COMPLAINTS):
        raise StreamError(Outcome.ENDS_EARLY)
    return values


def _by_jpeg_ls(job: Job) -> Values:
    """By CharLS in pyjpegls, which refuses streams that end early."""
    import jpeg_ls

    stream = _matching(jpeg_stream(job.data), job)
    if stream.process != JPEG_LS or (job.syntax == JPEG_LS_LOSSLESS and stream.selection):
        raise StreamError(Outcome.OTHER_FORMAT)
    data, _ = jpeg_ls.decode_buffer(job.data)
    return np.frombuffer(data, "<u2").reshape(job.rows, job.columns)


def _by_jpeg2000(job: Job) -> Values:
    """By OpenJPEG in pylibjpeg-openjpeg, provided that all tiles and the end are there."""
    from openjpeg.utils import decode

    stream = jpeg2000_stream(job.data)
    fits = _FEWEST_BITS <= stream.precision_bits <= job.bits_allocated
    if (stream.rows, stream.columns) != (job.rows, job.columns) or not fits:
        raise StreamError(Outcome.OTHER_FORMAT)
    if stream.signed != job.signed and stream.precision_bits != job.bits_stored:
        raise StreamError(Outcome.OTHER_FORMAT)
    values: Values = decode(BytesIO(job.data), j2k_format=0).astype(f"<u{job.bits_allocated // 8}")
    return values


def _inflated(job: Job) -> Values:
    """By zlib, through pydicom. How much the file holds is known to be bounded since its header was read."""
    pixels = _inflated_pixels(job.data)
    frame = pixels[job.frame * job.decoded_bytes : (job.frame + 1) * job.decoded_bytes]
    if len(frame) < job.decoded_bytes:
        raise StreamError(Outcome.ENDS_EARLY)
    return np.frombuffer(frame, f"<u{job.bits_allocated // 8}").reshape(job.rows, job.columns)


@lru_cache(maxsize=1)  # the next frame is mostly one of the same file
def _inflated_pixels(data: bytes) -> bytes:
    import pydicom

    pixels: bytes = pydicom.dcmread(BytesIO(data), specific_tags=["PixelData"]).PixelData
    return pixels


def _matching(stream: JpegStream, job: Job) -> JpegStream:
    """A stream whose size is the one that the header declares: looked at before anything is allocated for it."""
    fits = _FEWEST_BITS <= stream.precision_bits <= job.bits_allocated
    if (stream.rows, stream.columns) != (job.rows, job.columns) or not fits:
        raise StreamError(Outcome.OTHER_FORMAT)
    return stream


def _by_gdcm(job: Job, stream: JpegStream) -> Values:
    """By GDCM in SimpleITK, which reads files only: of a file of our own with the stream, its format and nothing else.

    Left alone with the original it would apply the rescale and invert MONOCHROME1.
    """
    import SimpleITK as sitk

    path = Path("frame.dcm")
    try:
        path.write_bytes(neutral_file(job, stream.precision_bits))
        values: Values = sitk.GetArrayFromImage(sitk.ReadImage(path, imageIO="GDCMImageIO"))
    finally:
        path.unlink(missing_ok=True)
    return values.reshape(values.shape[-2:])


_DECODERS: dict[str, Callable[[Job], Values]] = {
    "1.2.840.10008.1.2.1.99": _inflated,
    "1.2.840.10008.1.2.5": _by_rle,
    "1.2.840.10008.1.2.4.50": _by_lossy_jpeg,
    "1.2.840.10008.1.2.4.51": _by_lossy_jpeg,
    "1.2.840.10008.1.2.4.57": _by_lossless_jpeg,
    "1.2.840.10008.1.2.4.70": _by_lossless_jpeg,
    JPEG_LS_LOSSLESS: _by_jpeg_ls,
    "1.2.840.10008.1.2.4.81": _by_jpeg_ls,
    "1.2.840.10008.1.2.4.90": _by_jpeg2000,
    "1.2.840.10008.1.2.4.91": _by_jpeg2000,
    "1.2.840.10008.1.2.4.201": _by_jpeg2000,
    "1.2.840.10008.1.2.4.202": _by_jpeg2000,
    "1.2.840.10008.1.2.4.203": _by_jpeg2000,
}
"""By transfer syntax, whose UIDs are spelled out so that pydicom is loaded only where it decodes."""
