"""Slices or scouts, as scanned or derived, in Hounsfield units or not."""

from __future__ import annotations

import numpy as np
import pytest
from encoded import J2K, J2K_ANY, JPEG_LS, recode
from hostile_cases import each
from hostile_phantom import exam, heights, hu, stack, store, write

from ablmargin.dicom.overview import overview
from ablmargin.errors import DicomError
from ablmargin.loading import load_image

COUNT = 6


def written(folder, **values):
    write(folder, each(stack(heights_mm=heights(COUNT)), **values))
    return folder


def codes(folder):
    return [caution.code for caution in load_image(folder).cautions]


def refused(folder):
    with pytest.raises(DicomError) as caught:
        load_image(folder)
    (fault,) = caught.value.faults
    return fault


def test_a_reformat_is_told(tmp_path):
    assert codes(written(tmp_path, ImageType=["DERIVED", "SECONDARY", "REFORMATTED"])) == ["IMAGE_DERIVED"]


def test_of_how_it_was_derived_only_terms_are_quoted(tmp_path):
    """Scanners put free text in ImageType, and so a name may stand there."""
    kinds = ["DERIVED", "SECONDARY", "MPR", "ZZCANARY_ADA"]
    (caution,) = load_image(written(tmp_path, ImageType=kinds)).cautions
    assert "(DERIVED, MPR, SECONDARY, another term)" in caution.message


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"RescaleType": "ZZCANARY"}, "values in another term"),
        ({"PhotometricInterpretation": "ZZCANARY"}, "another term"),
        ({"Modality": "ZZCANARY"}, "another term"),
        ({"NumberOfFrames": "ZZCANARY"}, "no number"),
        ({"PixelSpacing": "ZZCANARY"}, "a text that is no number"),
        ({"SliceThickness": "19331122\\ZZCANARY"}, "a text that is no number"),
        ({"ImagePositionPatient": "1,5\\2\\3"}, "'1,5\\\\2\\\\3'"),
    ],
)
def test_of_values_that_are_refused_only_terms_and_numbers_are_quoted(tmp_path, values, told):
    slices = stack(heights_mm=heights(COUNT))
    for d in slices:
        for keyword, value in values.items():
            d.add_new(keyword, "LO", value)
    write(tmp_path, slices)
    with pytest.raises(DicomError) as caught:
        load_image(tmp_path)
    (fault,) = caught.value.faults
    assert (fault.found, (fault.attribute or "").partition(" ")[0]) == (told, next(iter(values)))


@pytest.mark.parametrize("kind", ["MIP", "MINIP", "VOLUME RENDERED"])
def test_a_projection_is_no_slice(tmp_path, kind):
    fault = refused(written(tmp_path, ImageType=["DERIVED", "SECONDARY", "AXIAL", kind]))
    assert (fault.code, fault.attribute) == ("IMAGE_PROJECTION", "ImageType (0008,0008)")


def test_colors_are_no_hounsfield_units(tmp_path):
    fault = refused(written(tmp_path, PhotometricInterpretation="PALETTE COLOR"))
    assert (fault.code, fault.attribute) == ("HU_UNKNOWN", "PhotometricInterpretation (0028,0004)")


@pytest.mark.parametrize("kind", ["SUBTRACTION", "RCBF"])
def test_values_calculated_from_others(tmp_path, kind):
    fault = refused(written(tmp_path, ImageType=["DERIVED", "PRIMARY", "VOLUME", kind]))
    assert (fault.code, fault.attribute) == ("HU_UNKNOWN", "ImageType (0008,0008)")


@pytest.mark.parametrize("unit", ["ED", "MGML", "Z_EFF"])
def test_values_of_another_quantity(tmp_path, unit):
    fault = refused(written(tmp_path, RescaleType=unit))
    assert (fault.code, fault.attribute) == ("HU_UNKNOWN", "RescaleType (0028,1054)")


@pytest.mark.parametrize(("unit", "told"), [("US", []), ("HU", []), ("HU_MOD", ["HU_MODIFIED"])])
def test_values_that_may_be_hounsfield_units(tmp_path, unit, told):
    assert codes(written(tmp_path, RescaleType=unit)) == told


@pytest.mark.parametrize(
    ("ratio", "told"),
    [
        (None, "with loss:"),
        (8.25, "with loss (8.25 : 1)"),
        ([3, 12.5], "with loss (12.5 : 1)"),
        (1, "with loss:"),
    ],
)
def test_lossy_compression_is_told(tmp_path, ratio, told):
    """Of several steps and slices the worst; a ratio that is none isn't quoted."""
    values = {} if ratio is None else {"LossyImageCompressionRatio": ratio}
    (caution,) = load_image(written(tmp_path, LossyImageCompression="01", **values)).cautions
    assert caution.code == "LOSSY_COMPRESSION"
    assert told in caution.message


@pytest.mark.parametrize(
    ("syntax", "declared", "told"),
    [
        (J2K_ANY, "", "may have been"),
        (J2K_ANY, "00", None),
        (J2K_ANY, "01", "were compressed"),
        (J2K, "", None),
        (JPEG_LS, "", None),
    ],
)
def test_what_a_transfer_syntax_says_of_loss(tmp_path, syntax, declared, told):
    folder = written(tmp_path, LossyImageCompression=declared)
    recode(sorted(folder.iterdir()), syntax)
    messages = [caution.message for caution in load_image(folder).cautions]
    assert len(messages) == (told is not None)
    assert told is None or told in messages[0]


