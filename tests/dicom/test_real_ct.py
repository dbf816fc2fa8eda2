"""Real series, as hospitals make them."""

from __future__ import annotations

from pathlib import Path

import data_store
import numpy as np
import pydicom.data
import pytest
import SimpleITK as sitk

from ablmargin.dicom.checks import check_series
from ablmargin.dicom.discover import discover
from ablmargin.dicom.overview import overview
from ablmargin.errors import DicomError, InputError
from ablmargin.loading import load_image, load_mask
from ablmargin.volume import Structure

PYDICOM_FILES = Path(pydicom.data.__file__).parent / "test_files"
MORE_FILES = Path(data_store.__file__).parent


@pytest.mark.data
def test_portal_venous_liver_loads_clean(data_folder):
    folder = data_folder / "hcc048_portal_venous"
    (series,) = discover(folder).series
    assert check_series(series).stack.worst_corner_mm < 0.01
    image = load_image(folder)
    assert image.volume.geometry.shape == (89, 512, 512)
    assert image.volume.geometry.spacing_mm == (2.5, 0.703125, 0.703125)
    assert [caution.code for caution in image.cautions] == ["PADDING_FILLED"]

    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    other = reader.Execute()
    values = sitk.GetArrayViewFromImage(other)
    scanned = image.volume.voxels_hu != -1024
    np.testing.assert_array_equal(values[scanned], image.volume.voxels_hu[scanned])
    last = [size - 1 for size in other.GetSize()]
    np.testing.assert_allclose(
        other.TransformIndexToPhysicalPoint(last), image.volume.geometry.points_at([last[::-1]])[0], atol=1e-3
    )

    liver = load_mask(
        str(data_folder / "hcc048_liver_consensus.nii.gz"),
        Structure.LIVER,
        onto=image.volume.geometry,
        cautions=(told := []),
    )
    assert liver.volume_ml == pytest.approx(1371, abs=1)
    assert told == []


@pytest.mark.data
def test_tilt_with_uneven_slices_is_refused_by_name(data_folder):
    with pytest.raises(DicomError) as caught:
        load_image(data_folder / "gantry_tilt_ge")
    assert [fault.code for fault in caught.value.faults] == ["GEOM_VARIABLE_SPACING"]


@pytest.mark.data
def test_tilt_with_uneven_slices_is_placed_right_on_purpose(data_folder):
    """Every value lies where its own file says; between the slices it is interpolated, and that is told."""
    folder = data_folder / "gantry_tilt_ge"
    image = load_image(folder, accepted=["GEOM_VARIABLE_SPACING"])
    assert {"GEOM_VARIABLE_SPACING", "GEOM_TILT", "GEOM_COARSE"} <= {caution.code for caution in image.cautions}
    assert "18.5°" in next(caution.message for caution in image.cautions if caution.code == "GEOM_TILT")
    (series,) = discover(folder).series
    stack = check_series(series, ["GEOM_VARIABLE_SPACING"]).stack
    assert stack.worst_corner_mm < 0.01
    assert image.record.slice_thickness_mm >= stack.widest_step_mm > 6.9


@pytest.mark.data
def test_thickness_is_not_spacing_on_real_slices(data_folder):
    image = load_image(data_folder / "overlapping_slices")
    assert image.volume.geometry.spacing_mm[0] == pytest.approx(4.25)
    assert image.record.slice_thickness_mm == 5.0
    assert image.volume.voxels_hu.min() == -1024
    assert {"GEOM_COARSE", "PADDING_FILLED"} <= {caution.code for caution in image.cautions}


@pytest.mark.data
def test_nifti_abdomen(data_folder):
    image = load_image(data_folder / "low_res_abdomen" / "example_ct.nii.gz")
    assert image.volume.geometry.shape == (112, 101, 122)
    assert image.volume.geometry.spacing_mm == pytest.approx((3, 3, 3), abs=1e-4)


class TestFilesOfPydicom:
    """What other readers are tested by: every kind of object, many of them damaged on purpose."""

    @pytest.mark.parametrize(
        ("files", "codes"),
        [
            (sorted(PYDICOM_FILES.iterdir()), {"NOT_CT", "SERIES_TOO_SHORT", "FILE_TRUNCATED", "NO_IMAGE"}),
            (sorted(MORE_FILES.rglob("*.dcm")), {"NOT_CT", "SERIES_TOO_SHORT"}),
        ],
        ids=["pydicom", "pydicom-data"],
    )
    def test_each_is_right_or_refused_by_name(self, files, codes):
        outcomes = set()
        for path in files:
            if path.is_file():
                try:
                    load_image(path)
                except InputError as error:
                    outcomes |= {fault.code for fault in error.faults}
        assert codes <= outcomes

    def test_all_in_one_folder(self):
        """Seven patients' series of CT and MR: five slices make a volume, the others are two scouts or have gaps."""
        usable = [series for series in overview(PYDICOM_FILES / "dicomdirtests")["series"] if series["usable"]]
        assert [series["slices"] for series in usable] == [5]

    @pytest.mark.parametrize("name", ["DICOMDIR", "DICOMDIR-bigEnd", "DICOMDIR-implicit", "DICOMDIR-reordered"])
    def test_media_directories(self, name):
        image = load_image(PYDICOM_FILES / "dicomdirtests" / name)
        assert image.volume.geometry.shape[0] == 5
        assert image.volume.geometry.spacing_mm == pytest.approx((2.5, 0.488281, 0.488281))
