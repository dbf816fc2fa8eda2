"""CT slices in every lossless encoding that can be written here."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import jpeg_ls
import numpy as np
import pydicom
import SimpleITK as sitk
from numpy.typing import NDArray
from openjpeg.utils import encode_array
from pydicom.encaps import encapsulate, generate_frames
from rle.utils import encode_pixel_data

RLE, DEFLATED = "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.1.99"
JPEG_LOSSLESS_1, JPEG_LS, J2K = (f"1.2.840.10008.1.2.4.{number}" for number in (70, 80, 90))
J2K_ANY = "1.2.840.10008.1.2.4.91"


def stream_of(values: NDArray[np.uint16], syntax: str, folder: Path) -> bytes:
    """Values of one slice, compressed without loss; ``folder`` is a place for a file."""
    rows, columns = values.shape
    if syntax == RLE:
        return bytes(
            encode_pixel_data(
                values.tobytes(),
                byteorder="<",
                rows=rows,
                columns=columns,
                bits_allocated=16,
                samples_per_pixel=1,
                number_of_frames=1,
            )
        )
    if syntax == JPEG_LS:
        # encode_array takes values below 256 for bytes
        return bytes(
            jpeg_ls.encode_buffer(values.tobytes(), rows=rows, columns=columns, samples_per_pixel=1, bits_stored=16)
        )
    if syntax == J2K_ANY:
        return bytes(encode_array(values, bits_stored=16, photometric_interpretation=2, codec_format=0))
    return _by_gdcm(values, folder / "stream.tmp", {JPEG_LOSSLESS_1: "JPEG", J2K: "JPEG2000"}[syntax])


def recode(paths: Iterable[Path], syntax: str) -> None:
    """Write files of uncompressed unsigned slices anew, compressed or deflated."""
    for path in paths:
        dataset = pydicom.dcmread(path)
        if syntax != DEFLATED:
            dataset.PixelData = encapsulate([stream_of(dataset.pixel_array.astype(np.uint16), syntax, path.parent)])
            dataset["PixelData"].VR = "OB"
            dataset["PixelData"].is_undefined_length = True
        dataset.file_meta.TransferSyntaxUID = syntax
        dataset.save_as(path)


def _by_gdcm(values: NDArray[np.uint16], path: Path, compressor: str) -> bytes:
    writer = sitk.ImageFileWriter()
    writer.SetFileName(path)
    writer.SetImageIO("GDCMImageIO")
    writer.SetUseCompression(True)
    writer.SetCompressor(compressor)
    writer.Execute(sitk.GetImageFromArray(values))
    stream = pydicom.dcmread(path).PixelData
    path.unlink()
    return next(generate_frames(stream, number_of_frames=1))
