"""One damage, one code: what can't be one box of voxels is refused by name."""

from __future__ import annotations

import shutil

import numpy as np
import pydicom
import pytest
from ct_files import edit, files_of, grid, set_raw, write_series
from pydicom.datadict import dictionary_VR

from ablmargin.dicom.checks import check_series
from ablmargin.dicom.decimals import GEOMETRY_LENGTHS
from ablmargin.dicom.discover import discover
from ablmargin.dicom.overview import overview
from ablmargin.dicom.write import SeriesIdentity, write_ct_series
from ablmargin.errors import DicomError
from ablmargin.loading import load_image
from ablmargin.volume import Volume


@pytest.fixture
def series(tmp_path):
    return write_series(tmp_path / "ct")


def refused(folder):
    with pytest.raises(DicomError) as caught:
        load_image(folder)
    return caught.value.faults


def the_fault(folder):
    (fault,) = refused(folder)
    return fault


def caution_codes(image):
    return {caution.code for caution in image.cautions}


def shift(path, by_mm):
    def change(dataset):
        dataset.ImagePositionPatient = [
            round(float(a) + b, 4) for a, b in zip(dataset.ImagePositionPatient, by_mm, strict=True)
        ]

    edit(path, change)


def test_a_clean_series_has_nothing_to_say(series):
    assert load_image(series).cautions == ()


def test_missing_slice(series):
    gone = files_of(series)[7]
    gone.unlink()
    fault = the_fault(series)
    assert fault.code == "GEOM_GAP"
    assert fault.source == "between IM0007.dcm and IM0009.dcm"
    assert fault.found == "5.00 mm: 1 slice is missing"
    assert fault.attribute == "ImagePositionPatient (0020,0032)"


def test_two_gaps_are_told_together(series):
    for index in (3, 9, 10):
        files_of(series)[index].unlink() if index == 3 else (series / f"IM{index + 1:04d}.dcm").unlink()
    assert [(fault.code, fault.found) for fault in refused(series)] == [
        ("GEOM_GAP", "5.00 mm: 1 slice is missing"),
        ("GEOM_GAP", "7.50 mm: 2 slices are missing"),
    ]


def test_missing_end_is_a_caution(series):
    for name in files_of(series)[:3]:
        name.unlink()
    image = load_image(series)
    assert caution_codes(image) == {"SERIES_INCOMPLETE"}
    assert image.volume.geometry.origin_mm[2] == pytest.approx(grid().origin_mm[2] + 7.5)


@pytest.mark.parametrize("keyword", ["InstanceNumber", "SeriesNumber", "AcquisitionNumber"])
def test_numbers_longer_than_python_reads_are_as_good_as_none(series, keyword):
    """Python refuses to make a number of more than 4300 digits."""
    for path in files_of(series):
        edit(path, lambda dataset: dataset.add_new(keyword, "LT", "9" * 5000))
    assert load_image(series).cautions == ()
    assert overview(series)["series"][0]["usable"]


def test_two_spacings(series):
    for number, name in enumerate(files_of(series)[8:], start=1):
        shift(name, (0, 0, 2.5 * number))
    assert the_fault(series).code == "GEOM_VARIABLE_SPACING"


def test_positions_rounded_to_a_hundredth_are_no_irregularity(series):
    rng = np.random.default_rng(1)
    for name in files_of(series):
        shift(name, (0, 0, rng.uniform(-0.005, 0.005)))
    assert load_image(series).cautions == ()


def test_coarsely_rounded_positions_are_told(series):
    for number, name in enumerate(files_of(series)):
        shift(name, (0, 0, 0.024 if number % 2 else 0.0))
    assert caution_codes(load_image(series)) == {"GEOM_ROUNDED"}


def test_a_slow_drift_of_the_spacing_is_refused(series):
    """Each distance is within 2 % of the usual one, but no regular grid fits all slices."""
    for number, name in enumerate(files_of(series)[8:], start=1):
        shift(name, (0, 0, 0.045 * number))
    assert the_fault(series).code == "GEOM_OFF_GRID"


