"""Hounsfield units come out right whatever the encoding."""

from __future__ import annotations

import encoded
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from ct_files import edit, files_of, grid, set_raw, write_series
from pydicom.encaps import encapsulate
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)
from streams import HTJ2K_STREAM, lossless_streams, slice_values

from ablmargin.errors import DicomError
from ablmargin.loading import load_image

BY_TEST = {JPEGLossless, JPEGLSNearLossless, JPEG2000}
"""What :mod:`encoded` doesn't write, or what must be said to be without loss."""


@pytest.fixture
def series(tmp_path):
    return write_series(tmp_path / "ct")


@pytest.fixture
def truth(series):
    return load_image(series)


def recode(path, syntax):
    if syntax in {ImplicitVRLittleEndian, ExplicitVRBigEndian}:
        dataset = pydicom.dcmread(path)
        big = syntax == ExplicitVRBigEndian
        if big:
            dataset.PixelData = np.frombuffer(dataset.PixelData, "<i2").astype(">i2").tobytes()
        dataset.file_meta.TransferSyntaxUID = syntax
        pydicom.dcmwrite(path, dataset, implicit_vr=not big, little_endian=not big, force_encoding=True)
    elif syntax in BY_TEST:
        dataset = pydicom.dcmread(path)
        values = dataset.pixel_array.astype(np.uint16)
        dataset.PixelData = encapsulate([lossless_streams(values, path.parent)[syntax]])
        dataset["PixelData"].VR = "OB"
        dataset["PixelData"].is_undefined_length = True
        dataset.file_meta.TransferSyntaxUID = syntax
        dataset.LossyImageCompression = "00"
        dataset.save_as(path)
    else:
        encoded.recode([path], syntax)


def unsign(dataset):
    """The same HU with unsigned stored values."""
    dataset.PixelRepresentation = 0


def resign(dataset):
    """The same HU with stored values of both signs."""
    dataset.PixelRepresentation = 1
    dataset.PixelData = (np.frombuffer(dataset.PixelData, "<i2") - 1024).tobytes()
    dataset.RescaleIntercept = 0


@pytest.mark.parametrize(
    "syntax",
    [
        ImplicitVRLittleEndian,
        ExplicitVRBigEndian,
        DeflatedExplicitVRLittleEndian,
        RLELossless,
        JPEGLossless,
        JPEGLosslessSV1,
        JPEGLSLossless,
        JPEGLSNearLossless,
        JPEG2000Lossless,
        JPEG2000,
    ],
    ids=lambda uid: uid.name,
)
@pytest.mark.parametrize("signed", [False, True])
def test_every_transfer_syntax_gives_the_same(series, syntax, signed):
    for name in files_of(series):
        edit(name, resign if signed else unsign)
    truth = load_image(series)
    for name in files_of(series):
        recode(name, syntax)
    loaded = load_image(series)
    np.testing.assert_array_equal(loaded.volume.voxels_hu, truth.volume.voxels_hu)
    assert loaded.record.sha256 == truth.record.sha256
    assert [caution.code for caution in loaded.cautions] == [caution.code for caution in truth.cautions]


@pytest.mark.parametrize("syntax", [HTJ2KLossless, HTJ2KLosslessRPCL, HTJ2K], ids=lambda uid: uid.name)
def test_high_throughput_jpeg_2000_gives_the_same(tmp_path, syntax):
    """As nothing here writes it, the same stream stands in each file."""
    j, i = slice_values().shape
    folder = write_series(tmp_path / "ht", grid((4, j, i)))
    for name in files_of(folder):
        edit(name, lambda dataset: setattr(dataset, "PixelData", slice_values().tobytes()))
    truth = load_image(folder)

    def compress(dataset):
        dataset.PixelData = encapsulate([HTJ2K_STREAM])
        dataset["PixelData"].VR = "OB"
        dataset["PixelData"].is_undefined_length = True
        dataset.file_meta.TransferSyntaxUID = syntax
        dataset.LossyImageCompression = "00"

    for name in files_of(folder):
        edit(name, compress)
    loaded = load_image(folder)
    np.testing.assert_array_equal(loaded.volume.voxels_hu[2], slice_values() - 1024.0)
    assert loaded.record.sha256 == truth.record.sha256


@pytest.mark.parametrize("syntax", [None, RLELossless, JPEGLosslessSV1, JPEGLSLossless, JPEG2000Lossless])
def test_a_sign_belongs_to_the_slice(series, truth, syntax):
    """Signed and unsigned slices in one series: values above 32767 or below 0 would be off by 65536 if mixed up."""

    def shift(dataset, by, kind):
        values = np.frombuffer(dataset.PixelData, "<i2").astype(int) + by
        dataset.PixelData = values.astype(kind).tobytes()
        dataset.RescaleIntercept -= by
        dataset.PixelRepresentation = int(kind == "<i2")

    for number, name in enumerate(files_of(series)):
        by, kind = ((-1500, "<i2"), (40000, "<u2"))[number % 2]
        edit(name, lambda dataset, by=by, kind=kind: shift(dataset, by, kind))
        if syntax:
            recode(name, syntax)
    np.testing.assert_array_equal(load_image(series).volume.voxels_hu, truth.volume.voxels_hu)


def test_rescale_belongs_to_the_slice(series, truth):
    def shift(dataset):
        dataset.PixelData = (np.frombuffer(dataset.PixelData, "<i2") + 976).tobytes()
        dataset.RescaleIntercept = -2000

    def halve(dataset):
        dataset.PixelData = (np.frombuffer(dataset.PixelData, "<i2") * 2).tobytes()
        dataset.RescaleSlope = 0.5

    for name in files_of(series)[::2]:
        edit(name, shift)
    for name in files_of(series)[1::4]:
        edit(name, halve)
    np.testing.assert_array_equal(load_image(series).volume.voxels_hu, truth.volume.voxels_hu)


