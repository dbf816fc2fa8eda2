from __future__ import annotations

import numpy as np
import pydicom
import pytest
from ct_files import ct_on, files_of, grid, write_series

from ablmargin.dicom.write import SeriesIdentity, write_ct_series
from ablmargin.loading import load_image
from ablmargin.volume import Volume

# Attributes of type 1 and 2 that PS3.3 A.3.3 (CT Image IOD) asks of an axial image.
TYPE_1 = [
    "SOPClassUID",
    "SOPInstanceUID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "Modality",
    "FrameOfReferenceUID",
    "PixelSpacing",
    "ImageOrientationPatient",
    "ImagePositionPatient",
    "ImageType",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "Rows",
    "Columns",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "PixelData",
    "RescaleIntercept",
    "RescaleSlope",
]
TYPE_2 = [
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "ReferringPhysicianName",
    "StudyID",
    "AccessionNumber",
    "SeriesNumber",
    "PatientPosition",
    "PositionReferenceIndicator",
    "Manufacturer",
    "InstanceNumber",
    "SliceThickness",
    "KVP",
    "AcquisitionNumber",
]


def test_what_is_written_is_what_is_loaded(tmp_path, orientation):
    volume = ct_on(grid(orientation=orientation))
    write_ct_series(volume, tmp_path, identity=SeriesIdentity())
    loaded = load_image(tmp_path).volume
    flipped = np.linalg.det(np.array(volume.geometry.directions)) > 0  # (k, j, i) of LPS is a left-handed triple
    expected = volume.voxels_hu[::-1] if flipped else volume.voxels_hu
    np.testing.assert_array_equal(loaded.voxels_hu, expected)
    np.testing.assert_allclose(loaded.geometry.spacing_mm, volume.geometry.spacing_mm, atol=1e-8)
    first = (volume.geometry.shape[0] - 1, 0, 0) if flipped else (0, 0, 0)
    np.testing.assert_allclose(loaded.geometry.origin_mm, volume.geometry.points_at([first])[0], atol=1e-8)


def test_hu_are_rounded_to_whole_numbers(tmp_path):
    volume = ct_on(grid())
    noisy = Volume(
        voxels_hu=volume.voxels_hu + np.random.default_rng(3).normal(0, 9, volume.geometry.shape).astype(np.float32),
        geometry=volume.geometry,
    )
    write_ct_series(noisy, tmp_path, identity=SeriesIdentity())
    np.testing.assert_array_equal(load_image(tmp_path).volume.voxels_hu, np.rint(noisy.voxels_hu))


def test_all_attributes_of_the_ct_image_iod_are_there(tmp_path):
    dataset = pydicom.dcmread(files_of(write_series(tmp_path))[0])
    assert [name for name in TYPE_1 if not dataset.get(name) and dataset.get(name) != 0] == []
    assert [name for name in TYPE_2 if name not in dataset] == []


def test_row_spacing_comes_first(tmp_path):
    dataset = pydicom.dcmread(files_of(write_series(tmp_path))[0])
    assert list(dataset.PixelSpacing) == [1.1, 0.9]


def test_uids_follow_from_the_identity_alone(tmp_path):
    def uids(name, **identity):
        dataset = pydicom.dcmread(files_of(write_series(tmp_path / name, **identity))[0])
        return dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.FrameOfReferenceUID, dataset.SOPInstanceUID

    first, again, other = uids("a"), uids("b"), uids("c", study_date="20260111")
    assert first == again
    assert not set(first) & set(other)
    same_study = uids("d", series_number=2)
    assert same_study[0] == first[0]
    assert same_study[1] != first[1]


def test_the_frame_of_reference_is_the_geometry_s(tmp_path):
    folder = write_series(tmp_path, grid(frame_uid="1.2.3.4"))
    assert load_image(folder).volume.geometry.frame_uid == "1.2.3.4"


def test_values_beyond_int16_are_refused(tmp_path):
    geometry = grid()
    with pytest.raises(ValueError, match="int16"):
        write_ct_series(
            Volume(voxels_hu=np.full(geometry.shape, 40000, np.float32), geometry=geometry),
            tmp_path / "out",
            identity=SeriesIdentity(),
        )
    assert not (tmp_path / "out").exists()