def test_slice_shifted_sideways(series):
    shift(files_of(series)[5], (12, 0, 0))
    fault = the_fault(series)
    assert (fault.code, fault.source) == ("GEOM_INPLANE_SHIFT", "IM0006.dcm")


@pytest.mark.parametrize("degrees", [15.0, -18.5, 0.2])
def test_gantry_tilt_is_straightened_and_told(series, degrees):
    """The slices stay where they are; the grid grows by what they drift."""
    for number, name in enumerate(files_of(series)):
        shift(name, (0, 2.5 * number * np.tan(np.deg2rad(degrees)), 0))
    image = load_image(series)
    (caution,) = image.cautions
    assert caution.code == "GEOM_TILT"
    assert f"{abs(degrees):.1f}°" in caution.message
    drift_px = 15 * 2.5 * abs(np.tan(np.deg2rad(degrees))) / 1.1
    assert image.volume.geometry.shape == (16, 40 + np.ceil(drift_px), 44)


def test_more_than_any_gantry_tilts(series):
    for number, name in enumerate(files_of(series)):
        shift(name, (0, 2.5 * number, 0))
    assert the_fault(series).code == "GEOM_TILT"


def test_duplicate_file_is_left_out(series):
    shutil.copy(files_of(series)[4], series / "copy.dcm")
    image = load_image(series)
    assert caution_codes(image) == {"DUPLICATE_INSTANCE"}
    assert image.volume.geometry.shape[0] == 16


def test_two_images_at_one_position(series):
    clone = series / "other.dcm"
    shutil.copy(files_of(series)[4], clone)

    def change(dataset):
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3.4"
        dataset.PixelData = bytes(len(dataset.PixelData))

    edit(clone, change)
    fault = the_fault(series)
    assert (fault.code, fault.source) == ("GEOM_DUPLICATE_POSITION", "IM0005.dcm and other.dcm")


def test_same_uid_but_other_pixels_is_no_copy(series):
    clone = series / "other.dcm"
    shutil.copy(files_of(series)[4], clone)
    edit(clone, lambda dataset: setattr(dataset, "PixelData", bytes(len(dataset.PixelData))))
    assert the_fault(series).code == "GEOM_DUPLICATE_POSITION"


@pytest.mark.parametrize("name", ["IM0000.dcm", "other.dcm"])
@pytest.mark.parametrize(
    ("keyword", "value", "code"),
    [
        ("RescaleIntercept", -1000, "GEOM_DUPLICATE_POSITION"),
        ("PatientID", "ZZOTHER", "PATIENT_MIXED"),
        ("PixelSpacing", [0.8, 0.8], "GEOM_MIXED_GRID"),
        ("FrameOfReferenceUID", "1.2.3", "FRAME_OF_REFERENCE_MIXED"),
        ("AcquisitionDate", "20200101", "GEOM_DUPLICATE_POSITION"),
        ("ConvolutionKernel", "LUNG", "GEOM_DUPLICATE_POSITION"),
        ("PixelPaddingValue", 30, "GEOM_DUPLICATE_POSITION"),
    ],
)
def test_same_pixels_under_another_header_are_no_copy(series, keyword, value, code, name):
    """Whichever of the two comes first."""
    clone = series / name
    shutil.copy(files_of(series)[4], clone)

    def change(dataset):
        dataset.add_new(keyword, dictionary_VR(keyword).split(" ")[0], value)

    edit(clone, change)
    assert code in {fault.code for fault in refused(series)}


def test_unknown_thickness_is_not_told_as_zero(tmp_path):
    for name in files_of(write_series(tmp_path, grid((8, 40, 44), (5.0, 1.1, 0.9)))):
        edit(name, lambda dataset: delattr(dataset, "SliceThickness"))
    (caution,) = load_image(tmp_path).cautions
    assert caution.message == "slices are 5.00 mm apart; finer than 3 mm is wanted"


def test_one_uid_for_all_slices_loses_none(series):
    for name in files_of(series):
        edit(name, lambda dataset: setattr(dataset, "SOPInstanceUID", "1.2.3"))
    image = load_image(series)
    assert caution_codes(image) == {"UID_DUPLICATE"}
    assert image.volume.geometry.shape[0] == 16