@pytest.mark.parametrize("syntax", [None, RLELossless, JPEGLosslessSV1])
def test_monochrome1_changes_no_hu(series, truth, syntax):
    for name in files_of(series):
        edit(name, lambda dataset: (unsign(dataset), setattr(dataset, "PhotometricInterpretation", "MONOCHROME1")))
        if syntax:
            recode(name, syntax)
    np.testing.assert_array_equal(load_image(series).volume.voxels_hu, truth.volume.voxels_hu)


def test_unused_high_bits_are_ignored(series, truth):
    def overlay(dataset):
        dataset.PixelRepresentation, dataset.BitsStored, dataset.HighBit = 0, 12, 11
        values = np.frombuffer(dataset.PixelData, "<u2").copy()
        values[::7] |= 0xA000
        dataset.PixelData = values.tobytes()

    for name in files_of(series):
        edit(name, overlay)
    np.testing.assert_array_equal(load_image(series).volume.voxels_hu, truth.volume.voxels_hu)


def test_sign_of_fewer_bits(series, truth):
    """Signed values in 12 bits, with the high bits not extended."""

    def narrow(dataset):
        values = np.frombuffer(dataset.PixelData, "<i2") - 1024
        dataset.BitsStored, dataset.HighBit, dataset.RescaleIntercept = 12, 11, 0
        dataset.PixelData = (values & 0x0FFF).astype("<u2").tobytes()

    for name in files_of(series):
        edit(name, narrow)
    np.testing.assert_array_equal(load_image(series).volume.voxels_hu, truth.volume.voxels_hu)


@pytest.mark.parametrize(("stored", "declared"), [(-2000, True), (-2000, False), (-100, True)])
def test_padding_becomes_air(series, truth, stored, declared):
    def pad(dataset):
        values = np.frombuffer(dataset.PixelData, "<i2").copy().reshape(dataset.Rows, dataset.Columns)
        values[:3] = stored
        dataset.PixelData = values.tobytes()
        if declared:
            dataset.add_new("PixelPaddingValue", "SS", stored)

    for name in files_of(series):
        edit(name, pad)
    image = load_image(series)
    assert (image.volume.voxels_hu[:, :3] == -1024).all()
    np.testing.assert_array_equal(image.volume.voxels_hu[:, 3:], truth.volume.voxels_hu[:, 3:])
    (caution,) = image.cautions
    assert caution.code == "PADDING_FILLED"
    assert "7.5%" in caution.message  # 3 of 40 rows


def test_padding_that_would_be_tissue_is_not_believed(series, truth):
    """A padding value of 0 in signed data without offset is water, not the outside."""
    for name in files_of(series):
        edit(name, lambda dataset: dataset.add_new("PixelPaddingValue", "SS", 1024 + 50))
    np.testing.assert_array_equal(load_image(series).volume.voxels_hu, truth.volume.voxels_hu)


@pytest.mark.parametrize(
    ("syntax", "filled"),
    [
        (RLELossless, False),
        (JPEGLosslessSV1, False),
        (JPEGLosslessSV1, True),
        (JPEG2000Lossless, False),
        (JPEG2000Lossless, True),
    ],
)
def test_a_cut_stream_is_refused(series, syntax, filled):
    """Half of the stream is gone, or zeroed as by a broken transfer."""
    name = files_of(series)[4]
    edit(name, unsign)
    recode(name, syntax)

    def cut(dataset):
        (frame,) = pydicom.encaps.generate_frames(dataset.PixelData, number_of_frames=1)
        half = len(frame) // 2
        dataset.PixelData = encapsulate([frame[:half] + bytes(filled * (len(frame) - half))])
        dataset["PixelData"].is_undefined_length = True

    edit(name, cut)
    with pytest.raises(DicomError) as caught:
        load_image(series)
    (fault,) = caught.value.faults
    assert (fault.code, fault.source) == ("PIXEL_DECODE", "IM0005.dcm")


def test_a_private_transfer_syntax_is_named(series):
    name = files_of(series)[4]
    data = name.read_bytes()
    name.write_bytes(data.replace(b"1.2.840.10008.1.2.1\0", b"1.2.826.0.1.999.1\0\0\0", 1))
    with pytest.raises(DicomError) as caught:
        load_image(series)
    assert [fault.code for fault in caught.value.faults] == ["TRANSFER_SYNTAX"]


def test_agrees_with_simpleitk(series, truth):
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(series)))
    image = reader.Execute()
    np.testing.assert_array_equal(sitk.GetArrayViewFromImage(image), truth.volume.voxels_hu)
    last = [size - 1 for size in image.GetSize()]
    np.testing.assert_allclose(
        image.TransformIndexToPhysicalPoint(last),
        truth.volume.geometry.points_at([last[::-1]])[0],
        atol=1e-4,
    )


def test_the_hash_is_of_the_pixels(series, truth):
    for name in files_of(series):
        edit(name, lambda dataset: setattr(dataset, "SeriesInstanceUID", "1.2.3"))
    assert load_image(series).record.sha256 == truth.record.sha256
    dataset = pydicom.dcmread(files_of(series)[0])
    dataset.PixelData = dataset.PixelData[:-2] + b"\1\0"
    dataset.save_as(files_of(series)[0])
    assert load_image(series).record.sha256 != truth.record.sha256


def test_bad_decimal_in_thickness_is_told(series):
    set_raw(files_of(series)[0], "SliceThickness", "2,5")
    with pytest.raises(DicomError, match="SliceThickness"):
        load_image(series)
