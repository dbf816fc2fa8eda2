"""Stored values in every encoding, and values that aren't Hounsfield units."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pydicom
import SimpleITK as sitk
from hostile_cases import each, refused, right
from hostile_phantom import (
    hu,
    stack,
    store,
    write,
    write_one,
)
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)


@right()
def px_rescale_per_slice(folder):
    slices = stack()
    for d in slices[1::2]:
        store(d, hu(d) + 2000, intercept=-2000)
    write(folder, slices)


@right()
def px_slope_fraction_late(folder):
    slices = stack()
    for d in slices[1:]:
        store(d, 2 * (hu(d) + 1024), intercept=-1024, slope=0.5)
    write(folder, slices)


@refused("HU_IMPLAUSIBLE", names=["IM0006.dcm", "HU from those of the neighboring IM0005.dcm"])
def px_one_other_intercept(folder):
    slices = stack()
    slices[5].RescaleIntercept = 0
    write(folder, slices)


@refused("HU_IMPLAUSIBLE", names=["IM0024.dcm", "IM0023.dcm"], attribute="RescaleIntercept")
def px_last_slice_inverted(folder):
    slices = stack()
    slices[-1].RescaleSlope, slices[-1].RescaleIntercept = -1, 0
    write(folder, slices)


@refused("HU_IMPLAUSIBLE", names=["IM0003.dcm", "IM0004.dcm"], attribute="RescaleIntercept")
def px_three_of_half_the_slope(folder):
    slices = stack()
    each(slices[:3], RescaleSlope=0.5, RescaleIntercept=-512)
    write(folder, slices)


@refused("HU_UNKNOWN", names=["IM0001.dcm"], attribute="RescaleSlope")
def px_no_rescale(folder):
    slices = stack()
    for d in slices:
        del d.RescaleSlope, d.RescaleIntercept
    write(folder, slices)


def _outside_circle(d: Dataset) -> np.ndarray:
    j, i = np.indices((d.Rows, d.Columns))
    return np.hypot(j - (d.Rows - 1) / 2, i - (d.Columns - 1) / 2) > d.Rows / 2


@right("PADDING_FILLED")
def px_padding_ge(folder):
    slices = stack()
    for d in slices:
        values = hu(d) + 1024
        values[_outside_circle(d)] = -2000
        store(d, values, kind="<i2")
        d.add_new("PixelPaddingValue", "SS", -2000)
    write(folder, slices)


@right()
def px_unsigned_12bit(folder):
    slices = each(stack(), BitsStored=12, HighBit=11)
    for d in slices:
        values = (hu(d) + 1024).astype(np.uint16)
        values[::3, ::3] |= 0xA000
        store(d, values)
    write(folder, slices)


@refused("HU_IMPLAUSIBLE", attribute="RescaleIntercept")
def px_sign_mismatch(folder):
    slices = stack()
    for d in slices:
        store(d, hu(d), kind="<i2", intercept=0)
        d.PixelRepresentation = 0
    write(folder, slices)


@refused("HU_UNKNOWN", names=["IM0001.dcm"])
def px_8bit_windowed(folder):
    slices = each(stack(), BitsAllocated=8, BitsStored=8, HighBit=7)
    for d in slices:
        stored = np.frombuffer(d.PixelData, "<u2").astype(float) - 1024
        d.PixelData = np.clip((stored + 160) / 400 * 255, 0, 255).astype("u1").tobytes()
        d["PixelData"].VR = "OW"
        del d.RescaleSlope, d.RescaleIntercept
    write(folder, slices)


@refused("HU_IMPLAUSIBLE", attribute="RescaleIntercept")
def px_us_offset(folder):
    """As some public head CT: the offset of 1024 was lost, and RescaleType owns up to nothing."""
    write(folder, each(stack(), RescaleIntercept=0, RescaleType="US"))


def _recoded(folder: Path, syntax: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number, d in enumerate(stack(), start=1):
        path = folder / f"IM{number:04d}.dcm"
        if syntax in {RLELossless, JPEGLSLossless}:
            d.file_meta = FileMetaDataset()
            d.compress(
                syntax, np.frombuffer(d.PixelData, "<u2").reshape(d.Rows, d.Columns), generate_instance_uid=False
            )
        elif syntax in GDCM_NAMES:
            encapsulated(d, compressed(d, folder, GDCM_NAMES[syntax]))
        write_one(path, d, syntax)


GDCM_NAMES = {JPEGLosslessSV1: "JPEG", JPEG2000Lossless: "JPEG2000"}


def encapsulated(d: Dataset, frame: bytes) -> None:
    d.PixelData = encapsulate([frame])
    d["PixelData"].VR = "OB"
    d["PixelData"].is_undefined_length = True


def compressed(d: Dataset, folder: Path, compressor: str) -> bytes:
    """Lossless code stream of one frame, made by GDCM."""
    path = folder / "stream.tmp"
    writer = sitk.ImageFileWriter()
    writer.SetFileName(path)
    writer.SetImageIO("GDCMImageIO")
    writer.SetUseCompression(True)
    writer.SetCompressor(compressor)
    writer.Execute(sitk.GetImageFromArray(np.frombuffer(d.PixelData, "<u2").reshape(d.Rows, d.Columns)))
    stream = pydicom.dcmread(path).PixelData
    path.unlink()
    (frame,) = generate_frames(stream, number_of_frames=1)
    return frame


@right()
def px_implicit(folder):
    _recoded(folder, ImplicitVRLittleEndian)


@right()
def px_deflated(folder):
    _recoded(folder, DeflatedExplicitVRLittleEndian)


@right()
def px_rle(folder):
    _recoded(folder, RLELossless)


@right()
def px_jpeg_lossless(folder):
    _recoded(folder, JPEGLosslessSV1)


@right()
def px_jpegls(folder):
    _recoded(folder, JPEGLSLossless)


@right()
def px_j2k(folder):
    _recoded(folder, JPEG2000Lossless)


@right()
def px_monochrome1(folder):
    write(folder, each(stack(), PhotometricInterpretation="MONOCHROME1"))


@refused("FILE_TRUNCATED", names=["IM0012.dcm", "bytes missing"], attribute="PixelData")
def px_truncated(folder):
    path = write(folder, stack())[11]
    os.truncate(path, int(path.stat().st_size * 0.6))


@refused("FILE_TRUNCATED", names=["IM0012.dcm", "IM0013.dcm"])
def px_truncated_header(folder):
    paths = write(folder, stack())
    os.truncate(paths[11], 300)
    os.truncate(paths[12], 0)


@refused("PIXEL_DECODE", names=["IM0006.dcm", RLELossless], attribute="PixelData")
def px_corrupt_stream(folder):
    _recoded(folder, RLELossless)
    path = folder / "IM0006.dcm"
    d = pydicom.dcmread(path)
    (frame,) = generate_frames(d.PixelData, number_of_frames=1)
    broken = bytearray(frame[: len(frame) * 2 // 3])
    broken[64 + len(broken) // 3] ^= 0xFF
    encapsulated(d, bytes(broken))
    d.save_as(path)


@refused("TRANSFER_SYNTAX", names=["IM0001.dcm", "1.2.826.0.1.999.1", "Convert"], attribute="TransferSyntaxUID")
def px_unknown_ts(folder):
    folder.mkdir(parents=True)
    for number, d in enumerate(stack(), start=1):
        path = folder / f"IM{number:04d}.dcm"
        write_one(path, d)
        data = path.read_bytes().replace(b"UI\x14\x001.2.840.10008.1.2.1\0", b"UI\x14\x001.2.826.0.1.999.1\0\0\0", 1)
        path.write_bytes(data)


@refused("PIXEL_FORMAT", names=["IM0001.dcm", "and 21 more", "floating-point"], attribute="FloatPixelData")
def px_floating_point(folder):
    write(folder, [_in_floats(d) for d in stack()])


@refused("PIXEL_FORMAT", names=["IM0004.dcm", "It lies among the slices"], attribute="FloatPixelData")
def px_one_floating_point(folder):
    slices = stack()
    slices[3] = _in_floats(slices[3])
    write(folder, slices)


def _in_floats(d: Dataset) -> Dataset:
    d.FloatPixelData = hu(d).astype("<f4").tobytes()
    d.BitsAllocated = 32
    del d.PixelData, d.BitsStored, d.HighBit, d.PixelRepresentation
    return d