def test_mixed_orientation(series):
    for name in files_of(series)[8:]:
        edit(name, lambda dataset: setattr(dataset, "ImageOrientationPatient", [1, 0, 0, 0, 0, -1]))
    assert "GEOM_MIXED_ORIENTATION" in {fault.code for fault in refused(series)}


def test_orientation_that_is_none(series):
    for name in files_of(series):
        edit(name, lambda dataset: setattr(dataset, "ImageOrientationPatient", [0.9, 0, 0, 0.2, 1, 0]))
    fault = the_fault(series)
    assert fault.code == "GEOM_BAD_ORIENTATION"
    assert fault.source == "IM0001.dcm, IM0002.dcm, IM0003.dcm and 13 more"


@pytest.mark.parametrize("keyword", ["ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"])
def test_missing_geometry_tag(series, keyword):
    edit(files_of(series)[2], lambda dataset: delattr(dataset, keyword))
    fault = the_fault(series)
    assert (fault.code, fault.source) == ("GEOM_MISSING_TAG", "IM0003.dcm")
    assert fault.attribute.startswith(keyword)


@pytest.mark.parametrize(
    ("keyword", "largest", "beyond"),
    [
        ("ImagePositionPatient", "0\\0\\99999", "0\\0\\1e300"),
        ("ImagePositionPatient", "-99999\\0\\0", "-100001\\0\\0"),
        ("PixelSpacing", "9.9\\9.9", "1e300\\1e300"),
        ("PixelSpacing", "0.11\\0.11", "1e-300\\1e-300"),
        ("SliceThickness", "999", "1e39"),
        ("RescaleSlope", "9999", "1e39"),
        ("RescaleIntercept", "-999999", "1e7"),
    ],
)
def test_numbers_beyond_any_scanner_are_bad_values(series, keyword, largest, beyond):
    """Within single precision and far from overflow, and of a patient's size."""
    for text in (largest, beyond):
        for path in files_of(series):
            set_raw(path, keyword, text)
        (checked,) = (check_series(one) for one in discover(series).series)
        told = {(fault.code, fault.attribute.partition(" ")[0]) for fault in checked.faults}
        bad = ("GEOM_BAD_VALUE" if keyword in GEOMETRY_LENGTHS else "BAD_VALUE", keyword)
        assert (bad in told) == (text == beyond), (text, told)


def test_bad_numbers_are_quoted_each(series):
    names = files_of(series)
    set_raw(names[0], "PixelSpacing", "1,1\\0,9")
    set_raw(names[1], "ImagePositionPatient", "NaN\\0\\0")
    set_raw(names[2], "ImagePositionPatient", "1e400\\0\\0")
    set_raw(names[3], "RescaleSlope", "inf")
    faults = refused(series)
    assert [(fault.code, fault.source) for fault in faults] == [
        ("GEOM_BAD_VALUE", "IM0001.dcm"),
        ("GEOM_BAD_VALUE", "IM0002.dcm"),
        ("GEOM_BAD_VALUE", "IM0003.dcm"),
        ("BAD_VALUE", "IM0004.dcm"),
    ]
    assert "1,1" in faults[0].found