def test_a_screen_in_the_series_is_left_out(tmp_path):
    """As some scanners put the dose table there, as a CT image with nothing to place it by."""
    written(tmp_path)
    (screen,) = each(stack(heights_mm=[0.0]), SOPInstanceUID="1.2.3", ImageType=["DERIVED", "SECONDARY", "OTHER"])
    del screen.ImagePositionPatient, screen.ImageOrientationPatient, screen.PixelSpacing
    write(tmp_path, [screen], names=lambda _: "screen.dcm")
    assert codes(tmp_path) == ["NON_AXIAL_DROPPED"]


def test_an_original_slice_without_its_place_is_not_taken_for_a_screen(tmp_path):
    written(tmp_path)
    (lost,) = each(stack(heights_mm=[30.0]), SOPInstanceUID="1.2.3")
    del lost.ImagePositionPatient, lost.ImageOrientationPatient, lost.PixelSpacing
    write(tmp_path, [lost], names=lambda _: "lost.dcm")
    with pytest.raises(DicomError) as caught:
        load_image(tmp_path)
    assert {(fault.code, fault.source) for fault in caught.value.faults} == {("GEOM_MISSING_TAG", "lost.dcm")}


class TestHounsfieldUnits:
    """What a header says of values may be wrong; a body shows it."""

    def changed(self, folder, change, **values):
        slices = each(stack(heights_mm=heights(COUNT)), **values)
        for d in slices:
            change(d)
        write(folder, slices)
        return folder

    @pytest.mark.parametrize("offset", [1024, 1000, -1024, 2048, 500, -8192])
    def test_an_offset(self, tmp_path, offset):
        folder = self.changed(tmp_path, lambda d: store(d, hu(d) + offset, kind="<i2", intercept=0))
        assert refused(folder).code == "HU_IMPLAUSIBLE"

    def test_an_offset_with_padding_that_looks_like_air(self, tmp_path):
        def change(d):
            values = hu(d) + 1024
            values[:20] = -2000
            store(d, values, kind="<i2", intercept=0)
            d.add_new("PixelPaddingValue", "SS", -2000)

        assert refused(self.changed(tmp_path, change)).code == "HU_IMPLAUSIBLE"

    def test_a_windowed_picture_with_padding_that_looks_like_air(self, tmp_path):
        def change(d):
            values = np.clip((hu(d) + 100) / 400, 0, 1) * 255
            values[:20] = -2000
            store(d, values, kind="<i2", intercept=0)
            d.add_new("PixelPaddingValue", "SS", -2000)

        assert refused(self.changed(tmp_path, change)).code == "HU_IMPLAUSIBLE"

    @pytest.mark.parametrize("factor", [-1, 10])
    def test_a_wrong_slope(self, tmp_path, factor):
        folder = self.changed(tmp_path, lambda d: store(d, hu(d) * factor, kind="<i2", intercept=0))
        assert refused(folder).code == "HU_IMPLAUSIBLE"

    @pytest.mark.parametrize(("low", "high"), [(0, 255), (0, 4095), (-100, 300)])
    def test_a_windowed_picture(self, tmp_path, low, high):
        def change(d):
            shares = np.clip((hu(d) + 100) / 400, 0, 1)
            store(d, low + shares * (high - low), kind="<i2", intercept=0)

        assert refused(self.changed(tmp_path, change)).code == "HU_IMPLAUSIBLE"

    def test_it_can_be_taken_on_purpose(self, tmp_path):
        folder = self.changed(tmp_path, lambda d: store(d, hu(d) + 1024, kind="<i2", intercept=0))
        (caution,) = load_image(folder, accepted=["HU_IMPLAUSIBLE"]).cautions
        assert caution.code == "HU_IMPLAUSIBLE"

    def test_a_range_of_padding(self, tmp_path):
        def change(d):
            values = hu(d) + 1024
            values[:8], values[8:12] = -10, -6
            store(d, values, kind="<i2")
            d.add_new("PixelPaddingValue", "SS", -10)
            d.add_new("PixelPaddingRangeLimit", "SS", -5)

        voxels = load_image(self.changed(tmp_path, change)).volume.voxels_hu
        assert (voxels[:, :12] == -1024).all()


@pytest.mark.parametrize(
    ("description", "phase"),
    [
        ("Abdomen portal venous 2.5", "portal venous"),
        ("LEBER VENÖS", "portal venous"),
        ("late arterial phase", "arterial"),
        ("ART 1.0 B30f", "arterial"),
        ("nativ", "unenhanced"),
        ("Start of delayed scan", "delayed"),
        ("arterial and venous", None),
        ("intravenous heart cartography", None),
        ("CT", None),
    ],
)
def test_the_phase_that_a_description_names(tmp_path, description, phase):
    write(tmp_path, stack(exam(description=description), heights_mm=heights(3)))
    assert load_image(tmp_path).record.phase == phase
    assert overview(tmp_path)["series"][0]["phase"] == phase


def test_what_inspect_tells_of_a_series(tmp_path):
    written(tmp_path, ContrastBolusAgent="Iomeron 400", ConvolutionKernel="B30f", GantryDetectorTilt=0)
    (series,) = overview(tmp_path)["series"]
    assert (series["kernel"], series["contrast_agent"], series["tilt_degrees"]) == ("B30f", "Iomeron 400", 0.0)
    assert (series["part"], series["usable"], series["problems"]) == ("", True, [])


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("turned", [[-1, 0, 0, 0, 1, 0], [0.99999, 0.0035, 0, -0.0035, 0.99999, 0]])
def test_slices_that_are_turned_or_mirrored_are_no_scouts(tmp_path, turned, count):
    slices = stack()
    for d in slices[-count:]:
        d.ImageOrientationPatient = turned
    write(tmp_path, slices)
    with pytest.raises(DicomError, match="GEOM_MIXED_ORIENTATION"):
        load_image(tmp_path)