def test_another_matrix_size(series):
    def halve(dataset):
        dataset.Rows //= 2
        dataset.PixelData = dataset.PixelData[: len(dataset.PixelData) // 2]

    edit(files_of(series)[6], halve)
    fault = the_fault(series)
    assert fault.code == "GEOM_MIXED_GRID"
    assert fault.source.startswith("IM0007.dcm; ")


def test_another_pixel_spacing(series):
    edit(files_of(series)[6], lambda dataset: setattr(dataset, "PixelSpacing", [1.2, 0.9]))
    assert "GEOM_MIXED_GRID" in {fault.code for fault in refused(series)}


def test_one_slice_is_no_volume(series):
    for name in files_of(series)[1:]:
        name.unlink()
    assert the_fault(series).code == "SERIES_TOO_SHORT"


def add_phase(series, folder, offset_mm, acquisition):
    """A second pass over the body in the same series."""
    for number, name in enumerate(files_of(series)):
        dataset = pydicom.dcmread(name)
        dataset.SOPInstanceUID = f"1.2.3.{number + 1}"
        dataset.AcquisitionNumber = acquisition
        dataset.ImagePositionPatient[2] += offset_mm
        dataset.PixelData = bytes(len(dataset.PixelData))
        dataset.save_as(folder / f"second{number}.dcm")


@pytest.mark.parametrize(("offset_mm", "acquisition"), [(0.0, 2), (0.0, 1), (1.25, 2), (30.0 + 1.25, 2)])
def test_two_passes_in_one_series(series, offset_mm, acquisition):
    add_phase(series, series, offset_mm, acquisition)
    assert the_fault(series).code == "SERIES_AMBIGUOUS"


def test_an_acquisition_number_for_each_slice_is_fine(series):
    for number, name in enumerate(files_of(series)):
        edit(name, lambda dataset, number=number: setattr(dataset, "AcquisitionNumber", number + 1))
    assert load_image(series).cautions == ()


def test_another_modality(series):
    for name in files_of(series):
        edit(name, lambda dataset: setattr(dataset, "Modality", "MR"))
    fault = the_fault(series)
    assert (fault.code, fault.found) == ("NOT_CT", "MR")


@pytest.mark.parametrize("keyword", ["RescaleSlope", "RescaleIntercept"])
def test_no_rescale(series, keyword):
    for name in files_of(series):
        edit(name, lambda dataset: delattr(dataset, keyword))
    fault = the_fault(series)
    assert fault.code == "HU_UNKNOWN"
    assert fault.attribute.startswith(keyword)


def test_a_slope_of_zero(series):
    edit(files_of(series)[0], lambda dataset: setattr(dataset, "RescaleSlope", 0))
    assert the_fault(series).code == "HU_UNKNOWN"


def test_eight_bits_are_a_window_not_hu(series):
    def narrow(dataset):
        dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 8, 8, 7, 0
        dataset.PixelData = bytes(dataset.Rows * dataset.Columns)

    for name in files_of(series):
        edit(name, narrow)
    assert the_fault(series).code == "HU_UNKNOWN"


def test_values_offset_by_1024(series):
    for name in files_of(series):
        edit(name, lambda dataset: setattr(dataset, "RescaleIntercept", 0))
    assert the_fault(series).code == "HU_IMPLAUSIBLE"


def test_signed_values_said_to_be_unsigned(series):
    def lie(dataset):
        dataset.PixelData = (np.frombuffer(dataset.PixelData, "<i2") - 1024).tobytes()
        dataset.RescaleIntercept, dataset.PixelRepresentation = 0, 0

    for name in files_of(series):
        edit(name, lie)
    assert the_fault(series).code == "HU_IMPLAUSIBLE"


def test_a_body_that_fills_the_image_is_plausible(tmp_path):
    geometry = grid()
    noisy = np.random.default_rng(0).integers(10, 90, geometry.shape).astype(np.float32)
    write_ct_series(Volume(voxels_hu=noisy, geometry=geometry), tmp_path, identity=SeriesIdentity())
    assert load_image(tmp_path).cautions == ()


def test_two_patients_in_one_series(series):
    for name in files_of(series)[:3]:
        edit(name, lambda dataset: setattr(dataset, "PatientID", "SECRET-OTHER"))
    fault = the_fault(series)
    assert fault.code == "PATIENT_MIXED"
    assert fault.source.startswith("IM0001.dcm, IM0002.dcm, IM0003.dcm; ")
    assert "SECRET" not in str(fault)
    assert "PHANTOM" not in str(fault)


@pytest.mark.parametrize("keyword", ["FrameOfReferenceUID", "StudyInstanceUID"])
def test_two_frames_in_one_series(series, keyword):
    for name in files_of(series)[8:]:
        edit(name, lambda dataset: setattr(dataset, keyword, "1.2.3"))
    assert the_fault(series).code == "FRAME_OF_REFERENCE_MIXED"


def test_no_frame_of_reference(series):
    for name in files_of(series):
        edit(name, lambda dataset: delattr(dataset, "FrameOfReferenceUID"))
    image = load_image(series)
    assert caution_codes(image) == {"FRAME_OF_REFERENCE_MISSING"}
    assert image.volume.geometry.frame_uid is None


def test_truncated_pixels(series):
    name = files_of(series)[3]
    name.write_bytes(name.read_bytes()[:-1000])
    fault = the_fault(series)
    assert (fault.code, fault.source, fault.found) == ("FILE_TRUNCATED", "IM0004.dcm", "1000 bytes missing")


def test_truncated_header_and_empty_file_are_both_named(series):
    first, second = files_of(series)[3], files_of(series)[4]
    first.write_bytes(first.read_bytes()[:300])
    second.write_bytes(b"")
    faults = refused(series)
    told = {fault.source for fault in faults if fault.code == "FILE_TRUNCATED"}
    assert told == {"IM0004.dcm", "IM0005.dcm"}
    assert "GEOM_GAP" in {fault.code for fault in faults}


def test_scouts_are_dropped(series):
    scout = series / "scout.dcm"
    shutil.copy(files_of(series)[0], scout)

    def change(dataset):
        dataset.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
        dataset.ImageOrientationPatient = [0, 1, 0, 0, 0, -1]
        dataset.SOPInstanceUID = "1.2.3"

    edit(scout, change)
    image = load_image(series)
    assert caution_codes(image) == {"NON_AXIAL_DROPPED"}
    assert image.volume.geometry.shape[0] == 16


def test_coarse_slices(tmp_path):
    image = load_image(write_series(tmp_path, grid((8, 40, 44), (5.0, 1.1, 0.9))))
    assert caution_codes(image) == {"GEOM_COARSE"}


def test_thickness_is_not_spacing(tmp_path):
    image = load_image(write_series(tmp_path, slice_thickness_mm=5.0))
    assert caution_codes(image) == {"GEOM_COARSE"}
    assert image.volume.geometry.spacing_mm[0] == pytest.approx(2.5)
    assert image.record.slice_thickness_mm == 5.0


def test_the_thickest_slice_counts(series):
    for name, thickness in zip(files_of(series), [2.5, 5.0, 4.0], strict=False):
        edit(name, lambda dataset, mm=thickness: setattr(dataset, "SliceThickness", mm))
    assert load_image(series).record.slice_thickness_mm == 5.0
    (listed,) = overview(series)["series"]
    assert listed["slice_thickness_mm"] == 5.0


def test_thickness_that_no_header_tells_is_not_known(series):
    for name in files_of(series):
        edit(name, lambda dataset: delattr(dataset, "SliceThickness"))
    assert load_image(series).record.slice_thickness_mm is None


def test_declared_size_is_looked_at_before_memory_is_taken(series):
    def blow_up(dataset):
        dataset.Rows = dataset.Columns = 65535

    for name in files_of(series):
        edit(name, blow_up)
    assert the_fault(series).code == "RESOURCE_LIMIT"


def test_several_faults_are_told_at_once(series):
    shift(files_of(series)[5], (12, 0, 0))
    files_of(series)[10].unlink()
    edit(files_of(series)[2], lambda dataset: delattr(dataset, "RescaleSlope"))
    assert {fault.code for fault in refused(series)} == {"GEOM_INPLANE_SHIFT", "GEOM_GAP", "HU_UNKNOWN"}


def with_pixels(folder, spacing):
    for name in files_of(folder):
        edit(name, lambda dataset: setattr(dataset, "PixelSpacing", spacing))
    return folder


@pytest.mark.parametrize("spacing", [["0.09"] * 2, ["12"] * 2, ["1e-300"] * 2, ["1e300"] * 2, ["0.7", "-0.7"]])
def test_no_ct_has_such_pixels(series, spacing):
    fault = the_fault(with_pixels(series, spacing))
    assert (fault.code, fault.attribute) == ("GEOM_BAD_VALUE", "PixelSpacing (0028,0030)")


@pytest.mark.parametrize(("spacing", "told"), [(0.5, True), (0.7, False), (9.9, False)])
def test_a_field_of_view_too_small_for_a_body_is_told(series, spacing, told):
    """0.5 mm makes 20 mm of the 40 rows."""
    assert caution_codes(load_image(with_pixels(series, [spacing] * 2))) == ({"GEOM_FIELD_ODD"} if told else set())
